// Library: all that was made; heard, found, passed on, used again, deleted.
import { debounced, fill, h, icon, put } from "../dom.js";
import { bytes, date } from "../format.js";
import { details, lasting, pathsOf, savings, stemOf, titled, toHear } from "../outputs.js";
import { t } from "../text.js";
import { button, busy, empty, live, menu, tell, toast } from "../ui.js";
import { pack, pass, remove, repeat } from "./library/deeds.js";
import { show } from "./library/details.js";
import { projects } from "./library/projects.js";
import { filters, Shelf } from "./library/query.js";
import { Selection } from "./library/selection.js";

export const styles = ["library"];
const SKELETONS = 8;

/** @param {HTMLElement} root */
export async function mount(root, app) {
  const { player } = app;
  const shelf = new Shelf();
  const side = projects(() => load());
  const wanted = filters(() => load());
  const chosen = new Selection(() => shelf.outputs.map((output) => stemOf(output.path)), ticked);
  const list = h("ul", { class: "list outputs", "aria-label": t("library.outputs") });
  const place = live({ class: "status" });
  const told = live({ class: "facts number" });
  const all = h("input", { type: "checkbox", "aria-label": t("library.select_all"), onchange: () => chosen.all(all.checked) });
  const further = button(t("library.load_more"), { hidden: true, onclick: () => busy(further, place, async () => {
    const found = await shelf.next(query());
    put(list, found.map(row));
    counted();
  }) });
  const some = () => shelf.outputs.filter((output) => chosen.has(stemOf(output.path)));
  const many = h("div", { class: "row many" },
    button(t("library.join"), { icon: "join", kind: "quiet", onclick: () => join(some()) }),
    button(t("player.download"), { icon: "download", kind: "quiet", onclick: () => packed(some()) }),
    button(t("ui.delete"), { icon: "delete", kind: "quiet", onclick: () => removed(some()) }));
  const bar = h("div", { class: "bar" }, h("label", { class: "tick" }, all), told, many);

  put(root, h("div", { class: "library" }, side.node,
    h("div", { class: "main" }, h("header", { class: "page-head" }, h("h1", {}, t("tabs.library")), side.narrow), wanted.node, bar, place, list,
      h("div", { class: "row further" }, further))));
  fill(list, Array.from({ length: SKELETONS }, () => h("li", { class: "skeleton", "aria-hidden": "true" })));
  ticked();

  let seen = "";
  const query = () => ({ ...wanted.read(), folder: side.chosen });

  /** Asks anew. again: as many pages as there were. */
  async function load(again = false) {
    try {
      await shelf.load(query(), again);
      fill(place);
      drawn();
    } catch (error) {
      tell(place, error);
    }
  }

  function drawn() {
    const now = JSON.stringify([shelf.outputs, wanted.open, side.chosen]);
    if (now === seen) return; // the same again: whatever has the focus, or is open, stays
    seen = now;
    if (shelf.outputs.length) fill(list, shelf.outputs.map(row));
    else if (wanted.open && !side.chosen) fill(list, h("li", {}, empty("library", t("library.empty"), button(t("library.speak"), { icon: "speak", onclick: () => app.go("speak") }))));
    else fill(list, h("li", {}, empty("search", t("library.nothing"), button(t("library.clear"), { onclick: () => wanted.clear() }))));
    chosen.keep();
    counted();
    marked();
  }

  function counted() {
    further.hidden = !shelf.more;
    ticked();
  }

  function ticked() {
    const [n, shown] = [chosen.size, shelf.outputs.length];
    all.checked = n > 0 && n === shown;
    all.indeterminate = n > 0 && n < shown;
    all.disabled = !shown;
    bar.classList.toggle("none", !shown);
    many.hidden = !n;
    bar.classList.toggle("some", n > 0);
    told.textContent = (n ? t("library.selected", { n }) : shelf.files && t("library.total", { files: t("library.files", { n: shelf.files }), size: bytes(shelf.bytes) })) || "";
    for (const line of list.querySelectorAll("li[data-stem]")) {
      line.querySelector(".tick input").checked = chosen.has(line.dataset.stem);
      line.classList.toggle("chosen", chosen.has(line.dataset.stem));
    }
  }

  function row(output) {
    const name = titled(output);
    const stem = stemOf(output.path);
    const file = toHear(output);
    let shift = false;
    const tick = h("input", { type: "checkbox", "aria-label": t("library.select", { name }), onclick: (event) => { shift = event.shiftKey; }, onchange: () => chosen.set(stem, tick.checked, shift) });
    const play = button(t("library.hear", { name }), { icon: "play", kind: "quiet", only: true, data: { url: file.url }, onclick: () =>
      player.playFile(file.url, name, { seconds: output.duration_seconds, subtitle: output.folder_path ?? "", downloads: savings(output) }) });
    const saving = menu(button(t("library.download", { name }), { icon: "download", kind: "quiet", only: true, class: "save" }), () => savings(output));
    const rest = menu(button(t("library.more", { name }), { icon: "more", kind: "quiet", only: true }), () => [
      { words: t("library.details"), icon: "file", act: () => show(output, uses) },
      ...uses(output),
      { words: t("ui.delete"), icon: "delete", act: () => removed([output]) },
    ]);
    const facts = [lasting(output.duration_seconds), output.formats.map((one) => one.format).join(", "), output.folder_path, date(output.created_date)];
    return h("li", { data: { stem } }, h("label", { class: "tick" }, tick), play,
      h("div", { class: "what" }, h("button", { type: "button", class: "name", "aria-haspopup": "dialog", onclick: () => show(output, uses) }, name),
        h("p", { class: "facts number" }, facts.filter(Boolean).join(" · "))),
      h("span", { class: "tag" }, t(`library.one.${output.generation_type}`)), saving, rest);
  }

  /** What can be made of an output. */
  function uses(output) {
    const [speech, joined] = [output.generation_type === "tts", output.generation_type === "concat"];
    return [
      speech && { words: t("library.sentences"), icon: "speak", act: () => sentences(output) },
      speech && { words: t("library.again"), icon: "again", act: () => again(output) },
      { words: t("library.join"), icon: "join", act: () => join([output]) },
      joined && { words: t("library.pieces_again"), icon: "edit", act: () => app.go("join", { from: output.path }) },
      app.session?.keys_required && { words: t("library.link"), icon: "link", act: () => pass(pathsOf(output)[0], titled(output)) },
    ].filter(Boolean);
  }

  async function sentences(output) {
    try {
      const { metadata } = await details(output.path);
      if (metadata.task_id) app.go("speak", { task: metadata.task_id });
      else toast(t("library.no_task"));
    } catch (error) {
      tell(place, error);
    }
  }

  async function again(output) {
    try {
      const task = await repeat(output);
      if (task) app.go("speak", { task });
    } catch (error) {
      tell(place, error);
    }
  }

  function join(outputs) {
    app.go("join", { add: JSON.stringify(outputs.map((output) => output.path)) });
  }

  function packed(outputs) {
    try {
      pack(outputs);
    } catch (error) {
      tell(place, error);
    }
  }

  async function removed(outputs) {
    const stems = shelf.outputs.map((output) => stemOf(output.path));
    const at = stems.indexOf(stemOf(outputs[0].path));
    try {
      const done = await remove(outputs, (share) => fill(place, h("progress", { class: "meter", max: 1, value: share, "aria-label": t("library.deleting") })));
      if (!done) return;
      if (outputs.some((output) => player.owner === toHear(output).url)) player.clear();
      toast(t("library.deleted", { n: outputs.length }));
    } catch (error) {
      tell(place, error);
    }
    await refresh();
    const next = list.querySelectorAll("li[data-stem]")[Math.min(at, shelf.outputs.length - 1)];
    (next?.querySelector("button.name") ?? wanted.node.querySelector("input")).focus();
  }

  /** Which one sounds. */
  function marked() {
    for (const one of list.querySelectorAll("[data-url]")) {
      const sounding = player.playing && player.owner === one.dataset.url;
      const state = sounding ? "pause" : "play";
      if (one.dataset.state === state) continue;
      one.dataset.state = state;
      fill(one, icon(state));
      one.closest("li").classList.toggle("sounding", sounding);
    }
  }

  async function refresh() {
    await Promise.all([load(true), side.refresh().catch((error) => tell(place, error))]);
  }

  player.addEventListener("change", debounced(marked, 30));
  return { shown: () => refresh() };
}
