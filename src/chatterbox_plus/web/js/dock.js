// The player as it is seen, at the bottom of every tab.
import { fill, h, icon } from "./dom.js";
import { clock } from "./format.js";
import { recall, remember } from "./store.js";
import { t } from "./text.js";
import { button, menu, select, toast } from "./ui.js";
import { draw } from "./waveform.js";

const SPEEDS = [0.75, 1, 1.25, 1.5, 2];
const STEP_S = 5;

/**
 * @param {HTMLElement} root
 * @param {import("./player.js").Player} player
 */
export function dock(root, player) {
  const play = button(t("player.play"), { icon: "play", kind: "main", only: true, disabled: true, onclick: () => player.toggle() });
  const title = h("p", { class: "small" }, t("player.nothing"));
  const subtitle = h("p", { class: "facts" });
  const canvas = h("canvas", { "aria-hidden": "true" });
  const slider = h("input", { type: "range", min: 0, max: 0, step: "any", value: 0, disabled: true, "aria-label": t("player.position") });
  const time = h("p", { class: "clock" }, clock(undefined));
  const speed = select(SPEEDS.map((value) => [String(value), t("player.speed", { n: value })]), { class: "rate", "aria-label": t("player.speeds") });
  const saving = menu(button(t("player.download"), { icon: "download", kind: "quiet", only: true, disabled: true }), () => player.downloads);
  const rate = h("div", { class: "rate" }, speed);
  fill(root, play, h("div", { class: "name" }, title, subtitle), h("div", { class: "track" }, canvas, slider), time, rate, saving);

  speed.value = String(recall("speed") ?? 1);
  player.speed = Number(speed.value);
  speed.addEventListener("change", () => {
    player.speed = Number(speed.value);
    remember("speed", player.speed);
  });
  slider.addEventListener("input", () => player.seek(Number(slider.value)));
  slider.addEventListener("keydown", (event) => {
    const step = { ArrowRight: STEP_S, ArrowLeft: -STEP_S }[event.key];
    if (!step) return;
    event.preventDefault();
    player.seek(Math.max(0, Math.min(player.total, player.at + step)));
  });

  let parts = [];
  let shown = "";

  /** What moves with the time. */
  function moment() {
    const [at, total] = [player.at, player.total];
    slider.value = at;
    const words = `${clock(at)} / ${clock(player.state === "empty" ? undefined : total)}`;
    if (words !== shown) {
      time.textContent = shown = words;
      slider.setAttribute("aria-valuetext", t("player.at", { at: clock(at), total: clock(total) }));
    }
    draw(canvas, parts, total, at);
  }

  let running = false;

  function run() {
    running = player.playing;
    moment();
    if (running) requestAnimationFrame(run);
  }

  let picture = "play";
  player.addEventListener("change", () => {
    const begins = player.pieces.map((_, n) => player.start(n));
    parts = player.pieces.map((piece, n) => ({
      peaks: piece.peaks, from: begins[n], to: begins[n] + (piece.seconds ?? 0) / (piece.rate ?? 1),
    }));
    const none = player.state === "empty";
    const wanted = player.playing ? "pause" : "play";
    if (picture !== wanted) {
      fill(play, icon(wanted));
      picture = wanted;
      play.title = t(`player.${wanted}`);
      play.setAttribute("aria-label", play.title);
    }
    play.disabled = slider.disabled = none;
    slider.max = player.total;
    saving.disabled = !player.downloads.length;
    title.textContent = none ? t("player.nothing") : player.title;
    subtitle.textContent = player.state === "waiting" ? t("player.waiting") : player.subtitle;
    if (!running) run();
  });
  player.addEventListener("error", () => toast(t("player.failed", { why: player.error?.message || "" })));
  new ResizeObserver(moment).observe(canvas);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", moment);
  new MutationObserver(moment).observe(document.documentElement, { attributeFilter: ["data-theme"] });
}
