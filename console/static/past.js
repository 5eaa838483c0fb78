// What was: any hour again on the map, and how much there was of it.

import { $, announce, el, redraw } from "./dom.js";
import * as map from "./map.js";
import { get } from "./server.js";
import { t } from "./text.js";
import { now, utc, whole } from "./times.js";

const TAIL_S = 60;
let step = 1; // s between scans
let tracks = [], from = 0, to = 0, at = 0, playing = 0, fresh = 0, goTo = () => {};

export async function show(views) {
  goTo = views;
  const hour = Math.floor(now() / 3600000) * 3600000;
  const start = el("input", { type: "datetime-local", name: "from", step: "60", value: new Date(hour).toISOString().slice(0, 16), "aria-label": `${t("from")} (UTC)` });
  const why = el("input", { name: "reason", placeholder: t("reason_to_look"), "aria-label": t("reason_to_look"), required: true });
  const form = el("form", { class: "row", name: "hour", onsubmit: (event) => { event.preventDefault(); load(event.target.elements); } },
    el("label", {}, `${t("from")} (UTC) `, start), why, el("button", { class: "main" }, t("load")));
  redraw($("#view-history"),
    el("h2", {}, t("replay_hour")), form,
    el("p", { role: "status", id: "hour-found" }), el("h2", {}, t("activity")), el("div", { id: "activity" }));
  redraw($("#activity"), await chart()); // afterwards: what is typed in the meantime stays
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
  from = Date.parse(`${fields.from.value}Z`) / 1000;
  to = from + 3600;
  try {
    ({ tracks } = await get("history/tracks", { from: new Date(from * 1000).toISOString(), to: new Date(to * 1000).toISOString(), reason }));
  } catch (error) {
    told.textContent = error.message;
    return;
  }
  const seconds = [...new Set(tracks.flatMap((track) => track.at.map(([s]) => s)))].sort((a, b) => a - b);
  step = Math.max(Math.min(...seconds.slice(1).map((s, n) => s - seconds[n]), 60), 1);
  const first = Math.min(...tracks.map((track) => track.at[0][0]), to);
  told.textContent = tracks.length ? `${tracks.length} ${t("tracks")}` : t("no_tracks");
  announce(told.textContent);
  if (tracks.length) { open(); place(first); goTo("map", true); $("#play").focus(); }
}

/** The map as it was at a second: the tracks of the newest scan until then, as the live map showed them. */
export function place(second) {
  at = second;
  $("#past time").textContent = `${whole(second * 1000)} · ${utc(second * 1000)}`;
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

async function chart() {
  const end = Math.ceil(now() / 900000) * 900000, start = end - 86400000;
  const { alerts, bins } = await get("history/activity", { from: new Date(start).toISOString(), to: new Date(end).toISOString(), bins: 96 });
  const order = ["critical", "major", "minor", "information"], sums = Array.from({ length: bins }, (_, n) => order.reduce((sum, s) => sum + (alerts[s]?.[n] ?? 0), 0));
  const top = Math.max(...sums, 1), make = (name, attributes) => { const e = document.createElementNS("http://www.w3.org/2000/svg", name); for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v); return e; };
  const svg = make("svg", { class: "chart", viewBox: "0 0 960 140", preserveAspectRatio: "none", role: "img", "aria-label": `${t("activity")}: ${sums.reduce((a, b) => a + b, 0)}` });
  for (let n = 0; n < bins; n++) {
    let base = 120;
    for (const s of order) {
      const height = (110 * (alerts[s]?.[n] ?? 0)) / top;
      if (height) svg.append(make("rect", { class: s, x: n * 10 + 1, y: (base -= height), width: 8, height }));
    }
  }
  for (const n of [0, 24, 48, 72]) { const text = make("text", { x: n * 10 + 2, y: 135 }); text.textContent = whole(start + n * 900000); svg.append(text); }
  return svg;
}
