// All voices: found by words, tag and folder.
import { fill, h, icon } from "../../dom.js";
import { clock } from "../../format.js";
import { t } from "../../text.js";
import { button, empty, input, live, select } from "../../ui.js";
import { rated } from "./advice.js";
import { audioOf } from "./one.js";

const SHOWN = 100; // rows at once; more when asked for
const TAGS = 3; // of a row
const ORDERS = {
  name: (a, b) => a.name.localeCompare(b.name),
  newest: (a, b) => b.created_date.localeCompare(a.created_date),
  used: (a, b) => b.usage_count - a.usage_count || a.name.localeCompare(b.name),
};

/**
 * @param {{player: any, onchoose: (voice: any) => void, onadd: () => void}} asked
 */
export function list({ player, onchoose, onadd }) {
  const search = input({ type: "search", placeholder: t("voices.search"), "aria-label": t("voices.search"), oninput: draw });
  const folders = select([["", t("voices.all_folders")]], { "aria-label": t("voices.folder"), onchange: draw });
  const order = select(Object.keys(ORDERS).map((one) => [one, t(`voices.orders.${one}`)]), { "aria-label": t("voices.order"), onchange: draw });
  const tags = h("div", { class: "row wrap tag-row", role: "group", "aria-label": t("voices.tags") });
  const count = live({ class: "facts number" });
  const rows = h("ul", { class: "list", "aria-label": t("tabs.voices"), onkeydown: walk });
  const rest = button("", { kind: "quiet", hidden: true, onclick: () => { limit += SHOWN; draw(); } });
  const nothing = h("div", {});
  const node = h("div", { class: "stack" },
    h("div", { class: "voice-filters" }, search, folders, order), tags, h("div", { class: "count" }, count), rows, nothing, rest);
  let [all, tag, chosen, limit] = [[], "", null, SHOWN];

  function draw() {
    const words = search.value.trim().toLowerCase().split(/\s+/);
    const folder = folders.value;
    const inside = (voice) => !folder || (folder === "/" ? !voice.folder_path : voice.folder_path === folder || voice.folder_path?.startsWith(`${folder}/`));
    const found = all.filter((voice) => inside(voice) && (!tag || voice.tags.includes(tag)) && words.every((word) => voice.words.includes(word))).sort(ORDERS[order.value]);
    fill(rows, found.slice(0, limit).map(row));
    count.textContent = t("voice.found", { n: found.length });
    rest.hidden = found.length <= limit;
    rest.textContent = t("voices.more", { n: found.length - limit });
    if (!all.length) fill(nothing, empty("voices", t("voices.none"), button(t("voices.add"), { icon: "add", onclick: onadd })));
    else if (!found.length) fill(nothing, empty("search", t("voices.not_found"), button(t("voices.show_all"), { onclick: reset })));
    else fill(nothing);
    marked();
  }

  function row(voice) {
    const play = button(t("voices.hear", { name: voice.name }), { icon: "play", kind: "quiet", only: true, data: { url: audioOf(voice) }, onclick: () => hear(voice) });
    const facts = [clock(voice.duration_seconds), voice.folder_path, voice.usage_count ? t("voices.used", { n: voice.usage_count }) : ""].filter(Boolean).join(" · ");
    const open = h("button", { type: "button", class: "open", data: { url: voice.url }, onclick: () => onchoose(voice) },
      h("span", { class: "name clip" }, voice.name), h("span", { class: "facts clip" }, facts));
    return h("li", {}, play, open, h("span", { class: "row tag-cell" }, voice.tags.slice(0, TAGS).map((one) => h("span", { class: "tag" }, one))),
      h("span", { class: "rating-cell" }, rated(voice.rating)));
  }

  function hear(voice) {
    const url = audioOf(voice);
    const downloads = [{ words: t("player.download"), icon: "download", href: url, download: voice.filename }];
    return player.playFile(url, voice.name, { seconds: voice.duration_seconds, downloads });
  }

  /** Which row is open, and which one sounds. */
  function marked() {
    for (const one of rows.querySelectorAll(".open")) {
      one.toggleAttribute("aria-current", one.dataset.url === chosen);
      const play = one.previousSibling;
      const sounds = player.playing && player.owner === play.dataset.url;
      if ((play.dataset.sounds === "yes") === sounds) continue;
      play.dataset.sounds = sounds ? "yes" : "";
      fill(play, icon(sounds ? "pause" : "play"));
    }
  }

  function walk(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const stops = [...rows.querySelectorAll(".open")];
    const at = stops.indexOf(event.target);
    if (!step || at < 0) return;
    event.preventDefault();
    stops[Math.max(0, Math.min(stops.length - 1, at + step))].focus();
  }

  function reset() {
    [search.value, folders.value, tag] = ["", "", ""];
    press();
    draw();
    search.focus();
  }

  function press() {
    for (const one of tags.children) one.setAttribute("aria-pressed", String(one.textContent === tag));
  }

  player.addEventListener("change", marked);
  return {
    node,
    get tags() { return [...new Set(all.flatMap((voice) => voice.tags))].sort((a, b) => a.localeCompare(b)); },
    get folders() { return [...new Set(all.map((voice) => voice.folder_path).filter(Boolean))].sort((a, b) => a.localeCompare(b)); },
    get folder() { return folders.value === "/" ? "" : folders.value; },
    /** Shows these voices. */
    set(voices) {
      all = voices.map((voice) => ({ ...voice, words: [voice.name, voice.url, voice.description, ...voice.tags].join(" ").toLowerCase() }));
      const before = folders.value;
      const paths = this.folders;
      folders.replaceChildren(...[["", t("voices.all_folders")], ...(paths.length ? [["/", t("voices.no_folder")]] : []), ...paths.map((path) => [path, path])].map(([value, words]) => h("option", { value }, words)));
      folders.value = paths.includes(before) || before === "/" ? before : "";
      if (!this.tags.includes(tag)) tag = "";
      fill(tags, this.tags.map((one) => h("button", { type: "button", class: "tag", onclick: () => { tag = tag === one ? "" : one; press(); draw(); } }, one)));
      press();
      draw();
    },
    choose(url) {
      chosen = url;
      marked();
    },
    /** Puts the focus on a voice's row, or on the search if it is not there. */
    focus(url) {
      ([...rows.querySelectorAll(".open")].find((one) => one.dataset.url === url) ?? search).focus();
    },
  };
}
