// Join: recordings and silences, put in order, heard, and made one file.
import { fill, h, icon, put } from "../dom.js";
import { optionForm } from "../option-form.js";
import { details, lasting, savings } from "../outputs.js";
import { presets } from "../presets.js";
import { listed } from "../store.js";
import { t } from "../text.js";
import { button, busy, empty, live, menu, more, tell, toast } from "../ui.js";
import { arranged, pausing } from "./join/arranged.js";
import { Board } from "./join/board.js";
import { asked, made, preview } from "./join/making.js";
import { pick } from "./join/picker.js";
import { rows } from "./join/rows.js";
import { timeline } from "./join/timeline.js";

export const styles = ["speak", "join"];

/** @param {HTMLElement} root */
export async function mount(root, app) {
  const { player } = app;
  const told = await listed("options");
  const board = new Board();
  const heard = {}; // whose the player is while it has the preview
  let previewed = ""; // what the preview is of
  let chosen = 0;
  let result = null;
  let stop = null;

  const group = (name) => told.joining.filter((option) => option.group === name);
  const [first, sound, output] = ["first", "sound", "output"].map((name) => optionForm(group(name), { onchange: drawn }));
  const read = () => ({ ...first.values(), ...sound.values() });
  const preset = presets({ kind: "joining", read, apply(options) {
    first.set(options);
    sound.set(options);
    shown();
  } });

  const line = timeline({ move, choose, seek: (share) => (player.owner === heard ? player.seek(share * player.total) : null) });
  const list = rows({
    move, choose, player, hear, limits: () => told.pieces,
    remove: (n) => undoable(t("join.removed", { name: board.pieces[n].name }), board.remove(n)),
    copy: (n) => arrived(board.copy(n)),
    quiet: (n) => arrived(board.addSilence(n + 1)),
    last: (n, ms) => board.last(n, ms),
  });
  const chooser = h("input", { type: "file", multiple: true, hidden: true, tabindex: "-1", accept: told.input_formats.map((one) => `.${one}`).join(","), onchange: () => {
    take(chooser.files);
    chooser.value = "";
  } });
  const library = () => pick({ player, add: (one) => { chosen = board.addOutput(one).id; } });
  const adds = () => [
    button(t("join.from_library"), { icon: "library", onclick: library }),
    button(t("join.files"), { icon: "upload", onclick: () => chooser.click() }),
  ];
  const clear = button(t("join.clear"), { kind: "quiet", onclick: () => undoable(t("join.cleared"), board.clear()) });
  const nothing = h("div", { class: "drop" }, empty("join", t("join.empty"), h("div", { class: "row wrap" }, adds())));
  const content = h("div", { class: "stack loose filled" }, line.node, list.node);
  const status = live({ class: "status" });
  const count = h("p", { class: "facts number" });
  const meter = h("progress", { class: "meter", max: 1, hidden: true, "aria-label": t("join.progress") });
  const hearing = button(t("join.preview"), { icon: "play", onclick: listen });
  const exporting = button(t("join.export"), { icon: "check", kind: "main", onclick: save });
  const cancel = button(t("ui.cancel"), { icon: "stop", hidden: true, onclick: () => stop?.abort() });
  const play = button(t("join.hear_file"), { icon: "play", kind: "quiet", hidden: true, onclick: () => player.playFile(result.files[0].url, result.name, { seconds: result.seconds, downloads: files() }) });
  const saving = menu(button(t("player.download"), { icon: "download", kind: "quiet", hidden: true }), files);
  const silence = button(t("join.add_silence"), { icon: "minus", onclick: () => arrived(board.addSilence(after())) });
  const tools = h("div", { class: "row wrap tools" }, adds(), silence, clear);

  const desk = h("div", { class: "desk" },
    h("header", { class: "desk-head" }, h("h1", {}, t("tabs.join")), tools),
    h("div", { class: "board" }, nothing, content), chooser, meter,
    h("footer", { class: "desk-foot" }, h("div", { class: "grow" }, count, status), play, saving, cancel, hearing, exporting));
  put(root, h("div", { class: "speak join" }, desk,
    h("section", { class: "inspector stack loose", "aria-label": t("join.settings") },
      h("div", { class: "stack" }, preset.node, first.node), more(t("groups.sound"), sound.node), h("div", { class: "stack" }, h("h2", {}, t("join.result")), output.node))));

  function files() {
    return savings({ formats: result.files });
  }

  /** Behind what is chosen, else at the end. */
  function after() {
    const at = board.pieces.findIndex((piece) => piece.id === chosen);
    return at < 0 ? board.pieces.length : at + 1;
  }

  function move(from, to) {
    chosen = board.pieces[from].id;
    const { name } = board.move(from, to);
    app.say(t("join.moved", { name, n: to + 1, of: board.pieces.length }));
  }

  function arrived(piece) {
    choose(piece.id);
    list.find(piece.id);
  }

  function undoable(words, undo) {
    toast(words, { words: t("ui.undo"), act: undo });
  }

  function choose(id, show = true) {
    chosen = id;
    for (const row of list.node.children) row.classList.toggle("chosen", row.dataset.id === String(id));
    for (const block of line.node.querySelectorAll(".block")) block.classList.toggle("chosen", block.dataset.id === String(id));
    if (show) list.node.querySelector(".chosen")?.scrollIntoView({ block: "nearest" });
  }

  function take(given) {
    for (const file of given) chosen = board.addFile(file).id;
  }

  /** Everything, as pieces and options are. */
  function shown() {
    list.show(board.pieces, chosen);
    drawn();
  }

  /** The same, where only lengths and pictures are new. */
  function drawn() {
    const { pieces } = board;
    const options = { ...Object.fromEntries(group("first").map((option) => [option.name, option.default])), ...read() };
    const plan = arranged(pieces, options);
    const sounding = pieces.filter((piece) => piece.kind !== "silence").length;
    nothing.hidden = pieces.length > 0;
    tools.hidden = content.hidden = !pieces.length;
    list.measured();
    line.show(plan, sounding ? t("join.lasts", { time: lasting(plan.total) }) : "", chosen);
    count.textContent = pieces.length ? t("join.count", { n: pieces.length }) : "";
    hearing.disabled = exporting.disabled = !sounding || stop !== null;
    const hushed = options.pause_duration_ms > 0 && !pausing(pieces, options.pause_duration_ms);
    if (hushed) fill(status, h("p", { class: "note" }, t("join.no_pauses")));
    else if (status.dataset.hushed) fill(status);
    status.dataset.hushed = hushed ? "yes" : "";
    marked();
  }

  /** Plays one piece alone. */
  function hear(piece) {
    if (piece.file) player.playBlob(piece.file, piece.file, piece.name);
    else player.playFile(piece.url, piece.name, { seconds: piece.seconds });
  }

  const wanted = () => asked(board.pieces, read());
  const fingerprint = ({ body, sent }) => JSON.stringify([body, sent.map((file) => [file.name, file.size, file.lastModified])]);

  async function working(what, work) {
    stop = new AbortController();
    cancel.hidden = false;
    play.hidden = saving.hidden = true;
    meter.hidden = false;
    meter.removeAttribute("value");
    const other = what === hearing ? exporting : hearing;
    other.disabled = true;
    const { signal } = stop;
    await busy(what, status, () => work(signal));
    if (signal.aborted) fill(status, h("p", { class: "note" }, t("join.stopped")));
    stop = null;
    cancel.hidden = meter.hidden = true;
    play.hidden = saving.hidden = !result;
    shown();
  }

  function listen() {
    const request = wanted();
    const key = fingerprint(request);
    if (player.owner === heard && previewed === key) return player.toggle();
    player.unlock();
    return working(hearing, async (signal) => {
      fill(status, h("p", { class: "note" }, t("join.making")));
      const blob = await preview(request, signal);
      previewed = key;
      player.load({ title: t("join.title"), subtitle: t("join.not_kept"), pieces: [{ blob }], owner: heard });
      fill(status, h("p", { class: "note" }, t("join.not_kept")));
      await player.play();
    });
  }

  function save() {
    const { body, sent } = wanted();
    result = null;
    return working(exporting, async (signal) => {
      const found = await made({ body: { ...body, ...output.values() }, sent }, (share) => {
        if (share !== null) meter.value = share;
      }, signal);
      result = { ...found, name: found.files[0].filename.replace(/\.\w+$/, "") };
      fill(status, h("p", { class: "note good" },
        t("join.made", { name: result.name, time: lasting(result.seconds) }), " ", h("a", { href: "#/library" }, t("join.see"))));
    });
  }

  let current = false; // whether the preview is of the pieces as they are

  /** What the player does with the preview. */
  function marked() {
    const mine = player.owner === heard;
    current = mine && previewed === fingerprint(wanted());
    if (!hearing.hasAttribute("aria-busy")) fill(hearing, icon(current && player.playing ? "pause" : "play"), t(current && player.playing ? "player.pause" : "join.preview"));
    line.point(current && player.total ? player.at / player.total : null);
    if (mine && player.playing && !running) requestAnimationFrame(run);
  }

  let running = false;

  function run() {
    running = player.owner === heard && player.playing && !root.hidden;
    if (current && player.total) line.point(player.at / player.total, running);
    if (running) requestAnimationFrame(run);
  }

  desk.addEventListener("dragover", (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();
    desk.classList.add("over");
  });
  desk.addEventListener("dragleave", (event) => !desk.contains(event.relatedTarget) && desk.classList.remove("over"));
  desk.addEventListener("drop", (event) => {
    event.preventDefault();
    desk.classList.remove("over");
    take(event.dataTransfer.files);
  });
  board.addEventListener("change", shown);
  board.addEventListener("measured", drawn);
  player.addEventListener("change", marked);
  window.addEventListener("stop", () => stop?.abort());
  shown();

  return {
    /** add: paths of outputs as JSON; from: the path of something that was joined, whose pieces are put here again. */
    async shown({ add, from }) {
      if (!add && !from) return;
      history.replaceState(null, "", "#/join");
      try {
        if (add) for (const path of JSON.parse(add)) await board.addPath(path);
        if (from) await again(from);
      } catch (error) {
        tell(status, error);
      }
    },
  };

  async function again(path) {
    const { parameters } = await details(path);
    undoable(t("join.replaced"), board.clear());
    for (const segment of parameters.segments) {
      if (segment.type === "silence") board.addSilence(undefined, segment.duration_ms / 1000);
      else if (segment.type === "server_file") await board.addPath(segment.filename);
      else fill(status, h("p", { class: "note" }, t("join.not_there")));
    }
    first.set(parameters);
    sound.set(parameters);
    shown();
  }
}
