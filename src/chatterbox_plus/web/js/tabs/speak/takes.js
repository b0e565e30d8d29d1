// One sentence: its takes, and another one.
import { fill, h, icon, newId } from "../../dom.js";
import { clock } from "../../format.js";
import { t } from "../../text.js";
import { button, busy, input, live } from "../../ui.js";
import { said } from "./script.js";

/**
 * @param {{step: (by: number) => void}} asked step: to the next sentence or the one before
 */
export function takes({ step }) {
  const wrong = live();
  const words = input({ "aria-label": t("speak.words"), maxlength: 10000, onkeydown: (event) => event.key === "Enter" && !event.ctrlKey && !event.metaKey && redo() });
  const again = button(t("speak.redo"), { icon: "again", onclick: () => redo() });
  const title = h("h2", { class: "label" });
  const list = h("ul", { class: "takes", "aria-label": t("speak.takes") });
  const node = h("section", { class: "strip", "aria-label": t("speak.sentence_panel") },
    h("div", { class: "row" }, title,
      button(t("speak.before"), { icon: "back", kind: "quiet", only: true, onclick: () => step(-1) }),
      button(t("speak.after"), { icon: "next", kind: "quiet", only: true, onclick: () => step(1) })),
    h("div", { class: "row redo" }, words, again), list, wrong);
  let [run, number] = [null, 0];

  const redo = () => busy(again, wrong, async () => {
    const text = words.value.trim();
    const sentence = run.sentences[number - 1];
    await run.redo(number, text && text !== sentence.text ? text : null);
    await run.hear(number);
  });

  function row(sentence, take, name, seconds) {
    const id = take?.take ?? "original";
    const chosen = take ? take.chosen : !sentence.takes.some((one) => one.chosen);
    const radio = h("input", { type: "radio", name: `take-${number}`, checked: chosen, id: newId(), onchange: () => keep(id) });
    const play = button(t("speak.hear_take", { name }), { icon: "play", kind: "quiet", only: true, onclick: () => hear(id, name) });
    const facts = [seconds && clock(seconds), take?.seed && t("speak.seed", { seed: String(take.seed) }), take?.text && t("speak.other_words")];
    return h("li", { class: "radio" }, radio, h("label", { for: radio.id }, name, " ", h("span", { class: "facts" }, facts.filter(Boolean).join(" · "))), play);
  }

  async function keep(id) {
    await busy(again, wrong, async () => {
      await run.choose(number, id);
      await run.hear(number);
    });
  }

  async function hear(id, name) {
    const url = run.audio(number, id);
    await run.player.aside(url).catch((error) => fill(wrong, h("p", { class: "note bad" }, icon("warn"), `${name}: ${error.message}`)));
  }

  return {
    node,
    /** Shows a sentence, by its number from 1. */
    show(which, index) {
      const other = run !== which || number !== index;
      [run, number] = [which, index];
      const sentence = run.sentences[number - 1];
      title.textContent = t("speak.sentence", { n: number, of: run.sentences.length });
      if (other || document.activeElement !== words) words.value = said(sentence);
      fill(list, row(sentence, null, t("speak.first_take")), sentence.takes.map((take, n) => row(sentence, take, t("speak.take", { n: n + 2 }), take.seconds)));
      if (other) fill(wrong);
    },
  };
}
