// Tables whose rows keep their elements while their key lives, so that focus, selection and scroll position
// survive five updates a second. All text comes from outside and goes in as text, never as markup.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Sets text only when it differs: an untouched node keeps the selection and costs no layout. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

export function setAttribute(target, name, value) {
  if (target.getAttribute(name) !== value) target.setAttribute(name, value);
}

/** A name from outside: isolated, so that right-to-left text cannot reorder its neighbours. */
export function setName(target, name) {
  const bdi = target.firstElementChild ?? target.appendChild(element("bdi"));
  setText(bdi, name);
}

export function setBadges(target, badges) {
  const wanted = JSON.stringify(badges);
  if (target.dataset.badges === wanted) return;
  target.dataset.badges = wanted;
  target.replaceChildren(...badges.map(({ text, tone, meaning }) => {
    const badge = element("span", { class: "badge", "data-tone": tone }, text);
    if (meaning) badge.title = meaning;
    return badge;
  }));
}

/** One column: its label, its class, and `show(cell, item, context)`. The first one names the row. */
function makeRow(columns) {
  const cells = columns.map(({ label, kind }, index) => {
    const attributes = index === 0 ? { scope: "row", role: "rowheader" } : { role: "cell" };
    const cell = element(index === 0 ? "th" : "td", { ...attributes, class: kind ?? "" });
    // Narrow screens show a row as a card, where each cell carries its own label.
    if (index > 0) cell.dataset.label = label;
    return cell;
  });
  return { line: element("tr", { role: "row" }, ...cells), cells };
}

function makeHead(columns) {
  const labels = columns.map(({ label, kind }) =>
    element("th", { scope: "col", role: "columnheader", class: kind ?? "" }, label));
  return element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, ...labels));
}

/** Puts `child` at position `index`, touching nothing when it is there already. */
function place(parent, child, index) {
  if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
}

/** A table, in one group or several. */
export class LiveTable {
  constructor(table, columns, emptyText) {
    this.table = table;
    this.columns = columns;
    this.groups = new Map();
    this.head = makeHead(columns);
    this.table.append(this.head);
    const cell = element("td", { role: "cell", class: "empty", colspan: String(columns.length) }, emptyText);
    this.empty = element("tbody", { role: "rowgroup" }, element("tr", { role: "row" }, cell));
  }

  /** `groups` is a list of `{ key, title, items }`; a group without `title` has no heading. */
  show(groups, keyOf, context) {
    const before = this.table.querySelectorAll(":scope > :not(tbody)").length;
    const seen = new Set();
    groups.filter(({ items }) => items.length > 0).forEach((group, index) => {
      seen.add(group.key);
      const shown = this.group(group.key);
      shown.show(group, keyOf, context);
      place(this.table, shown.body, before + index);
    });
    for (const [key, shown] of this.groups) {
      if (seen.has(key)) continue;
      shown.body.remove();
      this.groups.delete(key);
    }
    if (seen.size === 0) this.table.append(this.empty);
    else this.empty.remove();
  }

  group(key) {
    if (!this.groups.has(key)) this.groups.set(key, new Group(this.columns));
    return this.groups.get(key);
  }
}

class Group {
  constructor(columns) {
    this.columns = columns;
    this.rows = new Map();
    this.body = element("tbody", { role: "rowgroup" });
    this.heading = null;
  }

  show({ title, items }, keyOf, context) {
    const first = this.showTitle(title);
    const seen = new Set();
    items.forEach((item, index) => {
      const key = keyOf(item);
      seen.add(key);
      if (!this.rows.has(key)) this.rows.set(key, makeRow(this.columns));
      const { line, cells } = this.rows.get(key);
      this.columns.forEach((column, at) => column.show(cells[at], item, context));
      place(this.body, line, first + index);
    });
    for (const [key, { line }] of this.rows) {
      if (seen.has(key)) continue;
      line.remove();
      this.rows.delete(key);
    }
  }

  /** Shows the heading, and says how many lines it takes. */
  showTitle(title) {
    if (!title) return 0;
    if (!this.heading) {
      const span = { colspan: String(this.columns.length), scope: "rowgroup", role: "rowheader" };
      this.heading = element("th", span, element("bdi"), element("code"), element("span", { class: "hint" }));
      this.body.prepend(element("tr", { role: "row", class: "group" }, this.heading));
    }
    const [name, id, hint] = this.heading.children;
    setText(name, title.name);
    setText(id, title.id);
    setText(hint, title.hint);
    return 1;
  }
}

const SPARK_POINTS_MAX = 120;

/** The values of one sensor since the page opened, as a line. */
export class Spark {
  constructor() {
    this.points = [];
    this.samples = -1;
    this.drawn = null;
  }

  /** Takes a value once, however often the same sample is shown. */
  take(samples, value, at) {
    if (samples === this.samples || value === null) return;
    this.samples = samples;
    this.drawn = null;
    this.points.push([at, value]);
    if (this.points.length > SPARK_POINTS_MAX) this.points.shift();
  }

  /** The line within 96 × 24, oldest on the left. */
  line() {
    this.drawn ??= this.draw();
    return this.drawn;
  }

  draw() {
    const values = this.points.map(([, value]) => value);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const [begin, end] = [this.points[0][0], this.points.at(-1)[0]];
    return this.points.map(([at, value]) => {
      const x = end === begin ? 96 : ((at - begin) / (end - begin)) * 96;
      const y = high === low ? 12 : 22 - ((value - low) / (high - low)) * 20;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    }).join(" ");
  }
}
