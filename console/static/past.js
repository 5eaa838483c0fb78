// What was: any hour again on the map, and how much there was of it.

import { $, announce, el, redraw } from "./dom.js";
import { activity } from "./chart.js";
import * as map from "./map.js";
import { get } from "./server.js";
import { t } from "./text.js";
import { fieldOf, instantOf, now, utc, wholeZoned, zoneName } from "./times.js";

const TAIL_S = 60;
let step = 1; // s between scans
let tracks = [], from = 0, to = 0, at = 0, playing = 0, fresh = 0, goTo = () => {};

export async function show(views) {
  goTo = views;
  const hour = Math.floor(now() / 3600000) * 3600000, label = `${t("from")} (${zoneName(hour)})`;
  const start = el("input", { type: "datetime-local", name: "from", step: "60", value: fieldOf(hour), "aria-label": label, required: true });
  const why = el("input", { name: "reason", placeholder: t("reason_to_look"), "aria-label": t("reason_to_look"), required: true });
  const form = el("form", { class: "row", name: "hour", onsubmit: (event) => { event.preventDefault(); load(event.target.elements); } },
    el("label", {}, `${label} `, start), why, el("button", { class: "main" }, t("load")));
  redraw($("#view-history"),
    el("h2", {}, t("replay_hour")), form,
    el("p", { id: "hour-found" }), el("h2", {}, t("activity")), el("div", { id: "activity" }));
  $("#activity").replaceChildren(await chart()); // afterwards: what is typed in the meantime stays
}

export const isOpen = () => document.body.classList.contains("past");

/** The banner with the player, for as long as the map shows another time than now. */
function open() {
  fresh = 0;
  document.body.classList.add("past");
  $("#past").replaceChildren(el("strong", {}, `◀ ${t("not_now")}`), el("time", {}),
    el("button", { type: "button", id: "play", onclick: run }, t("play")),
    el("input", { type: "range", min: "0", max: "3600", value: "0", step: "1", "aria-label": t("replaying"), oninput: (event) => place(from + Number(event.target.value)) }),
    el("span", { class: "fresh", role: "status" }),
    el("button", { type: "button", onclick: () => goTo("map") }, `${t("back_to_live")} `, el("kbd", {}, "Esc")));
  $("#past").hidden = false;
}

/** Back to now: whatever page comes next, nothing of the past is left. */
export function leave() {
  stop();
  tracks = [];
  document.body.classList.remove("past");
  $("#past").hidden = true;
  map.replay(null);
}

/** Something new has happened now, while the page shows the past. */
export function missed() { $("#past .fresh").textContent = t("new_now", ++fresh); }

async function load(fields) {
  stop();
  const told = $("#hour-found"), reason = fields.reason.value;
  from = instantOf(fields.from.value) / 1000;
  to = from + 3600;
  try {
    ({ tracks } = await get("history/tracks", { from: new Date(from * 1000).toISOString(), to: new Date(to * 1000).toISOString(), reason }));
  } catch (error) {
    told.textContent = error.message;
    announce(error.message, true);
    return;
  }
  const seconds = [...new Set(tracks.flatMap((track) => track.at.map(([s]) => s)))].sort((a, b) => a - b);
  step = Math.max(Math.min(...seconds.slice(1).map((s, n) => s - seconds[n]), 60), 1);
  const first = Math.min(...tracks.map((track) => track.at[0][0]), to);
  told.textContent = tracks.length ? `${tracks.length} ${t("tracks")}` : t("no_tracks");
  announce(told.textContent, true);
  if (tracks.length) { open(); place(first); goTo("map", true); $("#play").focus(); }
}

/** The map as it was at a second: the tracks of the newest scan until then, as the live map showed them. */
export function place(second) {
  at = second;
  Object.assign($("#past time"), { textContent: wholeZoned(second * 1000), title: utc(second * 1000) });
  $("#past input").value = String(second - from);
  const seen = [], tails = new Map();
  for (const track of tracks) {
    const points = track.at.filter(([s]) => s <= second && s > second - TAIL_S), last = points.at(-1);
    if (!last || last[0] <= second - step) continue;
    seen.push([track.track, last[1], last[2], 0, 0, 0, 0, 0, track.class, 1, 1, ""]);
    tails.set(track.track, points.map(([s, lat, lon]) => [s, map.mercator.x(lon), map.mercator.y(lat)]));
  }
  map.replay({ time: new Date(second * 1000).toISOString(), tracks: seen, units: [], tails });
}
function run() {
  if (playing) return stop();
  if (at >= to) place(from);
  $("#play").textContent = t("pause");
  playing = setInterval(() => (at >= to ? stop() : place(Math.min(at + 2, to))), 100);
}
function stop() {
  clearInterval(playing);
  playing = 0;
  if ($("#play")) $("#play").textContent = t("play");
}

const BIN_MS = 900000, BINS = 96;
async function chart() {
  const end = Math.ceil(now() / BIN_MS) * BIN_MS, start = end - BINS * BIN_MS;
  const { alerts, bins } = await get("history/activity", { from: new Date(start).toISOString(), to: new Date(end).toISOString(), bins: BINS });
  return activity(alerts, start, end, bins);
}
