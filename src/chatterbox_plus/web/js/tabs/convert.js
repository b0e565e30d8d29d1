// Convert: a recording, said again in another voice, and both to be compared.
import { api, events } from "../api.js";
import { h, fill, icon, put } from "../dom.js";
import { clock } from "../format.js";
import { dropped } from "../intake.js";
import { optionForm } from "../option-form.js";
import { presets } from "../presets.js";
import { listed, recall, remember } from "../store.js";
import { has, t } from "../text.js";
import { button, busy, live, more, tell } from "../ui.js";
import { voicePicker } from "../voice-picker.js";
import { compare } from "./convert/compare.js";
import { source } from "./convert/source.js";

export const styles = ["speak", "voices", "convert"];
const MEMORY = "convert";
const ELSEWHERE = new Set(["input_audio_source", "target_voice_source", "export_formats", "webhook_url"]); // every format is made

/** @param {HTMLElement} root */
export async function mount(root, app) {
  const { player } = app;
  const remembered = recall(MEMORY) ?? {};
  let task = null; // {id, stop}
  let formats = [];
  let parts = [];

  const status = live({ class: "status" });
  const meter = h("progress", { class: "meter", max: 1, value: 0, hidden: true, "aria-label": t("convert.progress") });
  const act = button(t("convert.convert"), { icon: "convert", kind: "main", disabled: true, onclick: () => (task ? cancel() : convert()) });
  const both = compare({ player });
  const from = source({ player, onchange: chose });
  const target = voicePicker({ label: t("convert.target"), value: remembered.target_voice_source ?? "", stored: true, player, onchange: kept });
  const none = h("p", { class: "note", hidden: true }, t("convert.no_voices"), " ", h("a", { href: "#/voices?add=1" }, t("convert.add_voice")));
  const forms = h("div", { class: "stack" });
  const wrong = live();
  const preset = presets({ kind: "conversion", read: options, apply });
  put(root, h("div", { class: "convert" },
    h("div", { class: "bench" },
      h("div", {}, h("header", { class: "page-head" }, h("h1", {}, t("tabs.convert"))), h("p", { class: "muted small" }, t("convert.lead"))),
      from.node, h("div", { class: "stack tight target" }, target.node, none), both.node, meter,
      h("footer", { class: "bench-foot" }, h("div", { class: "grow" }, status), both.saving, act)),
    h("section", { class: "inspector", "aria-label": t("convert.settings") },
      h("div", { class: "stack loose" }, preset.node, forms, wrong))));
  dropped(root, from.over, ([file]) => from.take(file));

  function chose(chosen) {
    both.before(chosen);
    fill(status, !chosen && h("p", { class: "note" }, t("convert.first")));
    stand();
    if (chosen && !act.disabled) act.focus({ preventScroll: true });
  }

  async function build() {
    const told = await listed("options");
    formats = told.formats;
    const useful = told.conversion.filter((option) => !ELSEWHERE.has(option.name) && !(option.models && !option.models.length));
    const here = new Set(["auto", ...told.models.filter((model) => model.installed).map((model) => model.name)]);
    for (const option of useful) if (option.name === "model") option.choices = option.choices.filter((one) => here.has(one));
    const form = (group) => optionForm(useful.filter((option) => option.group === group), { onchange: kept });
    const first = form("first");
    const groups = [...new Set(useful.map((option) => option.group))].filter((group) => group !== "first").map((group) => [group, form(group)]);
    parts = [first, ...groups.map(([, one]) => one)];
    put(forms, first.node, h("div", {}, groups.map(([group, one]) => more(has(`groups.${group}`) ? t(`groups.${group}`) : group, one.node))),
      h("div", { class: "row" }, button(t("convert.reset"), { icon: "undo", kind: "quiet", onclick: () => apply({ target_voice_source: target.value }) })));
    apply(remembered);
  }

  /** The voices may have changed: what was chosen counts only if it is still there. */
  async function fit() {
    const voices = await listed("voices");
    none.hidden = voices.length > 0;
    if (!voices.some((voice) => voice.url === target.value)) target.set(voices[0]?.url ?? "");
    stand();
  }

  function options() {
    return { ...(target.value && { target_voice_source: target.value }), ...Object.assign({}, ...parts.map((part) => part.values())) };
  }

  function apply(wanted) {
    if (wanted.target_voice_source) target.set(wanted.target_voice_source);
    for (const part of parts) part.set(wanted);
    kept();
  }

  function kept() {
    remember(MEMORY, options());
    stand();
  }

  function stand() {
    const running = Boolean(task);
    fill(act, icon(running ? "stop" : "convert"), running ? t("convert.stop") : t("convert.convert"));
    act.disabled = !running && (!from.chosen || !target.value);
    meter.hidden = !running;
  }

  /** The request: what is chosen, and as a file what is nowhere but here. */
  function asked(chosen) {
    const fields = { ...options(), export_formats: formats };
    if (chosen.path) return api.post("/api/v1/vc/async", { ...fields, input_audio_source: chosen.path });
    const form = new FormData();
    form.append("input_audio", chosen.blob, chosen.name);
    for (const [name, value] of Object.entries(fields)) form.append(name, Array.isArray(value) ? value.join(",") : String(value));
    return api.form("/api/v1/vc/async", form);
  }

  async function convert() {
    const chosen = from.chosen;
    both.clear();
    fill(status, h("p", { class: "note" }, t("convert.sending")));
    try {
      act.disabled = true;
      const { task_id: id } = await asked(chosen);
      task = { id, stop: new AbortController() };
      stand();
      meter.removeAttribute("value"); // how long it takes is not known yet
      fill(status, h("p", { class: "note" }, t("convert.waiting")));
      await follow(task);
      const done = await api.get(`/api/v1/tasks/${id}`);
      if (done.status === "cancelled") fill(status, h("p", { class: "note" }, t("convert.stopped")));
      else if (done.status !== "succeeded") throw new Error(done.error);
      else finished(chosen, done);
    } catch (error) {
      fill(status);
      tell(status, error);
    } finally {
      task = null;
      stand();
    }
  }

  async function follow({ id, stop }) {
    for await (const [name, data] of events(`/api/v1/tasks/${id}/events`, stop.signal)) {
      if (name !== "progress" || !data.total) continue;
      meter.value = data.done / data.total;
      fill(status, h("p", { class: "note number" }, t("convert.going", { done: clock(data.done), total: clock(data.total) })));
    }
  }

  function finished(chosen, done) {
    const { total_duration_seconds: seconds, processing_time_seconds: took, model } = done.result;
    fill(status, h("p", { class: "note number" }, t("convert.done", { seconds: clock(seconds), took: took.toFixed(1), model })));
    both.after({
      title: t("convert.result", { name: chosen.name, voice: target.value.replace(/\.\w{2,4}$/, "") }), seconds,
      url: done.output_files[0].url,
      files: done.output_files.map((file) => ({ words: t("convert.save_as", { format: file.format.toUpperCase() }), icon: "download", href: file.url, download: file.filename })),
    });
  }

  const cancel = () => busy(act, null, () => api.delete(`/api/v1/tasks/${task.id}`)).then(stand);

  window.addEventListener("stop", () => task && cancel());
  chose(null);
  build().then(fit).catch((error) => tell(wrong, error));
  return { shown: () => fit().catch((error) => tell(wrong, error)), hidden: () => from.rest() };
}
