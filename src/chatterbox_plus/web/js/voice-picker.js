// Choosing a voice: stored ones, OpenAI's names, the engine's own; each can be heard first.
import { ask } from "./api.js";
import { fill, h, icon, newId } from "./dom.js";
import { clock, language } from "./format.js";
import { listed } from "./store.js";
import { t } from "./text.js";
import { button, busy, dialog, input, live, segments } from "./ui.js";

const SHOWN = 60; // rows; more are found by searching
const heard = new Map(); // what was spoken to try a voice → its sound

/**
 * A labelled button that shows the chosen voice and opens the list.
 * @param {{label?: string, value?: string, stored?: boolean, player: import("./player.js").Player, onchange?: (id: string) => void,
 *   sample?: () => {text?: string, model?: string, language?: string}}} asked
 *   stored: only recordings, as conversions need them. "" is the default voice.
 */
export function voicePicker({ label = t("voice.label"), value = "", stored = false, player, onchange = () => {}, sample = () => ({}) }) {
  const name = h("span", { class: "clip grow", id: newId() });
  const called = h("span", { class: "label", id: newId() }, label);
  const named = { "aria-labelledby": `${called.id} ${name.id}`, "aria-haspopup": "dialog" };
  const opener = h("button", { type: "button", class: "input voice-chosen", onclick: open, ...named }, name, icon("down", true));
  const try_ = button(t("voice.hear"), { icon: "play", only: true, onclick: () => hear({ id: value, name: name.textContent }, try_) });
  const node = h("div", { class: "field" }, called, h("div", { class: "row" }, opener, try_));

  function set(chosen) {
    value = chosen;
    name.textContent = chosen ? titled(chosen) : t("voice.default");
  }

  /** Says a sentence in a voice; nothing is stored. */
  async function hear(voice, at) {
    player.unlock();
    const asked = sample();
    const text = asked.text || t("voice.sample");
    const body = {
      input: text, voice: voice.id || "default", model: asked.model || "auto", response_format: "mp3",
      ...(asked.language && { language: asked.language }),
    };
    const key = JSON.stringify(body);
    await busy(at, null, async () => {
      if (!heard.has(key)) heard.set(key, await (await ask("/v1/audio/speech", { json: body })).blob());
      await player.playBlob(key, heard.get(key), voice.name, text);
    });
  }

  async function open() {
    const chosen = await dialog(t("voice.choose"), (close) => list(close));
    opener.focus();
    if (chosen === undefined || chosen === value) return;
    set(chosen);
    onchange(chosen);
  }

  function list(close) {
    const search = input({ type: "search", placeholder: t("voice.search"), "aria-label": t("voice.search"), autofocus: true });
    const rows = h("ul", { class: "list voices" });
    const tags = h("div", { class: "row wrap" });
    const count = live({ class: "facts" });
    const wanted = { kind: "all", tag: "" };
    const kinds = ["all", "file", "alias", "stock"].map((kind) => [kind, t(`voice.kinds.${kind}`)]);
    const kind = !stored && segments(t("voice.kind"), kinds, "all", (one) => { wanted.kind = one; draw(); });
    let all = [];

    function draw() {
      const words = search.value.trim().toLowerCase().split(/\s+/);
      const found = all.filter((voice) =>
        (wanted.kind === "all" || voice.kind === wanted.kind) && (!wanted.tag || voice.tags.includes(wanted.tag)) &&
        words.every((word) => voice.words.includes(word)));
      fill(rows, found.slice(0, SHOWN).map((voice) => row(voice)));
      count.textContent = t("voice.found", { n: found.length });
    }

    function row(voice) {
      const pick = h("button", { type: "button", class: "pick grow", "aria-pressed": String(voice.id === value), onclick: () => close(voice.id) },
        h("span", { class: "name clip" }, voice.name), h("span", { class: "facts clip" }, voice.facts));
      const play = button(t("voice.hear_one", { name: voice.name }), { icon: "play", kind: "quiet", only: true, onclick: () => hear(voice, play) });
      return h("li", {}, pick, voice.tags.slice(0, 2).map((tag) => h("span", { class: "tag" }, tag)), play);
    }

    function choose(tag) {
      wanted.tag = wanted.tag === tag ? "" : tag;
      for (const one of tags.children) one.setAttribute("aria-pressed", String(one.textContent === wanted.tag));
      draw();
    }

    voices(stored).then((found) => {
      all = found;
      const known = [...new Set(found.flatMap((voice) => voice.tags))].sort().slice(0, 12);
      fill(tags, known.map((tag) => h("button", { type: "button", class: "tag", "aria-pressed": "false", onclick: () => choose(tag) }, tag)));
      draw();
    }).catch((error) => fill(count, error.message));
    search.addEventListener("input", draw);
    search.addEventListener("keydown", (event) => event.key === "Enter" && rows.querySelector(".pick")?.click());
    const body = h("div", { class: "stack voice-list", onkeydown: (event) => walk(event, search, rows) }, search, kind, tags, count, rows);
    return { body };
  }

  set(value);
  return { node, set, get value() { return value; } };
}

/** Up and down through the rows, from the search field and back. */
function walk(event, search, rows) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const stops = [search, ...rows.querySelectorAll(".pick")];
  const at = stops.indexOf(document.activeElement.closest("li")?.querySelector(".pick") ?? document.activeElement);
  stops[Math.max(0, Math.min(stops.length - 1, at + step))].focus();
  event.preventDefault();
}

/** How a voice is called where its list is not at hand. */
const titled = (id) => id.replace(/\.\w{2,4}$/, "");

async function voices(stored) {
  const [files, others] = await Promise.all([listed("voices"), stored ? [] : listed("stock")]);
  const mine = files.map((voice) => described({
    id: voice.url, name: voice.name, kind: "file", tags: voice.tags,
    facts: [clock(voice.duration_seconds), !voice.description.endsWith(`: ${voice.name}`) && voice.description].filter(Boolean).join(" · "),
  }));
  const known = others.map((voice) => described({
    id: voice.id, name: voice.name, kind: voice.kind, tags: [],
    facts: [voice.language && language(voice.language), voice.gender && t(`voice.genders.${voice.gender}`), voice.kind === "alias" && t("voice.alias")].filter(Boolean).join(" · "),
  }));
  const first = stored ? [] : [described({ id: "", name: t("voice.default"), kind: "file", tags: [], facts: t("voice.default_facts") })];
  return [...first, ...mine, ...known];
}

const described = (voice) => ({ ...voice, words: [voice.name, voice.id, voice.facts, ...voice.tags].join(" ").toLowerCase() });
