// A question in a dialog, answered by form or Escape. Resolves with the values, or null.

import { $, el, takesFocus } from "./dom.js";
import { t } from "./text.js";

/** Show a dialog; when it is closed the focus goes back to where it was, or to the incident where that is gone by then. */
export function modal(dialog) {
  const before = document.activeElement;
  dialog.showModal();
  dialog.addEventListener("close", () => {
    if (document.activeElement !== document.body || before === document.body) return;
    [before, $("#detail .actions button"), $("#list")].find((e) => e && takesFocus(e))?.focus();
  }, { once: true });
}

/** fields: [{name, label, kind: "text" | "number" | "select" | "area" | "match", options, value, on, required}]; a "match" is a text
 *  that counts where it is ticked. `preview` gives what the answers so far would come to, as elements. */
export function ask(title, fields, preview) {
  const dialog = $("#ask");
  const inputs = fields.map((f) => {
    const common = { name: f.name, required: f.required, value: f.value ?? "" };
    if (f.kind === "select") return el("select", { name: f.name, required: f.required }, f.options.map((o) => el("option", { value: o.value ?? o, selected: (o.value ?? o) === f.value }, o.words ?? t(o))));
    if (f.kind === "area") return el("textarea", common);
    if (f.kind === "match") return el("input", { ...common, "aria-label": f.label, maxlength: "200" });
    return el("input", { ...common, type: f.kind === "number" ? "number" : "text", step: "any", min: f.kind === "number" ? "0.1" : null });
  });
  const ticks = fields.map((f) => (f.kind === "match" ? el("input", { type: "checkbox", name: `with_${f.name}`, checked: Boolean(f.on) }) : null));
  const answers = () => Object.fromEntries(fields.map((f, n) => [f.name, ticks[n] && !ticks[n].checked ? "" : inputs[n].value.trim()]));
  const outcome = el("div", { class: "outcome", role: "status" }), draw = () => preview && outcome.replaceChildren(...preview(answers()));
  const form = el("form", { method: "dialog", oninput: draw }, el("h2", {}, title),
    fields.map((f, n) => (ticks[n] ? el("div", { class: "match" }, el("label", {}, ticks[n], f.label), inputs[n]) : el("label", {}, f.label, inputs[n]))),
    preview ? outcome : null,
    el("div", { class: "row" }, el("button", { value: "yes", class: "main" }, t("do")), el("button", { value: "no", type: "button", onclick: () => dialog.close("no") }, t("cancel"))));
  dialog.replaceChildren(form);
  dialog.returnValue = "no";
  modal(dialog);
  draw();
  (inputs.find((input, n) => !ticks[n]) ?? inputs[0])?.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "yes") return resolve(null);
      resolve(answers());
    }, { once: true });
  });
}
