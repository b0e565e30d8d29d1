// Batches and books: a file becomes rows or chapters, is looked at, spoken, and watched to its end.
import { api, withQuery } from "../api.js";
import { fill, h, put } from "../dom.js";
import { date } from "../format.js";
import { t } from "../text.js";
import { button, live, tell } from "../ui.js";
import { called, stateTag, takesDrops } from "../work.js";
import { bookDraft } from "./batch/book-draft.js";
import { bookRun } from "./batch/book-run.js";
import { rowsDraft } from "./batch/rows-draft.js";
import { rowsRun } from "./batch/rows-run.js";

export const styles = ["work"];
const TABLES = /\.(csv|tsv|jsonl|ndjson)$/i;
const BOOKS = /\.(epub|docx|md|markdown|txt)$/i;
const RECENT = 8;

/** @param {HTMLElement} root */
export async function mount(root, app) {
  const place = live();
  const content = h("div", { class: "stack loose" });
  const back = button(t("batch.another"), { icon: "add", hidden: true, onclick: () => app.go("batch", { new: "1" }) });
  const title = h("h1", {}, t("batch.title"));
  put(root, h("div", { class: "page wide" }, h("header", { class: "page-head" }, title, back), place, content));
  let view = null; // {node, close?, id?}

  function show(next, beginning = false) {
    view?.close?.();
    view = next;
    back.hidden = beginning;
    fill(place);
    fill(content, next.node);
  }

  /** What to do first, and what was done before. */
  function begin() {
    const picker = h("input", { type: "file", class: "unseen", tabindex: "-1", "aria-hidden": "true", onchange: () => picker.files[0] && take(picker.files[0]) });
    const choose = button(t("batch.choose"), { icon: "upload", kind: "main", onclick: () => picker.click() });
    const drop = h("div", { class: "drop tall" }, h("p", { class: "lead" }, t("batch.drop")),
      h("dl", { class: "kinds" }, h("dt", {}, t("batch.lines")), h("dd", {}, t("batch.lines_hint")), h("dt", {}, t("batch.book")), h("dd", {}, t("batch.book_hint"))),
      h("div", { class: "row wrap" }, choose, button(t("batch.write"), { icon: "edit", onclick: write }), picker));
    const recent = h("section", { class: "stack recent" });
    show({ node: [drop, recent] }, true);
    takesDrops(drop, take);
    before(recent).catch((error) => tell(place, error));
  }

  /** Lines that are typed or pasted here, one row each. */
  function write() {
    const text = h("textarea", { class: "input lines", rows: 12, placeholder: t("batch.lines_example"), "aria-label": t("batch.lines_label"), oninput: () => { go.disabled = !text.value.trim(); } });
    const go = button(t("batch.look"), { kind: "main", disabled: true, onclick: () => {
      const rows = text.value.split("\n").filter((line) => line.trim()).map((line) => JSON.stringify({ text: line.trim() }));
      take(new File([rows.join("\n")], `${t("batch.typed")}.jsonl`));
    } });
    show({ node: h("div", { class: "stack" }, h("p", { class: "muted small" }, t("batch.lines_help")), text, h("div", { class: "row" }, go)) });
    text.focus();
  }

  async function before(recent) {
    const lists = await Promise.all(["batch", "book"].map((kind) => api.get(withQuery("/api/v1/tasks", { kind, page_size: RECENT }))));
    const found = lists.flatMap((list) => list.tasks).sort((a, b) => b.created_at.localeCompare(a.created_at)).slice(0, RECENT);
    if (!found.length) return;
    fill(recent, h("h2", {}, t("batch.before")), h("ul", { class: "list" }, found.map((task) => h("li", {},
      h("div", { class: "what" }, h("a", { class: "name", href: `#/batch?task=${task.task_id}` }, called(task)), h("p", { class: "facts number" }, [t(`tasks.kinds.${task.kind}`), date(task.created_at)].join(" · "))),
      stateTag(task)))));
  }

  function take(file) {
    if (TABLES.test(file.name)) show(rowsDraft(file, { app, begin }), true);
    else if (BOOKS.test(file.name)) show(bookDraft(file, { app, begin }), true);
    else fill(place, h("p", { class: "note bad" }, t("batch.unknown", { name: file.name })));
  }

  async function watch(id) {
    if (view?.id === id) return;
    try {
      const task = await api.get(`/api/v1/tasks/${encodeURIComponent(id)}`);
      if (task.kind === "batch") show({ ...rowsRun(task, app), id });
      else if (task.kind === "book") show({ ...bookRun(task, app), id });
      else app.go("tasks", { task: id });
    } catch (error) {
      begin();
      tell(place, error);
    }
  }

  return {
    async shown(params) {
      if (params.new) {
        history.replaceState(null, "", "#/batch");
        begin();
      } else if (params.task) await watch(params.task);
      else if (!view) begin();
      else if (view.id) history.replaceState(null, "", `#/batch?task=${view.id}`); // a reload finds it again
      view?.shown?.();
    },
    hidden() { view?.hidden?.(); },
  };
}
