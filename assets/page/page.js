// The live page: keeps the newest snapshot, shows it, and says at any time how old it is.

import { showProposals } from "./proposals.js";
import { AlarmPanel } from "./alarms.js";
import { Follower } from "./stream.js";
import { LiveTable, Spark, setAttribute, setBadges, setName, setText } from "./tables.js";
import * as words from "./words.js";

const TOKEN_KEY = "clawmesh-token";
const byId = (id) => document.getElementById(id);

const state = {
  snapshot: null,
  /** When the snapshot was fresh, by this page's own clock. */
  freshAt: 0,
  link: "starting",
  sentence: "",
  retryAt: 0,
  sparks: new Map(),
  names: new Map(),
};
let follower = null;
let isDrawing = false;
let drawnAt = 0;

/** Laying out a large table five times a second would leave the machine no time for anything else. */
const ROWS_CALM = 200;
const CALM_MS = 1000;

// --- the token: from the address, out of the address bar, into this tab ---

function takeToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found === null) return false;
  history.replaceState(null, "", location.pathname);
  sessionStorage.setItem(TOKEN_KEY, found);
  return true;
}

function askForToken(isRefused) {
  sessionStorage.removeItem(TOKEN_KEY);
  setText(byId("token-title"), isRefused ? "The node does not know this token" : "This page needs the node's token");
  byId("token-panel").hidden = false;
  byId("world").hidden = state.snapshot === null;
  setLink("token");
  byId("token-input").focus();
}

function connect() {
  follower?.stop();
  const token = sessionStorage.getItem(TOKEN_KEY);
  if (!token) return askForToken(false);
  byId("token-panel").hidden = true;
  setLink("connecting");
  const mine = new Follower(token, {
    open: () => mine === follower && setLink("open"),
    event: (name, data) => mine === follower && take(name, data),
    lost: (sentence, waitMs) => mine === follower && lose(sentence, waitMs),
    unknownToken: () => mine === follower && askForToken(true),
  });
  follower = mine;
}

// --- what comes in ---

function take(name, data) {
  if (name === "snapshot") {
    state.snapshot = data;
    state.freshAt = performance.now();
    remember(data);
    setLink("live");
  } else if (name === "stalled") {
    state.freshAt = performance.now() - data.snapshot_age_ms;
    setLink("stalled");
  }
}

function remember(snapshot) {
  state.names = new Map(snapshot.peers.map(({ id, name }) => [id, name]));
  state.names.set(snapshot.node.id, snapshot.node.name);
  const known = new Set();
  for (const sensor of snapshot.sensors) {
    const key = sensorKey(sensor);
    known.add(key);
    if (!state.sparks.has(key)) state.sparks.set(key, new Spark());
    state.sparks.get(key).take(sensor.samples, sensor.value, sensor.origin_ms ?? snapshot.wall_ms);
  }
  for (const key of state.sparks.keys()) if (!known.has(key)) state.sparks.delete(key);
}

function lose(sentence, waitMs) {
  state.sentence = sentence;
  state.retryAt = performance.now() + waitMs;
  setLink("lost");
}

function setLink(link) {
  state.link = link;
  drawLink();
  drawSoon();
}

// --- columns ---

const text = (of) => (cell, item, context) => setText(cell, of(item, context));
const ageOf = (of) => text((item, { sinceMs }) => {
  const ms = of(item);
  return words.age(ms === null || ms === undefined ? null : ms + sinceMs);
});
const sensorKey = ({ node, sensor }) => `${node}/${sensor}`;
const tierBadge = (cell, { tier }) =>
  setBadges(cell, tier ? [{ text: tier, tone: "quiet", meaning: words.tier(tier) }] : []);

const PEERS = [
  { label: "Name", show: (cell, peer) => setName(cell, peer.name ?? "not described yet") },
  { label: "Id", kind: "code", show: (cell, { id }) => { setText(cell, words.shortId(id)); setAttribute(cell, "title", id); } },
  { label: "Role", kind: "word", show: (cell, peer) => setName(cell, peer.role ?? words.NOTHING) },
  { label: "Trust", show: (cell, { trusted }) => setBadges(cell, [trusted
    ? { text: "trusted", tone: "good" } : { text: "not trusted", tone: "warn", meaning: "its statements are not taken here" }]) },
  { label: "Liveliness", show: (cell, { liveness }) => setBadges(cell, [{ text: liveness, tone: words.livenessTone(liveness) }]) },
  { label: "Heard", kind: "number", show: ageOf((peer) => peer.heard_age_ms) },
  { label: "Clock", kind: "number", show: text((peer) => words.offset(peer.clock_offset_ms)) },
  { label: "Skipped", kind: "number", show: text((peer) => words.count(peer.stream_skipped)) },
];

const SENSORS = [
  { label: "Quantity", kind: "two", show: showQuantity },
  { label: "Value", kind: "number value", show: showValue },
  { label: "Since opened", kind: "trend", show: showSpark },
  { label: "Tier", show: tierBadge },
  { label: "Age", kind: "number", show: ageOf((sensor) => sensor.age_ms) },
  { label: "Period", kind: "number", show: text((sensor) => words.period(sensor.period_ms)) },
  { label: "Flags", kind: "flags", show: showFlags },
];

const ACTUATORS = [
  { label: "Actuator", show: (cell, { actuator }) => setName(cell, actuator) },
  { label: "Position", show: (cell, { position }, { isLive }) => setBadges(cell, [words.position(isLive ? position : null)]) },
  { label: "Since", kind: "number", show: ageOf((actuator) => actuator.since_ms) },
  { label: "Notes", kind: "wrap", show: (cell, actuator) => setBadges(cell, words.actuatorNotes(actuator)) },
];

const BELIEFS = [
  { label: "Key", show: (cell, belief) => setName(cell, belief.key) },
  { label: "Value", kind: "value wrap", show: (cell, belief) => setName(cell, words.anyValue(belief.value, belief.unit)) },
  { label: "Tier", show: tierBadge },
  { label: "Source", kind: "who-said", show: (cell, { source }) => showWho(cell, source) },
  { label: "Rests on", kind: "wrap", show: (cell, belief) => setName(cell, support(belief.supported_by)) },
  { label: "Age", kind: "number", show: ageOf((belief) => belief.age_ms) },
];

const REFUSALS = [
  { label: "Code", kind: "code", show: text((refusal) => refusal.code) },
  { label: "From", kind: "who-said wrap", show: (cell, { from }) => showWho(cell, from) },
  { label: "Count", kind: "number", show: text((refusal) => words.count(refusal.count)) },
  { label: "Last sentence", kind: "wrap", show: (cell, refusal) => setName(cell, refusal.sentence) },
  { label: "Age", kind: "number", show: ageOf((refusal) => refusal.age_ms) },
];

function support(path) {
  if (!path) return "a statement";
  const [node, ...sensor] = path.split("/");
  return sensor.length > 0 ? sensor.join("/") : node;
}

/** A node by the name it gives itself and by its id: a name alone can be anybody's. */
function showWho(cell, from) {
  if (cell.children.length === 0) cell.append(document.createElement("bdi"), document.createElement("code"));
  const name = state.names.get(from);
  setText(cell.children[0], name ?? words.shortId(from));
  setText(cell.children[1], name ? words.shortId(from) : "");
  setAttribute(cell, "title", from);
}

function showQuantity(cell, sensor) {
  if (cell.children.length === 0) cell.append(document.createElement("bdi"), document.createElement("code"));
  setText(cell.children[0], sensor.quantity ?? "not described yet");
  setText(cell.children[1], sensor.sensor);
}

function showValue(cell, { value, unit }) {
  if (cell.children.length === 0) cell.append(document.createElement("b"), document.createElement("span"));
  const { number, unit: name } = words.quantity(value, unit);
  setText(cell.children[0], number);
  setText(cell.children[1], name ? ` ${name}` : "");
  setAttribute(cell, "title", value === null ? "no value yet" : `${value} ${unit ?? ""}`);
}

/** Flags are as old as the snapshot: what was well then is unknown once the snapshot is not live. */
function showFlags(cell, { flags }, { isLive }) {
  const unknown = { text: "unknown", tone: "warn", meaning: "it was well at the last update" };
  const well = isLive ? { text: "ok", tone: "good" } : unknown;
  setBadges(cell, flags.length > 0 ? flags.map(words.flag) : [well]);
}

function showSpark(cell, sensor) {
  const spark = state.sparks.get(sensorKey(sensor));
  if (!spark || spark.points.length < 2) return;
  if (cell.children.length === 0) cell.append(byId("spark-shape").content.cloneNode(true));
  setAttribute(cell.querySelector("polyline"), "points", spark.line());
}

const tables = {
  peers: new LiveTable(byId("peers"), PEERS, "No other node has been seen yet."),
  sensors: new LiveTable(byId("sensors"), SENSORS, "No sensor has been described yet."),
  actuators: new LiveTable(byId("actuators"), ACTUATORS, "This node drives nothing."),
  beliefs: new LiveTable(byId("beliefs"), BELIEFS, "The world holds no beliefs yet."),
  refusals: new LiveTable(byId("refusals"), REFUSALS, "Nothing has been refused."),
};

const alarmPanel = new AlarmPanel(() => sessionStorage.getItem(TOKEN_KEY));

// --- drawing ---

function drawSoon() {
  if (isDrawing) return;
  isDrawing = true;
  const calmMs = (state.snapshot?.sensors.length ?? 0) > ROWS_CALM ? CALM_MS : 0;
  setTimeout(() => requestAnimationFrame(() => {
    isDrawing = false;
    drawnAt = performance.now();
    draw();
  }), Math.max(0, drawnAt + calmMs - performance.now()));
}

function draw() {
  drawLink();
  const { snapshot } = state;
  if (!snapshot) return;
  byId("world").hidden = false;
  drawNode(snapshot);
  drawTiles(snapshot);
  const context = { sinceMs: performance.now() - state.freshAt, isLive: !isOld() };
  alarmPanel.show(snapshot.alarms, context);
  tables.peers.show([{ key: "all", items: snapshot.peers }], ({ id }) => id, context);
  tables.sensors.show(byNode(snapshot), sensorKey, context);
  byId("proposals-panel").hidden = snapshot.proposals.length === 0;
  showProposals(byId("proposals"), snapshot.proposals, context);
  byId("actuators-panel").hidden = snapshot.actuators.length === 0;
  tables.actuators.show([{ key: "all", items: snapshot.actuators }], ({ actuator }) => actuator, context);
  tables.beliefs.show([{ key: "all", items: snapshot.beliefs }], ({ key }) => key, context);
  tables.refusals.show([{ key: "all", items: snapshot.refusals }], ({ code, from }) => `${code} ${from}`, context);
}

function byNode(snapshot) {
  const groups = new Map();
  for (const sensor of snapshot.sensors) {
    const key = sensor.node;
    if (!groups.has(key)) {
      const name = sensor.node_name ?? state.names.get(key) ?? "not described yet";
      const hint = key === snapshot.node.id ? "this node" : "";
      groups.set(key, { key, title: { name, id: words.shortId(key), hint }, items: [] });
    }
    groups.get(key).items.push(sensor);
  }
  const own = groups.get(snapshot.node.id);
  return own ? [own, ...[...groups.values()].filter((group) => group !== own)] : [...groups.values()];
}

function drawNode({ node, link, stop, site, tick, digest }) {
  setText(byId("node-name"), node.name);
  setName(byId("node-role"), node.role);
  setText(byId("node-mesh"), node.mesh);
  setText(byId("node-id"), words.shortId(node.id));
  setAttribute(byId("node-id"), "title", node.id);
  const { text: linkText, title, tone } = words.meshLink(link);
  setText(byId("mesh-link"), linkText);
  setAttribute(byId("mesh-link"), "title", title);
  setAttribute(byId("mesh-link"), "data-tone", tone);
  byId("stop").hidden = stop === null;
  setText(byId("stop"), stop === null ? "" : `Stop is latched: ${stop}`);
  const modes = site?.modes ?? [];
  byId("site-modes").hidden = modes.length === 0;
  setText(byId("site-modes"), modes.length === 0 ? "" : `${site.name} is not in order: ${modes.join("; ")}`);
  setText(byId("tick"), words.count(tick));
  setText(byId("digest"), digest ? `${digest.total} at tick ${words.count(digest.tick)}` : words.NOTHING);
  setText(byId("node-id-full"), node.id);
  setText(byId("epoch"), String(node.epoch));
  setText(byId("version"), node.version);
}

function drawTiles({ peers, sensors, beliefs, refusals }) {
  const alive = peers.filter(({ liveness }) => liveness === "alive").length;
  const flagged = sensors.filter(({ flags }) => flags.length > 0).length;
  const refused = refusals.reduce((sum, { count }) => sum + count, 0);
  setText(byId("tile-peers"), peers.length === 0 ? "0" : `${alive} of ${peers.length} alive`);
  setText(byId("tile-sensors"), flagged === 0 ? `${sensors.length}` : `${sensors.length}, ${flagged} flagged`);
  setAttribute(byId("tile-sensors"), "data-tone", flagged === 0 ? "" : "bad");
  setText(byId("tile-beliefs"), words.count(beliefs.length));
  setText(byId("tile-refusals"), words.count(refused));
  setAttribute(byId("tile-refusals"), "data-tone", refused === 0 ? "" : "warn");
}

const LINKS = {
  starting: ["Starting", "quiet"],
  token: ["Token needed", "warn"],
  connecting: ["Connecting", "quiet"],
  open: ["Connected, node is starting", "quiet"],
  live: ["Live", "good"],
  stalled: ["The node's tick stands still", "bad"],
  lost: ["Link lost", "bad"],
};

const isOld = () => ["lost", "stalled", "token"].includes(state.link);

/** Only the state itself is announced; the seconds beside it would be read out without end. */
function drawLink() {
  const [label, tone] = LINKS[state.link];
  const hasStop = Boolean(state.snapshot?.stop);
  setText(byId("link-state"), label);
  setAttribute(byId("pill"), "data-tone", tone);
  setText(byId("link-detail"), linkDetail());
  document.body.classList.toggle("is-old", isOld());
  const name = state.snapshot ? state.snapshot.node.name : "clawmesh node";
  const mark = hasStop ? "STOP · " : tone === "bad" ? "! · " : "";
  const title = `${mark}${name} · clawmesh`;
  if (document.title !== title) document.title = title;
}

function linkDetail() {
  const parts = [];
  if (state.snapshot && state.link !== "live") {
    parts.push(`last update ${words.age(performance.now() - state.freshAt)} ago`);
  }
  if (state.link === "lost") {
    const waitS = Math.ceil((state.retryAt - performance.now()) / 1000);
    parts.push(state.sentence, waitS > 0 ? `trying again in ${waitS} s` : "trying again");
  }
  return parts.join(" · ");
}

// --- start ---

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN_KEY, byId("token-input").value.trim());
  byId("token-input").value = "";
  connect();
});
addEventListener("hashchange", () => takeToken() && connect());
addEventListener("online", () => follower?.hurry());
setInterval(drawSoon, 1000);
takeToken();
connect();
