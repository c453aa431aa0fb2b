// The loop as it happens: each proposal with what it is to do, how it stands, and how it came to.

import { setAttribute, setBadges, setName, setText } from "./tables.js";
import * as words from "./words.js";

/** The last ones that have ended are shown too. */
const SHOWN_MAX = 12;

const TONES = {
  completed: "good", executing: "good", verifying: "good", dispatched: "good", approved: "good",
  awaiting_approval: "warn", stale: "warn", expired: "warn",
  failed: "bad", vetoed: "bad", rejected: "bad", cancelled: "warn",
};
const stateOf = ({ state }) => (typeof state === "string" ? state : Object.keys(state)[0]);
const stepOf = ({ actuator, operation, parameters }) => {
  const lasts = parameters.for_s === undefined ? "" : ` for ${words.duration(parameters.for_s)}`;
  return `${actuator.split(":").at(-1)} ${operation}${lasts}`;
};
const newest = ({ story }) => story.at(-1)?.at_ms ?? 0;

/** Draws into `list`, an `ol`; what is open stays open, and what has the focus keeps it. */
export function showProposals(list, proposals, context) {
  const shown = [...proposals].sort((a, b) => newest(b) - newest(a)).slice(0, SHOWN_MAX);
  const known = new Map([...list.children].map((item) => [item.dataset.key, item]));
  const items = shown.map((proposal) => {
    const key = `${proposal.home}/${proposal.id}`;
    const item = known.get(key) ?? make(key);
    known.delete(key);
    fill(item, proposal, context);
    return item;
  });
  for (const gone of known.values()) gone.remove();
  items.forEach((item, at) => list.children[at] !== item && list.insertBefore(item, list.children[at] ?? null));
}

function make(key) {
  const item = document.getElementById("proposal-shape").content.firstElementChild.cloneNode(true);
  item.dataset.key = key;
  return item;
}

function fill(item, proposal, { sinceMs, isLive }) {
  const part = (name) => item.querySelector(`[data-part="${name}"]`);
  const state = stateOf(proposal);
  setName(part("what"), proposal.steps.map(stepOf).join(", "));
  setText(part("id"), proposal.id.slice(0, 8));
  setAttribute(part("id"), "title", proposal.id);
  const text = state.replaceAll("_", " ");
  setBadges(part("state"), [{ text, tone: isLive ? TONES[state] ?? "quiet" : "quiet", meaning: text }]);
  setName(part("why"), proposal.reason);
  const home = proposal.is_own ? "this node" : proposal.home_name ?? words.shortId(proposal.home);
  const age = proposal.is_own ? "" : `, said ${words.age(proposal.age_ms + sinceMs)} ago`;
  setText(part("home"), `home: ${home}${age}`);
  const asks = proposal.offer ? `Approve it in a terminal: clawmesh approve ${proposal.id.slice(0, 8)}` : "";
  setText(part("asks"), asks);
  part("asks").hidden = asks === "";
  tell(part("story"), proposal.story);
}

/** A story only grows, or loses its beginning: then it is told anew. */
function tell(list, story) {
  const first = story[0]?.at_ms ?? 0;
  if (list.dataset.first !== String(first) || list.children.length > story.length) {
    list.replaceChildren();
    list.dataset.first = String(first);
  }
  for (const { at_ms: atMs, state, words: said, code } of story.slice(list.children.length)) {
    const line = document.createElement("li");
    const [when, name, what] = ["time", "b", "bdi"].map((tag) => document.createElement(tag));
    when.textContent = new Date(atMs).toLocaleTimeString();
    name.textContent = state.replaceAll("_", " ");
    what.textContent = code ? `${said} [${code}]` : said;
    line.append(when, name, what);
    list.append(line);
  }
}
