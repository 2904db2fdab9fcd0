// Elements from data. Text is only ever set as text: names come from outside.

export const $ = (id) => document.getElementById(id);

/** Return a new element: `el("td", {class: "id", data: {x: 1}, on: {click}}, child, "text")`. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "data") Object.assign(node.dataset, value);
    else if (name === "on") {
      for (const [event, call] of Object.entries(value)) node.addEventListener(event, call);
    } else if (name === "value") node.value = value;
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set the text of a node where it differs: an unchanged node is not announced again. */
export function say(node, text) {
  const wanted = String(text);
  if (node.textContent !== wanted) node.textContent = wanted;
}

/** Set a data attribute where it differs. */
export function mark(node, name, value) {
  const wanted = String(value);
  if (node.dataset[name] !== wanted) node.dataset[name] = wanted;
}

/** Rows of a table body, one per key: rows that stay keep their element, focus and inputs. */
export class KeyedRows {
  #body; #make; #fill; #rows = new Map(); #fresh;

  /** `make(row)` returns {tr, ...parts}; `fill(parts, row)` puts the row's values in. */
  constructor(body, make, fill, { fresh = true } = {}) {
    this.#body = body;
    this.#make = make;
    this.#fill = fill;
    this.#fresh = fresh;
  }

  /** Show these [key, row] pairs in this order. */
  show(pairs) {
    const first = this.#rows.size === 0;
    const wanted = new Set(pairs.map(([key]) => key));
    for (const [key, held] of this.#rows) {
      if (!wanted.has(key)) {
        held.parts.tr.remove();
        this.#rows.delete(key);
      }
    }
    let next = this.#body.firstElementChild;
    for (const [key, row] of pairs) {
      let held = this.#rows.get(key);
      if (!held) {
        held = { parts: this.#make(row), row: null };
        if (this.#fresh && !first) held.parts.tr.classList.add("fresh");
        this.#rows.set(key, held);
      }
      if (held.row !== row) {
        held.row = row;
        this.#fill(held.parts, row);
      }
      if (held.parts.tr === next) next = next.nextElementSibling;
      else this.#body.insertBefore(held.parts.tr, next);
    }
  }

  /** Put the values of every row in again: ages change while rows do not. */
  refresh() {
    for (const { parts, row } of this.#rows.values()) this.#fill(parts, row);
  }

  get size() { return this.#rows.size; }
}
