// The panel of alarms: what a person has to look at, and the buttons with which they say that they did.

import { LiveTable, element, setAttribute, setBadges, setText } from "./tables.js";
import * as words from "./words.js";

const NAME_KEY = "clawmesh-name";
const ACTS = "api/alarms";
const byId = (id) => document.getElementById(id);

/** Shows alarms, tells of new ones, and brings to the node what somebody does with them. */
export class AlarmPanel {
  /** `tokenOf()` gives the token of this tab. */
  constructor(tokenOf) {
    this.tokenOf = tokenOf;
    /** When each alarm rang, as it was shown last; none before the first snapshot. */
    this.rang = null;
    const columns = [
      { label: "Alarm", kind: "alarm", show: showAlarm },
      { label: "State", kind: "flags", show: showState },
      { label: "Rang", kind: "number", show: (cell, alarm, { sinceMs }) => setText(cell, words.age(alarm.age_ms + sinceMs)) },
      { label: "Times", kind: "number", show: (cell, alarm) => setText(cell, words.count(alarm.count)) },
      { label: "Act", kind: "deeds", show: (cell, alarm, context) => this.showDeeds(cell, alarm, context) },
    ];
    this.table = new LiveTable(byId("alarms"), columns, "No alarm.");
    byId("alarm-by").value = sessionStorage.getItem(NAME_KEY) ?? "";
    byId("alarm-by").addEventListener("change", ({ target }) => sessionStorage.setItem(NAME_KEY, target.value.trim()));
    // The buttons say for how long, and whether shelved ones are shown: both are drawn anew at once.
    for (const id of ["alarm-shelf", "alarm-all"]) byId(id).addEventListener("change", () => this.redraw());
  }

  show(alarms, context) {
    this.last = { alarms, context };
    const shelved = alarms.filter(({ state }) => state === "shelved");
    const shown = byId("alarm-all").checked ? alarms : alarms.filter(({ state }) => state !== "shelved");
    byId("alarm-options").hidden = alarms.length === 0;
    setText(byId("alarm-shelved"), shelved.length === 0 ? "" : `${shelved.length} shelved`);
    this.keepFocus(() => this.table.show([{ key: "all", items: shown }], ({ key }) => key, context));
    this.tellNew(alarms);
  }

  redraw() {
    if (this.last) this.show(this.last.alarms, this.last.context);
  }

  /** A row that moves takes the focus along; one that is gone leaves it with the table. */
  keepFocus(draw) {
    const table = byId("alarms");
    const focused = table.contains(document.activeElement) ? document.activeElement : null;
    draw();
    if (!focused || document.activeElement === focused) return;
    const deeds = focused.closest(".deeds");
    const next = !focused.isConnected ? null : focused.hidden ? deeds?.querySelector("button:not([hidden])") : focused;
    (next ?? table).focus({ preventScroll: true });
  }

  /** Says what rings now and did not before; what was there when the page opened is only counted. */
  tellNew(alarms) {
    const ringing = alarms.filter(({ state }) => state === "unacknowledged");
    if (this.rang === null) {
      if (ringing.length > 0) say(`${ringing.length} unacknowledged alarms, the most urgent is ${ringing[0].priority}`);
    } else {
      const isNew = ({ key, raised_ms: raised }) => this.rang.get(key) !== raised;
      const found = ringing.filter(isNew);
      if (found.length > 0) say(found.map(({ priority, sentence }) => `New alarm, ${priority}: ${sentence}`).join(" "));
    }
    this.rang = new Map(alarms.map(({ key, raised_ms: raised }) => [key, raised]));
  }

  showDeeds(cell, alarm, { isLive }) {
    if (cell.children.length === 0) this.makeDeeds(cell, alarm.key);
    const [acknowledge, shelve, unshelve, note] = cell.children;
    const longestS = Math.floor(alarm.shelf_ms_max / 1000);
    const isShelved = alarm.state === "shelved";
    showButton(acknowledge, !alarm.is_acknowledged, isLive);
    showButton(shelve, longestS > 0 && !isShelved, isLive);
    showButton(unshelve, isShelved, isLive);
    const time = words.minutes(Math.min(chosenS(), longestS));
    setText(shelve, `Shelve ${time}`);
    setAttribute(shelve, "aria-label", `Shelve ${time} ${alarm.key}`);
    setText(note, longestS > 0 ? "" : "cannot be shelved");
  }

  makeDeeds(cell, key) {
    const button = (word, act, more) => {
      const made = element("button", { type: "button", "aria-label": `${word} ${key}` }, word);
      made.addEventListener("click", () => {
        // What is shown is old: nobody acts on a picture.
        if (made.getAttribute("aria-disabled") !== "true") this.act(act, key, more?.() ?? {});
      });
      return made;
    };
    const longestS = () => Math.floor((this.last.alarms.find((alarm) => alarm.key === key)?.shelf_ms_max ?? 0) / 1000);
    cell.append(
      button("Acknowledge", "acknowledge"),
      button("Shelve", "shelve", () => ({ for_s: Math.min(chosenS(), longestS()) })),
      button("Unshelve", "unshelve"),
      element("span", { class: "hint" }),
    );
  }

  async act(act, key, more) {
    const by = byId("alarm-by").value.trim();
    const body = JSON.stringify({ key, ...(by ? { by } : {}), ...more });
    const headers = { authorization: `Bearer ${this.tokenOf()}`, "content-type": "application/json" };
    let answer = `${act}d: ${key}`;
    try {
      const response = await fetch(`${ACTS}/${act}`, { method: "POST", headers, body, cache: "no-store" });
      if (!response.ok) answer = `not ${act}d: ${await sentenceOf(response)}`;
    } catch {
      answer = `not ${act}d: the node does not answer`;
    }
    setText(byId("alarm-answer"), answer);
  }
}

async function sentenceOf(response) {
  try {
    return (await response.json()).sentence ?? `the node answered ${response.status}`;
  } catch {
    return `the node answered ${response.status}`;
  }
}

const chosenS = () => Number(byId("alarm-shelf").value);
const say = (sentence) => setText(byId("alarm-news"), sentence);

function showButton(button, isShown, isLive) {
  button.hidden = !isShown;
  // A disabled button would lose the focus each time the link is lost for a moment.
  setAttribute(button, "aria-disabled", String(!isLive));
}

function showAlarm(cell, { key, priority, sentence }) {
  if (cell.children.length === 0) cell.append(element("span"), element("bdi"), element("code"));
  setBadges(cell.children[0], [words.priority(priority)]);
  setText(cell.children[1], sentence);
  setText(cell.children[2], key);
}

/** Alarms are as old as the snapshot, like everything else. */
function showState(cell, alarm, { sinceMs }) {
  setBadges(cell, [words.alarmState(alarm, sinceMs)]);
}
