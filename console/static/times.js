// Times in the site's zone, with UTC where the pointer rests on one; the server's clock counts, not this machine's.

import { el } from "./dom.js";
import { t } from "./text.js";

let zone = "UTC", aheadMs = 0;
const formats = new Map();

export function inZone(name) { zone = name; formats.clear(); }
export function serverSays(iso) { if (iso) aheadMs = Date.parse(iso) - Date.now(); }
export const now = () => Date.now() + aheadMs;

function format(name, options) {
  if (!formats.has(name)) formats.set(name, new Intl.DateTimeFormat(t("locale"), { hourCycle: "h23", ...options }));
  return formats.get(name);
}
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
export const local = (time) => format("local", { timeZone: zone, ...CLOCK }).format(new Date(time));
export const utc = (time) => `${format("utc", { timeZone: "UTC", ...CLOCK }).format(new Date(time))} UTC`;
/** The site's zone as people there write it, at that time: MST, GMT+1. */
export const zoneName = (time = now()) => new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "short" }).formatToParts(new Date(time)).find((part) => part.type === "timeZoneName").value;
export const zoned = (time) => `${local(time)} ${zoneName(time)}`;
export const hour = (time) => local(time).slice(0, 2);
export const minute = (time) => local(time).slice(3, 5);
export const day = (time) => format("day", { timeZone: zone, day: "2-digit", month: "short" }).format(new Date(time));
export const whole = (time) => `${day(time)} ${local(time)}`;
/** A time as an element: in the site's zone, in UTC for who rests on it, and for machines. */
export const stamp = (time, as = local) => el("time", { datetime: new Date(time).toISOString(), title: `${day(time)} ${zoned(time)} = ${utc(time)}` }, as(time));
export const wholeZoned = (time) => `${day(time)} ${zoned(time)}`;

/** What a field for date and time holds: the site's zone, to the minute. */
export function fieldOf(time) {
  const parts = Object.fromEntries(format("field", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit" }).formatToParts(new Date(time)).map((part) => [part.type, part.value]));
  return `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}`;
}
/** The instant (ms) of such a field. Where a clock is put back, the earlier one; an hour that a clock leaves out is the one after it. */
export function instantOf(field) {
  const asUtc = Date.parse(`${field}Z`), guesses = [-24, 24].map((hours) => asUtc + hours * 3600000).map((near) => asUtc - (Date.parse(`${fieldOf(near)}Z`) - near));
  return guesses.find((guess) => fieldOf(guess) === field) ?? Math.max(...guesses);
}

/** How long ago, in the two greatest units. */
export function age(time) {
  const s = Math.max(Math.round((now() - Date.parse(time)) / 1000), 0);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  return s < 86400 ? `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min` : `${Math.floor(s / 86400)} d`;
}
