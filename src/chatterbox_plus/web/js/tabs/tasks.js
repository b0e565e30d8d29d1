// Tasks: everything that works in the background, as it happens.
import { api, withQuery } from "../api.js";
import { fill, h, put } from "../dom.js";
import { t } from "../text.js";
import { button, busy, empty, live, select, tell } from "../ui.js";
import { unfinished, watch } from "../work.js";
import { details } from "./tasks/details.js";
import { taskRow } from "./tasks/row.js";

export const styles = ["work"];
const PAGE = 30;
const LOOK_MS = 5000; // while nothing is under way: somebody else may begin something
const STATES = ["queued", "running", "paused", "succeeded", "failed", "cancelled"];
const KINDS = ["tts", "vc", "concat", "batch", "book"];

/** @param {HTMLElement} root */
export async function mount(root, app) {
  const status = select([["", t("tasks.any_state")], ...STATES.map((one) => [one, t(`tasks.states.${one}`)])], { "aria-label": t("tasks.state"), onchange: () => load() });
  const kind = select([["", t("tasks.any_kind")], ...KINDS.map((one) => [one, t(`tasks.kinds.${one}`)])], { "aria-label": t("tasks.kind"), onchange: () => load() });
  const list = h("ul", { class: "list tasks", "aria-label": t("tabs.tasks") });
  const none = h("div", {});
  const place = live();
  const older = button(t("tasks.older"), { hidden: true, onclick: () => busy(older, place, () => load(page + 1)) });
  const count = h("p", { class: "facts number grow" });
  const rows = new Map();
  let page = 1;
  let seen = null; // AbortController of a visit
  let streaming = false;

  put(root, h("div", { class: "page" },
    h("header", { class: "page-head" }, h("h1", {}, t("tabs.tasks")), h("div", { class: "row filters" }, status, kind)),
    place, list, none, h("div", { class: "row" }, count, older)));

  const fits = (task) => (!status.value || task.status === status.value) && (!kind.value || task.kind === kind.value);

  /** One page of the list; the first one replaces what is there. */
  async function load(wanted = 1) {
    const asked = { status: status.value, kind: kind.value };
    const reply = await api.get(withQuery("/api/v1/tasks", { ...asked, page: wanted, page_size: PAGE }), seen?.signal)
      .catch((error) => { tell(place, error); return null; });
    if (!reply || asked.status !== status.value || asked.kind !== kind.value) return; // others are wanted by now
    fill(place);
    page = wanted;
    if (wanted === 1) forget(new Set(reply.tasks.map((task) => task.task_id)));
    for (const task of reply.tasks) told(task, false);
    if (wanted === 1) list.append(...reply.tasks.map((task) => rows.get(task.task_id).node)); // in their order
    older.hidden = !reply.has_next;
    count.textContent = reply.total ? t("tasks.count", { n: reply.total }) : "";
    fill(none, reply.total ? null : empty("tasks", t(status.value || kind.value ? "tasks.none_such" : "tasks.none"),
      status.value || kind.value ? button(t("tasks.all"), { onclick: all }) : button(t("tasks.begin"), { icon: "speak", onclick: () => app.go("speak") })));
    stream();
  }

  function all() {
    status.value = kind.value = "";
    load();
    status.focus();
  }

  function forget(kept) {
    for (const [id, row] of rows) {
      if (kept.has(id)) continue;
      row.node.remove();
      rows.delete(id);
    }
  }

  /** A task as it stands now. fresh: it was not asked for: a new one stands first. */
  function told(task, fresh = true) {
    const known = rows.get(task.task_id);
    if (known) return known.show(task);
    if (!fits(task)) return undefined;
    const row = taskRow(task, { app, place, told, open: (one) => details(one, app) });
    rows.set(task.task_id, row);
    fill(none);
    return fresh ? list.prepend(row.node) : list.append(row.node);
  }

  /** Hears of changes over one connection, for as long as something is under way. */
  async function stream() {
    if (streaming || !seen || ![...rows.values()].some((row) => unfinished(row.task))) return;
    streaming = true;
    const visit = seen;
    const stop = new AbortController();
    visit.signal.addEventListener("abort", () => stop.abort());
    try {
      await watch((task) => {
        told(task);
        if (![...rows.values()].some((row) => unfinished(row.task))) stop.abort();
      }, stop.signal);
    } catch (error) {
      tell(place, error);
    } finally {
      streaming = false;
    }
  }

  return {
    async shown({ task }) {
      seen?.abort();
      seen = new AbortController();
      const visit = seen;
      await load();
      const timer = setInterval(() => !streaming && !document.hidden && page === 1 && load(), LOOK_MS);
      if (visit.signal.aborted) clearInterval(timer);
      else visit.signal.addEventListener("abort", () => clearInterval(timer));
      if (!task) return;
      history.replaceState(null, "", "#/tasks");
      api.get(`/api/v1/tasks/${encodeURIComponent(task)}`, visit.signal).then((one) => details(one, app)).catch((error) => tell(place, error));
    },
    hidden() {
      seen?.abort();
      seen = null;
    },
  };
}
