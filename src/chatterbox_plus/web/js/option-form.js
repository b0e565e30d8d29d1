// Controls made of the server's own option schema: defaults, ranges and choices are never written down here.
import { h, newId, put } from "./dom.js";
import { number } from "./format.js";
import { has, t } from "./text.js";
import { checkbox, field, input, select } from "./ui.js";

const LONG = 1000; // characters: beyond, a field has several lines
const WIDE = 1000; // a range this wide is no use as a slider

/**
 * @typedef {object} Option as GET /api/v1/options has it
 * @property {string} name
 * @property {"number"|"integer"|"boolean"|"string"|"choice"|"list"} type
 * @property {string} group
 * @property {any} default
 * @property {number|null} minimum
 * @property {number|null} maximum
 * @property {string[]|null} choices
 * @property {string[]|null} models who hears it; null: all
 * @property {string} [needs] a switch without which it has no effect
 */

/**
 * @param {Option[]} options
 * @param {{onchange?: () => void, own?: (name: string) => any}} [asked] own: the model's own default of an option
 * @returns {{node: HTMLElement, values: () => Record<string, any>, set: (values: Record<string, any>) => void,
 *   hear: (model: string) => void}} values: only what differs from the defaults
 */
export function optionForm(options, { onchange = () => {}, own = () => null } = {}) {
  const node = h("div", { class: "stack options" });
  const controls = options.map((option) => ({ option, ...control(option, changed) }));
  let model = null;

  function values() {
    const told = controls.map(({ option, read }) => [option, read()]).filter(([option, value]) => !same(value, option.default));
    return Object.fromEntries(told.map(([option, value]) => [option.name, value]));
  }

  function show() {
    const chosen = values();
    for (const { option, node: one, placeholder } of controls) {
      const heard = !model || !option.models || option.models.includes(model);
      const switched = !option.needs || (chosen[option.needs] ?? options.find((other) => other.name === option.needs)?.default);
      one.hidden = !heard || !switched;
      placeholder?.(option.default ?? own(option.name));
    }
    node.hidden = controls.every((one) => one.node.hidden);
  }

  function changed() {
    show();
    onchange();
  }

  put(node, controls.map((one) => one.node));
  show();
  return {
    node,
    values,
    set(wanted) {
      for (const { option, write } of controls) write(wanted[option.name] ?? option.default);
      show();
    },
    hear(name) {
      model = name;
      show();
    },
  };
}

/** What an option is called; the server's own name where nobody wrote another. */
export const called = (name) => (has(`options.${name}`) ? t(`options.${name}`) : name.replaceAll("_", " "));

/** The server describes its options; words here go first. */
const about = (option) => (has(`about.${option.name}`) ? t(`about.${option.name}`) : option.description ?? "");

const same = (a, b) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

function control(option, onchange) {
  if (option.type === "boolean") return ticked(option, onchange);
  if (option.type === "list") return several(option, onchange);
  if (option.type === "choice") return chosen(option, onchange);
  if (option.type === "string") return written(option, onchange);
  const sliding = option.minimum !== null && option.maximum !== null && option.maximum - option.minimum <= WIDE;
  return sliding ? slid(option, onchange) : counted(option, onchange);
}

function ticked(option, onchange) {
  const node = checkbox(called(option.name), { checked: option.default, onchange });
  const box = node.querySelector("input");
  node.title = about(option);
  return { node, read: () => box.checked, write: (value) => { box.checked = value; } };
}

function several(option, onchange) {
  const boxes = option.choices.map((choice) => h("input", { type: "checkbox", value: choice, checked: option.default.includes(choice), onchange }));
  const node = h("fieldset", { class: "field" }, h("legend", {}, called(option.name)),
    h("div", { class: "row wrap" }, boxes.map((box) => h("label", { class: "check" }, box, h("span", {}, box.value)))));
  const read = () => boxes.filter((box) => box.checked).map((box) => box.value);
  return { node, read, write: (value) => boxes.forEach((box) => { box.checked = value.includes(box.value); }) };
}

function chosen(option, onchange) {
  const choices = option.choices.map((choice) => [choice, has(`choices.${choice}`) ? t(`choices.${choice}`) : choice]);
  const control = select(option.default === null ? [["", t("option.own")], ...choices] : choices, { value: option.default, onchange });
  return { node: field(called(option.name), control, about(option)), read: () => control.value || null, write: (value) => { control.value = value ?? ""; } };
}

function written(option, onchange) {
  const long = (option.max_length ?? 0) > LONG && option.default === "";
  const props = { value: option.default, maxlength: option.max_length, onchange };
  const control = long ? h("textarea", { ...props, class: "input", rows: 3 }) : input(props);
  const nothing = option.default === null ? null : "";
  return { node: field(called(option.name), control, about(option)), read: () => control.value.trim() || nothing, write: (value) => { control.value = value ?? ""; } };
}

const limits = (option) => ({ min: option.minimum, max: option.maximum, step: option.step ?? (option.type === "integer" ? 1 : "any") });

function parsed(control, option) {
  if (control.value === "" || !Number.isFinite(control.valueAsNumber)) return option.default;
  return control.valueAsNumber;
}

function counted(option, onchange) {
  const control = input({ ...limits(option), type: "number", value: option.default, onchange });
  return { node: field(called(option.name), control, about(option)), read: () => parsed(control, option), write: (value) => { control.value = value ?? ""; } };
}

/** A slider and the number it stands for. An empty number is the model's own. */
function slid(option, onchange) {
  const id = newId();
  const exact = input({ ...limits(option), type: "number", "aria-label": t("option.exact", { name: called(option.name) }) });
  const range = h("input", { ...limits(option), type: "range", id });
  const hint = about(option) && h("p", { class: "hint", id: newId() }, about(option));
  if (hint) range.setAttribute("aria-describedby", hint.id);
  const node = h("div", { class: "field" }, h("label", { for: id }, called(option.name)), h("div", { class: "slide" }, range, exact), hint);
  let fallback = option.default;
  const write = (value) => {
    exact.value = value ?? "";
    range.value = value ?? fallback ?? option.minimum;
  };
  range.addEventListener("input", () => { exact.value = range.value; onchange(); });
  exact.addEventListener("change", () => {
    if (exact.value !== "" && !exact.checkValidity()) exact.value = Math.min(option.maximum, Math.max(option.minimum, exact.valueAsNumber));
    range.value = exact.value === "" ? fallback ?? option.minimum : exact.value;
    onchange();
  });
  write(option.default);
  return {
    node,
    read: () => parsed(exact, option),
    write,
    placeholder(value) {
      fallback = value;
      exact.placeholder = value === null || value === undefined ? t("option.auto") : number(value, 2);
      if (exact.value === "") range.value = value ?? option.minimum;
    },
  };
}
