// Before and after, on one line of time: what is heard changes, the moment stays.
import { ask } from "../../api.js";
import { fill, h, icon } from "../../dom.js";
import { clock } from "../../format.js";
import { t } from "../../text.js";
import { button, live, menu, segments, tell } from "../../ui.js";
import { draw, peaksOf } from "../../waveform.js";

const END_S = 0.05; // who is that near to the end hears nothing
const MEASURED_S = 900; // longer ones would have to be held in memory whole: they are heard without being drawn

/** @param {{player: import("../../player.js").Player}} asked */
export function compare({ player }) {
  const sides = { before: side("before"), after: side("after") };
  const slider = h("input", { type: "range", min: 0, max: 0, step: "any", value: 0, "aria-label": t("convert.position") });
  const play = button(t("convert.play"), { icon: "play", only: true, onclick: () => (mine() && player.playing ? player.pause() : hear()) });
  const choice = segments(t("convert.compare"), [["before", t("convert.before")], ["after", t("convert.after")]], "before", turn);
  const time = h("p", { class: "facts number" }, clock(0));
  const wrong = live();
  const hint = h("p", { class: "facts" }, t("convert.nothing"));
  const saving = menu(button(t("player.download"), { icon: "download", disabled: true }), () => sides.after.files);
  const node = h("section", { class: "stack compare", "aria-label": t("convert.compare"), hidden: true },
    h("div", { class: "row" }, play, choice, time),
    h("div", { class: "sides" }, sides.before.node, sides.after.node, slider), hint, wrong);
  let heard = "before";
  let at = 0; // seconds, while nothing of it sounds

  function side(name) {
    const canvas = h("canvas", { "aria-hidden": "true" });
    return { name, canvas, node: h("div", { class: "side", data: { side: name } }, h("span", { class: "facts" }, t(`convert.${name}`)), canvas), parts: [], files: [] };
  }

  const total = () => Math.max(0, ...Object.values(sides).map((one) => one.seconds).filter(Number.isFinite));
  const mine = () => player.owner === sides.before || player.owner === sides.after;
  const moment = () => (mine() ? player.at : at);

  /** Plays the side that is to be heard, from where it stands. */
  async function hear() {
    const one = sides[heard];
    if (player.owner === one) await player.play();
    else if (one.piece) await load(one, moment() < one.seconds - END_S ? moment() : 0, true);
  }

  /** A or B. What sounds goes on from where it is. */
  function turn(wanted) {
    if (wanted === heard) return;
    const [from, playing] = [moment(), mine() && player.playing];
    const loaded = mine();
    at = from;
    heard = wanted;
    choice.set(wanted);
    paint();
    if (!loaded) return;
    player.pause();
    load(sides[wanted], from, playing).catch((error) => tell(wrong, error));
  }

  async function load(one, from, playing) {
    player.load({ title: one.title, subtitle: t(`convert.${one.name}`), downloads: one.files, owner: one, pieces: [one.piece] });
    await player.seek(Math.min(from, Math.max(0, (one.seconds ?? 0) - END_S)));
    if (playing && player.owner === one) await player.play();
    follow();
  }

  function paint() {
    const now = moment();
    const all = total();
    for (const one of Object.values(sides)) {
      one.node.classList.toggle("heard", one.name === heard);
      draw(one.canvas, one.parts, all, one.name === heard ? now : 0);
    }
    slider.max = all;
    slider.value = now;
    const words = `${clock(now)} / ${clock(all)}`;
    if (time.textContent === words) return;
    time.textContent = words;
    slider.setAttribute("aria-valuetext", t("player.at", { at: clock(now), total: clock(all) }));
  }

  let frame = 0;

  function follow() {
    cancelAnimationFrame(frame);
    paint();
    if (mine() && player.playing && !document.hidden) frame = requestAnimationFrame(follow);
  }

  let picture = "play";

  player.addEventListener("change", () => {
    if (node.hidden) return;
    const wanted = mine() && player.playing ? "pause" : "play";
    if (wanted !== picture) {
      fill(play, icon(wanted));
      play.title = t(`convert.${wanted}`);
      play.setAttribute("aria-label", play.title);
      picture = wanted;
    }
    follow();
  });
  slider.addEventListener("input", () => {
    at = Number(slider.value);
    if (mine()) player.seek(at);
    else paint();
  });
  new ResizeObserver(paint).observe(node);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["data-theme"] });

  /** What is heard, and how it looks. sound: () => Promise<Blob> */
  async function show(one, { title, seconds: told, files = [], url, blob }) {
    const seconds = Number.isFinite(told) ? told : undefined;
    Object.assign(one, { title, seconds, files, parts: [] });
    one.piece = blob && !(seconds >= MEASURED_S) ? { blob, seconds } : { url: url ?? URL.createObjectURL(blob), seconds, whole: !(seconds >= MEASURED_S) };
    const piece = one.piece;
    paint();
    if (seconds >= MEASURED_S) return;
    const sound = blob ?? (await (await ask(url)).blob());
    if (one.piece !== piece) return; // another one was chosen meanwhile
    one.piece = { ...piece, blob: sound };
    const { peaks, seconds: exact } = await peaksOf(sound);
    if (one.piece.blob !== sound) return;
    one.seconds = one.piece.seconds = exact;
    one.parts = [{ peaks, from: 0, to: exact }];
    paint();
  }

  /** What the browser cannot decode has no picture; the server may know it all the same. */
  function undrawn(error) {
    if (error instanceof DOMException) paint();
    else tell(wrong, error);
  }

  function forget(one) {
    if (player.owner === one) player.clear();
    if (one.piece?.url?.startsWith("blob:")) URL.revokeObjectURL(one.piece.url);
    Object.assign(one, { piece: null, seconds: undefined, parts: [], files: [] });
  }

  /** No result any more. */
  function clear() {
    forget(sides.after);
    heard = "before";
    choice.set(heard);
    choice.lastChild.disabled = true;
    saving.disabled = true;
    hint.hidden = false;
    fill(wrong);
    paint();
  }

  return {
    node,
    saving,
    clear,
    /** The recording that was chosen, or null. */
    before(chosen) {
      clear();
      forget(sides.before);
      at = 0;
      node.hidden = !chosen;
      if (chosen) show(sides.before, { title: chosen.name, ...chosen }).catch(undrawn);
    },
    /** The result. */
    after(made) {
      choice.lastChild.disabled = false;
      saving.disabled = false;
      hint.hidden = true;
      show(sides.after, made).catch(undrawn);
      if (!(mine() && player.playing)) turn("after");
    },
  };
}
