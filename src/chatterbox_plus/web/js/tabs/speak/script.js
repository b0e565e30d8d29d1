// The text as it is heard: every sentence can be clicked, the one that sounds is marked.
import { fill, h } from "../../dom.js";
import { t } from "../../text.js";

/**
 * @param {{hear: (number: number) => void}} asked hear: somebody chose a sentence, by its number from 1
 */
export function script({ hear }) {
  const node = h("div", { class: "script", role: "group", "aria-label": t("speak.script"), onkeydown: walk });
  let spans = [];

  function draw(text, sentences) {
    const letters = Array.from(text); // offsets count characters, JavaScript's strings have some as two
    let at = 0;
    spans = [];
    const parts = [];
    for (const sentence of sentences) {
      parts.push(letters.slice(at, sentence.char_start).join(""));
      const span = h("span", { role: "button", tabindex: "-1", class: "sentence pending", onclick: () => hear(sentence.number) }, said(sentence));
      spans.push(span);
      parts.push(span);
      at = sentence.char_end;
    }
    parts.push(letters.slice(at).join(""));
    fill(node, parts);
    if (spans[0]) spans[0].tabIndex = 0;
  }

  /** How sentences stand: how many were made, which sounds, which is looked at (from 0; -1: none). */
  function mark({ made, sounding, chosen, sentences }) {
    if (sentences.length !== spans.length) return; // another text, whose sentences are not known yet
    spans.forEach((span, index) => {
      const takes = sentences[index].takes;
      span.classList.toggle("pending", index >= made);
      span.classList.toggle("sounding", index === sounding);
      span.classList.toggle("chosen", index === chosen);
      span.classList.toggle("retaken", takes.some((take) => take.chosen));
      span.setAttribute("aria-disabled", String(index >= made));
      span.setAttribute("aria-pressed", String(index === chosen));
      span.tabIndex = index === Math.max(0, chosen) ? 0 : -1;
      const words = said(sentences[index]);
      if (span.textContent !== words) span.textContent = words;
    });
    const now = spans[sounding];
    if (now && !node.contains(document.activeElement)) now.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  function walk(event) {
    const index = spans.indexOf(event.target);
    if (index < 0) return;
    if (event.key === "Enter" || event.key === " ") hear(index + 1);
    else {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!step) return;
      const next = spans[Math.max(0, Math.min(spans.length - 1, index + step))];
      event.target.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    }
    event.preventDefault();
  }

  return { node, draw, mark };
}

/** A sentence as it is said now. */
export const said = (sentence) => sentence.takes.find((take) => take.chosen)?.text ?? sentence.text;
