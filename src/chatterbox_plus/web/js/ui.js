// Small parts of every tab: buttons, fields, notes, dialogs, menus, toasts. See style/parts.css.
import { fill, h, icon, newId, put } from "./dom.js";
import { t } from "./text.js";

/**
 * A button with words, an icon, or both. With `only` the words are for screen readers and a tooltip.
 * @param {string} words
 * @param {{icon?: string, kind?: string, only?: boolean, onclick?: (event: Event) => any, [name: string]: any}} [props]
 *   kind: "main", "quiet" or "danger"
 */
export function button(words, { icon: picture, kind = "", only = false, ...props } = {}) {
  const named = only ? { "aria-label": words, title: words } : {};
  const look = ["button", kind, only ? "round" : "", props.class ?? ""].filter(Boolean).join(" ");
  return h("button", { type: "button", ...named, ...props, class: look }, picture && icon(picture), !only && words);
}

/** Runs work while its button turns and cannot be pressed; what goes wrong is told in `place`. */
export async function busy(button, place, work) {
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  if (place) fill(place);
  try {
    return await work();
  } catch (error) {
    tell(place, error);
    return undefined;
  } finally {
    button.removeAttribute("aria-busy");
    button.disabled = false;
  }
}

/** Says what went wrong in `place` (a `live()`), or in a toast. Whoever stopped the work needs no telling. */
export function tell(place, error) {
  if (error.name === "AbortError") return;
  if (!place) toast(error.message);
  else fill(place, h("p", { class: "note bad" }, icon("warn"), h("span", {}, error.message)));
}

/** Where progress and errors are told: screen readers hear what is put there. */
export const live = (props = {}) => h("div", { role: "status", "aria-live": "polite", ...props });

/** A labelled control. hint: a line below it. */
export function field(label, control, hint = "") {
  control.id ||= newId();
  const about = hint && h("p", { class: "hint", id: newId() }, hint);
  if (about) control.setAttribute("aria-describedby", about.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, about);
}

export const input = (props = {}) => h("input", { type: "text", ...props, class: "input" });

/** @param {Array<[string, string]>} choices value, words */
export function select(choices, props = {}) {
  return h("select", { ...props, class: "input" }, choices.map(([value, words]) => h("option", { value }, words)));
}

export function checkbox(label, props = {}) {
  return h("label", { class: "check" }, h("input", { type: "checkbox", ...props }), h("span", {}, label));
}

/** One of a few, side by side. change(value) is called with what was chosen. */
export function segments(label, choices, value, change) {
  const group = h("div", { class: "segments", role: "group", "aria-label": label });
  const set = (chosen) => {
    for (const one of group.children) one.setAttribute("aria-pressed", String(one.dataset.value === chosen));
  };
  const choose = (one) => () => { set(one); change(one); };
  put(group, choices.map(([one, words]) => h("button", { type: "button", data: { value: one }, onclick: choose(one) }, words)));
  set(value);
  return Object.assign(group, { set });
}

/** What a list shows that has nothing: what it would hold, and what to do next. */
export const empty = (picture, words, ...actions) => h("div", { class: "empty" }, icon(picture), h("p", {}, words), actions);

/** A part that opens. */
export function more(words, ...inside) {
  return h("details", { class: "more" }, h("summary", {}, icon("next", true), words), h("div", { class: "inside" }, inside));
}

/**
 * A dialog on top of the page: focus stays within, Escape closes it. Resolves with what `close(value)` was given.
 * @param {string} title
 * @param {(close: (value?: any) => void) => {body: any, foot?: any, narrow?: boolean}} build
 */
export function dialog(title, build) {
  return new Promise((resolve) => {
    const id = newId();
    const close = (value) => { box.returned = value; box.close(); };
    const { body, foot, narrow } = build(close);
    const box = h(
      "dialog",
      { "aria-labelledby": id, class: narrow ? "narrow" : null, onclose: () => { box.remove(); resolve(box.returned); } },
      h("div", { class: "dialog-head" }, h("h2", { id }, title), button(t("ui.close"), { icon: "close", kind: "quiet", only: true, onclick: () => close() })),
      h("div", { class: "dialog-body" }, body),
      foot && h("div", { class: "dialog-foot" }, foot),
    );
    box.addEventListener("click", (event) => event.target === box && close()); // the veil around it
    document.body.append(box);
    box.showModal();
    box.querySelector("[autofocus]")?.focus();
  });
}

/** Asks before something is done that hurts. Resolves with true or false. */
export async function confirmed(title, words, action) {
  const answer = await dialog(title, (close) => ({
    narrow: true,
    body: h("p", {}, words),
    foot: [
      button(t("ui.cancel"), { onclick: () => close(false) }),
      button(action, { kind: "danger", autofocus: true, onclick: () => close(true) }),
    ],
  }));
  return answer === true;
}

/**
 * A button that opens a list of actions.
 * @param {HTMLElement} opener
 * @param {() => Array<{words: string, icon?: string, href?: string, download?: string, act?: () => any}>} items
 */
export function menu(opener, items) {
  const list = h("div", { class: "menu", popover: "auto", role: "menu" });
  const entries = () => [...list.querySelectorAll("[role=menuitem]")];
  opener.setAttribute("aria-haspopup", "menu");
  opener.setAttribute("aria-expanded", "false");
  opener.addEventListener("click", () => {
    fill(list, items().map(({ words, icon: picture, href, download, act }) => h(
      href ? "a" : "button",
      { role: "menuitem", tabindex: "-1", href, download, onclick: () => { list.hidePopover(); act?.(); } },
      picture && icon(picture), h("span", {}, words),
    )));
    opener.after(list);
    list.showPopover();
    const at = opener.getBoundingClientRect();
    const { width, height } = list.getBoundingClientRect();
    const below = at.bottom + 4 + height < innerHeight;
    list.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - 4 - height)}px`;
    list.style.left = `${Math.max(8, Math.min(at.right - width, innerWidth - width - 8))}px`;
    entries()[0]?.focus();
  });
  list.addEventListener("toggle", (event) => {
    opener.setAttribute("aria-expanded", String(event.newState === "open"));
    if (event.newState === "closed") list.remove();
  });
  list.addEventListener("keydown", (event) => {
    const all = entries();
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
    else if (event.key === "Tab") list.hidePopover();
    if (step) event.preventDefault();
  });
  return opener;
}

const TOAST_MS = 6000;

/** A word in passing, with an action if there is one ("Undo"). */
export function toast(words, action = null, ms = TOAST_MS) {
  const place = document.querySelector("#toasts");
  const gone = () => note.remove();
  const note = h("div", { class: "toast" }, h("span", { class: "grow" }, words),
    action && button(action.words, { kind: "quiet", onclick: () => { gone(); action.act(); } }),
    button(t("ui.close"), { icon: "close", kind: "quiet", only: true, onclick: gone }));
  place.append(note);
  let timer = setTimeout(gone, ms);
  note.addEventListener("pointerenter", () => clearTimeout(timer));
  note.addEventListener("focusin", () => clearTimeout(timer));
  note.addEventListener("pointerleave", () => (timer = setTimeout(gone, ms)));
}

/** Saves a URL as a file, as a link that was clicked would. */
export function download(href, name) {
  const link = h("a", { href, download: name });
  document.body.append(link);
  link.click();
  link.remove();
}
