// The shell: which tab is seen, who is signed in, keys that work everywhere.
import { api, door } from "./api.js";
import { dock } from "./dock.js";
import { fill, h, icon, stylesheets } from "./dom.js";
import { Player } from "./player.js";
import { changed, recall, remember } from "./store.js";
import { t } from "./text.js";
import { button, busy, dialog, field, input, live, menu, tell } from "./ui.js";

export const TABS = ["speak", "convert", "join", "batch", "voices", "library", "tasks", "system"];
const IN_THE_BAR = 4; // of a phone; the others are behind "more"

const main = document.querySelector("main");
const said = document.querySelector("#said");
const player = new Player();
const mounted = new Map(); // tab → {root, shown?, hidden?}
let open = null;
let session = null;

/** What a tab's `mount(root, app)` gets besides its root. */
const app = {
  player,
  /** Who asks: {authenticated, keys_required, name, role, project}. */
  get session() { return session; },
  /** Whether administration would be refused. */
  get admin() { return !session?.keys_required || session.role === "admin"; },
  /** Goes to a tab: go("speak", {task: "task_…"}). */
  go: (tab, params = {}) => { location.hash = address(tab, params); },
  /** Says something to screen readers alone. */
  say: (words) => { said.textContent = words; },
};

const address = (tab, params = {}) => {
  const query = new URLSearchParams(params).toString();
  return `#/${tab}${query ? `?${query}` : ""}`;
};

function place() {
  const [, tab, query] = location.hash.match(/^#\/(\w+)(?:\?(.*))?$/) ?? [];
  return { tab: TABS.includes(tab) ? tab : TABS[0], params: Object.fromEntries(new URLSearchParams(query ?? "")) };
}

/** Shows the tab that the address names; it is made when it is first seen and kept from then on. */
async function route(focus = true) {
  if (!session?.authenticated) return;
  const { tab, params } = place();
  for (const link of document.querySelectorAll(".rail a[data-tab]")) {
    if (link.dataset.tab === tab) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.querySelector("#elsewhere").toggleAttribute("aria-current", TABS.indexOf(tab) >= IN_THE_BAR);
  document.title = tab === TABS[0] ? main.dataset.title : `${t(`tabs.${tab}`)} · ${main.dataset.title}`;
  if (focus) main.focus({ preventScroll: true }); // at once: what is typed while the tab loads is meant for it
  let known = mounted.get(tab);
  if (!known) {
    known = { root: h("section", { class: "tab", id: `tab-${tab}`, "aria-label": t(`tabs.${tab}`) }) };
    mounted.set(tab, known);
    main.append(known.root);
    show(known);
    try {
      const module = await import(`./tabs/${tab}.js`);
      await stylesheets(module.styles ?? []);
      Object.assign(known, await module.mount(known.root, app));
    } catch (error) {
      mounted.delete(tab);
      known.root.remove();
      if (open === known) fail(error);
      return;
    }
  }
  if (place().tab !== tab) return; // gone on meanwhile
  show(known);
  known.shown?.(params);
}

function show(known) {
  if (open !== known) {
    if (open) open.left = main.scrollTop;
    open?.hidden?.();
  }
  for (const child of [...main.children]) if (![...mounted.values()].some((one) => one.root === child)) child.remove();
  for (const one of mounted.values()) one.root.hidden = one !== known;
  open = known;
  main.scrollTop = known.left ?? 0;
}

function fail(error) {
  const place = live({ class: "page" });
  main.append(place);
  tell(place, error);
}

/** Asks for a key, in place of everything else. */
function signIn() {
  if (main.querySelector(".door")) return;
  player.clear();
  mounted.clear();
  open = null;
  changed();
  const key = input({ type: "password", autocomplete: "current-password", required: true, maxlength: 200 });
  const wrong = live();
  const enter = button(t("door.enter"), { kind: "main", type: "submit" });
  const submit = (event) => {
    event.preventDefault();
    busy(enter, wrong, async () => {
      session = await api.post("/api/v1/session", { key: key.value });
      begin();
    });
  };
  fill(main, h("form", { class: "door stack", onsubmit: submit },
    h("h1", {}, t("door.title")), h("p", { class: "muted small" }, t("door.how"), " ", h("code", {}, t("door.command"))),
    field(t("door.key"), key), wrong, h("div", { class: "row" }, enter)));
  key.focus();
}

async function signOut() {
  session = await api.delete("/api/v1/session");
  session.authenticated = false;
  signIn();
}

function begin() {
  document.querySelector("#leave").hidden = !session.keys_required;
  fill(main);
  route(false);
}

const SHORTCUTS = [["Ctrl/⌘", "Enter"], ["Space"], ["Esc"], ["←", "→"], ["1", "…", "8"], ["?"]];

function help() {
  if (document.querySelector("dialog[open]")) return;
  dialog(t("help.title"), () => ({
    narrow: true,
    body: [
      h("table", {}, h("tbody", {}, SHORTCUTS.map((keys, n) =>
        h("tr", {}, h("td", {}, keys.map((key) => [h("kbd", {}, key), " "])), h("td", {}, t(`help.keys.${n}`)))))),
      h("p", {}, h("a", { href: "/docs" }, t("help.docs")), " · ", h("a", { href: "/redoc" }, t("help.redoc"))),
    ],
  }));
}

function turnTheme() {
  const dark = getComputedStyle(document.documentElement).colorScheme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", document.documentElement.dataset.theme);
}

const TYPING = "input:not([type=range], [type=checkbox], [type=radio]), textarea, select, [contenteditable]";

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || document.querySelector("dialog[open], :popover-open")) return;
  if (event.key === "Escape") {
    player.stop();
    window.dispatchEvent(new Event("stop")); // tabs that make something call it off
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(TYPING)) return;
  if (event.key === "?") help();
  else if (event.key === " " && !event.target.closest("button, a, summary, [role=button], [type=checkbox], [type=radio]")) {
    event.preventDefault();
    player.toggle();
  } else if (TABS[Number(event.key) - 1]) app.go(TABS[Number(event.key) - 1]);
});

document.querySelector("#theme").addEventListener("click", turnTheme);
document.querySelector("#help").addEventListener("click", help);
document.querySelector("#leave").addEventListener("click", signOut);
menu(document.querySelector("#elsewhere"), () => [
  ...TABS.slice(IN_THE_BAR).map((tab) => ({ words: t(`tabs.${tab}`), icon: tab, act: () => app.go(tab) })),
  { words: t("shell.theme"), icon: "sun", act: turnTheme },
  { words: t("shell.help"), icon: "help", act: help },
  ...(session?.keys_required ? [{ words: t("shell.leave"), icon: "leave", act: signOut }] : []),
]);
door.addEventListener("signin", signIn);
window.addEventListener("hashchange", () => route());
dock(document.querySelector(".dock"), player);
if (recall("tab") && !location.hash) history.replaceState(null, "", address(recall("tab")));
window.addEventListener("pagehide", () => remember("tab", place().tab));

try {
  session = await api.get("/api/v1/session");
  if (session.authenticated) begin();
  else signIn();
} catch (error) {
  fail(error);
}
