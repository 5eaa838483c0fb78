// The page put together: sign in, start everything, keep it in step with the stream.

import { modal } from "./ask.js";
import * as detail from "./detail.js";
import { $, announce, el, redraw, takesFocus } from "./dom.js";
import * as list from "./list.js";
import * as map from "./map.js";
import * as past from "./past.js";
import * as sensors from "./sensors.js";
import { get, listen, post, remove } from "./server.js";
import * as shift from "./shift.js";
import * as sound from "./sound.js";
import { speak, t } from "./text.js";
import * as times from "./times.js";
import { isOpen, names } from "./words.js";

const VIEWS = ["map", "sensors", "history", "shift"];
let me, site, view = "map", pending = 0, disconnected = false, stopped = false, ill = "";
let focusAfter = sessionStorage.getItem("focus"); // where the keyboard goes on once the page is there: after signing in, or in another language
sessionStorage.removeItem("focus");

const language = () => localStorage.getItem("language") ?? (navigator.language.startsWith("es") ? "es" : "en");
const theme = (name) => { document.documentElement.dataset.theme = name; localStorage.setItem("theme", name); map.style(); map.soon(); };

async function begin() {
  speak(language());
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
  try {
    me = await get("session");
  } catch (error) {
    if (error.status !== 401) { $("#lost").hidden = false; return void setTimeout(begin, 2000); }
    $("#sign-in").hidden = false;
    $("#sign-in [name=account]").focus();
    return;
  }
  $("#sign-in").hidden = true;
  $("#lost").hidden = true;
  $("#desk").hidden = false;
  $("#incidents").hidden = !me.may.includes("see");
  if (focusAfter) [$(focusAfter), $("nav button")].find(takesFocus).focus();
  site = await get("site");
  names(site);
  times.inZone(site.time_zone);
  const seeing = me.may.includes("see");
  list.start(site, (key) => detail.show(key));
  detail.start(me, site);
  head();
  keys();
  const said = seeing ? await get("incidents") : { incidents: [], number: 0 };
  for (const incident of said.incidents) list.take(incident, false);
  list.onChange(() => { pending ||= requestAnimationFrame(() => { pending = 0; list.draw(); map.soon(); }); });
  list.draw();
  listen(said.number, told, lost);
  setInterval(() => { list.grow(); clock(); }, 1000);
  if (seeing) await map.start(site);
  show(new URLSearchParams(location.search).get("view") ?? (seeing ? "map" : "sensors"));
  if (list.selected() && list.one(list.selected())) detail.show(list.selected());
}

function told(name, data) {
  if (name === "incident") { if (past.isOpen() && !list.one(data.alert)) past.missed(); list.take(data, true); }
  else if (name === "picture") map.move(data);
  else condition(data);
}
function lost(gone) {
  $("#lost").hidden = !gone;
  disconnected = gone;
  map.cut(disconnected || stopped);
  if (!gone) announce(t("connected_again"));
  if (gone) get("session").catch((error) => { if (error.status === 401) location.reload(); });
}

function condition(said) {
  times.serverSays(said.now);
  stopped = !said.running;
  map.cut(disconnected || stopped);
  const silent = list.all().filter((i) => isOpen(i) && i.reason.kind === "silent_sensor").map((i) => i.zone);
  map.sensorsDown([...said.offline, ...silent]);
  const bad = !said.running || !said.connected ? t(`service_${said.condition}`) : said.behind_s > 10 ? t("behind", said.behind_s) : said.dead ? t("dead_letters", said.dead) : "";
  const words = bad || t("all_well", said.tracks, `${said.sensors - said.offline.length}/${said.sensors}`);
  if (bad.replace(/\d/g, "") !== ill) announce(words, Boolean(bad)); // that it is so, not each of its figures
  ill = bad.replace(/\d/g, "");
  if ($("#condition").textContent !== words) $("#condition").textContent = words;
  $("#condition").className = bad ? "bad" : "";
}
function clock() {
  map.soon(); // so that what has become old is drawn as old
  $("#clock time").textContent = times.zoned(times.now());
  $("#clock small").textContent = times.utc(times.now());
}

function head() {
  $("#title").textContent = site.title;
  $("#person").textContent = me.open ? t("exercise") : `${me.name} · ${me.agency ? site.agencies.find((a) => a.id === me.agency)?.name : site.title}`;
  $("#sign-out").hidden = me.open;
  $("#sign-out").onclick = async () => { await remove("session"); location.reload(); };
  $("#language").value = language();
  $("#language").onchange = (event) => { localStorage.setItem("language", event.target.value); sessionStorage.setItem("focus", "#language"); location.reload(); };
  $("#theme").onclick = () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  $("#sound").onclick = () => { sound.turn(!sound.isOn()); pressed($("#sound"), sound.isOn()); };
  pressed($("#sound"), sound.isOn());
  $("#help").onclick = help;
  $("#more").onclick = () => $("#more").setAttribute("aria-expanded", String(document.body.classList.toggle("more")));
  const allowed = { map: "see", sensors: "sensors", history: "history", shift: "see" };
  for (const button of document.querySelectorAll("nav button")) {
    button.hidden = !me.may.includes(allowed[button.dataset.view]);
    button.onclick = () => show(button.dataset.view);
  }
  clock();
}
const pressed = (button, on) => button.setAttribute("aria-pressed", String(on));

async function show(name, keep = false) {
  const focused = document.activeElement;
  if (past.isOpen() && !keep) past.leave();
  view = VIEWS.includes(name) ? name : "map";
  document.body.dataset.view = view; // on a phone the list is beside the map only
  for (const each of VIEWS) $(`#view-${each}`).hidden = each !== view;
  for (const button of document.querySelectorAll("nav button")) pressed(button, button.dataset.view === view);
  if (focused !== document.body && !takesFocus(focused)) // it was in what is hidden now
    ($(`#view-${view} .maplibregl-canvas`) ?? $(`#view-${view}`)).focus({ preventScroll: true });
  list.address(view);
  if (view === "map") { map.resize(); map.soon(); return; }
  try {
    await { sensors: () => sensors.show(), history: () => past.show(show), shift: () => shift.show(me) }[view]();
  } catch (error) {
    redraw($(`#view-${view}`), el("p", { class: "wrong", role: "alert" }, error.message));
  }
}

function keys() {
  const doing = { a: "ack", s: "assign", n: "note", r: "resolve", h: "hand-over", x: "silence" };
  document.addEventListener("keydown", (event) => {
    // For a moment the focus stays in a dialog that was closed or a pane that was hidden: that key is the page's.
    const from = event.target.checkVisibility() ? event.target : document.body;
    if (event.ctrlKey || event.metaKey || event.altKey || from.closest("input:not([type=range], [type=checkbox]), textarea, select, dialog")) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const inList = from.closest("#list") || from === document.body;
    if (past.isOpen()) {
      if (key === "Escape") show("map");
      else if (key === "?") help();
      else if (VIEWS[Number(key) - 1]) show(VIEWS[Number(key) - 1]);
      return;
    }
    if (key === "j" || (key === "ArrowDown" && inList)) list.move(1);
    else if (key === "k" || (key === "ArrowUp" && inList)) list.move(-1);
    else if (key === "Enter" && from.closest("#list")) $("#detail h2")?.focus();
    else if (key === "Escape") list.choose(null);
    else if (key === "?") help();
    else if (VIEWS[Number(key) - 1]) show(VIEWS[Number(key) - 1]);
    else if (doing[key]) detail.act(doing[key]);
    else return;
    event.preventDefault();
  });
}

function help() {
  const dialog = $("#ask"), row = (key, words) => [el("dt", {}, key.split(" ").map((k) => [el("kbd", {}, k), " "])), el("dd", {}, words)];
  dialog.replaceChildren(el("form", { method: "dialog" }, el("h2", {}, t("keys_title")),
    el("dl", {}, row("J K", t("key_move")), row("Enter", t("key_open")), row("A", t("ack")), row("S", t("assign")), row("N", t("note")), row("R", t("resolve")), row("H", t("hand-over")), row("X", t("silence")), row("1 2 3 4", t("key_view")), row("Esc", t("key_close"))),
    el("button", { class: "main" }, t("close"))));
  modal(dialog);
}

$("#sign-in").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  try {
    await post("session", { account: form.account.value, password: form.password.value });
    form.password.value = "";
    focusAfter = "#list";
    begin();
  } catch (error) {
    form.querySelector(".wrong").textContent = error.message;
  }
});
begin();
