// Where recordings come in: dropped, chosen, or spoken into the microphone.
import { fill, h, icon } from "./dom.js";
import { clock } from "./format.js";
import { record } from "./recorder.js";
import { t } from "./text.js";
import { button, busy, live } from "./ui.js";

const KINDS = "audio/*,.wav,.mp3,.flac,.ogg,.opus,.m4a,.aac,.webm,.mp4";
let recordings = 0;

/**
 * @param {{words: string, several?: boolean, onfiles: (files: File[]) => void, more?: any[]}} asked more: other buttons
 * @returns {{node: HTMLElement, over: (yes: boolean) => void, rest: () => void}} over: marks that a file hangs above it.
 *   rest: ends a recording and hands it on, when people go elsewhere
 */
export function intake({ words, several = false, onfiles, more = [] }) {
  const files = h("input", { type: "file", accept: KINDS, multiple: several, hidden: true, "aria-label": words, onchange: chosen });
  const choose = button(t(several ? "intake.choose_many" : "intake.choose"), { icon: "upload", onclick: () => files.click() });
  const speak = button(t("intake.record"), { icon: "record", onclick: () => busy(speak, wrong, begin) });
  const wrong = live();
  const quiet = [icon("upload"), h("p", {}, words), h("div", { class: "row wrap center" }, choose, speak, more), wrong, files];
  const node = h("div", { class: "drop intake" }, quiet);
  let recording = null;

  function chosen() {
    const found = [...files.files];
    files.value = ""; // the same file may be chosen again
    if (found.length) onfiles(found);
  }

  async function begin() {
    const level = h("progress", { class: "meter", max: 1, value: 0, "aria-label": t("intake.level") });
    const time = h("p", { class: "time number", role: "timer" }, clock(0));
    recording = await record((top, seconds) => {
      level.value = Math.max(Math.sqrt(top), 0.9 * level.value); // as loud as it sounds, and falling slowly enough to be seen
      const words = clock(Math.floor(seconds));
      if (time.textContent !== words) time.textContent = words;
    });
    const stop = button(t("intake.stop"), { icon: "stop", kind: "main", onclick: () => end(true) });
    fill(node, time, level, h("div", { class: "row wrap center" }, stop, button(t("intake.discard"), { icon: "close", onclick: () => end(false) })));
    node.classList.add("recording");
    stop.focus();
  }

  async function end(keep) {
    if (!recording) return;
    const ended = recording;
    recording = null;
    node.classList.remove("recording");
    fill(node, quiet);
    speak.focus();
    if (!keep) return ended.cancel();
    const { blob } = await ended.stop();
    onfiles([new File([blob], `${t("intake.name", { n: ++recordings })}.wav`, { type: blob.type })]);
  }

  window.addEventListener("stop", () => end(true));
  return { node, over: (yes) => node.classList.toggle("over", yes), rest: () => end(true) };
}

/** Takes files that are dropped anywhere on `area`. */
export function dropped(area, over, onfiles) {
  let depth = 0; // leaving a child is not leaving the area
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  area.addEventListener("dragenter", (event) => carries(event) && over(++depth > 0));
  area.addEventListener("dragleave", (event) => carries(event) && over(--depth > 0));
  area.addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  area.addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    over(Boolean((depth = 0)));
    if (event.dataTransfer.files.length) onfiles([...event.dataTransfer.files]);
  });
}
