// A book as the server takes it apart: its chapters, who reads them, and what becomes of it.
import { ApiError, api } from "../../api.js";
import { debounced, fill, h, icon } from "../../dom.js";
import { roughly } from "../../format.js";
import { listed, remember } from "../../store.js";
import { t } from "../../text.js";
import { button, busy, checkbox, field, input, live, more, segments, tell } from "../../ui.js";
import { voicePicker } from "../../voice-picker.js";
import { reading } from "./reading.js";

export const MEMORY = "books"; // titles of chapters, by task: the task tells them only when they are read
const REMEMBERED = 20;

/** @param {File} file */
export function bookDraft(file, { app, begin }) {
  const status = live({ class: "status" });
  const found = h("div", { class: "stack" });
  const title = input({ maxlength: 500 });
  const author = input({ maxlength: 500 });
  const project = input({ maxlength: 255 });
  const hook = input({ type: "url", maxlength: 2048, placeholder: "https://" });
  const how = reading({ app, groups: ["sampling", "text"], onchange: debounced(() => look(), 300) });
  const go = button(t("batch.make_book"), { icon: "play", kind: "main", disabled: true, onclick: () => busy(go, status, send).then(summed) });
  const sum = h("p", { class: "facts number", role: "status" });
  const chapters = []; // {number, title, seconds, box, picker}
  const extras = h("div", { class: "stack" });
  let format = null;
  let subtitles = null;
  const cover = coverField();

  const chosen = () => chapters.filter((chapter) => chapter.box.checked);

  function body(whole = true) {
    const form = new FormData();
    form.append("file", file);
    form.append("options", JSON.stringify(how.values()));
    if (!whole) return form;
    const told = { title: title.value.trim(), author: author.value.trim(), project: project.value.trim(), webhook_url: hook.value.trim(), format };
    for (const [name, value] of Object.entries(told)) if (value) form.append(name, value);
    if (subtitles) form.append("subtitles", subtitles().join(",") || "none");
    const skipped = chapters.filter((chapter) => !chapter.box.checked).map((chapter) => chapter.number);
    if (skipped.length) form.append("skip", skipped.join(","));
    const voices = Object.fromEntries(chapters.filter((chapter) => chapter.voice).map((chapter) => [String(chapter.number), chapter.voice]));
    if (Object.keys(voices).length) form.append("voices", JSON.stringify(voices));
    if (cover.file) form.append("cover", cover.file);
    return form;
  }

  let asking = null;
  /** The first time it fills the page; later it only says whether the book can still be read so. */
  async function look() {
    asking?.abort();
    const mine = (asking = new AbortController());
    try {
      const told = await api.form("/api/v1/book/preview", body(chapters.length > 0), mine.signal);
      fill(status);
      if (!chapters.length) draw(told);
      summed();
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof ApiError)) throw error;
      go.disabled = true;
      if (chapters.length) tell(status, error);
      else fill(found, h("p", { class: "note bad" }, icon("warn"), h("span", {}, error.message)), h("p", { class: "muted small" }, t("batch.mend")));
    }
  }

  function draw(told) {
    title.value = told.title;
    author.value = told.author ?? "";
    cover.own(told.has_cover);
    for (const one of told.chapters) chapters.push(chapter(one));
    const all = checkbox(t("batch.all_chapters"), { checked: true, onchange: (event) => { for (const one of chapters) one.box.checked = event.target.checked; summed(); } });
    fill(found, h("div", { class: "row" }, h("div", { class: "grow" }, all), sum), h("ol", { class: "list chapters", "aria-label": t("batch.chapters") }, chapters.map((one) => one.node)),
      told.voices.length ? h("p", { class: "muted small" }, t("batch.marked", { voices: told.voices.join(", ") })) : null);
  }

  function chapter(told) {
    const number = told.index + 1;
    const one = { number, title: told.title, seconds: told.estimated_seconds, voice: "" };
    one.box = h("input", { type: "checkbox", checked: true, onchange: summed, "aria-label": t("batch.read", { title: told.title }) });
    const slot = h("div", { class: "reader" });
    const other = button(t("batch.other_voice"), { icon: "voices", kind: "quiet", "aria-label": t("batch.other_voice_for", { title: told.title }), onclick: () => {
      const picker = voicePicker({ label: t("batch.voice_of", { n: number }), player: app.player, onchange: (voice) => { one.voice = voice; look(); } });
      fill(slot, picker.node);
      picker.node.querySelector("button").click();
    } });
    fill(slot, other);
    one.node = h("li", {}, one.box, h("div", { class: "what" }, h("p", { class: "name" }, `${number}. ${told.title}`),
      h("p", { class: "facts number" }, [t("batch.words", { n: told.words }), roughly(told.estimated_seconds)].join(" · "))), slot);
    return one;
  }

  function summed() {
    const read = chosen();
    sum.textContent = [t("batch.read_chapters", { n: read.length, of: chapters.length }), roughly(read.reduce((all, one) => all + one.seconds, 0))].join(" · ");
    go.disabled = !read.length;
  }

  async function build() {
    const fields = (await listed("options")).book;
    const of = (name) => fields.find((one) => one.name === name);
    format = of("format").default;
    const boxes = of("subtitles").choices.map((one) => [one, checkbox(one.toUpperCase(), { checked: of("subtitles").default.includes(one) })]);
    subtitles = () => boxes.filter(([, box]) => box.querySelector("input").checked).map(([one]) => one);
    fill(extras, h("div", { class: "field" }, h("span", { class: "label" }, t("batch.format")),
      segments(t("batch.format"), of("format").choices.map((one) => [one, t(`batch.formats.${one}`)]), format, (one) => { format = one; })),
    h("fieldset", { class: "field" }, h("legend", {}, t("batch.subtitles")), h("div", { class: "row wrap" }, boxes.map(([, box]) => box))));
  }

  async function send() {
    const { task_id: task } = await api.form("/api/v1/book", body());
    remember(MEMORY, { ...latest(), [task]: chosen().map((one) => [one.title, one.seconds]) });
    app.go("batch", { task });
  }

  fill(found, h("p", { class: "muted small" }, t("batch.reading")));
  build().then(look).catch((error) => tell(status, error));
  return {
    node: h("div", { class: "split" },
      h("section", { class: "stack", "aria-label": file.name }, h("div", { class: "row wrap" }, h("h2", { class: "clip grow" }, file.name), button(t("ui.cancel"), { onclick: begin }), go), status, found),
      h("section", { class: "stack side", "aria-label": t("batch.how") }, h("h2", {}, t("batch.how")),
        h("div", { class: "row top" }, cover.node, h("div", { class: "stack grow" }, field(t("batch.book_title"), title), field(t("batch.author"), author))),
        how.node, extras, more(t("batch.more"), field(t("options.project"), project, t("batch.project_hint")), field(t("batch.webhook"), hook, t("batch.webhook_hint"))))),
    close: () => asking?.abort(),
  };
}

function latest() {
  const kept = JSON.parse(localStorage.getItem(MEMORY) ?? "{}");
  return Object.fromEntries(Object.entries(kept).slice(1 - REMEMBERED));
}

/** The picture on the book. */
function coverField() {
  const picker = h("input", { type: "file", accept: "image/jpeg,image/png", class: "unseen", tabindex: "-1", "aria-hidden": "true" });
  const words = h("span", { class: "tiny" }, t("batch.cover"));
  const node = h("button", { type: "button", class: "cover", onclick: () => picker.click() }, icon("file"), words);
  const field = { node: h("div", {}, node, picker), file: null, own: (there) => { words.textContent = t(there ? "batch.own_cover" : "batch.cover"); } };
  picker.addEventListener("change", () => {
    [field.file] = picker.files;
    if (!field.file) return;
    const image = h("img", { alt: t("batch.cover_alt"), src: URL.createObjectURL(field.file), onload: () => URL.revokeObjectURL(image.src) });
    fill(node, image);
  });
  return field;
}
