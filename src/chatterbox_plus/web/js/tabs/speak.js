// Speak: a text, a voice, and the sound of it, sentence by sentence.
import { api } from "../api.js";
import { debounced, fill, h, icon, put } from "../dom.js";
import { clock, roughly } from "../format.js";
import { changed, listed, recall, remember } from "../store.js";
import { t } from "../text.js";
import { button, busy, live, menu, segments, tell, toast } from "../ui.js";
import { Run } from "./speak/run.js";
import { script } from "./speak/script.js";
import { settings } from "./speak/settings.js";
import { takes } from "./speak/takes.js";

export const styles = ["speak"];
const CHARACTERS_PER_SECOND = 15; // until a text has been spoken here

/** @param {HTMLElement} root */
export async function mount(root, app) {
  const { player } = app;
  let run = null;
  let chosen = -1; // sentence, from 0
  let limit = Infinity;

  const text = h("textarea", { class: "text", "aria-label": t("speak.text"), placeholder: t("speak.placeholder"), spellcheck: "true", value: recall("text") ?? t("speak.first"), oninput: written });
  const view = script({ hear: (number) => look(number - 1, true) });
  const strip = takes({ step: (by) => look(Math.max(0, Math.min(run.sentences.length - 1, chosen + by)), false) });
  const modes = segments(t("speak.mode"), [["write", t("speak.write")], ["listen", t("speak.listen")]], "write", mode);
  const count = h("p", { class: "facts number" });
  const status = live({ class: "status" });
  const meter = h("progress", { class: "meter", max: 1, value: 0, hidden: true, "aria-label": t("speak.progress") });
  const speaking = button(t("speak.speak"), { icon: "play", kind: "main", onclick: () => (run?.running ? cancel() : speak()), "aria-keyshortcuts": "Control+Enter" });
  const again = button(t("speak.again"), { icon: "again", onclick: () => speak({ seed: 0 }), hidden: true });
  const render = button(t("speak.render"), { icon: "check", kind: "main", onclick: renew, hidden: true });
  const saving = menu(button(t("player.download"), { icon: "download", hidden: true }), () => run.files);
  const below = button(t("speak.settings"), { icon: "tune", kind: "quiet", only: true, class: "below", onclick: () => {
    inspector.focus({ preventScroll: true });
    inspector.scrollIntoView({ behavior: "smooth" });
  } });
  const note = h("p", { class: "facts engine" });
  const controls = settings({ app, sample: () => text.value.trim().split(/(?<=[.!?…])\s/)[0].slice(0, 200), onchange: counted });

  const inspector = h("section", { class: "inspector", "aria-label": t("speak.settings"), tabindex: "-1" }, controls.node);

  put(root, h("div", { class: "speak" },
    h("div", { class: "desk" },
      h("header", { class: "desk-head" }, h("h1", {}, t("tabs.speak")), note, below, modes),
      h("div", { class: "sheet" }, text, view.node),
      strip.node,
      meter,
      h("footer", { class: "desk-foot" }, h("div", { class: "grow" }, count, status), saving, again, render, speaking)),
    inspector));
  view.node.hidden = strip.node.hidden = true;
  modes.lastChild.disabled = true;

  const keep = debounced(() => remember("text", text.value));

  function written() {
    keep();
    counted();
  }

  /** Characters, and how long they will sound. */
  function counted() {
    const length = Array.from(text.value.trim()).length;
    const over = length - limit;
    const pace = (recall("pace") ?? CHARACTERS_PER_SECOND) * controls.speed();
    count.textContent = [t("speak.characters", { n: length }), length && t("speak.estimate", { time: roughly(length / pace) })].filter(Boolean).join(" · ");
    if (over > 0) fill(status, h("p", { class: "note bad" }, t("speak.too_long", { n: over, limit })));
    else if (status.dataset.over) fill(status);
    status.dataset.over = over > 0 ? "yes" : "";
    speaking.disabled = !run?.running && (!length || over > 0);
  }

  /** Another text in the editor; what was there can be had back. */
  function replace(words) {
    const before = text.value;
    if (before.trim() === words.trim()) return;
    const put = (value) => { text.value = value; written(); };
    put(words);
    if (before.trim()) toast(t("speak.replaced"), { words: t("ui.undo"), act: () => put(before) });
  }

  function mode(wanted) {
    const listening = wanted === "listen";
    modes.set(wanted);
    text.hidden = listening;
    view.node.hidden = !listening;
    strip.node.hidden = !listening;
    if (!listening) text.focus();
  }

  /** Speaks the text. other: options that count this once. */
  function speak(other = {}) {
    if (!text.value.trim() || status.dataset.over) return;
    player.unlock();
    const body = { ...controls.body(), ...other, text: text.value };
    if (body.seed === 0) delete body.seed;
    return busy(speaking, status, async () => {
      const { task_id: id } = await api.post("/api/v1/tts/async", body);
      follow(new Run(player, { id, text: text.value, speed: controls.speed() }));
    });
  }

  /** Shows a task, and hears it. */
  function follow(next, play = true) {
    run?.leave();
    run = next;
    chosen = -1;
    again.hidden = render.hidden = saving.hidden = true;
    meter.hidden = false;
    meter.value = 0;
    run.addEventListener("script", () => {
      view.draw(run.text, run.sentences);
      modes.lastChild.disabled = false;
      mode("listen");
      look(0, false);
    });
    run.addEventListener("progress", () => {
      meter.value = run.made / Math.max(1, run.sentences.length);
      marked();
    });
    run.addEventListener("take", () => {
      strip.show(run, chosen + 1);
      marked();
      stand();
    });
    run.addEventListener("files", stand);
    run.addEventListener("end", ended);
    fill(status, h("p", { class: "note" }, t("speak.making")));
    stand();
    run.follow(titled(run.text ?? ""), play).catch((error) => {
      tell(status, error);
      if (run === next) run.status = "failed";
      stand();
    });
  }

  function ended() {
    marked();
    stand();
    if (run.status !== "succeeded") {
      const words = run.status === "cancelled" ? t("speak.stopped") : run.error;
      fill(status, h("p", { class: run.status === "cancelled" ? "note" : "note bad" }, words));
      return;
    }
    const { total_duration_seconds: seconds, processing_time_seconds: took, generation_seed_used: seed } = run.result;
    remember("pace", Math.max(5, Math.min(40, Array.from(run.text).length / seconds / run.speed)));
    fill(status, h("p", { class: "note" }, t("speak.done", { seconds: clock(seconds), took: took.toFixed(1), seed: String(seed) })));
    changed("voices"); // how often each was used
  }

  /** Buttons, as the task stands. */
  function stand() {
    const running = Boolean(run?.running);
    const done = run?.status === "succeeded";
    meter.hidden = !running;
    fill(speaking, icon(running ? "stop" : "play"), running ? t("speak.stop") : t("speak.speak"));
    again.hidden = !done || run.edited;
    saving.hidden = !done || run.edited;
    render.hidden = !done || !run.edited;
    speaking.classList.toggle("main", render.hidden);
    counted();
  }

  function renew() {
    return busy(render, status, async () => {
      await run.render();
      fill(status, h("p", { class: "note good" }, t("speak.rendered")));
    }).then(stand);
  }

  async function cancel() {
    await busy(speaking, status, () => run.cancel());
    stand();
  }

  function marked() {
    view.mark({ made: run.made, sounding: player.owner === run && (player.playing || player.at > 0) ? player.index : -1, chosen, sentences: run.sentences });
  }

  /** Looks at a sentence; hears it if it is there. */
  function look(index, hear) {
    if (!run.sentences[index]) return;
    chosen = index;
    strip.show(run, index + 1);
    marked();
    if (!hear || index >= run.made) return;
    run.hear(index + 1);
  }

  player.addEventListener("change", () => run && marked());
  player.addEventListener("piece", () => run && marked());
  window.addEventListener("stop", () => run?.running && cancel());
  document.addEventListener("keydown", (event) => {
    if (root.hidden || event.key !== "Enter" || !(event.ctrlKey || event.metaKey) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    if (!speaking.disabled && !run?.running) speak();
  });

  listed("options").then(({ limits, models }) => {
    limit = limits.max_text_length;
    const speaker = models.find((model) => model.default);
    if (speaker?.preview) fill(note, t("speak.preview"), " ", h("a", { href: "#/system" }, t("speak.models")));
    controls.build();
    counted();
  }).catch((error) => tell(status, error));
  counted();

  return {
    async shown({ task }) {
      if (!task || run?.id === task) return;
      history.replaceState(null, "", "#/speak");
      try {
        const found = await Run.found(player, task);
        if (found.text) replace(found.text);
        follow(found, false);
      } catch (error) {
        tell(status, error);
      }
    },
  };
}

const titled = (text) => (text.trim().length > 60 ? `${text.trim().slice(0, 60)}…` : text.trim()) || t("tabs.speak");
