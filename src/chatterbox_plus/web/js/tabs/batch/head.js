// The head of a batch or a book that is under way: how far it is, and what it may be told.
import { fill, h, icon } from "../../dom.js";
import { clock } from "../../format.js";
import { t } from "../../text.js";
import { button, busy, live } from "../../ui.js";
import { VERB_ICONS, act, bar, called, progressed, reason, stateTag, unfinished, verbs } from "../../work.js";

/**
 * @param {any} task
 * @param {{changed: (task: any) => void, files: (task: any) => any[]}} asked changed: after somebody did something.
 *   files: what else stands beside the buttons
 */
export function runHead(task, { changed, files }) {
  const tag = stateTag(task);
  const meter = bar(t("tasks.progress"));
  const facts = h("p", { class: "facts number grow" });
  const place = live();
  const actions = h("div", { class: "row wrap actions" });
  const title = h("h2", { class: "clip grow" });
  const node = h("header", { class: "stack run-head" }, h("div", { class: "row" }, title, tag), meter, h("div", { class: "row wrap" }, facts, actions), place);
  let shown = "";

  function show(next) {
    task = next;
    title.textContent = called(task);
    tag.show(task);
    meter.show(task);
    meter.hidden = task.status === "succeeded";
    const counts = task.rows && task.rows.failed ? t("batch.failed", { n: task.rows.failed }) : "";
    facts.textContent = [summed(task), counts].filter(Boolean).join(" · ");
    const made = files(task);
    const now = `${task.status} ${made.length} ${task.rows?.failed}`;
    if (now === shown) return;
    shown = now;
    const inside = actions.contains(document.activeElement);
    fill(place, unfinished(task) ? null : reason(task));
    fill(actions, verbs(task).map((verb) => {
      const words = verb === "retry" && task.rows ? t("batch.retry") : t(`tasks.verbs.${verb}`);
      const one = button(words, { icon: VERB_ICONS[verb], data: { verb }, onclick: () => busy(one, place, async () => changed(await act(task.task_id, verb))) });
      return one;
    }), made);
    if (inside) actions.querySelector("button, a")?.focus();
  }

  show(task);
  return { node, show, place, link };
}

/** How far it is; of a whole one how much there is. */
function summed(task) {
  if (task.status !== "succeeded") return progressed(task);
  const count = task.rows ? t("batch.rows", { n: task.rows.total }) : t("batch.count_chapters", { n: task.result.chapters.length });
  return [count, t("batch.sound", { time: clock(task.progress.audio_seconds) })].join(" · ");
}

/** A link that saves something, and looks like a button. */
export function link(words, href, name = "") {
  return h("a", { class: "button", href, download: name }, icon("download"), words);
}
