// Voices: recordings to speak with. Listed, heard, tried, changed, added, deleted and had back.
import { api, inPath } from "../api.js";
import { h, put } from "../dom.js";
import { dropped } from "../intake.js";
import { changed, listed } from "../store.js";
import { t } from "../text.js";
import { button, confirmed, live, tell, toast } from "../ui.js";
import { adding } from "./voices/adding.js";
import { list } from "./voices/list.js";
import { panel } from "./voices/one.js";
import { trash } from "./voices/trash.js";

export const styles = ["voices"];
const UNDO_MS = 12_000;

/** @param {HTMLElement} root */
export async function mount(root, app) {
  const known = { tags: () => rows.tags, folders: () => rows.folders };
  const wrong = live();
  const add = button(t("voices.add"), { icon: "add", kind: "main", onclick: () => begin() });
  const bin = button(t("voices.trash.title"), { icon: "delete", kind: "quiet", only: true, onclick: () => trash(restored) });
  const rows = list({ player: app.player, onchoose: open, onadd: () => begin() });
  const side = await panel({ app, known, onchange: renewed, ondelete: remove, onclose: () => { const url = mark(null); rows.focus(url); } });
  const shelf = h("div", { class: "shelf" },
    h("div", { class: "shelf-main" },
      h("div", {}, h("header", { class: "page-head" }, h("h1", {}, t("tabs.voices")), bin, add), wrong), rows.node),
    side.node);
  const fresh = adding({ player: app.player, known, folder: () => rows.folder, onstored: () => refresh(), onclose: end });
  put(root, shelf, fresh.node);
  fresh.node.hidden = true;
  dropped(root, fresh.over, (files) => {
    begin();
    fresh.take(files);
  });
  let current = null;

  function mark(url) {
    const before = current;
    current = url;
    rows.choose(url);
    shelf.classList.toggle("one", Boolean(url));
    return before;
  }

  async function refresh() {
    changed("voices");
    rows.set(await listed("voices"));
  }

  async function open(voice) {
    if (voice.url === current) return side.focus();
    if (!(await side.leave())) return;
    try {
      await side.show(voice.url);
      mark(voice.url);
      side.focus();
    } catch (error) {
      tell(wrong, error);
    }
  }

  async function renewed(voice) {
    mark(voice.url);
    await refresh().catch((error) => tell(wrong, error));
  }

  /** Deletes a voice; where the server keeps no trash, it asks before. Raises ApiError. */
  async function remove(voice) {
    const { keep_hours: kept } = await api.get("/api/v1/trash");
    if (!kept && !(await confirmed(t("voices.delete", { name: voice.name }), t("voices.delete_sure"), t("ui.delete")))) return;
    const { trash_id: id } = await api.delete(`/api/v1/voice/${inPath(voice.url)}?confirm=true`);
    const undo = id && { words: t("ui.undo"), act: () => back(id) };
    toast(t("voices.deleted", { name: voice.name }), undo, UNDO_MS);
    side.clear();
    mark(null);
    await refresh();
    rows.focus();
  }

  async function back(id) {
    try {
      const { voice_metadata: voice } = await api.post(`/api/v1/trash/${id}/restore`);
      await restored(voice);
      await open(voice);
    } catch (error) {
      tell(wrong, error);
    }
  }

  async function restored(voice) {
    toast(t("voices.restored", { name: voice.name }));
    await refresh();
  }

  function begin() {
    shelf.hidden = true;
    fresh.node.hidden = false;
    fresh.focus();
  }

  async function end(voice) {
    if (!voice && !fresh.empty && !(await confirmed(t("voices.leave"), t("voices.leave_words"), t("voices.discard")))) return;
    fresh.rest();
    if (!voice) fresh.clear();
    fresh.node.hidden = true;
    shelf.hidden = false;
    if (voice) await open(voice);
    else add.focus();
  }

  rows.set(await listed("voices").catch((error) => { tell(wrong, error); return []; }));

  return {
    async shown({ voice, add: wanted }) {
      if (wanted || voice) history.replaceState(null, "", "#/voices");
      if (wanted) begin();
      else if (voice) await open({ url: voice });
      await refresh().catch((error) => tell(wrong, error));
    },
    hidden: () => fresh.rest(),
  };
}
