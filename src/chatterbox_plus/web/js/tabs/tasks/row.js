// A task in a list: it changes in place, so that nobody's focus is lost.
import { fill, h, icon } from "../../dom.js";
import { date } from "../../format.js";
import { t } from "../../text.js";
import { button, menu, tell } from "../../ui.js";
import { VERB_ICONS, act, audible, bar, called, downloads, kindIcon, listen, progressed, stateTag, unfinished, verbs } from "../../work.js";

/**
 * @param {any} task
 * @param {{app: any, open: (task: any) => void, told: (task: any) => void, place: HTMLElement}} asked
 *   open: shows its details. told: it stands otherwise now. place: where errors are told
 */
export function taskRow(task, { app, open, told, place }) {
  const name = h("button", { type: "button", class: "name link clip", onclick: () => open(task) });
  const facts = h("p", { class: "facts number" });
  const meter = bar(t("tasks.progress"));
  const tag = stateTag(task);
  const slots = [h("span", { class: "slot" }), h("span", { class: "slot" })];
  const play = button(t("ui.loading"), { icon: "play", kind: "quiet", only: true });
  const sound = listen(app.player, play);
  const more = menu(button(t("tasks.more", { name: called(task) }), { icon: "more", kind: "quiet", only: true }), items);
  const node = h("li", { class: "task", data: { task: task.task_id } },
    h("span", { class: "kind", title: t(`tasks.kinds.${task.kind}`) }, icon(kindIcon(task))),
    h("div", { class: "what" }, name, facts), h("div", { class: "how" }, meter, tag), slots, more);
  let shown = "";

  function items() {
    const place_ = { tts: ["speak", "tasks.in_speak"], batch: ["batch", "tasks.rows"], book: ["batch", "tasks.chapters"] }[task.kind];
    return [
      { words: t("tasks.details"), icon: "file", act: () => open(task) },
      ...(place_ ? [{ words: t(place_[1]), icon: kindIcon(task), act: () => app.go(place_[0], { task: task.task_id }) }] : []),
      ...downloads(task).slice(0, 6),
      ...(task.links.zip ? [{ words: t("tasks.zip"), icon: "download", href: task.links.zip, download: "" }] : []),
      ...(unfinished(task) ? [] : verbs(task).map((verb) => ({ words: t(`tasks.verbs.${verb}`), icon: VERB_ICONS[verb], act: () => change(verb) }))),
    ];
  }

  async function change(verb) {
    try {
      told(await act(task.task_id, verb));
    } catch (error) {
      tell(place, error);
    }
  }

  function show(next) {
    task = next;
    name.textContent = called(task);
    const words = task.status === "failed" ? task.error : progressed(task);
    const told = [t(`tasks.kinds.${task.kind}`), date(task.created_at), words]; // what changes first: phones show no more
    facts.textContent = (unfinished(task) ? told.reverse() : told).filter(Boolean).join(" · ");
    tag.show(task);
    meter.show(task);
    meter.classList.toggle("idle", !unfinished(task));
    const file = task.status === "succeeded" ? audible(task) : null;
    if (file) sound.show(file.url, called(task), downloads(task));
    const now = file ? "play" : task.status;
    if (now === shown) return;
    shown = now;
    const focused = slots.some((slot) => slot.contains(document.activeElement));
    const buttons = file ? [play] : verbs(task).map((verb) => button(t("tasks.do", { verb: t(`tasks.verbs.${verb}`), name: called(task) }), {
      icon: VERB_ICONS[verb], kind: "quiet", only: true, data: { verb }, onclick: () => change(verb),
    }));
    slots.forEach((slot, n) => fill(slot, buttons[buttons.length === 1 ? n - 1 : n] ?? null));
    if (focused) (slots[1].firstChild ?? name).focus();
  }

  show(task);
  return { node, show, get task() { return task; } };
}
