// New voices: from files or from the microphone.
import { h, newId, put } from "../../dom.js";
import { intake } from "../../intake.js";
import { t } from "../../text.js";
import { button, busy, live, toast } from "../../ui.js";
import { draft } from "./draft.js";

const TEXTS = 3;

/**
 * @param {{player: any, known: any, folder: () => string, onstored: (voice: any) => void, onclose: (voice?: any) => void}} asked
 *   onclose: with the voice that was stored last, once nothing is left to do
 */
export function adding({ player, known, folder, onstored, onclose }) {
  let open = [];
  let reading = 0;
  const taking = intake({ words: t("voices.drop_here"), several: true, onfiles: take });
  const text = h("p", { class: "aloud", id: newId() }, t("voices.aloud.0"));
  const other = button(t("voices.other_text"), { icon: "again", kind: "quiet", onclick: () => { text.textContent = t(`voices.aloud.${(reading = (reading + 1) % TEXTS)}`); } });
  const rows = h("ul", { class: "stack loose", "aria-label": t("voices.drafts") });
  const wrong = live();
  const all = button(t("voices.keep_all"), { icon: "check", hidden: true, onclick: () => busy(all, wrong, saveAll) });
  const title = h("h1", { tabindex: "-1" }, t("voices.add"));
  const node = h("div", { class: "page" },
    h("div", { class: "stack tight" },
      h("header", { class: "page-head" }, button(t("voices.back"), { icon: "back", kind: "quiet", only: true, onclick: () => onclose() }), title, all),
      h("p", { class: "muted small" }, t("voices.advice"))),
    h("div", { class: "sources" }, taking.node,
      h("section", { class: "stack tight", "aria-label": t("voices.read") }, h("div", { class: "row" }, h("h2", { class: "label grow" }, t("voices.read")), other), text)),
    wrong, rows);

  function take(files) {
    const fresh = files.map((file) => {
      const one = draft({
        file, player, known, folder: folder(), onremoved: () => gone(one),
        onstored: (voice) => {
          toast(t("voices.added", { name: voice.name }));
          onstored(voice);
          gone(one);
          if (!open.length) onclose(voice);
        },
      });
      one.node.dataset.id = newId();
      return one;
    });
    open = [...open, ...fresh];
    put(rows, fresh.map((one) => one.node));
    all.hidden = open.length < 2;
    fresh[0].node.scrollIntoView({ block: "nearest", behavior: "smooth" });
    fresh[0].name.focus({ preventScroll: true });
  }

  function gone(one) {
    open = open.filter((other) => other !== one);
    all.hidden = open.length < 2;
    if (open.length) open[0].name.focus();
    else title.focus();
  }

  async function saveAll() {
    for (const one of open) await one.save();
  }

  /** Forgets what was not kept. */
  function clear() {
    for (const one of open) one.end();
    open = [];
    all.hidden = true;
  }

  return { node, take, clear, over: taking.over, rest: taking.rest, focus: () => title.focus(), get empty() { return !open.length; } };
}
