// One recording on its way to being a voice: heard, trimmed, judged by the server, named, and kept.
import { api } from "../../api.js";
import { debounced, fill, h, icon, put } from "../../dom.js";
import { clock, number } from "../../format.js";
import { t } from "../../text.js";
import { button, busy, field, input, live, tell } from "../../ui.js";
import { peaksOf } from "../../waveform.js";
import { advised } from "./advice.js";
import { cut, lengthOf } from "./cut.js";
import { folderField, tagField } from "./tags.js";
import { trimmer } from "./trimmer.js";

const DRAWN_S = 900; // longer ones would have to be held in memory whole
const DRAWN_BYTES = 30e6; // the same, where a file does not say how long it is
const SETTLED_MS = 700;

/**
 * @param {{file: File, player: any, known: {tags: () => string[], folders: () => string[]}, folder: string,
 *   onstored: (voice: any) => void, onremoved: () => void}} asked folder: where it goes unless somebody says otherwise
 */
export function draft({ file, player, known, folder, onstored, onremoved }) {
  const [, stem, ending] = file.name.match(/^(.*?)(\.\w+)?$/);
  const name = input({ value: stem, maxlength: 200, required: true });
  const tags = tagField({ label: t("voices.tags"), known: known.tags });
  const place = folderField({ label: t("voices.folder"), known: known.folders });
  const about = input({ maxlength: 5000 });
  const facts = h("p", { class: "facts number kept-part" });
  const advice = live({ class: "verdict" });
  const wrong = live();
  const wave = h("div", { class: "wave" }, h("p", { class: "facts" }, t("ui.loading")));
  const hear = button(t("voices.trim.hear"), { icon: "play", onclick: () => busy(hear, wrong, heard) });
  const all = button(t("voices.trim.all"), { icon: "undo", kind: "quiet", hidden: true, onclick: () => trim.reset() });
  const keep = button(t("voices.keep"), { icon: "check", kind: "main", onclick: () => save() });
  const node = h("li", { class: "card stack draft" },
    h("div", { class: "row" }, h("h2", { class: "grow clip" }, file.name), button(t("voices.drop", { name: file.name }), { icon: "close", kind: "quiet", only: true, onclick: removed })),
    h("div", { class: "stack" }, wave, facts, h("div", { class: "row" }, hear, all)), advice,
    h("div", { class: "fields" }, field(t("voices.name"), name), tags.node, place.node, field(t("voices.about"), about)),
    wrong, h("div", { class: "row" }, keep));
  place.write(folder);
  let trim = null;
  let length = NaN;
  let asked = new AbortController();
  let part = null; // {from, to, blob}: what was cut last

  async function begin() {
    length = await lengthOf(file);
    if (Number.isFinite(length) ? length <= DRAWN_S : file.size <= DRAWN_BYTES) {
      const { peaks, seconds } = await peaksOf(file);
      length = seconds;
      trim = trimmer({ peaks, seconds, at: () => (mine() ? trim.kept.from + player.at : NaN), onchange: changed });
      fill(wave, trim.node);
      trim.paint();
    } else fill(wave, h("p", { class: "facts" }, t("voices.trim.too_long")));
    told();
  }

  const mine = () => player.owner === key();
  const key = () => `${node.dataset.id}:${trim?.kept.from}:${trim?.kept.to}`;

  function told() {
    const { from, to } = trim?.kept ?? { from: 0, to: length };
    facts.textContent = !trim || trim.whole ? clock(length) : t("voices.trim.part", { n: number(to - from), from: number(from), to: number(to), of: number(length) });
    if (trim) all.hidden = trim.whole;
  }

  const judged = debounced(judge, SETTLED_MS);

  function changed() {
    if (player.owner?.startsWith?.(`${node.dataset.id}:`)) player.pause();
    told();
    trim.paint();
    judged();
  }

  /** What would be sent: the file as it came, or the part of it between the handles. */
  async function sound() {
    if (!trim || trim.whole) return file;
    const { from, to } = trim.kept;
    if (part?.from !== from || part?.to !== to) part = { from, to, blob: await cut(file, from, to) };
    return part.blob;
  }

  async function heard() {
    player.unlock();
    await player.playBlob(key(), await sound(), name.value || file.name, t("voices.trim.heard"));
  }

  let frame = 0;
  let picture = "play";

  /** Where it sounds, for as long as it does. */
  function follow() {
    cancelAnimationFrame(frame);
    trim?.paint();
    const sounds = mine() && player.playing;
    const wanted = sounds ? "pause" : "play";
    if (picture !== wanted) fill(hear, icon(wanted), t(sounds ? "voices.trim.pause" : "voices.trim.hear"));
    picture = wanted;
    if (sounds) frame = requestAnimationFrame(follow);
  }

  /** What the server says of it, before it is stored. */
  async function judge() {
    asked.abort();
    asked = new AbortController();
    const { signal } = asked;
    fill(advice, h("p", { class: "facts" }, t("voices.judging")));
    try {
      const form = new FormData();
      form.append("voice_file", await sound(), filename());
      fill(advice, advised((await api.form("/api/v1/voice/check", form, signal)).quality));
    } catch (error) {
      if (!signal.aborted) tell(advice, error);
    }
  }

  const filename = () => `${name.value.trim().replace(/[\\/]/g, "-") || stem}${trim && !trim.whole ? ".wav" : ending ?? ""}`;

  /** Stores it. overwrite: in the place of a voice of that file name. */
  function save(overwrite = false) {
    return busy(keep, wrong, async () => {
      if (!name.value.trim()) {
        name.focus();
        throw new Error(t("voices.unnamed"));
      }
      const form = new FormData();
      form.append("voice_file", await sound(), filename());
      form.append("name", name.value.trim());
      form.append("tags", JSON.stringify(tags.read()));
      form.append("folder_path", place.read());
      if (about.value.trim()) form.append("description", about.value.trim());
      if (overwrite) form.append("overwrite", "true");
      try {
        const { voice_metadata: voice } = await api.form("/api/v1/voice", form);
        end();
        onstored(voice);
      } catch (error) {
        tell(wrong, error);
        if (error.code === "FILE_EXISTS") put(wrong, h("p", { class: "row wrap small" }, t("voices.taken"), button(t("voices.replace"), { onclick: () => save(true) })));
      }
    });
  }

  function removed() {
    end();
    onremoved();
  }

  function end() {
    asked.abort();
    player.removeEventListener("change", follow);
    if (player.owner?.startsWith?.(`${node.dataset.id}:`)) player.clear();
    node.remove();
  }

  begin().catch((error) => {
    if (!(error instanceof DOMException)) throw error;
    fill(wave, h("p", { class: "facts" }, t("voices.trim.unseen"))); // what the browser cannot decode, the server may
  }).finally(told);
  judge();
  player.addEventListener("change", follow);
  return { node, save, name, end };
}
