// The map: what stands is drawn by MapLibre, what moves by a canvas above it, so that thousands of tracks cost a few milliseconds.

import { Map as Chart, NavigationControl, ScaleControl, setWorkerUrl } from "./vendor/maplibre-gl.mjs";
import { $, el, redraw } from "./dom.js";
import * as list from "./list.js";
import { get } from "./server.js";
import { t } from "./text.js";
import { age, local, now as clock, zoned } from "./times.js";
import { SIGN, isOpen } from "./words.js";

const LAYERS = ["line", "zones", "jurisdictions", "cover", "tracks", "tails", "uncertainty", "units", "incidents"];
const TAIL_S = 60, TAIL_STEP_S = 4;
const STALE_MS = 30000; // a picture older than this shows where things were, not where they are
const NARROW = "(max-width: 42rem)"; // as in style.css
const [ID, LAT, LON, MAJOR, MINOR, ANGLE, EAST, NORTH, CLASS, SHARE, EXISTENCE, UNIT] = Array(12).keys();
const on = Object.fromEntries(LAYERS.map((name) => [name, name !== "jurisdictions"]));
const tails = new Map(); // track → [[second, x, y], …] in mercator units
let chart = null, canvas, stands = null, down = "", downNow = [], picture = { tracks: [], units: [] }, replaying = null, inspected = null, cutOff = false, colours = {}, hits = [], frame = 0;
export const drawn = { frames: 0, tracks: 0, stale: false }; // for measurements

const x = (lon) => (lon + 180) / 360;
const y = (lat) => 0.5 - Math.log(Math.tan(Math.PI / 4 + (lat * Math.PI) / 360)) / (2 * Math.PI);

export async function start(site) {
  const scene = (stands = await get("scene"));
  setWorkerUrl(new URL("./vendor/maplibre-gl-worker.mjs", import.meta.url).href);
  const bounds = extent(scene);
  chart = new Chart({ container: "map", style: { version: 8, sources: {}, layers: [] }, bounds, fitBoundsOptions: { padding: 40 }, attributionControl: false, dragRotate: false, pitchWithRotate: false, touchPitch: false, maxPitch: 0, fadeDuration: 0, locale: { "Map.Title": t("map"), "NavigationControl.ZoomIn": t("zoom_in"), "NavigationControl.ZoomOut": t("zoom_out") } });
  chart.addControl(new ScaleControl({ maxWidth: 120 }), "top-left");
  chart.addControl(new NavigationControl({ showCompass: false }), "bottom-right");
  chart.touchZoomRotate.disableRotation();
  chart.keyboard.disableRotation();
  canvas = el("canvas", { "aria-hidden": "true" });
  Object.assign(canvas.style, { position: "absolute", inset: "0", pointerEvents: "none" });
  chart.getCanvasContainer().append(canvas);
  await new Promise((ready) => chart.once("load", ready));
  for (const [name, data] of Object.entries(scene)) chart.addSource(name, { type: "geojson", data });
  if (site.base_map) chart.addSource("base", { type: "vector", tiles: [`${location.origin}/api/tiles/{z}/{x}/{y}`], maxzoom: 14 });
  style();
  const asked = new URLSearchParams(location.search).get("at")?.split(",").map(Number);
  if (asked?.length === 3 && asked.every(Number.isFinite)) chart.jumpTo({ center: asked.slice(0, 2), zoom: asked[2] });
  chart.on("moveend", () => { const { lng, lat } = chart.getCenter(); list.address(null, `${lng.toFixed(5)},${lat.toFixed(5)},${chart.getZoom().toFixed(2)}`); });
  chart.on("move", soon);
  chart.on("resize", soon);
  chart.on("click", picked);
  const narrow = matchMedia(NARROW), fold = () => { $("#layers").open = !narrow.matches; }; // on a phone the map is small enough
  narrow.addEventListener("change", fold);
  fold();
  $("#layers div").append(...LAYERS.map((name) => el("label", {}, el("input", { type: "checkbox", checked: on[name], onchange: (e) => { on[name] = e.target.checked; style(); soon(); } }), t(name))));
  soon();
}

/** Where the zones are; without any, the sensors; without those, the line. */
function extent(scene) {
  const features = [scene.zones, scene.sensors, scene.lines].map((c) => c.features).find((found) => found.length) ?? [];
  const flat = features.flatMap((f) => f.geometry.coordinates.flat(9));
  const lon = flat.filter((_, n) => n % 2 === 0), lat = flat.filter((_, n) => n % 2 === 1);
  return lon.length ? [[Math.min(...lon), Math.min(...lat)], [Math.max(...lon), Math.max(...lat)]] : [[-180, -60], [180, 75]];
}

/** The layers that stand, in the colours of the theme. */
export function style() {
  const css = getComputedStyle(document.documentElement), colour = (name) => css.getPropertyValue(`--${name}`).trim();
  colours = Object.fromEntries(["back", "text", "dim", "accent", "own", "critical", "major", "minor", "information", "panel", "line"].map((n) => [n, colour(n)]));
  if (!chart?.isStyleLoaded() && !chart?.getSource("lines")) return;
  const shown = (name) => ({ visibility: on[name] ? "visible" : "none" });
  const layers = [
    { id: "back", type: "background", paint: { "background-color": colours.back } },
    ...(chart.getSource("base") ? base() : []),
    { id: "jurisdictions", type: "line", source: "jurisdictions", layout: shown("jurisdictions"), paint: { "line-color": colours.dim, "line-dasharray": [4, 3], "line-width": 1 } },
    { id: "roads", type: "line", source: "roads", paint: { "line-color": colours.line, "line-width": 2 } },
    { id: "zones", type: "fill", source: "zones", layout: shown("zones"), paint: { "fill-color": ["case", ["get", "privacy"], colours.dim, colours.accent], "fill-opacity": 0.14 } },
    { id: "zones-edge", type: "line", source: "zones", layout: shown("zones"), paint: { "line-color": colours.accent, "line-width": 1 } },
    { id: "cover", type: "fill", source: "cover", filter: ["==", ["geometry-type"], "Polygon"], layout: shown("cover"), paint: { "fill-color": colours.own, "fill-opacity": 0.06 } },
    { id: "cover-edge", type: "line", source: "cover", layout: shown("cover"), paint: { "line-color": colours.own, "line-opacity": 0.35, "line-width": 1 } },
    { id: "sensors", type: "circle", source: "sensors", layout: shown("cover"), paint: { "circle-radius": 2.5, "circle-color": ["case", ["boolean", ["get", "down"], false], colours.critical, colours.own] } },
    { id: "line-edge", type: "line", source: "lines", layout: shown("line"), paint: { "line-color": colours.panel, "line-width": 6 } },
    { id: "line", type: "line", source: "lines", layout: shown("line"), paint: { "line-color": colours.major, "line-width": 3 } },
  ];
  for (const layer of layers) {
    if (chart.getLayer(layer.id)) chart.removeLayer(layer.id);
    chart.addLayer(layer);
  }
}

/** The operator's own tiles, whatever their schema: every land, water and road layer that has one of the usual names. */
function base() {
  const quiet = (id, type, of, paint) => ({ id: `base-${id}`, type, source: "base", "source-layer": of, paint });
  return [
    quiet("water", "fill", "water", { "fill-color": colours.accent, "fill-opacity": 0.25 }),
    quiet("landuse", "fill", "landuse", { "fill-color": colours.own, "fill-opacity": 0.05 }),
    quiet("roads", "line", "roads", { "line-color": colours.line, "line-width": 1 }),
    quiet("transportation", "line", "transportation", { "line-color": colours.line, "line-width": 1 }),
    quiet("boundaries", "line", "boundaries", { "line-color": colours.dim, "line-width": 1 }),
  ];
}

/** Those that are down or silent, in another colour. */
export function sensorsDown(names) {
  downNow = names;
  if (replaying) names = [];
  const source = chart?.getSource("sensors"), said = [...new Set(names)].sort().join(" ");
  if (!source || said === down) return;
  down = said;
  for (const f of stands.sensors.features) f.properties.down = names.includes(f.properties.id);
  source.setData(stands.sensors);
}

// ── what moves ──

/** The live picture: every second or so. */
export function move(said) {
  if (replaying) return;
  picture = said;
  const second = Date.parse(said.time ?? 0) / 1000, there = new Set();
  for (const track of said.tracks) {
    const tail = tails.get(track[ID]) ?? [];
    there.add(track[ID]);
    if (!tail.length || second - tail.at(-1)[0] >= TAIL_STEP_S) tail.push([second, x(track[LON]), y(track[LAT])]);
    while (tail.length && second - tail[0][0] > TAIL_S) tail.shift();
    tails.set(track[ID], tail);
  }
  for (const id of tails.keys()) if (!there.has(id)) tails.delete(id);
  soon();
}

/** Nothing new comes: the service or the connection to it is away. What is drawn is then where things were. */
export function cut(off) {
  cutOff = off;
  soon();
}
const isStale = () => !replaying && Boolean(picture.time) && (cutOff || clock() - Date.parse(picture.time) > STALE_MS);

/** Show another time instead: tracks as in a picture, with their tails. Null: back to now. */
export function replay(said) {
  replaying = said;
  sensorsDown(downNow);
  soon();
}

export function fly(incident) {
  chart?.easeTo({ center: [incident.lon, incident.lat], zoom: Math.max(chart.getZoom(), 14.5), duration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 400 });
}
export const soon = () => { frame ||= requestAnimationFrame(draw); };
export const moving = () => chart?.isMoving() ?? false;
export const resize = () => chart?.resize();

function draw() {
  frame = 0;
  if (!chart) return;
  const box = chart.getContainer(), ratio = Math.min(devicePixelRatio, 2), w = box.clientWidth, h = box.clientHeight;
  if (!w || !h) return;
  if (canvas.width !== Math.round(w * ratio) || canvas.height !== Math.round(h * ratio)) {
    Object.assign(canvas, { width: Math.round(w * ratio), height: Math.round(h * ratio) });
    Object.assign(canvas.style, { width: `${w}px`, height: `${h}px` });
  }
  const g = canvas.getContext("2d"), scale = 512 * 2 ** chart.getZoom(), centre = chart.getCenter();
  const left = x(centre.lng) * scale - w / 2, top = y(centre.lat) * scale - h / 2;
  const px = (mx) => mx * scale - left, py = (my) => my * scale - top;
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, w, h);
  hits = [];
  const now = replaying ?? picture, concerned = new Map();
  const incidents = replaying ? [] : list.all().filter(isOpen); // of now: none of them stands in the past
  for (const i of incidents) for (const s of i.subjects) concerned.set(s, i.severity);
  const stale = isStale();
  const metres = scale / (2 * Math.PI * 6378137 * Math.cos((centre.lat * Math.PI) / 180));
  if (on.tracks && on.tails && !stale) trails(g, now, px, py, w, h);
  if (on.tracks) {
    for (const track of now.tracks) {
      const cx = px(x(track[LON])), cy = py(y(track[LAT]));
      if (cx < -20 || cy < -20 || cx > w + 20 || cy > h + 20) continue;
      const severity = concerned.get(track[ID]), colour = track[UNIT] ? colours.own : severity ? colours[severity] : colours.text;
      if (on.uncertainty && track[MAJOR] * metres > 5) {
        g.strokeStyle = colour;
        g.globalAlpha = 0.45;
        g.lineWidth = 1;
        g.beginPath();
        g.ellipse(cx, cy, track[MAJOR] * metres, track[MINOR] * metres, ((track[ANGLE] - 90) * Math.PI) / 180, 0, 2 * Math.PI);
        g.stroke();
        g.globalAlpha = 1;
      }
      mark(g, track[CLASS], cx, cy, severity ? 6 : 4.5, colour, stale);
      if (track[ID] === inspected?.track[ID]) ring(g, cx, cy, colour);
      hits.push([cx, cy, track]);
    }
  }
  if (on.units && !replaying) for (const [id, name, lat, lon] of now.units) label(g, px(x(lon)), py(y(lat)), name || id, stale);
  if (on.incidents) {
    // Where its subjects are now, or where it was last.
    const places = new Map(now.tracks.map((track) => [track[ID], track]));
    for (const i of incidents) {
      const subject = i.subjects.map((s) => places.get(s)).find(Boolean);
      const [cx, cy] = [px(x(subject?.[LON] ?? i.lon)), py(y(subject?.[LAT] ?? i.lat))];
      if (i.alert === list.selected()) evidence(g, cx, cy, i, px, py);
      pin(g, cx, cy, i);
    }
  }
  drawn.frames++;
  drawn.tracks = now.tracks.length;
  drawn.stale = stale;
  describe(now, stale);
}

function trails(g, now, px, py, w, h) {
  g.strokeStyle = colours.dim;
  g.globalAlpha = 0.7;
  g.lineWidth = 1.2;
  g.beginPath();
  for (const track of now.tracks) {
    const tail = now.tails?.get(track[ID]) ?? (replaying ? null : tails.get(track[ID]));
    if (!tail?.length) continue;
    const cx = px(x(track[LON])), cy = py(y(track[LAT]));
    if (cx < -200 || cy < -200 || cx > w + 200 || cy > h + 200) continue;
    g.moveTo(px(tail[0][1]), py(tail[0][2]));
    for (let n = 1; n < tail.length; n++) g.lineTo(px(tail[n][1]), py(tail[n][2]));
    g.lineTo(cx, cy);
  }
  g.stroke();
  g.globalAlpha = 1;
}

/** A class has a shape: round for people, square for vehicles, a triangle for animals, a diamond for the rest. */
function mark(g, kind, cx, cy, r, colour, hollow) {
  g.fillStyle = hollow ? colours.back : colour;
  g.strokeStyle = hollow ? colour : colours.back;
  g.globalAlpha = hollow ? 0.6 : 1;
  g.lineWidth = 1.5;
  g.beginPath();
  if (kind === "person") g.arc(cx, cy, r, 0, 2 * Math.PI);
  else if (kind === "vehicle") g.rect(cx - r, cy - r, 2 * r, 2 * r);
  else if (kind === "animal") { g.moveTo(cx, cy - r); g.lineTo(cx + r, cy + r); g.lineTo(cx - r, cy + r); g.closePath(); }
  else { g.moveTo(cx, cy - r); g.lineTo(cx + r, cy); g.lineTo(cx, cy + r); g.lineTo(cx - r, cy); g.closePath(); }
  g.fill();
  g.stroke();
  g.globalAlpha = 1;
}
function ring(g, cx, cy, colour) {
  g.strokeStyle = colour;
  g.lineWidth = 2;
  g.beginPath();
  g.arc(cx, cy, 11, 0, 2 * Math.PI);
  g.stroke();
}
function label(g, cx, cy, name, dimmed) {
  g.globalAlpha = dimmed ? 0.6 : 1;
  g.fillStyle = colours.own;
  g.font = "600 12px system-ui, sans-serif";
  g.fillRect(cx - 7, cy - 2, 14, 4);
  g.fillRect(cx - 2, cy - 7, 4, 14);
  g.fillText(name, cx + 10, cy + 4);
  g.globalAlpha = 1;
}
/** From each sensor that saw it, a line. */
function evidence(g, cx, cy, i, px, py) {
  const ids = new Set(i.evidence.map((e) => e.sensor));
  g.strokeStyle = colours[i.severity];
  g.lineWidth = 1;
  g.setLineDash([2, 4]);
  g.beginPath();
  for (const { properties, geometry } of stands.sensors.features) {
    if (!ids.has(properties.id)) continue;
    const [sx, sy] = [px(x(geometry.coordinates[0])), py(y(geometry.coordinates[1]))];
    g.moveTo(sx, sy);
    g.lineTo(cx, cy);
    g.strokeRect(sx - 4, sy - 4, 8, 8);
  }
  g.stroke();
  g.setLineDash([]);
}
function pin(g, cx, cy, i) {
  const chosen = i.alert === list.selected();
  g.strokeStyle = colours[i.severity];
  g.lineWidth = chosen ? 4 : 2;
  g.setLineDash(i.muted ? [4, 4] : []);
  g.beginPath();
  g.arc(cx, cy, chosen ? 20 : 14, 0, 2 * Math.PI);
  g.stroke();
  g.setLineDash([]);
  g.fillStyle = colours[i.severity];
  g.font = "700 14px system-ui, sans-serif";
  g.fillText(SIGN[i.severity], cx + (chosen ? 15 : 10), cy - (chosen ? 15 : 10));
  hits.push([cx, cy, i]);
}

function picked(event) {
  const near = hits.map(([cx, cy, it]) => [Math.hypot(cx - event.point.x, cy - event.point.y), it]).filter(([away]) => away < 18).sort((a, b) => a[0] - b[0]);
  const incident = near.map(([, it]) => it).find((it) => it.alert) ?? (replaying ? [] : list.all()).find((i) => isOpen(i) && near.some(([, it]) => i.subjects.includes(it[ID])));
  if (incident) return list.choose(incident.alert);
  inspect(near[0]?.[1]);
}
/** Show what is known of a track until another is chosen, or none. */
export function inspect(track) {
  inspected = track ? { track, time: (replaying ?? picture).time } : null;
  soon();
}

/** In words, below the map: of when it is, and the track that was chosen, as of when it was last seen. */
function describe(now, stale) {
  const current = inspected && now.tracks.find((track) => track[ID] === inspected.track[ID]);
  if (current) inspected = { track: current, time: now.time };
  const box = $("#track"), words = inspected ? [inspected.track, inspected.time, Boolean(current), document.documentElement.lang].join() : "";
  if (!inspected && box.contains(document.activeElement)) chart.getCanvas().focus();
  box.hidden = !inspected;
  if (inspected && box.dataset.of !== words) redraw(box, details(inspected.track, inspected.time, Boolean(current)));
  box.dataset.of = words;
  const line = !now.time ? "" : stale ? `▲ ${t("not_live", zoned(now.time), age(now.time))}` : `${replaying ? `${t("replaying")} ` : ""}${zoned(now.time)}`;
  if ($("#map-time").textContent !== line) $("#map-time").textContent = line;
  $("#map-time").className = stale ? "wrong" : "";
  $("#map-time").hidden = !line;
}
function details(track, time, seen) {
  const speed = Math.hypot(track[EAST], track[NORTH]), course = (Math.round((Math.atan2(track[EAST], track[NORTH]) * 180) / Math.PI) + 360) % 360;
  const row = (name, value) => (value ? [el("dt", {}, t(name)), el("dd", {}, value)] : []);
  return [
    el("div", { class: "head" }, el("h2", {}, `${t(track[CLASS])}${track[SHARE] < 1 ? ` ${Math.round(track[SHARE] * 100)} %` : ""}`),
      el("button", { type: "button", class: "close", "aria-label": t("close"), onclick: () => inspect(null) }, "×")),
    el("dl", {}, row("track", track[ID]), row("unit", track[UNIT]), row(seen ? "seen_at" : "last_seen", zoned(time)),
      row("sure", track[EXISTENCE] < 1 ? `${Math.round(track[EXISTENCE] * 100)} %` : ""),
      row("velocity", track[MAJOR] ? `${speed.toFixed(1)} m/s${speed >= 0.3 ? `, ${course}°` : ""}` : ""),
      row("uncertainty", track[MAJOR] ? `±${Math.round(track[MAJOR])} m` : "")),
  ];
}
export const mercator = { x, y };
