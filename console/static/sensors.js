// The sensors: which are well, when each was last heard, and how often each cries wolf.

import { $, el, redraw, table } from "./dom.js";
import { get } from "./server.js";
import { t } from "./text.js";
import { age, stamp, whole, zoneName } from "./times.js";
import { sensor as nameOf } from "./words.js";

// What the service computes from age, for this page, the commands, the metrics and the rules on silent sensors alike.
const WRONG = ["offline", "switched_off", "silent", "gateway_down"]; // as in model/liveness.py: it does not look
const ORDER = [...WRONG, "unknown", "never_heard", "working"];

function state(condition) {
  const [look, sign] = WRONG.includes(condition) ? ["wrong", "▲"] : condition === "working" ? ["good", "●"] : ["", "○"];
  return el("span", look ? { class: look } : {}, `${sign} ${t(`sensor_${condition}`)}`);
}

export async function show() {
  const said = await get("sensors");
  const share = new Map();
  for (const d of said.dispositions) {
    const sum = share.get(d.sensor) ?? [0, 0];
    share.set(d.sensor, [sum[0] + d.nuisance, sum[1] + d.nuisance + d.genuine]);
  }
  const order = [...said.sensors].sort((a, b) => ORDER.indexOf(a.condition) - ORDER.indexOf(b.condition) || a.sensor.localeCompare(b.sensor));
  redraw($("#view-sensors"),
    el("h2", {}, `${t("sensors")} (${said.sensors.length})`),
    table([t("sensor"), t("state"), `${t("last_heard")} (${zoneName()})`, t("messages"), t("rejected"), t("battery"), t("nuisance_share")], order.map((s) => [
      `${nameOf(s.sensor)} (${s.sensor})`,
      state(s.condition),
      s.heard ? [stamp(s.heard, whole), " ", el("span", { class: "ago" }, age(s.heard))] : "–",
      { number: s.messages }, { number: s.rejected }, { number: s.battery === null ? "" : `${Math.round(s.battery * 100)} %` },
      { number: share.has(s.sensor) ? `${Math.round((100 * share.get(s.sensor)[0]) / share.get(s.sensor)[1])} % / ${share.get(s.sensor)[1]}` : "" },
    ]), order.map((s) => s.sensor)),
    el("h2", {}, t("rejections")),
    !said.rejections.length ? el("p", { class: "nothing" }, t("none_rejected")) : table([t("reason"), t("sensor"), t("count"), t("detail")], said.rejections.map((r) => [t(`rejected_${r.reason}`), r.sensor || r.topic, { number: r.count }, r.detail])),
  );
}
