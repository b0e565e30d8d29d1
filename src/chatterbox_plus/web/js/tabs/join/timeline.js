// The pieces to scale: sound as waves, silence hatched, crossfades where two overlap, and where the preview is.
import { fill, h } from "../../dom.js";
import { clock } from "../../format.js";
import { t } from "../../text.js";
import { button } from "../../ui.js";
import { draw } from "../../waveform.js";
import { follow } from "./sorting.js";

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600]; // seconds between marks
const MARK = 72; // pixels that a mark needs
const WIDEST = 16_000; // pixels; canvases have an end
const CLOSEST = 400; // pixels a second
const ZOOM = 1.6;
const BEGINS = 4; // pixels: less is a click

/**
 * @param {{move: (from: number, to: number) => void, seek: (seconds: number) => void, choose: (id: number) => void}} asked
 *   move: pieces, from 0
 */
export function timeline({ move, seek, choose }) {
  const marks = h("div", { class: "marks" });
  const head = h("div", { class: "playhead", hidden: true });
  const blocks = h("div", { class: "blocks" });
  const lane = h("div", { class: "lane", "aria-hidden": "true" }, marks, blocks, head);
  const view = h("div", { class: "lane-view", role: "region", tabindex: "0", "aria-label": t("join.timeline") }, lane);
  const closer = button(t("join.closer"), { icon: "add", kind: "quiet", only: true, onclick: () => zoom(ZOOM) });
  const wider = button(t("join.wider"), { icon: "minus", kind: "quiet", only: true, onclick: () => zoom(1 / ZOOM) });
  const fit = button(t("join.fit"), { kind: "quiet", onclick: () => { scale = null; place(); } });
  const told = h("p", { class: "facts number grow" });
  const node = h("div", { class: "timeline" }, h("div", { class: "row" }, told, wider, closer, fit), view);
  const known = new Map(); // piece id → block
  let plan = { parts: [], fades: [], total: 0 };
  let scale = null; // pixels a second; null: all of it fits
  let at = null;
  let chosen = 0;
  let follows = false;
  let order = [];

  const fitting = () => Math.max(1, view.clientWidth - 2) / Math.max(plan.total, 0.5);
  const pixels = () => scale ?? fitting();

  function zoom(by) {
    const middle = (view.scrollLeft + view.clientWidth / 2) / pixels();
    scale = Math.max(fitting(), Math.min(pixels() * by, CLOSEST, WIDEST / plan.total));
    if (scale <= fitting()) scale = null;
    place();
    view.scrollLeft = middle * pixels() - view.clientWidth / 2;
  }

  /** Shows another plan; words: about all of it. */
  function show(next, words, selected) {
    plan = next;
    chosen = selected;
    order = plan.parts.filter((part) => part.piece).map((part) => part.piece.id);
    told.textContent = words;
    for (const [id, block] of known) if (!order.includes(id)) { block.remove(); known.delete(id); }
    place();
  }

  function place() {
    const per = pixels();
    lane.style.width = `${Math.ceil(plan.total * per)}px`;
    for (const rest of blocks.querySelectorAll(".pause, .fade")) rest.remove();
    for (const { piece, from, to } of plan.parts) put(piece ? known.get(piece.id) ?? made(piece) : spare("pause"), from, to);
    for (const { from, to } of plan.fades) put(spare("fade"), from, to);
    for (const { piece } of plan.parts) if (piece) known.get(piece.id).classList.toggle("chosen", piece.id === chosen);
    rule(per);
    closer.disabled = !plan.total || per >= Math.min(CLOSEST, WIDEST / plan.total);
    wider.disabled = fit.disabled = scale === null;
    paint();
    moment();

    function put(block, from, to) {
      block.style.left = `${from * per}px`;
      block.style.width = `${Math.max(2, (to - from) * per)}px`;
    }
  }

  function spare(kind) {
    const block = h("div", { class: kind });
    blocks.append(block);
    return block;
  }

  function made(piece) {
    const block = h("div", { class: piece.kind === "silence" ? "block silence" : "block", data: { id: piece.id }, title: piece.name },
      piece.kind !== "silence" && h("canvas", {}), h("span", { class: "clip" }, piece.kind === "silence" ? "" : piece.name));
    blocks.append(block);
    known.set(piece.id, block);
    return block;
  }

  function rule(per) {
    const step = STEPS.find((one) => one * per >= MARK) ?? STEPS.at(-1);
    const all = [];
    for (let n = 0; n * step * per < plan.total * per - 24; n++) {
      const seconds = n * step;
      const mark = h("span", {}, step < 1 ? seconds.toFixed(1) : clock(seconds));
      mark.style.left = `${seconds * per}px`;
      all.push(mark);
    }
    fill(marks, all);
  }

  function paint() {
    for (const { piece, from, to } of plan.parts) {
      const canvas = piece && known.get(piece.id)?.querySelector("canvas");
      if (canvas) draw(canvas, [{ peaks: piece.peaks, from: 0, to: to - from }], to - from, at === null ? 0 : at - from);
    }
  }

  /** The preview is there, as a part of the whole in [0, 1]; null: nowhere. playing: it is to be kept in view. */
  function point(share, playing = false) {
    const before = at;
    follows = playing;
    at = share === null ? null : share * plan.total;
    if (at === before) return;
    paint();
    moment();
  }

  function moment() {
    head.hidden = at === null;
    if (at === null) return;
    const left = at * pixels();
    head.style.transform = `translateX(${left}px)`;
    if (scale !== null && follows && (left < view.scrollLeft || left > view.scrollLeft + view.clientWidth)) view.scrollLeft = left - MARK;
  }

  view.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !plan.total) return;
    const held = event.target.closest(".block");
    const begin = event.clientX;
    const [left, from] = [view.scrollLeft, held ? order.indexOf(Number(held.dataset.id)) : -1];
    let [index, dragging] = [from, false];
    if (event.pointerType === "touch") return; // a finger scrolls; the list has handles for it
    if (held) event.preventDefault();
    follow(event.pointerId, {
      move(moved) {
        if (!held || (!dragging && Math.abs(moved.clientX - begin) < BEGINS)) return;
        dragging = true;
        held.classList.add("held");
        const by = moved.clientX - begin + view.scrollLeft - left;
        held.style.transform = `translateX(${by}px)`;
        const part = plan.parts.find((one) => one.piece?.id === Number(held.dataset.id));
        const centre = (part.from + part.to) / 2 + by / pixels();
        const others = plan.parts.filter((one) => one.piece && one !== part);
        index = others.filter((one) => (one.from + one.to) / 2 < centre).length;
        mark(index, others);
      },
      end(cancelled) {
        unmark();
        if (held) {
          held.classList.remove("held");
          held.style.transform = "";
        }
        if (!dragging) pressed(held, begin);
        else if (!cancelled && index !== from) move(from, index);
      },
    });
  });

  view.addEventListener("click", (event) => event.pointerType === "touch" && plan.total && pressed(event.target.closest(".block"), event.clientX));

  function pressed(block, x) {
    if (block) choose(Number(block.dataset.id));
    else seek((x - lane.getBoundingClientRect().left) / pixels() / plan.total);
  }

  const gap = h("div", { class: "gap", hidden: true });
  lane.append(gap);

  /** Where it would go. */
  function mark(index, others) {
    const seconds = index < others.length ? others[index].from : plan.total;
    gap.hidden = false;
    gap.style.transform = `translateX(${seconds * pixels()}px)`;
  }

  const unmark = () => { gap.hidden = true; };

  new ResizeObserver(() => place()).observe(view);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return { node, show, paint, point };
}
