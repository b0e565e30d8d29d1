// A recording with two handles: what lies between them is kept.
import { h } from "../../dom.js";
import { number } from "../../format.js";
import { t } from "../../text.js";
import { draw } from "../../waveform.js";

const STEP_S = 0.1;
const LEAP_S = 1;
const LEAST_S = 0.1; // between the handles; what is long enough for a voice is the server's business

/**
 * @param {{peaks: Float32Array, seconds: number, onchange: () => void, at: () => number}} asked at: the moment that is
 *   heard, in seconds of the whole; NaN: none
 */
export function trimmer({ peaks, seconds, onchange, at }) {
  const canvas = h("canvas", { "aria-hidden": "true" });
  const [before, after, line] = ["shade", "shade after", "heard-at"].map((name) => h("div", { class: name, hidden: name === "heard-at" }));
  const handles = ["from", "to"].map((end) => h("div", {
    class: `handle ${end}`, role: "slider", tabindex: "0", "aria-label": t(`voices.trim.${end}`), "aria-valuemin": 0, "aria-valuemax": seconds.toFixed(1),
    onkeydown: (event) => pressed(event, end), onpointerdown: (event) => grab(event, end),
  }));
  const node = h("div", { class: "trim", role: "group", "aria-label": t("voices.trim.label"), onpointerdown: near }, canvas, before, after, line, handles);
  const kept = { from: 0, to: seconds };

  function place() {
    const share = (value) => `${(100 * value) / seconds}%`;
    before.style.width = handles[0].style.left = share(kept.from);
    after.style.left = handles[1].style.left = share(kept.to);
    for (const [n, end] of ["from", "to"].entries()) {
      handles[n].setAttribute("aria-valuenow", kept[end].toFixed(1));
      handles[n].setAttribute("aria-valuetext", t("voices.seconds", { n: number(kept[end]) }));
    }
  }

  function move(end, value) {
    const rounded = Math.round(value * 100) / 100;
    const [least, most] = end === "from" ? [0, kept.to - LEAST_S] : [kept.from + LEAST_S, seconds];
    const next = Math.max(least, Math.min(most, rounded));
    if (next === kept[end]) return;
    kept[end] = next;
    place();
    onchange();
  }

  function pressed(event, end) {
    const step = event.shiftKey ? LEAP_S : STEP_S;
    const wanted = {
      ArrowRight: kept[end] + step, ArrowUp: kept[end] + step, ArrowLeft: kept[end] - step, ArrowDown: kept[end] - step,
      PageUp: kept[end] + LEAP_S, PageDown: kept[end] - LEAP_S, Home: end === "from" ? 0 : kept.from, End: end === "to" ? seconds : kept.to,
    }[event.key];
    if (wanted === undefined) return;
    event.preventDefault();
    move(end, wanted);
  }

  const moment = (event) => {
    const { left, width } = node.getBoundingClientRect();
    return ((event.clientX - left) / width) * seconds;
  };

  function grab(event, end) {
    event.preventDefault();
    event.stopPropagation();
    const handle = handles[end === "from" ? 0 : 1];
    handle.focus();
    handle.setPointerCapture(event.pointerId);
    const follow = (moved) => move(end, moment(moved));
    handle.addEventListener("pointermove", follow);
    const done = () => handle.removeEventListener("pointermove", follow);
    handle.addEventListener("pointerup", done, { once: true });
    handle.addEventListener("pointercancel", done, { once: true });
  }

  /** A press on the wave takes the handle that is nearer. */
  function near(event) {
    const value = moment(event);
    const end = Math.abs(value - kept.from) < Math.abs(value - kept.to) ? "from" : "to";
    move(end, value);
    grab(event, end);
  }

  const parts = [{ peaks, from: 0, to: seconds }];

  function paint() {
    draw(canvas, parts, seconds, 0);
    const moment = at();
    line.hidden = !Number.isFinite(moment);
    if (!line.hidden) line.style.left = `${(100 * moment) / seconds}%`;
  }

  new ResizeObserver(paint).observe(canvas);
  place();
  return {
    node,
    kept,
    paint,
    get whole() { return kept.from === 0 && kept.to === seconds; },
    reset() {
      Object.assign(kept, { from: 0, to: seconds });
      place();
      onchange();
    },
  };
}
