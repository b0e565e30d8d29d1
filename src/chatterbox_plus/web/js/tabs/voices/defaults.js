// What counts for a voice where a request says nothing else: options of the server's schema.
import { h } from "../../dom.js";
import { language } from "../../format.js";
import { optionForm } from "../../option-form.js";
import { listed } from "../../store.js";
import { has, t } from "../../text.js";
import { field, more, select } from "../../ui.js";

// what a request is about, or what two lists above the form are for
const ELSEWHERE = new Set(["text", "reference_audio_filename", "webhook_url", "model", "language", "streaming", "reuse_takes", "timestamps", "project"]);
const GROUPS = ["first", "sampling", "text", "sound"];

/** @param {() => void} onchange */
export async function defaults(onchange) {
  const told = await listed("options");
  const here = told.models.filter((model) => model.installed);
  const chosen = () => told.models.find((one) => (model.value ? one.name === model.value : one.default));
  const useful = told.speech.filter((option) => !ELSEWHERE.has(option.name) && GROUPS.includes(option.group) && !(option.models && !option.models.length));
  const model = select([["", t("voices.any_model")], ...here.map((one) => [one.name, one.title])], { onchange: () => { fit(); onchange(); } });
  const tongue = select([], { onchange });
  const forms = GROUPS.map((group) => [group, optionForm(useful.filter((option) => option.group === group), { onchange, own: (name) => chosen()?.options?.[name] })]);
  const ours = new Set(["model", "language", ...useful.map((option) => option.name)]);
  let others = {}; // set by a program: kept as it is

  function fit() {
    fillTongues(tongue, chosen()?.languages ?? [], t("voices.any_language"));
    for (const [, form] of forms) form.hear(chosen()?.name);
  }

  const [[, first], ...rest] = forms;
  const node = h("div", { class: "stack" }, field(t("options.model"), model), field(t("options.language"), tongue), first.node,
    h("div", {}, rest.map(([group, form]) => more(has(`groups.${group}`) ? t(`groups.${group}`) : group, form.node))));
  return {
    node,
    /** The languages a voice may be tried in. */
    languages: () => chosen()?.languages ?? [],
    values: () => ({
      ...others,
      ...(model.value && { model: model.value }),
      ...(tongue.value && { language: tongue.value }),
      ...Object.assign({}, ...forms.map(([, form]) => form.values())),
    }),
    set(values) {
      others = Object.fromEntries(Object.entries(values).filter(([name]) => !ours.has(name)));
      model.value = values.model ?? "";
      if (model.selectedIndex < 0) {
        model.append(h("option", { value: values.model }, values.model)); // not here any more, and yet what the voice says
        model.value = values.model;
      }
      fit();
      if (values.language && ![...tongue.options].some((one) => one.value === values.language)) tongue.append(h("option", { value: values.language }, language(values.language)));
      tongue.value = values.language ?? "";
      for (const [, form] of forms) form.set(values);
    },
  };
}

/** Puts languages into a list, by their names; what was chosen stays chosen if it is there. */
export function fillTongues(list, codes, none) {
  const before = list.value;
  const sorted = codes.map((code) => [code, language(code)]).sort((a, b) => a[1].localeCompare(b[1]));
  list.replaceChildren(...[["", none], ...sorted].map(([value, words]) => h("option", { value }, words)));
  list.value = codes.includes(before) ? before : "";
}
