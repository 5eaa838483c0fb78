// A question in a dialog, answered by form or Escape. Resolves with the values, or null.

import { $, el } from "./dom.js";
import { t } from "./text.js";

/** fields: [{name, label, kind: "text" | "number" | "select" | "area" | "check", options, value, required}] */
export function ask(title, fields) {
  const dialog = $("#ask");
  const inputs = fields.map((f) => {
    const common = { name: f.name, required: f.required, value: f.value ?? "" };
    if (f.kind === "select") return el("select", { name: f.name, required: f.required }, f.options.map((o) => el("option", { value: o.value ?? o, selected: (o.value ?? o) === f.value }, o.words ?? t(o))));
    if (f.kind === "area") return el("textarea", common);
    if (f.kind === "check") return el("input", { type: "checkbox", name: f.name, checked: Boolean(f.value) });
    return el("input", { ...common, type: f.kind === "number" ? "number" : "text", step: "any", min: f.kind === "number" ? "0.1" : null });
  });
  const form = el("form", { method: "dialog" }, el("h2", {}, title),
    fields.map((f, n) => el("label", {}, f.label, inputs[n])),
    el("div", { class: "row" }, el("button", { value: "yes", class: "main" }, t("do")), el("button", { value: "no", type: "button", onclick: () => dialog.close("no") }, t("cancel"))));
  dialog.replaceChildren(form);
  dialog.returnValue = "no";
  dialog.showModal();
  inputs[0]?.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      if (dialog.returnValue !== "yes") return resolve(null);
      resolve(Object.fromEntries(fields.map((f, n) => [f.name, f.kind === "check" ? inputs[n].checked : inputs[n].value.trim()])));
    }, { once: true });
  });
}
