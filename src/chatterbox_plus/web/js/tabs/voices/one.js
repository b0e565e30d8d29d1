// One voice: what is known of it, its defaults, and how it sounds.
import { api, ask, inPath } from "../../api.js";
import { fill, h, icon } from "../../dom.js";
import { clock, date, number } from "../../format.js";
import { recall, remember } from "../../store.js";
import { t } from "../../text.js";
import { button, busy, confirmed, empty, field, input, live, more, select } from "../../ui.js";
import { advised } from "./advice.js";
import { defaults, fillTongues } from "./defaults.js";
import { folderField, tagField } from "./tags.js";

/** Where a voice's recording is heard and saved. */
export const audioOf = (voice) => `/api/v1/voices/${inPath(voice.url)}/audio`;

/**
 * @param {{app: any, known: any, onchange: (voice: any, before: any) => void, ondelete: (voice: any) => Promise<void>,
 *   onclose: () => void}} asked
 */
export async function panel({ app, known, onchange, ondelete, onclose }) {
  const { player } = app;
  const nothing = empty("voices", t("voices.choose"));
  const title = h("h2", { class: "grow clip", tabindex: "-1" });
  const facts = h("p", { class: "facts number" });
  const quality = live();
  const wrong = live();
  const name = input({ maxlength: 200, required: true, oninput: stand });
  const about = h("textarea", { class: "input", rows: 2, maxlength: 5000, oninput: stand });
  const tags = tagField({ label: t("voices.tags"), known: known.tags, onchange: stand });
  const folder = folderField({ label: t("voices.folder"), known: known.folders, onchange: stand });
  const options = await defaults(stand);
  const sentence = h("textarea", { class: "input", rows: 2, maxlength: 1000, "aria-label": t("voices.sentence"), onchange: () => remember("try", sentence.value) });
  const tongue = select([], { "aria-label": t("options.language") });
  const tryWrong = live();
  const trying = button(t("voices.try"), { icon: "play", onclick: () => busy(trying, tryWrong, say) });
  const save = button(t("ui.save"), { icon: "check", disabled: true, onclick: () => busy(save, wrong, store).then(stand) });
  const back = button(t("voices.revert"), { icon: "undo", kind: "quiet", hidden: true, onclick: () => write(voice) });
  const saving = h("a", { class: "button quiet round", "aria-label": t("player.download"), title: t("player.download"), download: true }, icon("download"));
  const remove = button(t("ui.delete"), { icon: "delete", kind: "quiet", only: true, onclick: () => busy(remove, wrong, () => ondelete(voice)) });
  const filled = h("div", { class: "stack loose", hidden: true },
    h("div", { class: "stack tight" },
      h("div", { class: "row" }, title, saving, remove, button(t("ui.close"), { icon: "close", kind: "quiet", only: true, onclick: () => close() })), facts),
    quality,
    h("section", { class: "stack", "aria-label": t("voices.try_it") }, h("h3", {}, t("voices.try_it")), sentence, h("div", { class: "row" }, h("div", { class: "grow" }, tongue), trying), tryWrong),
    h("section", { class: "stack", "aria-label": t("voices.about_it") }, field(t("voices.name"), name), field(t("voices.about"), about), tags.node, folder.node,
      more(t("voices.defaults"), h("p", { class: "facts" }, t("voices.defaults_hint")), options.node)),
    wrong,
    h("footer", { class: "row panel-foot" }, save, back));
  const node = h("section", { class: "panel", "aria-label": t("voices.one") }, nothing, filled);
  sentence.value = recall("try") ?? t("voice.sample");
  let voice = null;

  const described = (one) => (one.description === `Voice file: ${one.name}` ? "" : one.description); // the server's words for none

  function read() {
    return {
      name: name.value.trim(), description: about.value.trim(), tags: tags.read(), folder_path: folder.read(), default_parameters: options.values(),
    };
  }

  const before = () => ({
    name: voice.name, description: described(voice), tags: voice.tags, folder_path: voice.folder_path ?? "", default_parameters: voice.default_parameters,
  });

  function changes() {
    const [now, then] = [read(), before()];
    return Object.fromEntries(Object.entries(now).filter(([key, value]) => ordered(value) !== ordered(then[key])));
  }

  function stand() {
    const dirty = Boolean(voice) && Object.keys(changes()).length > 0;
    save.disabled = !dirty || !name.value.trim();
    back.hidden = !dirty;
  }

  function write(one) {
    name.value = one.name;
    about.value = described(one);
    tags.write(one.tags);
    folder.write(one.folder_path);
    options.set(one.default_parameters);
    fillTongues(tongue, options.languages(), t("voices.own_language"));
    fill(wrong);
    stand();
  }

  async function store() {
    const old = voice;
    const { voice_metadata: fresh } = await api.put(`/api/v1/voice/${inPath(voice.url)}/metadata`, changes());
    draw(fresh);
    onchange(fresh, old);
    app.say(t("voices.saved", { name: fresh.name }));
  }

  async function say() {
    player.unlock();
    const { model, speed_factor: speed, ...other } = options.values();
    const body = {
      ...other, input: sentence.value.trim() || t("voice.sample"), voice: voice.url, model: model ?? "auto", response_format: "mp3",
      ...(speed && { speed }), ...(tongue.value && { language: tongue.value }),
    };
    const sound = await (await ask("/v1/audio/speech", { json: body })).blob();
    await player.playBlob({}, sound, voice.name, body.input);
  }

  function draw(one) {
    voice = one;
    nothing.hidden = true;
    filled.hidden = false;
    title.textContent = one.name;
    facts.textContent = [
      clock(one.duration_seconds), one.sample_rate && t("voices.rate", { n: number(one.sample_rate / 1000) }),
      one.usage_count ? t("voices.used", { n: one.usage_count }) : t("voices.unused"), date(one.created_date),
    ].filter(Boolean).join(" · ");
    saving.href = audioOf(one);
    saving.download = one.filename;
    write(one);
    judged(one);
  }

  /** What was measured when it came; a file that was put there by hand can be measured now. */
  function judged(one) {
    if (one.quality) return fill(quality, advised(one.quality));
    const measure = button(t("voices.measure"), { icon: "check", onclick: () => busy(measure, wrong, async () => {
      const form = new FormData();
      form.append("voice_file", await (await ask(audioOf(one))).blob(), one.filename);
      const { quality: found } = await api.form("/api/v1/voice/check", form);
      if (voice === one) fill(quality, advised(found));
    }) });
    return fill(quality, h("div", { class: "row" }, h("p", { class: "facts grow" }, t("voices.unmeasured")), measure));
  }

  /** Whether what was changed may be forgotten. */
  async function leave() {
    if (!voice || !Object.keys(changes()).length) return true;
    return confirmed(t("voices.unsaved"), t("voices.unsaved_words", { name: voice.name }), t("voices.discard"));
  }

  function clear() {
    voice = null;
    nothing.hidden = false;
    filled.hidden = true;
  }

  async function close() {
    if (!(await leave())) return;
    clear();
    onclose();
  }

  return {
    node,
    leave,
    clear,
    get voice() { return voice; },
    /** Shows a voice, with what was measured of it. Raises ApiError. */
    async show(url) {
      const one = await api.get(`/api/v1/voices/${inPath(url)}`);
      draw(one);
      node.scrollTop = 0;
    },
    focus: () => title.focus(),
  };
}

/** Values as words that are the same where the values are, in whatever order their names stand. */
function ordered(value) {
  return JSON.stringify(value, (_, part) => (part && typeof part === "object" && !Array.isArray(part) ? Object.fromEntries(Object.entries(part).sort()) : part));
}
