// Times in the site's zone, with UTC beside them; the server's clock counts, not this machine's.

let zone = "UTC", aheadMs = 0;
const formats = new Map();

export function inZone(name) { zone = name; formats.clear(); }
export function serverSays(iso) { if (iso) aheadMs = Date.parse(iso) - Date.now(); }
export const now = () => Date.now() + aheadMs;

function format(name, options) {
  if (!formats.has(name)) formats.set(name, new Intl.DateTimeFormat("en-GB", { hourCycle: "h23", ...options }));
  return formats.get(name);
}
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
export const local = (time) => format("local", { timeZone: zone, ...CLOCK }).format(new Date(time));
export const utc = (time) => `${format("utc", { timeZone: "UTC", ...CLOCK }).format(new Date(time))} UTC`;
/** The site's zone as people there write it, at that time: MST, GMT+1. */
export const zoneName = (time = now()) => new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "short" }).formatToParts(new Date(time)).find((part) => part.type === "timeZoneName").value;
export const zoned = (time) => `${local(time)} ${zoneName(time)}`;
export const day = (time) => format("day", { timeZone: zone, day: "2-digit", month: "short" }).format(new Date(time));
export const whole = (time) => `${day(time)} ${local(time)}`;

/** How long ago, in the two greatest units. */
export function age(time) {
  const s = Math.max(Math.round((now() - Date.parse(time)) / 1000), 0);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  return s < 86400 ? `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min` : `${Math.floor(s / 86400)} d`;
}
