// How an incident is named: by what happened, to what, where. The same in the list, the title, the announcement and the report.

import { t } from "./text.js";

let site = { zones: {}, sensors: {}, agencies: [] };
export function names(said) { site = said; }
export const SIGN = { critical: "▲", major: "◆", minor: "●", information: "○" };
export const OPEN = ["open", "acknowledged", "assigned"];
export const isOpen = (i) => OPEN.includes(i.status);

export function kindOf(i) {
  const way = i.reason.kind === "crossing" ? i.reason.detail.direction : "";
  return t(way === "inbound" || way === "outbound" ? `crossing_${way}` : i.reason.kind);
}
export function subject(i) {
  const likely = Object.keys(i.class)[0];
  return i.subjects.length > 1 && likely ? `${t("several", i.subjects.length)}, ${t(likely)}` : likely ? t(likely) : "";
}
export const what = (i) => [subject(i), kindOf(i)].filter(Boolean).join(": ");
/** Where it is: its zone, line or sensor; else that of another event in it; else the sensor that saw it last; else its position. */
export function place(i) {
  const named = [i.zone, ...i.reason.happenings.map((h) => h.zone)].find(Boolean);
  if (named) return site.zones[named] ?? site.sensors[named] ?? named;
  const seen = (i.evidence ?? []).reduce((newest, e) => (newest && newest.time >= e.time ? newest : e), null);
  return seen ? t("near", sensor(seen.sensor)) : position(i);
}
export const sensor = (id) => site.sensors[id] ?? id;
export const agency = (id) => site.agencies.find((a) => a.id === id)?.name ?? id;
export const position = (i) => `${Math.abs(i.lat).toFixed(5)}° ${i.lat < 0 ? "S" : "N"} ${Math.abs(i.lon).toFixed(5)}° ${i.lon < 0 ? t("west") : "E"}`;
