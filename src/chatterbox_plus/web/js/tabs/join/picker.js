// Taking pieces from the library: searched, heard, and added one after the other.
import { debounced, fill, h, icon, put } from "../../dom.js";
import { date } from "../../format.js";
import { gathered, lasting, outputs, titled, toHear } from "../../outputs.js";
import { t } from "../../text.js";
import { button, dialog, input, live, select, tell } from "../../ui.js";

const PAGE = 50; // files
const KINDS = ["tts", "vc", "concat", "book"];

/**
 * @param {{player: any, add: (output: import("../../outputs.js").Output) => void}} asked add: called for each that is taken
 */
export function pick({ player, add }) {
  const gone = new AbortController();
  return dialog(t("join.from_library"), (close) => {
    const search = input({ type: "search", placeholder: t("join.search"), "aria-label": t("join.search"), autofocus: true });
    const kind = select([["", t("library.kinds.all")], ...KINDS.map((one) => [one, t(`library.kinds.${one}`)])], { "aria-label": t("library.kind") });
    const rows = h("ul", { class: "list" });
    const place = live({ class: "facts" });
    const further = button(t("library.load_more"), { hidden: true, onclick: () => load(page + 1) });
    let page = 0;
    let seen = new Set();
    let stop = new AbortController();
    let taken = 0;

    async function load(wanted = 1) {
      stop.abort();
      stop = new AbortController();
      const query = { q: search.value.trim(), generation_type: kind.value, page: wanted, page_size: PAGE };
      try {
        const reply = await outputs(query, stop.signal);
        if (wanted === 1) {
          seen = new Set();
          fill(rows);
        }
        page = wanted;
        put(rows, gathered(reply.files, seen).map(row));
        further.hidden = !reply.has_next;
        place.textContent = rows.children.length ? "" : t("library.nothing_found");
      } catch (error) {
        tell(place, error);
      }
    }

    function row(output) {
      const name = titled(output);
      const file = toHear(output);
      const play = button(t("library.hear", { name }), { icon: "play", kind: "quiet", only: true, onclick: () => player.playFile(file.url, name, { seconds: output.duration_seconds }) });
      const sounding = () => fill(play, icon(player.owner === file.url && player.playing ? "pause" : "play"));
      player.addEventListener("change", sounding, { signal: gone.signal });
      const take = button(t("join.take", { name }), { icon: "add", only: true, onclick: () => {
        add(output);
        taken++;
        done.textContent = t("join.taken", { n: taken });
        take.classList.add("main");
        fill(take, icon("check"));
        setTimeout(() => { take.classList.remove("main"); fill(take, icon("add")); }, 900);
      } });
      return h("li", {}, play, h("div", { class: "what" }, h("p", { class: "name" }, name),
        h("p", { class: "facts number" }, [lasting(output.duration_seconds), output.folder_path, date(output.created_date)].filter(Boolean).join(" · "))), take);
    }

    const done = live({ class: "facts grow" });
    search.addEventListener("input", debounced(() => load(1)));
    kind.addEventListener("change", () => load(1));
    load();
    return {
      body: h("div", { class: "stack picker" }, h("div", { class: "row" }, search, h("div", { class: "kind" }, kind)), place, h("div", { class: "rows" }, rows, further)),
      foot: [done, button(t("join.enough"), { kind: "main", onclick: () => close() })],
    };
  }).finally(() => gone.abort());
}
