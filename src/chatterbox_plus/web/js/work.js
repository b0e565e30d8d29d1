// Tasks of the server: what they are called, how they stand, what can be done with them, and word of every change.
import { api, events, withQuery } from "./api.js";
import { fill, h, icon } from "./dom.js";
import { clock, roughly } from "./format.js";
import { has, t } from "./text.js";

const STREAM_S = 300; // a stream that ends is taken up again
const LOOKS = { queued: "", running: "busy", paused: "", succeeded: "good", failed: "bad", cancelled: "" };
const KINDS = { tts: "speak", vc: "convert", concat: "join", batch: "batch", book: "batch" };

export const unfinished = (task) => !["succeeded", "failed", "cancelled"].includes(task.status);

/** What people call a task: its name, or the beginning of what it says. */
export const called = (task) => task.name || task.about || t(`tasks.kinds.${task.kind}`);

export const kindIcon = (task) => KINDS[task.kind];

/** A small word for how it stands; `show(task)` of it says another. */
export function stateTag(task) {
  const node = h("span", {});
  const show = ({ status }) => {
    node.className = `tag state ${LOOKS[status]}`;
    node.textContent = t(`tasks.states.${status}`);
  };
  show(task);
  return Object.assign(node, { show });
}

/** How far it is, in words: "3 of 8 passages · about 9 s left". */
export function progressed(task) {
  const { done, total, unit, audio_seconds: seconds } = task.progress;
  if (task.status === "succeeded") return seconds ? clock(seconds) : "";
  const counted = total ? t(`tasks.units.${unit}`, { n: total, done: Math.floor(done), total: Math.round(total) }) : "";
  const left = task.estimated_seconds_left === null ? "" : t("tasks.left", { time: roughly(task.estimated_seconds_left) });
  return [counted, left].filter(Boolean).join(" · ");
}

/** A bar for how far it is; unknown while nothing was counted. */
export function bar(label) {
  const node = h("progress", { class: "meter", max: 100, "aria-label": label });
  node.show = (task) => {
    if (task.progress.percent === null && task.status === "running") node.removeAttribute("value");
    else node.value = task.progress.percent ?? 0;
  };
  return node;
}

/** Pauses, resumes, retries or cancels; the task as it stands then. Raises ApiError. */
export const act = (id, verb) => (verb === "cancel" ? api.delete(`/api/v1/tasks/${id}`) : api.post(`/api/v1/tasks/${id}/${verb}`));

/** What a task may be told now, the first one first. */
export const verbs = ({ status }) => ({
  queued: ["pause", "cancel"], running: ["pause", "cancel"], paused: ["resume", "cancel"],
  failed: ["retry"], cancelled: ["retry"], succeeded: [],
})[status];

export const VERB_ICONS = { pause: "pause", resume: "play", retry: "again", cancel: "close" };

/** Calls told(task) whenever one changes, until `signal` says stop. batch: of its rows instead. */
export async function watch(told, signal, batch = "") {
  for await (const [, task] of events(withQuery("/api/v1/tasks/events", { batch, seconds: STREAM_S }), signal)) told(task);
}

/** Why it failed, in words: the server's own. */
export function reason(task) {
  return task.error ? h("p", { class: "note bad" }, icon("warn"), h("span", {}, task.error)) : null;
}

/** What can be heard of it: its first file that a browser plays. */
export const audible = (task) => task.output_files.find((file) => /^(wav|mp3|flac|m4b|m4a|opus|aac)$/.test(file.format));

/** All files to save, as a menu shows them. */
export function downloads(task) {
  const files = [...task.output_files, ...(task.result?.subtitle_files ?? [])];
  return files.map((file) => ({ words: file.filename, icon: "download", href: file.url, download: file.filename }));
}

/** A round button that plays a file, and shows whether it plays. Returns {node, show(url, title)}. */
export function listen(player, button) {
  let [url, title] = ["", ""];
  const draw = () => {
    const on = player.owner === url && player.playing;
    fill(button, icon(on ? "pause" : "play"));
    const words = t(on ? "tasks.pause_sound" : "tasks.play", { name: title });
    button.setAttribute("aria-label", words);
    button.title = words;
  };
  player.addEventListener("change", () => button.isConnected && url && draw());
  button.addEventListener("click", () => player.playFile(url, title, { downloads: button.files ?? [] }));
  return {
    node: button,
    show(file, name, files = []) {
      [url, title] = [file, name];
      button.files = files;
      draw();
    },
  };
}

/** Takes dropped files: whoever drags sees where. */
export function takesDrops(node, take) {
  const over = (event) => { event.preventDefault(); node.classList.add("over"); };
  node.addEventListener("dragover", over);
  node.addEventListener("dragleave", () => node.classList.remove("over"));
  node.addEventListener("drop", (event) => {
    event.preventDefault();
    node.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
}

/** Words for a code of the server, else the code's own. */
export const orCode = (key, code) => (has(`${key}.${code}`) ? t(`${key}.${code}`) : code);
