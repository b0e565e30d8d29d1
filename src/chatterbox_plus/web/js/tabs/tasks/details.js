// All that is known of one task: its times, its files, why it failed, and what its webhook was told.
import { api } from "../../api.js";
import { fill, h, icon, put } from "../../dom.js";
import { bytes, clock, date, number } from "../../format.js";
import { t } from "../../text.js";
import { button, busy, dialog, live, tell } from "../../ui.js";
import { bar, called, listen, orCode, progressed, reason, stateTag, unfinished } from "../../work.js";

/** Opens a dialog about a task. Resolves when it is closed. */
export function details(task, app) {
  const path = `/api/v1/tasks/${task.task_id}`;
  const place = live();
  const told = h("div", { class: "stack" });
  const messages = h("div", { class: "stack" });

  function fact(key, value) {
    return value === null || value === undefined || value === "" ? [] : [h("dt", {}, t(`tasks.facts.${key}`)), h("dd", {}, value)];
  }

  function draw() {
    const { result } = task;
    const meter = bar(t("tasks.progress"));
    meter.show(task);
    fill(told, h("div", { class: "row" }, stateTag(task), h("span", { class: "facts" }, progressed(task))),
      unfinished(task) ? meter : null, reason(task),
      task.about ? h("p", {}, task.about) : null,
      h("dl", { class: "facts-list" },
        fact("kind", t(`tasks.kinds.${task.kind}`)), fact("created", date(task.created_at)), fact("started", date(task.started_at)), fact("ended", date(task.finished_at)),
        fact("took", task.elapsed_seconds === null ? "" : task.elapsed_seconds < 60 ? t("tasks.seconds", { n: Math.round(task.elapsed_seconds * 10) / 10 }) : clock(task.elapsed_seconds)),
        fact("sound", task.progress.audio_seconds ? clock(task.progress.audio_seconds) : ""),
        fact("model", result?.model ?? result?.models?.join(", ")), fact("seed", result?.generation_seed_used && String(result.generation_seed_used)),
        fact("attempt", task.attempt > 1 ? number(task.attempt) : ""), fact("code", task.error_code && orCode("tasks.codes", task.error_code)),
        fact("notes", result?.notes?.map((note) => note.message ?? note).join(" ")), fact("id", h("code", {}, task.task_id))),
      files());
  }

  function files() {
    const all = [...task.output_files, ...(task.result?.subtitle_files ?? [])];
    if (!all.length) return null;
    return h("section", { class: "stack" }, h("h3", {}, t("tasks.files")), h("ul", { class: "list" }, all.map((file) => {
      const play = button(t("ui.loading"), { icon: "play", kind: "quiet", only: true });
      if (!/^(srt|vtt)$/.test(file.format)) listen(app.player, play).show(file.url, called(task));
      return h("li", {}, h("div", { class: "what" }, h("p", { class: "name" }, file.filename), h("p", { class: "facts" }, bytes(file.file_size_bytes))),
        /^(srt|vtt)$/.test(file.format) ? null : play,
        h("a", { class: "button quiet round", href: file.url, download: file.filename, "aria-label": t("tasks.save", { name: file.filename }), title: t("tasks.save", { name: file.filename }) }, icon("download")));
    })));
  }

  async function deliveries() {
    const { deliveries: found } = await api.get(`${path}/deliveries`);
    if (!found.length) return fill(messages);
    return fill(messages, h("h3", {}, t("tasks.deliveries")), h("ul", { class: "list", "aria-label": t("tasks.deliveries") }, found.map(message)));
  }

  function message(one) {
    const again = button(t("tasks.redeliver"), { icon: "again", kind: "quiet", onclick: () => busy(again, place, async () => {
      await api.post(`${path}/deliveries/${one.id}/redeliver`);
      await soon(deliveries);
    }) });
    const facts = [t("tasks.attempts", { n: one.attempts }), one.last_status && t("tasks.answered", { n: String(one.last_status) }), one.last_error,
      one.next_attempt_at && one.state === "pending" && t("tasks.next", { date: date(one.next_attempt_at) })];
    const look = { delivered: "good", given_up: "bad", gone: "bad", pending: "busy" }[one.state];
    return h("li", { class: "delivery" }, h("div", { class: "what" }, h("p", { class: "name" }, one.url), h("p", { class: "facts" }, facts.filter(Boolean).join(" · "))),
      h("span", { class: `tag ${look}` }, t(`tasks.messages.${one.state}`)), again);
  }

  draw();
  put(messages);
  const refresh = async () => {
    task = await api.get(path);
    draw();
  };
  Promise.all([refresh(), deliveries()]).catch((error) => tell(place, error));
  const timer = setInterval(() => {
    const work = unfinished(task) ? refresh() : messages.querySelector(".tag.busy") ? deliveries() : null;
    work?.catch((error) => tell(place, error));
  }, 1500);
  return dialog(task.name || t(`tasks.kinds.${task.kind}`), () => ({ body: [told, messages, place] })).then(() => clearInterval(timer));
}

/** Now, and once more when a receiver has had a moment. */
async function soon(work) {
  await work();
  setTimeout(() => work().catch(() => {}), 800); // the dialog may be closed by then: nobody is left to be told
}
