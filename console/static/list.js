// The incidents: what there is, what is new, and which of them the filters let through. The filters live in the address.

import { $, announce, el, redraw } from "./dom.js";
import { alarm } from "./sound.js";
import { t } from "./text.js";
import { age } from "./times.js";
import { SIGN, agency, isOpen, place, what } from "./words.js";

const incidents = new Map();
const fresh = new Set(); // not looked at yet
const watchers = new Set();
let site, chosen = null, opens = () => {};
const SHOWN_MAX = 500;

export const all = () => [...incidents.values()];
export const one = (key) => incidents.get(key);
export const selected = () => chosen;
export const onChange = (f) => watchers.add(f);

export function start(said, open) {
  site = said;
  opens = open;
  const options = (values, any) => [el("option", { value: "" }, t(any)), ...values.map((v) => el("option", { value: v }, t(v)))];
  const form = $("#filters"), asked = new URLSearchParams(location.search);
  form.status.replaceChildren(...["live", "open", "acknowledged", "assigned", "cleared", "resolved", "merged"].map((v) => el("option", { value: v }, t(v))), el("option", { value: "any" }, t("any_status")));
  form.severity.replaceChildren(...options([...site.severities].reverse(), "any_severity"));
  form.kind.replaceChildren(...options([...new Set(site.rules.map((r) => r.kind))], "any_kind"));
  for (const name of ["status", "severity", "kind", "q"]) if (asked.has(name)) form[name].value = asked.get(name);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => { address(); draw(); });
  $("#list").addEventListener("click", (event) => choose(event.target.closest("li")?.dataset.key));
  chosen = asked.get("alert");
}

/** Write the filters, the view, the map's place and the chosen incident into the address, so that it can be shared. */
export function address(view, at) {
  const now = new URLSearchParams(location.search);
  const form = new FormData($("#filters"));
  for (const [name, value] of form) value && !(name === "status" && value === "live") ? now.set(name, value) : now.delete(name);
  if (view) now.set("view", view);
  if (at) now.set("at", at);
  chosen ? now.set("alert", chosen) : now.delete("alert");
  history.replaceState(null, "", `?${now}`);
}

/** Take in a revision; `late` when it was told while the page was open. */
export function take(incident, late) {
  const before = incidents.get(incident.alert);
  if (before && before.revision >= incident.revision) return;
  incidents.set(incident.alert, incident);
  if (late && !before && isOpen(incident) && !incident.muted) {
    fresh.add(incident.alert);
    announce(t("new_incident", `${t(incident.severity)}, ${what(incident)}, ${place(incident)}`), ["critical", "major"].includes(incident.severity));
    alarm(incident.severity);
  }
  if (!isOpen(incident) || incident.acknowledged_by) fresh.delete(incident.alert);
  for (const watcher of watchers) watcher(incident);
}

export function choose(key) {
  if (key === undefined) return;
  chosen = key;
  if (key) fresh.delete(key);
  address();
  draw();
  opens(key);
  if (key) document.getElementById(`i-${key}`)?.scrollIntoView({ block: "nearest" });
}

export function move(by) {
  const keys = shown().map((i) => i.alert);
  if (!keys.length) return;
  const at = keys.indexOf(chosen);
  choose(keys[Math.min(Math.max(at + by, 0), keys.length - 1)]);
}

function shown() {
  const { status, severity, kind, q } = Object.fromEntries(new FormData($("#filters")));
  const words = q.trim().toLowerCase();
  const rank = (i) => site.severities.indexOf(i.severity) + (isOpen(i) ? 10 : 0) + (i.muted ? -5 : 0);
  return all()
    .filter((i) => (status === "live" ? isOpen(i) : status === "any" || i.status === status))
    .filter((i) => (!severity || i.severity === severity) && (!kind || i.reason.happenings.some((h) => h.kind === kind)))
    .filter((i) => !words || [i.alert, what(i), place(i), i.rule, i.assigned_to, i.acknowledged_by, ...i.subjects, ...i.agencies].join(" ").toLowerCase().includes(words))
    .sort((a, b) => rank(b) - rank(a) || b.raised.localeCompare(a.raised));
}

export function draw() {
  const found = shown();
  const rows = found.slice(0, SHOWN_MAX).map((i) =>
    el("li", { id: `i-${i.alert}`, "data-key": i.alert, role: "option", "aria-selected": String(i.alert === chosen), class: `${i.severity} ${isOpen(i) ? "" : "over"} ${fresh.has(i.alert) ? "new" : ""}` },
      el("span", { class: "badge", title: t(i.severity) }, SIGN[i.severity], el("span", { class: "unseen" }, t(i.severity))),
      el("span", { class: "what" }, what(i)),
      el("span", { class: "age", title: i.raised }, age(i.raised)),
      el("span", { class: "where" }, `${place(i)} · ${agency(i.lead)}`),
      el("span", { class: "state" }, i.muted ? t("is_silenced") : i.disputed ? t("is_disputed") : t(i.status)),
    ));
  redraw($("#list"), rows);
  const active = document.getElementById(`i-${chosen}`);
  active ? $("#list").setAttribute("aria-activedescendant", active.id) : $("#list").removeAttribute("aria-activedescendant");
  $("#none").hidden = found.length > 0;
  $("#count").textContent = `(${found.length})`;
  const waiting = all().filter((i) => i.status === "open" && !i.muted);
  const worst = [...site.severities].reverse().find((s) => waiting.some((i) => i.severity === s));
  document.title = waiting.length ? `(${waiting.length}) ${SIGN[worst]} ${site.title}` : site.title;
}

/** Only the ages, between changes. */
export function grow() {
  for (const row of $("#list").children) {
    const incident = incidents.get(row.dataset.key);
    if (incident) row.querySelector(".age").textContent = age(incident.raised);
  }
}
