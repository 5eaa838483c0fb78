// Elements from values. Text is always text: nothing that the server says is taken for markup.

/** An element: el("li", {class: "new", onclick: f, "aria-label": "x"}, "text", another). What is null or false is left out. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}
export const $ = (selector) => document.querySelector(selector);

/** What screen readers say at once. */
export function announce(words) {
  $("#announce").textContent = "";
  setTimeout(() => { $("#announce").textContent = words; }, 50);
}

/** A table: head is a list of words, rows are lists of cells (text, element, or {number}). */
export function table(head, rows) {
  const cell = (c) => (c !== null && typeof c === "object" && "number" in c ? el("td", { class: "number" }, String(c.number ?? "")) : el("td", {}, c ?? ""));
  return el("table", {}, el("thead", {}, el("tr", {}, head.map((h) => el("th", { scope: "col" }, h)))), el("tbody", {}, rows.map((row) => el("tr", {}, row.map(cell)))));
}
