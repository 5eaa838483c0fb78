// Bars over time, with their axes: how many in each part of it, and when that was in the site's zone.

import { el } from "./dom.js";
import { t } from "./text.js";
import { day, hour, minute, utc, zoneName } from "./times.js";
import { SIGN } from "./words.js";

const LEFT = 44, RIGHT = 12, TOP = 12, BOTTOM = 40, HEIGHT = 200, TICK_PX = 62;
const HOURS = [1, 2, 3, 6, 12, 24];

function make(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** The bars' figure. `counts`: by severity, how many in each of so many parts between two instants (ms). It fits its box anew whenever that changes. */
export function activity(counts, start, end, bins) {
  const severities = Object.keys(SIGN), total = (severity) => (counts[severity] ?? []).reduce((a, b) => a + b, 0);
  const legend = el("figcaption", { class: "legend" }, severities.map((s) => el("span", { class: s }, el("b", {}, SIGN[s]), ` ${t(s)} ${total(s)}`)));
  const figure = el("figure", { class: "chart" }, legend);
  new ResizeObserver(([box]) => {
    const width = Math.round(box.contentRect.width);
    if (!width || figure.dataset.width === String(width)) return;
    figure.dataset.width = width;
    figure.querySelector("svg")?.remove();
    figure.prepend(drawn(counts, severities, start, end, bins, width));
  }).observe(figure);
  return figure;
}

function drawn(counts, severities, start, end, bins, width) {
  const wide = width - LEFT - RIGHT, high = HEIGHT - TOP - BOTTOM, sums = Array.from({ length: bins }, (_, n) => severities.reduce((sum, s) => sum + (counts[s]?.[n] ?? 0), 0));
  const step = niceStep(Math.max(...sums, 4) / 4), top = Math.max(Math.ceil(Math.max(...sums) / step), 1) * step;
  const x = (time) => LEFT + (wide * (time - start)) / (end - start), y = (count) => TOP + high * (1 - count / top);
  const minutes = (end - start) / bins / 60000, words = severities.map((s) => `${t(s)} ${(counts[s] ?? []).reduce((a, b) => a + b, 0)}`).join(", ");
  const svg = make("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, width, height: HEIGHT, role: "img", "aria-label": `${t("activity")}: ${words}` });
  for (let count = 0; count <= top; count += step) svg.append(make("line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(count), y2: y(count) }), make("text", { x: LEFT - 6, y: y(count) + 4, "text-anchor": "end" }, String(count)));
  svg.append(make("text", { class: "axis", x: -(TOP + high / 2), y: 12, transform: "rotate(-90)", "text-anchor": "middle" }, t("per_minutes", minutes)));
  for (const [time, whole] of ticks(start, end, Math.max(Math.floor(wide / TICK_PX), 2))) {
    svg.append(make("line", { class: "tick", x1: x(time), x2: x(time), y1: TOP + high, y2: TOP + high + (whole ? 8 : 5) }), make("text", { x: x(time), y: TOP + high + 19, "text-anchor": anchor(x(time), width) }, whole ? day(time) : `${hour(time)}:${minute(time)}`));
  }
  svg.append(make("text", { class: "axis", x: LEFT + wide / 2, y: HEIGHT - 4, "text-anchor": "middle" }, t("time_in", zoneName(end))));
  for (let n = 0; n < bins; n++) {
    let base = 0;
    const from = start + ((end - start) * n) / bins;
    for (const severity of [...severities].reverse()) {
      const count = counts[severity]?.[n] ?? 0;
      if (!count) continue;
      const title = make("title", {}, `${day(from)} ${hour(from)}:${minute(from)} ${zoneName(from)} (${utc(from)}): ${t(severity)} ${count}`);
      svg.append(make("rect", { class: severity, x: x(from) + 0.5, y: y(base + count), width: Math.max(wide / bins - 1, 1), height: y(base) - y(base + count) }, title));
      base += count;
    }
  }
  if (!sums.some(Boolean)) svg.append(make("text", { class: "axis", x: LEFT + wide / 2, y: TOP + high / 2, "text-anchor": "middle" }, t("none_raised")));
  return svg;
}

const anchor = (x, width) => (x > width - 30 ? "end" : "middle");
/** 1, 2 or 5 times a power of ten, and at least 1: what is counted comes whole. */
function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least);
}
/** Whole hours of the site's zone, at most so many, as [time, is it midnight]. */
function ticks(start, end, most) {
  const quarters = Array.from({ length: Math.floor((end - start) / 900000) + 1 }, (_, n) => Math.ceil(start / 900000) * 900000 + n * 900000).filter((time) => time <= end && minute(time) === "00");
  const each = HOURS.find((h) => quarters.filter((time) => Number(hour(time)) % h === 0).length <= most) ?? 24;
  return quarters.filter((time) => Number(hour(time)) % each === 0).map((time) => [time, Number(hour(time)) === 0]);
}
