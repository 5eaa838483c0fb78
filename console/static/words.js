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
export const place = (i) => site.zones[i.zone] ?? site.sensors[i.zone] ?? i.zone;
export const sensor = (id) => site.sensors[id] ?? id;
export const agency = (id) => site.agencies.find((a) => a.id === id)?.name ?? id;
export const position = (i) => `${Math.abs(i.lat).toFixed(5)}° ${i.lat < 0 ? "S" : "N"} ${Math.abs(i.lon).toFixed(5)}° ${i.lon < 0 ? "W" : "E"}`;
