// Elements from values. Text is always text: nothing that the server says is taken for markup.

const handlers = new WeakMap(); // element → the names of its handlers

/** An element: el("li", {class: "new", onclick: f, "aria-label": "x"}, "text", another). What is null or false is left out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) { made[key] = value; handlers.set(made, [...(handlers.get(made) ?? []), key]); }
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

// ── drawing again ──
// An element that stands for the same thing stays the same element: it keeps the focus, what was typed into it, the caret and the scroll
// position, and a screen reader does not read it again. The same thing: the same id, data-key or name; else the same tag at the same place.

/** Give a box other children. The focus stays where it was; where that is gone, it goes to the neighbour, or to the box. */
export function redraw(box, ...children) {
  const focused = document.activeElement, held = box.contains(focused) && focused !== box;
  const place = held ? focusable(box).indexOf(focused) : -1, { selectionStart: start, selectionEnd: end } = held ? focused : {};
  const next = document.createElement(box.nodeName);
  next.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  patchChildren(box, next);
  if (!held) return;
  if (!takesFocus(focused)) return focusNear(box, place);
  if (document.activeElement === focused) return;
  focused.focus({ preventScroll: true }); // it was moved
  if (typeof start === "number") focused.setSelectionRange(start, end);
}

/** Focus what stands at this place among a box's elements that take the focus, or the one before it, or the box itself. */
export function focusNear(box, place) {
  const there = focusable(box);
  (there[Math.min(Math.max(place, 0), there.length - 1)] ?? box).focus({ preventScroll: true });
}
const FOCUSABLE = "a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex='-1'])";
export const takesFocus = (e) => e.isConnected && !e.disabled && e.checkVisibility();
const focusable = (box) => [...box.querySelectorAll(FOCUSABLE)].filter(takesFocus);

/** The children by what they stand for. */
function keyed(parent) {
  const seen = new Map(), found = new Map();
  for (const child of parent.childNodes) {
    const own = child.id || child.dataset?.key || child.getAttribute?.("name"), count = seen.get(child.nodeName) ?? 0;
    if (!own) seen.set(child.nodeName, count + 1);
    const key = `${child.nodeName} ${own ? `=${own}` : count}`;
    found.set(found.has(key) ? `${key} ${found.size}` : key, child);
  }
  return found;
}
function patchChildren(old, fresh) {
  const before = keyed(old), wanted = [];
  for (const [key, child] of keyed(fresh)) {
    const same = before.get(key);
    before.delete(key);
    if (same) patch(same, child);
    wanted.push(same ?? child);
  }
  for (const child of before.values()) child.remove();
  let at = old.firstChild;
  for (const child of wanted) {
    if (child === at) at = at.nextSibling;
    else old.insertBefore(child, at);
  }
}
/** Make an element like another; what a person typed, chose or opened in it stays. */
function patch(old, fresh) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const names = handlers.get(fresh) ?? [];
  for (const name of new Set([...names, ...(handlers.get(old) ?? [])])) old[name] = fresh[name];
  handlers.set(old, names);
  patchChildren(old, fresh);
}

export const $ = (selector) => document.querySelector(selector);

/** What screen readers say, once: at once where it is urgent, else when they come to it. Nothing overwrites what is not said yet. */
export function announce(words, urgent = false) {
  const line = el("p", {}, words);
  $(urgent ? "#announce" : "#announce-later").append(line);
  setTimeout(() => line.remove(), 20000);
}

/** A table: head is a list of words (without it, the first cell of each row is the row's heading), rows are lists of cells (text, element, or {number}); keys name what each row stands for. */
export function table(head, rows, keys = []) {
  const counts = (c) => c !== null && typeof c === "object" && "number" in c, numbers = (head ?? []).map((_, n) => rows.length > 0 && rows.every((row) => counts(row[n])));
  // On a phone each row is a card: its cells carry their column's word, and say what they are though they are laid out as a list.
  const cell = (c, n) => {
    if (!head && n === 0) return el("th", { scope: "row", role: "rowheader" }, c);
    return el("td", { role: "cell", "data-label": head?.[n], class: counts(c) ? "number" : null }, counts(c) ? String(c.number ?? "") : c ?? "");
  };
  return el("table", { role: "table", class: head ? null : "facts" },
    head && el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, head.map((h, n) => el("th", { scope: "col", role: "columnheader", class: numbers[n] ? "number" : null }, h)))),
    el("tbody", { role: "rowgroup" }, rows.map((row, n) => el("tr", { role: "row", "data-key": keys[n] }, row.map(cell)))));
}
