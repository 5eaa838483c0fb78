// One incident: why it was raised, grouped and routed, what was done, and what to do.

import { ask } from "./ask.js";
import { $, announce, el, redraw } from "./dom.js";
import * as list from "./list.js";
import { fly } from "./map.js";
import { get, post } from "./server.js";
import * as silencing from "./silencing.js";
import { answer as inWords, t } from "./text.js";
import { stamp, wholeZoned } from "./times.js";
import { SIGN, agency, isOpen, kindOf, place, position, sensor, what } from "./words.js";

let me, site, showing = null, whole_ = null, loading = Promise.resolve();

export function start(person, said) {
  me = person;
  site = said;
  list.onChange((incident) => { if (incident.alert === showing) show(showing); });
}

export const show = (key) => (loading = load(key));
async function load(key) {
  const first = key !== showing;
  showing = key;
  if (first) whole_ = null; // what is done now is not done to the one before
  if (!key && $("#detail").contains(document.activeElement)) $("#list").focus();
  $("#detail").hidden = !key;
  if (!key) { whole_ = null; return; }
  try {
    whole_ = await get(`incidents/${key}`);
  } catch (error) {
    if (showing === key) redraw($("#detail"), closing(), el("p", { class: "wrong" }, error.message));
    return;
  }
  if (showing !== key) return;
  draw(whole_);
  if (first) { $("#detail").scrollTop = 0; fly(whole_.incident); }
}
export const shown = () => whole_?.incident ?? null;

const closing = () => el("button", { class: "close", onclick: () => list.choose(null), "aria-label": t("close") }, "×");
const line = (name, value) => (value ? [el("dt", {}, name), el("dd", {}, value)] : []);

function draw({ incident: i, revisions, deliveries, related, pictures }) {
  redraw($("#detail"),
    closing(),
    el("p", { class: `badge ${i.severity}` }, `${SIGN[i.severity]} ${t(i.severity)} · ${t(i.status)}`),
    el("h2", { tabindex: "-1" }, what(i)),
    el("p", {}, place(i)),
    el("div", { class: "actions" }, actions(i).map(([name, key]) => el("button", { "data-key": name, onclick: () => act(name), class: name === "ack" ? "main" : "" }, t(name), key ? [" ", el("kbd", {}, key)] : null)),
      el("button", { onclick: () => fly(i) }, t("show_on_map"))),
    el("dl", {},
      line(t("raised_at"), stamp(i.raised, wholeZoned)), line(t("last_seen"), stamp(i.last_seen, wholeZoned)),
      line(t("where"), `${position(i)} ±${Math.round(i.sigma_m)} m`),
      line(t("sure"), `${Math.round(i.reason.probability * 100)} %`),
      line(t("lead"), agency(i.lead)), line(t("also_told"), i.agencies.filter((a) => a !== i.lead).map(agency).join(", ")),
      line(t("acknowledged_by"), i.acknowledged_by), line(t("assigned_to"), i.assigned_to), line(t("what_it_turned_out"), i.resolution && t(i.resolution)),
      line(t("muted"), i.muted && muting(i.muted)), line(t("offered_to"), isOpen(i) && i.offered_to && agency(i.offered_to)), line(t("withheld"), i.withheld?.map((field) => t(`withheld_${field}`)).join(", "))),
    i.disputed ? el("p", { class: "wrong" }, t("disputed")) : "",
    el("h3", {}, t("reason_grouped")),
    el("ul", { class: "timeline" }, i.reason.happenings.map((h) => el("li", {}, stamp(h.first), " ", [kindOf({ reason: h }), site.zones[h.zone] ?? sensor(h.zone), h.rule, `${Math.round(h.probability * 100)} %`].filter(Boolean).join(" · "), facts(h.detail)))),
    el("h3", {}, t("reason_routed")),
    el("ul", { class: "timeline" }, i.reason.routing.map((r) => el("li", {}, `${agency(r.agency)}${r.lead ? ` (${t("lead")})` : ""}: ${reason(r)}`))),
    el("h3", {}, t("evidence")),
    el("ul", { class: "timeline" }, i.evidence.map((e) => el("li", {}, stamp(e.time), " ", sensor(e.sensor)))),
    el("div", { class: "pictures" }, pictures.map((p) => el("figure", {},
      el("img", { src: `/api/incidents/${i.alert}/pictures/${encodeURIComponent(p.sensor)}?at=${p.time}`, alt: t("picture_of", sensor(p.sensor)), width: "192" }),
      el("figcaption", {}, sensor(p.sensor), ", ", stamp(p.time), `: ${t(p.label)}`)))),
    el("h3", {}, t("timeline")),
    el("ol", { class: "timeline" }, revisions.map((r) => el("li", {}, stamp(r.told), " ", t(`why_${r.reason.why}`), by(r)))),
    related.length ? [el("h3", {}, t("related")), el("ul", { class: "timeline" }, related.map((r) => el("li", { "data-key": r.alert }, el("button", { onclick: () => open(r.alert) }, `${SIGN[r.severity]} ${what(r)}`))))] : "",
    deliveries.length ? [el("h3", {}, t("deliveries")), el("ul", { class: "timeline" }, lastPerChannel(deliveries).map((d) => el("li", {}, `${agency(d.agency)} · ${d.channel}: ${d.dead ? t("given_up") : d.done_ns ? t("delivered") : t("waiting")} ${d.error ?? ""}`)))] : "",
    el("p", {}, el("small", {}, i.alert, " · ", i.subjects.join(" "))),
  );
}

/** Another incident in the same pane, which a reader begins at its title. */
async function open(key) {
  list.choose(key);
  await loading;
  $("#detail h2")?.focus();
}

function facts(detail) {
  const named = Object.entries(detail ?? {}).filter(([name]) => name !== "direction").map(([name, value]) => t(`fact_${name}`, name === "fault" ? t(`fault_${value}`) : t(value)));
  return named.length ? ` (${named.join(", ")})` : "";
}
function reason(r) {
  const [name, which] = r.reason.split(":");
  return `${t(`by_${name}`)}${which ? ` ${agency(which)}` : ""}${site.agreements[which] ? ` – ${site.agreements[which]}` : ""}${r.area ? `, ${r.area}` : ""}${r.stance ? `, ${t(`stance_${r.stance}`)}` : ""}`;
}
/** "silence:S…" or "inhibition:rule:key", in words. */
function muting(reason) {
  const [kind, ...of] = reason.split(":");
  return t(`muted_${kind}`, of.join(", "));
}
function by(revision) {
  const entry = revision.log.at(-1);
  return entry && entry.what === revision.reason.why && (entry.by || entry.note) ? ` – ${[entry.by, entry.note].filter(Boolean).join(": ")}` : "";
}
function lastPerChannel(deliveries) { return [...new Map(deliveries.map((d) => [d.channel, d])).values()]; }

function actions(i) {
  if (!me.may.includes("act")) return [];
  const some = [];
  if (isOpen(i) && !i.acknowledged_by) some.push(["ack", "A"]);
  if (isOpen(i)) some.push(["assign", "S"]);
  some.push(["note", "N"]);
  if (!i.resolution && !i.merged_into) some.push(["resolve", "R"]);
  if (isOpen(i)) some.push(["hand-over", "H"]);
  if (isOpen(i) && (i.offered_to || i.disputed || i.reason.routing.some((r) => !r.stance))) some.push(["accept", ""], ["decline", ""]);
  if (isOpen(i)) some.push(["share", ""]);
  if (me.may.includes("silence") && isOpen(i)) some.push(["silence", "X"]);
  return some;
}

/** Do something with the incident that is shown: by button or key. */
export async function act(name) {
  await loading;
  const i = shown();
  if (!i || !actions(i).some(([known]) => known === name)) return;
  const agencies = site.agencies.map((a) => ({ value: a.id, words: a.name }));
  const others = agencies.filter((a) => a.value !== (me.agency || i.lead));
  const speaker = me.agency ? [] : [{ name: "agency", label: t("for_agency"), kind: "select", options: agencies, value: i.lead }];
  const note = { name: "note", label: t("a_word"), kind: "text" };
  const to = { name: "to", label: t("which_agency"), kind: "select", options: others, required: true };
  const fields = {
    ack: null,
    assign: [{ name: "to", label: t("who_sees_to_it"), kind: "text", required: true, value: i.assigned_to ?? "" }, note],
    note: [{ name: "note", label: t("a_word"), kind: "area", required: true }],
    resolve: [{ name: "disposition", label: t("what_it_was"), kind: "select", options: site.dispositions, required: true }],
    "hand-over": [to, ...speaker, note], share: [to, ...speaker, note], accept: [...speaker, note], decline: [...speaker, note],
    silence: [...silencing.questions(i, me.agency),
      { name: "reason", label: t("why"), kind: "text", required: true }, { name: "hours", label: t("hours"), kind: "number", value: "1", required: true }],
  }[name];
  const said = fields === null ? {} : await ask(`${t(name)}: ${what(i)}`, fields, name === "silence" ? (answers) => silencing.preview(answers, agencies.find((a) => a.value === me.agency)?.words) : undefined);
  if (said === null) return;
  try {
    const answer = name === "silence" ? await post("silences", { matchers: silencing.matchersOf(said), reason: said.reason, hours: Number(said.hours) }) : await post(`incidents/${i.alert}/${name}`, said);
    announce(answer.done ? t("done", t(name)) : inWords(answer.answer));
  } catch (error) {
    $("#detail").prepend(el("p", { class: "wrong", role: "alert" }, error.message));
  }
}
