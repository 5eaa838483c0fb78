// The shift: notes for who comes next, silences in force, and a report of what there was.

import { $, el, redraw, table } from "./dom.js";
import * as list from "./list.js";
import { get, post, remove } from "./server.js";
import { t } from "./text.js";
import { now, stamp, wholeZoned } from "./times.js";
import { SIGN, place, what } from "./words.js";

let hours = 8;

export async function show(me) {
  const end = new Date(now()), start = new Date(now() - hours * 3600000);
  const [notes, silences, report] = await Promise.all([get("shift/notes", { hours: 48 }), get("silences"), get("shift/report", { from: start.toISOString(), to: end.toISOString() })]);
  const counts = (said) => Object.entries(said).map(([name, n]) => `${t(name)} ${n}`).join(", ") || "–";
  redraw($("#view-shift"),
    el("h2", {}, t("notes")),
    notes.length ? el("ul", { class: "notes" }, notes.map((n) => el("li", {}, el("p", {}, stamp(n.time_s * 1000, wholeZoned), ` · ${n.by}`), n.text))) : el("p", { class: "nothing" }, t("no_notes")),
    me.may.includes("act") ? el("form", { name: "note", onsubmit: (event) => leave(event, me) },
      el("textarea", { name: "text", required: true, maxlength: "2000", "aria-label": t("leave_note") }), el("button", { class: "main" }, t("leave_note")), el("p", { class: "wrong", role: "alert" })) : "",
    el("h2", {}, t("silences")),
    !silences.length ? el("p", { class: "nothing" }, t("no_silences")) : table([t("why"), t("matches"), t("until"), t("action")], silences.map((s) => [`${s.reason} (${s.by})`, Object.entries(s.matchers).map(([k, v]) => `${k} = ${v}`).join(", "), stamp(s.until, wholeZoned),
      me.may.includes("silence") ? el("button", { onclick: async () => { await remove(`silences/${s.silence}`); setTimeout(() => show(me), 2500); } }, t("end_silence")) : ""]), silences.map((s) => s.silence)),
    el("div", { class: "row" }, el("h2", {}, `${t("report")}: ${t("last_hours", hours)}`),
      el("select", { "aria-label": t("hours"), onchange: (e) => { hours = Number(e.target.value); show(me); } }, [8, 12, 24, 72].map((n) => el("option", { value: n, selected: n === hours }, `${n} h`))),
      el("button", { onclick: () => print() }, t("print"))),
    table(null, [
      [t("raised"), { number: report.raised }], [t("by_severity"), counts(report.by_severity)], [t("by_kind"), counts(report.by_kind)],
      [t("acknowledged"), { number: report.acknowledged }], [t("ack_median"), report.acknowledged_after_s_median === null ? "–" : `${report.acknowledged_after_s_median} s`],
      [t("by_disposition"), counts(report.dispositions)], [t("still_open"), { number: report.open.length }]]),
    table([t("still_open"), t("where"), t("raised"), t("status")], report.open.map((i) => [el("button", { onclick: () => list.choose(i.alert) }, `${SIGN[i.severity]} ${what(i)}`), place(i), stamp(i.raised, wholeZoned), t(i.status)]), report.open.map((i) => i.alert)));
}

async function leave(event, me) {
  event.preventDefault();
  const form = event.target, text = form.elements.text, wrong = form.querySelector(".wrong");
  try {
    await post("shift/notes", { text: text.value });
  } catch (error) {
    wrong.textContent = error.message;
    return;
  }
  text.value = wrong.textContent = "";
  show(me);
}
