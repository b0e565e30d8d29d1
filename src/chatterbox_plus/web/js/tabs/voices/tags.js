// Tags, as words that can be taken away one by one.
import { fill, h, icon, newId } from "../../dom.js";
import { t } from "../../text.js";
import { input } from "../../ui.js";

const LONGEST = 100; // characters of a tag

/**
 * @param {{label: string, known: () => string[], onchange?: () => void}} asked known: tags to suggest
 */
export function tagField({ label, known, onchange = () => {} }) {
  let tags = [];
  const suggestions = h("datalist", { id: newId() });
  const entry = input({
    id: newId(), maxlength: LONGEST, list: suggestions.id, placeholder: t("voices.tag_hint"), onkeydown: pressed, onchange: add, onblur: add,
    onfocus: () => fill(suggestions, known().filter((tag) => !tags.includes(tag)).map((value) => h("option", { value }))),
    oninput: () => entry.value.endsWith(",") && add(),
  });
  const list = h("ul", { class: "row wrap chosen-tags", "aria-label": label });
  const node = h("div", { class: "field" }, h("label", { for: entry.id }, label), entry, suggestions, list);

  function draw() {
    list.hidden = !tags.length;
    fill(list, tags.map((tag, n) => h("li", {}, h("button", { type: "button", class: "tag", "aria-label": t("voices.untag", { tag }), onclick: () => take(n) }, tag, icon("close", true)))));
  }

  function add() {
    const found = entry.value.split(",").map((tag) => tag.trim()).filter((tag) => tag && !tags.includes(tag));
    entry.value = "";
    if (!found.length) return;
    tags = [...tags, ...found];
    draw();
    onchange();
  }

  function take(n) {
    tags = tags.filter((_, other) => other !== n);
    draw();
    (list.querySelectorAll("button")[Math.min(n, tags.length - 1)] ?? entry).focus();
    onchange();
  }

  function pressed(event) {
    if (event.key === "Enter" && entry.value.trim()) {
      event.preventDefault();
      add();
    } else if (event.key === "Backspace" && !entry.value && tags.length) {
      take(tags.length - 1);
      entry.focus();
    }
  }

  draw();
  return {
    node,
    read() {
      add();
      return tags;
    },
    write(value) {
      tags = [...value];
      entry.value = "";
      draw();
    },
  };
}

/** A folder's name, with those that there are to choose from. */
export function folderField({ label, known, onchange = () => {} }) {
  const suggestions = h("datalist", { id: newId() });
  const entry = input({
    id: newId(), maxlength: 512, list: suggestions.id, placeholder: t("voices.no_folder"), oninput: onchange,
    onfocus: () => fill(suggestions, known().map((value) => h("option", { value }))),
  });
  const node = h("div", { class: "field" }, h("label", { for: entry.id }, label), entry, suggestions);
  return { node, read: () => entry.value.trim(), write: (value) => { entry.value = value ?? ""; } };
}
