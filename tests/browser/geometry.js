// What is wrong with how a page is laid out, in words: found by the boxes of what can be seen.
(async () => {
  for (let n = 0; n < 2; n++) await new Promise(requestAnimationFrame); // what follows the window's size has done so
  const CONTROLS = "button, input, select, textarea, summary, a[href]";
  const name = (e) => `${e.tagName.toLowerCase()}${e.id ? `#${e.id}` : ""}${e.name ? `[${e.name}]` : ""} "${(e.innerText || e.value || e.ariaLabel || "").trim().slice(0, 30)}"`;
  const layer = document.querySelector("dialog[open]") ?? document.body;
  const visible = (e) => e.checkVisibility({ checkVisibilityCSS: true, checkOpacity: true }) && !e.closest(".unseen, .skip, .maplibregl-map");
  const all = [...layer.querySelectorAll("*")].filter(visible);
  /** The part of its box that no ancestor cuts off. */
  const seen = (e) => {
    let { left, top, right, bottom } = e.getBoundingClientRect();
    for (let p = e.parentElement; p; p = p.parentElement) {
      if (getComputedStyle(p).overflow === "visible") continue;
      const box = p.getBoundingClientRect();
      [left, top, right, bottom] = [Math.max(left, box.left), Math.max(top, box.top), Math.min(right, box.right), Math.min(bottom, box.bottom)];
    }
    return { left, top, right: Math.min(right, innerWidth), bottom: Math.min(bottom, innerHeight) };
  };
  const wrong = [];
  if (document.documentElement.scrollWidth > innerWidth) wrong.push(`the page is ${document.documentElement.scrollWidth - innerWidth} px wider than the window`);
  for (const e of all) {
    const style = getComputedStyle(e), box = e.getBoundingClientRect();
    if (style.overflowX !== "visible" && e.matches(":not(select, input, textarea)") && e.scrollWidth > e.clientWidth + 1) wrong.push(`${name(e)} cuts off ${e.scrollWidth - e.clientWidth} px`);
    const out = (at) => at.width && (at.right > innerWidth + 1 || at.left < -1);
    if (out(box) && !out(e.parentElement.getBoundingClientRect())) wrong.push(`${name(e)} lies outside the window`);
    if (e.matches("select")) {
      const pen = document.createElement("canvas").getContext("2d");
      pen.font = style.font;
      const room = e.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 20; // its arrow
      for (const option of e.options) if (pen.measureText(option.text).width > room + 1) wrong.push(`${name(e)} has no room for "${option.text}"`);
    }
  }
  const controls = all.filter((e) => e.matches(CONTROLS));
  const layered = (e) => e.closest("#detail, #layers, #below, #past"); // lie above others on purpose
  const boxes = controls.map(seen);
  for (let a = 0; a < controls.length; a++) {
    const { left, top, right, bottom } = boxes[a];
    if (right - left < 1 || bottom - top < 1) continue;
    if (innerWidth < 672 && !controls[a].matches("[type=checkbox], [type=range]") && controls[a].getBoundingClientRect().height < 39.5) wrong.push(`${name(controls[a])} is ${controls[a].getBoundingClientRect().height.toFixed(1)} px high: too small for a finger`);
    for (let b = a + 1; b < controls.length; b++) {
      if (controls[a].contains(controls[b]) || layered(controls[a]) !== layered(controls[b])) continue;
      const o = boxes[b];
      if (Math.min(right, o.right) - Math.max(left, o.left) > 1 && Math.min(bottom, o.bottom) - Math.max(top, o.top) > 1) wrong.push(`${name(controls[a])} and ${name(controls[b])} overlap`);
    }
  }
  return [...new Set(wrong)];
})
