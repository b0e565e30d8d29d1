// A book that is read: chapter by chapter, and then a player with its chapters.
import { api, events } from "../../api.js";
import { fill, h, icon } from "../../dom.js";
import { clock, roughly } from "../../format.js";
import { recall } from "../../store.js";
import { t } from "../../text.js";
import { button, menu, tell } from "../../ui.js";
import { called, downloads, unfinished } from "../../work.js";
import { MEMORY } from "./book-draft.js";
import { link, runHead } from "./head.js";

export function bookRun(task, app) {
  const path = `/api/v1/tasks/${task.task_id}`;
  const head = runHead(task, { changed: (now) => { update(now); follow(); }, files });
  const list = h("ol", { class: "list chapters", "aria-label": t("batch.chapters") });
  const leave = h("p", { class: "note", hidden: !unfinished(task) }, icon("batch"), t("batch.leave"));
  const titles = (recall(MEMORY) ?? {})[task.task_id] ?? []; // as they were when it was sent from here
  const read = new Map(); // number → title
  let total = titles.length;
  let stop = null;

  function files(now) {
    if (now.status !== "succeeded") return [];
    const all = downloads(now);
    const more = button(t("batch.files"), { icon: "download" });
    return [all.length > 2 ? menu(more, () => all) : all.map((one) => link(one.words, one.href, one.download)), link(t("batch.zip"), now.links.zip)];
  }

  function update(now) {
    task = now;
    head.show(now);
    leave.hidden = !unfinished(now);
    draw();
  }

  function draw() {
    if (task.status === "succeeded") return fill(list, task.result.chapters.map(finished));
    const numbers = Array.from({ length: total }, (_, index) => index + 1);
    const next = numbers.find((number) => !read.has(number));
    return fill(list, total ? numbers.map((number) => {
      const state = read.has(number) ? "succeeded" : number === next && task.status === "running" ? "running" : "queued";
      const look = { succeeded: "good", running: "busy", queued: "" }[state];
      const [title, seconds] = titles[number - 1] ?? [read.get(number) ?? t("batch.chapter", { n: number })];
      return h("li", {}, h("div", { class: "what" }, h("p", { class: "name" }, `${number}. ${title}`), h("p", { class: "facts number" }, seconds ? roughly(seconds) : "")), h("span", { class: `tag ${look}` }, t(`batch.chapter_states.${state}`)));
    }) : h("li", { class: "muted small" }, t("batch.chapters_soon")));
  }

  /** A chapter that can be heard: within the one file, or as a file of its own. */
  function finished(chapter, index) {
    const own = task.output_files.length > 1;
    const file = task.output_files[own ? index : 0];
    const playing = app.player.owner === file.url && app.player.playing && (own || current() === index);
    const name = `${index + 1}. ${chapter.title}`;
    return h("li", {}, button(t(playing ? "tasks.pause_sound" : "tasks.play", { name }), { icon: playing ? "pause" : "play", kind: "quiet", only: true, data: { chapter: index + 1 }, onclick: () => hear(index).catch((error) => tell(head.place, error)) }),
      h("div", { class: "what" }, h("p", { class: "name" }, name), h("p", { class: "facts number" }, clock(chapter.start_seconds))), h("span", { class: "facts number" }, clock(chapter.duration_seconds)));
  }

  const current = () => task.result.chapters.findLastIndex((chapter) => app.player.at >= chapter.start_seconds - 0.05);

  async function hear(index) {
    const { chapters, total_duration_seconds: seconds } = task.result;
    const { player } = app;
    const own = task.output_files.length > 1;
    const file = task.output_files[own ? index : 0];
    if (own || (player.owner === file.url && player.playing && current() === index)) {
      await player.playFile(file.url, own ? chapters[index].title : called(task), { subtitle: called(task), seconds: own ? chapters[index].duration_seconds : seconds, downloads: downloads(task) });
      return;
    }
    if (player.owner !== file.url) player.load({ title: called(task), subtitle: chapters[index].title, owner: file.url, downloads: downloads(task), pieces: [{ url: file.url, seconds, whole: false }] });
    await player.seek(chapters[index].start_seconds);
    await player.play();
  }

  let mark = "";
  app.player.addEventListener("change", () => {
    if (task.status !== "succeeded" || !list.isConnected) return;
    const now = `${app.player.owner} ${app.player.playing} ${app.player.owner === task.output_files[0]?.url ? current() : ""}`;
    if (now === mark) return;
    mark = now;
    const at = document.activeElement?.dataset?.chapter;
    draw();
    if (at) list.querySelector(`[data-chapter="${at}"]`)?.focus();
  });

  async function follow() {
    if (stop || !unfinished(task)) return;
    const mine = (stop = new AbortController());
    try {
      for await (const [name, data] of events(`${path}/events`, mine.signal)) {
        if (name === "chapter") {
          read.set(data.chapter, data.title);
          total = data.chapters;
        }
        if (name === "passage") head.show({ ...task, status: "running", progress: { ...task.progress, done: data.passage, total: data.passages, percent: (100 * data.passage) / data.passages } });
        else if (name !== "finished") update(await api.get(path, mine.signal));
        if (task.status === "paused") return;
      }
      update(await api.get(path, mine.signal));
      if (task.status === "succeeded") app.say(t("batch.book_done", { name: called(task) }));
    } catch (error) {
      tell(head.place, error);
    } finally {
      if (stop === mine) stop = null;
      mine.abort();
    }
  }

  draw();
  return {
    node: h("div", { class: "stack loose" }, head.node, list, leave),
    shown: follow,
    hidden: () => stop?.abort(),
    close: () => stop?.abort(),
  };
}
