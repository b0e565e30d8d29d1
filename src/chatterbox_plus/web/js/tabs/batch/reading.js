// How rows or a book are read: voice, model, language and the options that count for all of it.
import { h, put } from "../../dom.js";
import { language } from "../../format.js";
import { optionForm } from "../../option-form.js";
import { presets } from "../../presets.js";
import { listed } from "../../store.js";
import { has, t } from "../../text.js";
import { field, live, more, select, tell } from "../../ui.js";
import { voicePicker } from "../../voice-picker.js";

const ELSEWHERE = new Set(["text", "reference_audio_filename", "model", "language", "webhook_url", "streaming", "reuse_takes", "timestamps"]);

/**
 * @param {{app: any, groups: string[], onchange: () => void}} asked groups: of the options, beside those that come first
 */
export function reading({ app, groups, onchange }) {
  const model = select([["auto", t("speak.auto")]], { onchange: () => { fit(); onchange(); } });
  const tongue = select([["", t("speak.own_language")]], { onchange });
  const voice = voicePicker({ player: app.player, onchange, sample: () => ({ model: model.value, language: tongue.value }) });
  const forms = h("div", {});
  const place = live();
  const preset = presets({ kind: "speech", read: values, apply });
  const node = h("div", { class: "stack" }, preset.node, voice.node, field(t("options.model"), model), field(t("options.language"), tongue), forms, place);
  let parts = [];
  let models = [];

  const chosen = () => models.find((one) => (model.value === "auto" ? one.default : one.name === model.value));

  function fit() {
    const before = tongue.value;
    const codes = chosen()?.languages ?? [];
    const sorted = codes.map((code) => [code, language(code)]).sort((a, b) => a[1].localeCompare(b[1]));
    tongue.replaceChildren(...[["", t("speak.own_language")], ...sorted].map(([value, words]) => h("option", { value }, words)));
    tongue.value = codes.includes(before) ? before : "";
    for (const part of parts) part.hear(chosen()?.name);
  }

  function apply(wanted) {
    voice.set(wanted.reference_audio_filename ?? "");
    model.value = wanted.model ?? "auto";
    if (!model.value) model.value = "auto"; // a model that is not here any more
    fit();
    tongue.value = wanted.language ?? "";
    for (const part of parts) part.set(wanted);
    onchange();
  }

  function values() {
    return {
      ...(voice.value && { reference_audio_filename: voice.value }),
      ...(model.value !== "auto" && { model: model.value }),
      ...(tongue.value && { language: tongue.value }),
      ...Object.assign({}, ...parts.map((part) => part.values())),
    };
  }

  async function build() {
    const told = await listed("options");
    models = told.models;
    const useful = told.speech.filter((one) => !ELSEWHERE.has(one.name) && !(one.models && !one.models.length));
    const own = (name) => chosen()?.options?.[name];
    const made = ["first", ...groups].map((group) => [group, optionForm(useful.filter((one) => one.group === group), { onchange, own })]);
    parts = made.map(([, form]) => form);
    put(forms, made.map(([group, form]) => more(group === "first" ? t("batch.first") : has(`groups.${group}`) ? t(`groups.${group}`) : group, form.node)));
    model.append(...models.filter((one) => one.installed).map((one) => h("option", { value: one.name }, one.title)));
    fit();
  }

  build().catch((error) => tell(place, error));
  return { node, values };
}
