// How numbers, ages and states read. Everything here turns values into text; nothing touches the page.

const UNITS = {
  "1": "", "%": "%", Cel: "°C", By: "B", "By/s": "B/s", deg: "°", "W/m2": "W/m²", "W.h": "Wh",
};
const SCALED = new Set(["By", "By/s", "Hz", "W", "W.h"]);
const PREFIXES = ["", "k", "M", "G", "T", "P"];

const FLAGS = {
  stale: ["stale", "bad", "nothing new for longer than its period allows"],
  silent: ["silent", "bad", "described, and never heard"],
  stuck: ["stuck", "warn", "the value has not changed for too long"],
  out_of_range: ["out of range", "bad", "outside of what is physically possible"],
  future: ["future", "bad", "measured later than now: a clock is wrong"],
  undescribed: ["undescribed", "warn", "its node has not said what it measures"],
};
const TIERS = {
  T0: "planning inference",
  T1: "unverified observation: we know who relayed it, not who measured it",
  T2: "operational observation, signed by the node that measured it",
  T3: "verified action evidence",
};
const LIVENESS = { alive: "good", suspect: "warn", lost: "bad" };

export const NOTHING = "–";

/** "0.4 s", "12 s", "3 min 20 s", "5 h", "2 d". */
export function age(ms) {
  if (ms === null || ms === undefined) return NOTHING;
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d`;
}

/** A period: exact, because people compare it with a data sheet. */
/** Seconds, in the unit people would say them in. */
export function duration(seconds) {
  return seconds >= 120 && seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
}

export function period(ms) {
  if (ms === null || ms === undefined) return NOTHING;
  return ms < 1000 ? `${ms} ms` : `${+(ms / 1000).toFixed(2)} s`;
}

export function offset(ms) {
  if (ms === null || ms === undefined) return NOTHING;
  const sign = ms > 0 ? "+" : ms < 0 ? "−" : "";
  const size = Math.abs(ms);
  return size < 10000 ? `${sign}${size} ms` : `${sign}${age(size)}`;
}

function digits(number) {
  const size = Math.abs(number);
  if (Number.isInteger(number) && size < 1e6) return String(number);
  if (size !== 0 && (size < 0.001 || size >= 1e7)) return number.toExponential(2);
  return number.toFixed(size < 1 ? 3 : size < 100 ? 2 : 1);
}

/** The number and the unit as people write them. */
export function quantity(value, unit) {
  if (value === null || value === undefined) return { number: NOTHING, unit: "" };
  let scaled = value;
  let prefix = 0;
  while (SCALED.has(unit) && Math.abs(scaled) >= 1000 && prefix < PREFIXES.length - 1) {
    scaled /= 1000;
    prefix += 1;
  }
  const name = unit === null || unit === undefined ? "" : (UNITS[unit] ?? unit);
  return { number: digits(scaled), unit: PREFIXES[prefix] + name };
}

/** A belief's value, which may also be a text or yes and no. */
export function anyValue(value, unit) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") return value === null ? NOTHING : String(value);
  const { number, unit: name } = quantity(value, unit);
  return name ? `${number} ${name}` : number;
}

export function flag(name) {
  const [text, tone, meaning] = FLAGS[name] ?? [String(name).replaceAll("_", " "), "warn", ""];
  return { text, tone, meaning };
}

/** Where an actuator is, as its hardware says. */
export function position(word) {
  switch (word) {
    case "on": return { text: "on", tone: "warn", meaning: "it lets pass, or runs" };
    case "off": return { text: "off", tone: "good", meaning: "it lets nothing pass, or stands" };
    default: return { text: "unknown", tone: "bad", meaning: "it is on its way, or nobody can tell" };
  }
}

/** What a person should know before they ask anything of an actuator. */
export function actuatorNotes({ answers, local_control: isHeld, unsafe_because: fault }) {
  const notes = [];
  if (!answers) notes.push({ text: "does not answer", tone: "bad" });
  if (isHeld) notes.push({ text: "under local control", tone: "warn", meaning: "hands win: it is left alone" });
  if (fault) notes.push({ text: "not made safe", tone: "bad", meaning: fault });
  return notes;
}

const PRIORITIES = {
  critical: ["worst", "look now"],
  high: ["bad", "look soon"],
  medium: ["warn", "look today"],
  low: ["quiet", "look when there is time"],
};

/** How soon a person has to look. */
export function priority(name) {
  const [tone, meaning] = PRIORITIES[name] ?? ["bad", ""];
  return { text: String(name), tone, meaning };
}

/** How an alarm stands, and who brought it there. */
export function alarmState({ state, acknowledged_by: acknowledger, shelved_by: shelver, shelved_for_ms: leftMs }, sinceMs) {
  const by = (name) => (name ? ` by ${name}` : "");
  switch (state) {
    case "unacknowledged": return { text: "unacknowledged", tone: "bad", meaning: "it is the case, and nobody has seen it" };
    case "returned": return { text: "over, unacknowledged", tone: "warn", meaning: "it is over, and nobody has seen it" };
    case "acknowledged": return { text: `acknowledged${by(acknowledger)}`, tone: "quiet", meaning: "it is the case, and somebody has seen it" };
    case "shelved": return { text: `shelved${by(shelver)}, ${minutes(Math.max(0, leftMs - sinceMs) / 1000)} left`, tone: "quiet", meaning: "put aside for a time" };
    default: return { text: String(state), tone: "warn", meaning: "" };
  }
}

/** A time of minutes and hours: "15 min", "8 h". */
export function minutes(seconds) {
  const whole = Math.ceil(seconds / 60);
  return whole < 60 || whole % 60 !== 0 ? `${whole} min` : `${whole / 60} h`;
}

export const tier = (name) => TIERS[name] ?? "";
export const livenessTone = (name) => LIVENESS[name] ?? "quiet";
export const count = (number) => new Intl.NumberFormat("en").format(number);

/** Node ids are long; the first eight characters are for people. */
export function shortId(text) {
  return /^[0-9a-f]{64}$/.test(text) ? text.slice(0, 8) : text;
}

/** `tcp/127.0.0.1:7447` and others, or why not. */
export function meshLink(link) {
  switch (link.state) {
    case "open": return { text: "open", title: (link.listen ?? []).join(", "), tone: "good" };
    case "failed": return { text: `failed: ${link.sentence}`, title: "", tone: "bad" };
    default: return { text: "connecting", title: "", tone: "warn" };
  }
}
