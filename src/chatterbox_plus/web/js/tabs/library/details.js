// All that is known of an output: how it was made, and what can be made of it.
import { h } from "../../dom.js";
import { bytes, date } from "../../format.js";
import { called } from "../../option-form.js";
import { details, lasting, titled } from "../../outputs.js";
import { listed } from "../../store.js";
import { t } from "../../text.js";
import { button, dialog, live, tell } from "../../ui.js";
import { settingsOf } from "./deeds.js";

const OPTIONS = { tts: "speech", vc: "conversion", concat: "joining" }; // whose options a kind has

/** @param {(output: any) => Array<{words: string, icon: string, act: () => any}>} actions of an output */
export function show(output, actions) {
  const kind = t(`library.one.${output.generation_type}`);
  return dialog(output.parameters.text ? kind : titled(output), (close) => {
    const body = live({ class: "stack details" });
    const foot = h("div", { class: "row wrap grow" });
    Promise.all([details(output.path), listed("options")]).then(([told, options]) => {
      const { metadata, parameters } = told;
      const made = metadata.generation_info ?? {};
      const text = parameters.text;
      const facts = [
        ["made", date(output.created_date)], ["kind", output.parameters.text ? "" : kind], ["length", lasting(told.duration_seconds)],
        ["model", made.model], ["voice", parameters.reference_audio_filename ?? parameters.target_voice_source ?? (text ? t("voice.default") : "")],
        ["source", parameters.input_audio_source], ["seed", made.seed_used ?? made.seed], ["took", made.processing_time_seconds && lasting(made.processing_time_seconds)],
        ["folder", output.folder_path], ["notes", (made.notes ?? []).join("; ")],
      ];
      const other = Object.entries(settingsOf(parameters, options[OPTIONS[output.generation_type]] ?? []))
        .filter(([name]) => !["segments", "seed", "project", "reference_audio_filename", "target_voice_source", "input_audio_source", "disable_watermark"].includes(name));
      body.replaceChildren(...[
        text && h("blockquote", { class: "said", tabindex: "0" }, text),
        list(facts.filter(([, value]) => value !== undefined && value !== null && value !== "" && value !== 0).map(([name, value]) => [t(`library.facts.${name}`), value])),
        other.length > 0 && h("h3", {}, t("library.settings")),
        other.length > 0 && list(other.map(([name, value]) => [called(name), shown(value)])),
        sources(told),
        h("h3", {}, t("library.formats")),
        h("ul", { class: "list" }, output.formats.map((file) => h("li", {},
          h("div", { class: "what" }, h("p", { class: "name" }, file.filename), h("p", { class: "facts number" }, bytes(file.file_size_bytes))),
          h("a", { class: "button", href: file.url, download: file.filename }, t("speak.save_as", { format: file.format.toUpperCase() }))))),
      ].flat().filter(Boolean));
    }).catch((error) => tell(body, error));
    foot.append(...actions(output).map(({ words, icon, act }) => button(words, { icon, kind: "quiet", onclick: () => { close(); act(); } })));
    return { body: [body], foot: foot.children.length ? [foot] : null };
  });
}

const list = (pairs) => h("dl", { class: "known" }, pairs.map(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]));

const shown = (value) => (typeof value === "object" ? Object.values(value).join(", ") : value === true ? t("library.yes") : value === false ? t("library.no") : value);

/** What was joined. */
function sources({ source_files: files }) {
  if (!files.length) return [];
  return [h("h3", {}, t("library.pieces")), h("ol", { class: "small" }, files.map((name) => h("li", { class: "clip" }, String(name))))];
}
