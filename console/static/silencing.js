// What a silence would mute: its fields as the service matches them, and what of the last day they would have hidden.

import { el } from "./dom.js";
import * as list from "./list.js";
import { t } from "./text.js";
import { now } from "./times.js";
import { SIGN, place, what } from "./words.js";

const HOURS = 24, NAMED_MAX = 4;
/** What an incident has in each field that a silence may ask for: as `matches` in alerts/quiet.py. */
export const FIELDS = {
  subject: (i) => i.subjects,
  rule: (i) => i.reason.happenings.map((h) => h.rule),
  kind: (i) => i.reason.happenings.map((h) => h.kind),
  zone: (i) => i.reason.happenings.map((h) => h.zone),
  severity: (i) => [i.severity],
  sensor: (i) => i.evidence.map((e) => e.sensor),
  agency: (i) => i.agencies,
  class: (i) => Object.keys(i.class).slice(0, 1),
};
const fits = (has, value) => value.split(",").some((v) => (v.endsWith("*") ? has.startsWith(v.slice(0, -1)) : has === v));
export const matches = (incident, matchers) => Object.entries(matchers).every(([field, value]) => FIELDS[field](incident).some((has) => fits(has, value)));

/** The questions of the dialog: every field with what this incident has in it; only its own subjects are chosen. */
export function questions(incident, agency) {
  return Object.entries(FIELDS).filter(([field]) => field !== "agency" || !agency).map(([field, of]) => ({
    name: field, label: t(`by_field_${field}`), kind: "match", on: field === "subject", value: [...new Set(of(incident))].filter(Boolean).join(","),
  }));
}
export const matchersOf = (answers) => Object.fromEntries(Object.keys(FIELDS).filter((field) => answers[field]).map((field) => [field, answers[field]]));

/** In words: what it would have kept, and from whom, with a warning where that is critical. `agency`: its name, empty for all of them. */
export function preview(answers, agency) {
  const matchers = matchersOf(answers);
  if (!Object.keys(matchers).length) return [el("p", { class: "wrong" }, t("silence_needs_a_field"))];
  const since = now() - HOURS * 3600000, hidden = list.all().filter((i) => Date.parse(i.raised) >= since && matches(i, matchers));
  const critical = hidden.filter((i) => i.severity === "critical").length;
  return [
    el("p", {}, t("silence_would", HOURS, hidden.length)),
    el("p", {}, agency ? t("silence_own", agency) : t("silence_all")),
    critical ? el("p", { class: "wrong" }, `${SIGN.critical} ${agency ? t("silence_critical_own", critical, agency) : t("silence_critical", critical)}`) : "",
    el("ul", { class: "named" }, hidden.slice(0, NAMED_MAX).map((i) => el("li", {}, `${SIGN[i.severity]} ${what(i)} · ${place(i)}`)), hidden.length > NAMED_MAX ? el("li", {}, "…") : null),
  ].filter(Boolean);
}
