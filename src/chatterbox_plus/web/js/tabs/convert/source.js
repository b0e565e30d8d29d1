// The recording that is converted: dropped, chosen, spoken, or one that the server keeps.
import { api, inPath } from "../../api.js";
import { fill, h } from "../../dom.js";
import { bytes, clock } from "../../format.js";
import { intake } from "../../intake.js";
import { t } from "../../text.js";
import { button, busy, dialog, empty, input, live, menu, tell, toast } from "../../ui.js";
import { lengthOf } from "../voices/cut.js";

const PAGE = 100;

/**
 * @typedef {{name: string, seconds: number, blob?: File, path?: string, url?: string}} Source blob: a file that is only
 *   here; path and url: one in vc_inputs/
 * @param {{player: any, onchange: (chosen: Source|null) => void}} asked
 */
export function source({ player, onchange }) {
  const stored = button(t("convert.stored"), { icon: "library", onclick: () => inputs(player, choose) });
  const taking = intake({ words: t("convert.drop_here"), onfiles: ([file]) => take(file), more: [stored] });
  const name = h("p", { class: "name" });
  const facts = h("p", { class: "facts number" });
  const wrong = live();
  const another = button(t("convert.another"), { icon: "again", onclick: () => choose(null) });
  const keep = menu(button(t("shell.more"), { icon: "more", kind: "quiet", only: true }), () => [{ words: t("convert.keep"), icon: "upload", act: () => busy(keep, wrong, store) }]);
  const shown = h("div", { class: "row source", hidden: true }, h("div", { class: "what grow" }, name, facts), another, keep);
  const node = h("section", { class: "stack", "aria-label": t("convert.source") }, taking.node, shown, wrong);
  let chosen = null;

  function choose(one) {
    chosen = one;
    fill(wrong);
    taking.node.hidden = Boolean(one);
    shown.hidden = !one;
    if (one) {
      name.textContent = one.name;
      facts.textContent = [clock(one.seconds), one.blob ? bytes(one.blob.size) : "", t(one.blob ? "convert.uploaded" : "convert.on_server")].filter(Boolean).join(" · ");
      keep.hidden = !one.blob;
    } else taking.node.querySelector("button").focus();
    onchange(one);
  }

  async function take(file) {
    choose({ name: file.name, seconds: await lengthOf(file), blob: file });
  }

  /** Keeps it on the server, to be converted again without being sent. */
  async function store() {
    const form = new FormData();
    form.append("vc_input_file", chosen.blob, chosen.name);
    const { metadata } = await api.form("/api/v1/vc_input", form);
    Object.assign(chosen, known(metadata), { blob: undefined });
    facts.textContent = [clock(chosen.seconds), t("convert.on_server")].join(" · ");
    keep.hidden = true;
    toast(t("convert.kept", { name: chosen.name }));
  }

  return { node, take, over: taking.over, rest: taking.rest, get chosen() { return chosen; } };
}

const known = (file) => ({ name: file.filename, seconds: file.duration_seconds, path: file.path, url: `/api/v1/vc_inputs/${inPath(file.path)}/audio` });

/** Lets one of the server's recordings be chosen. */
async function inputs(player, choose) {
  const found = await dialog(t("convert.choose_stored"), (close) => {
    const search = input({ type: "search", placeholder: t("convert.search"), "aria-label": t("convert.search"), autofocus: true, oninput: () => refresh() });
    const rows = h("ul", { class: "list" });
    const nothing = h("div", {});
    const place = live();
    let asked = new AbortController();

    function row(file) {
      const one = known(file);
      const play = button(t("convert.hear", { name: one.name }), { icon: "play", kind: "quiet", only: true, onclick: () => player.playFile(one.url, one.name, { seconds: one.seconds }) });
      const words = [clock(one.seconds), file.folder_path, file.text].filter(Boolean).join(" · ");
      return h("li", {}, h("button", { type: "button", class: "pick grow", onclick: () => close(one) },
        h("span", { class: "name clip" }, one.name), h("span", { class: "facts clip" }, words)), play);
    }

    async function refresh() {
      asked.abort();
      asked = new AbortController();
      const { signal } = asked;
      try {
        const { files } = await api.get(`/api/v1/vc_inputs?page_size=${PAGE}&search=${encodeURIComponent(search.value.trim())}`, signal);
        fill(place);
        fill(rows, files.map(row));
        rows.hidden = !files.length;
        fill(nothing, !files.length && empty("library", t(search.value.trim() ? "convert.not_found" : "convert.no_inputs")));
      } catch (error) {
        if (!signal.aborted) tell(place, error);
      }
    }

    refresh();
    return { body: h("div", { class: "stack voice-list" }, search, place, rows, nothing) };
  });
  if (found) choose(found);
}
