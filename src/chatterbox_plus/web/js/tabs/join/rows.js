// The pieces as a list: heard, moved, changed and taken out, with a pointer or with keys alone.
import { fill, h, icon } from "../../dom.js";
import { lasting } from "../../outputs.js";
import { t } from "../../text.js";
import { button, input, menu } from "../../ui.js";
import { sortable } from "./sorting.js";

/**
 * @param {{move: (from: number, to: number) => void, remove: (index: number) => void, copy: (index: number) => void,
 *   quiet: (index: number) => void, last: (index: number, ms: number) => void, hear: (piece: any) => void,
 *   choose: (id: number) => void, player: any, limits: () => {min_silence_ms: number, max_silence_ms: number}}} asked
 *   quiet: a silence behind that piece; last: how long a silence is
 */
export function rows({ move, remove, copy, quiet, last, hear, choose, player, limits }) {
  const node = h("ol", { class: "list pieces", "aria-label": t("join.pieces") });
  let pieces = [];

  function show(wanted, selected) {
    const focus = [...node.children].find((row) => row.contains(document.activeElement));
    const what = document.activeElement.dataset?.does;
    pieces = wanted;
    fill(node, pieces.map((piece, n) => row(piece, n, piece.id === selected)));
    if (focus) find(Number(focus.dataset.id), what);
    mark();
  }

  /** Puts the focus into the row of a piece: on what does the same there, else on its first button. */
  function find(id, does = "") {
    const there = node.querySelector(`[data-id="${id}"]`);
    const same = does && there?.querySelector(`[data-does="${does}"]:not(:disabled)`);
    (same || there?.querySelector("button:not(:disabled), input"))?.focus();
  }

  function row(piece, n, selected) {
    const silent = piece.kind === "silence";
    const named = { name: piece.name, n: n + 1, of: pieces.length };
    const play = silent
      ? h("span", { class: "hush" }, icon("minus"))
      : button(t("join.hear", named), { icon: "play", kind: "quiet", only: true, data: { does: "hear", key: piece.id }, onclick: () => hear(piece) });
    const name = silent
      ? h("div", { class: "what" }, length(piece, n))
      : h("div", { class: "what" }, h("p", { class: "name", title: piece.name }, piece.name), h("p", { class: "facts number" }, about(piece)));
    const up = button(t("join.up", named), { icon: "up", kind: "quiet", only: true, class: "step", disabled: n === 0, data: { does: "up" }, onclick: () => move(n, n - 1) });
    const down = button(t("join.down", named), { icon: "down", kind: "quiet", only: true, class: "step", disabled: n === pieces.length - 1, data: { does: "down" }, onclick: () => move(n, n + 1) });
    const rest = menu(button(t("join.more", named), { icon: "more", kind: "quiet", only: true, data: { does: "more" } }), () => [
      n > 0 && { words: t("join.earlier"), icon: "up", act: () => move(n, n - 1) },
      n < pieces.length - 1 && { words: t("join.later"), icon: "down", act: () => move(n, n + 1) },
      { words: t("join.quiet_after"), icon: "minus", act: () => quiet(n) },
      { words: t("join.twice"), icon: "add", act: () => copy(n) },
      { words: t("join.remove"), icon: "delete", act: () => remove(n) },
    ].filter(Boolean));
    const out = button(t("join.remove_one", named), { icon: "close", kind: "quiet", only: true, class: "step", data: { does: "remove" }, onclick: () => remove(n) });
    return h("li", { class: selected ? "chosen" : "", data: { id: piece.id }, onfocusin: () => choose(piece.id, false) },
      h("span", { class: "grip", title: t("join.drag") }, icon("grip")), play, name, up, down, out, rest);
  }

  function length(piece, n) {
    const { min_silence_ms: least, max_silence_ms: most } = limits();
    const field = input({
      type: "number", min: least / 1000, max: most / 1000, step: 0.05, value: piece.seconds, "aria-label": t("join.length", { n: n + 1 }),
      "data-does": "length",
      onchange: () => {
        const seconds = Number.isFinite(field.valueAsNumber) ? field.valueAsNumber : piece.seconds;
        last(n, Math.max(least, Math.min(most, Math.round(1000 * seconds))));
      },
    });
    return h("div", { class: "row" }, h("span", { class: "name" }, t("join.silence")), field, h("span", { class: "facts" }, t("join.seconds")));
  }

  /** Lengths that are known by now. */
  function measured() {
    for (const piece of pieces) {
      const facts = piece.kind !== "silence" && node.querySelector(`[data-id="${piece.id}"] .facts`);
      if (facts) facts.textContent = about(piece);
    }
  }

  /** Which one sounds. */
  function mark() {
    for (const one of node.querySelectorAll("[data-does=hear]")) {
      const piece = pieces.find(({ id }) => id === Number(one.dataset.key));
      const sounding = player.playing && piece && (player.owner === piece.url || player.owner === piece.file);
      fill(one, icon(sounding ? "pause" : "play"));
    }
  }

  node.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const at = [...node.children].findIndex((one) => one.contains(event.target));
    if (at < 0) return;
    if (step && event.altKey) {
      event.preventDefault();
      const to = at + step;
      if (to >= 0 && to < pieces.length) move(at, to);
    } else if (event.key === "Delete" && event.target.localName !== "input") {
      event.preventDefault();
      remove(at);
    } else if (step && event.target.localName !== "input") {
      event.preventDefault();
      const to = node.children[at + step];
      if (to) find(Number(to.dataset.id), event.target.dataset.does);
    }
  });
  sortable(node, { handle: ".grip", moved: move });
  player.addEventListener("change", mark);
  return { node, show, find, measured };
}

const about = (piece) =>
  [piece.seconds === null ? t("join.measuring") : lasting(piece.seconds), piece.kind === "sent" && t("join.sent")].filter(Boolean).join(" · ");
