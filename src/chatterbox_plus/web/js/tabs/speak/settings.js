// How a text is spoken: preset, voice, model, language, and every option of the server's schema.
import { h, put } from "../../dom.js";
import { language } from "../../format.js";
import { optionForm } from "../../option-form.js";
import { presets } from "../../presets.js";
import { listed, recall, remember } from "../../store.js";
import { has, t } from "../../text.js";
import { button, field, live, more, select, tell } from "../../ui.js";
import { voicePicker } from "../../voice-picker.js";

const ELSEWHERE = new Set(["text", "reference_audio_filename", "model", "language", "webhook_url", "streaming", "reuse_takes", "timestamps"]);
const MEMORY = "speak";

/**
 * @param {{app: any, sample: () => string, onchange: () => void}} asked sample: what a voice says to be tried
 */
export function settings({ app, sample, onchange }) {
  const remembered = recall(MEMORY) ?? {};
  const model = select([["auto", t("speak.auto")]], { onchange: () => { fit(); kept(); } });
  const tongue = select([["", t("speak.own_language")]], { onchange: kept });
  const voice = voicePicker({
    value: remembered.reference_audio_filename ?? "", player: app.player, onchange: kept,
    sample: () => ({ text: sample(), model: model.value, language: tongue.value }),
  });
  const place = live();
  const forms = h("div", { class: "stack" });
  const preset = presets({ kind: "speech", read: options, apply });
  const reset = button(t("speak.reset"), { icon: "undo", kind: "quiet", hidden: true, onclick: () => apply({}) });
  const node = h("div", { class: "stack loose" },
    h("div", { class: "stack" }, preset.node, voice.node, field(t("options.model"), model), field(t("options.language"), tongue)),
    forms, h("div", { class: "row" }, reset), place);
  let parts = []; // forms; none before the server has told its options
  let models = [];
  let wanted = remembered;

  /** Makes the forms, once the server has told its options. */
  async function build() {
    const told = await listed("options");
    models = told.models;
    const useful = told.speech.filter((option) => !ELSEWHERE.has(option.name) && !(option.models && !option.models.length));
    const own = (name) => chosen()?.options?.[name];
    const form = (group) => optionForm(useful.filter((option) => option.group === group), { onchange: kept, own });
    const first = form("first");
    const groups = [...new Set(useful.map((option) => option.group))].filter((group) => group !== "first").map((group) => [group, form(group)]);
    parts = [first, ...groups.map(([, one]) => one)];
    put(forms, first.node, h("div", {}, groups.map(([group, one]) => more(has(`groups.${group}`) ? t(`groups.${group}`) : group, one.node))));
    reset.hidden = false;
    const here = models.filter((one) => one.installed);
    model.append(...here.map((one) => h("option", { value: one.name }, one.title)));
    apply(wanted);
  }

  const chosen = () => models.find((one) => (model.value === "auto" ? one.default : one.name === model.value));

  /** The languages and the options of the model that is chosen. */
  function fit() {
    const before = tongue.value;
    const codes = chosen()?.languages ?? [];
    const sorted = codes.map((code) => [code, language(code)]).sort((a, b) => a[1].localeCompare(b[1]));
    tongue.replaceChildren(...[["", t("speak.own_language")], ...sorted].map(([value, words]) => h("option", { value }, words)));
    tongue.value = codes.includes(before) ? before : "";
    for (const part of parts) part.hear(chosen()?.name);
  }

  /** What differs from the server's defaults: what a request says, and a preset keeps. */
  function options() {
    return {
      ...(voice.value && { reference_audio_filename: voice.value }),
      ...(model.value !== "auto" && { model: model.value }),
      ...(tongue.value && { language: tongue.value }),
      ...Object.assign({}, ...parts.map((part) => part.values())),
    };
  }

  function apply(chosen) {
    wanted = chosen;
    if (!parts.length) return; // it is done when there is something to do it to
    voice.set(wanted.reference_audio_filename ?? "");
    model.value = wanted.model ?? "auto";
    if (!model.value) model.value = "auto"; // a model that is not here any more
    fit();
    tongue.value = wanted.language ?? "";
    if (!tongue.value) tongue.value = "";
    for (const part of parts) part.set(wanted);
    kept();
  }

  function kept() {
    if (parts.length) remember(MEMORY, options());
    onchange();
  }

  return {
    node,
    body: options,
    build: () => build().catch((error) => tell(place, error)),
    /** How fast it is to be spoken. */
    speed: () => options().speed_factor ?? 1,
  };
}
