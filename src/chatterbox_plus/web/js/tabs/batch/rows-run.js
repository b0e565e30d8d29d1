// A batch that is spoken: every row, live.
import { api, withQuery } from "../../api.js";
import { fill, h } from "../../dom.js";
import { clock } from "../../format.js";
import { t } from "../../text.js";
import { button, busy, segments, tell } from "../../ui.js";
import { VERB_ICONS, act, bar, called, downloads, listen, stateTag, unfinished, verbs, watch } from "../../work.js";
import { link, runHead } from "./head.js";

const PAGE = 100;
const LOOK_MS = 800;
const SELDOM = 10; // looks, where no row has changed

export function rowsRun(task, app) {
  const path = `/api/v1/tasks/${task.task_id}`;
  const head = runHead(task, { changed: (now) => { update(now); follow(); }, files: (now) => (now.rows?.succeeded ? [link(t("batch.zip"), now.links.zip)] : []) });
  const list = h("tbody", {});
  const kinds = [["", t("batch.all_rows")], ["failed", t("tasks.states.failed")], ["running", t("tasks.states.running")]];
  const filter = segments(t("batch.show"), kinds, "", (one) => { status = one; load(1); });
  const older = button(t("batch.more_rows"), { hidden: true, onclick: () => busy(older, head.place, () => load(page + 1)) });
  const rows = new Map();
  let [status, page] = ["", 1];
  let stop = null;

  async function load(wanted) {
    const reply = await api.get(withQuery(`${path}/rows`, { status, page: wanted, page_size: PAGE }));
    page = wanted;
    if (wanted === 1) {
      rows.clear();
      fill(list);
    }
    for (const row of reply.tasks) put(row);
    older.hidden = !reply.has_next;
    if (!reply.total) fill(list, h("tr", {}, h("td", { colspan: "5", class: "muted" }, t("batch.no_such_rows"))));
  }

  function put(row) {
    const known = rows.get(row.task_id) ?? line(row, app, head.place, (now) => { told(now); follow(); });
    if (!rows.has(row.task_id)) list.append(known.node);
    rows.set(row.task_id, known);
    known.show(row);
  }

  /** A row as it stands now; those that are not on the page are not shown. */
  function told(row) {
    rows.get(row.task_id)?.show(row);
  }

  function update(now) {
    task = now;
    head.show(now);
  }

  /** Hears of rows, and of the batch itself, until it has ended. */
  async function follow() {
    if (stop) return;
    const mine = (stop = new AbortController());
    try {
      update(await api.get(path, mine.signal));
      if (!unfinished(task)) return;
      await Promise.race([rowsOf(mine.signal), batchOf(mine.signal)]);
    } catch (error) {
      tell(head.place, error);
    } finally {
      mine.abort();
      if (stop === mine) stop = null;
    }
  }

  let moved = true; // whether a row has changed since the batch was asked

  const rowsOf = (signal) => watch((row) => { moved = true; told(row); }, signal, task.task_id);

  /** How the batch stands, asked for when some of it has changed; ends with it. */
  async function batchOf(signal) {
    for (let waited = 0; unfinished(task); waited++) {
      await new Promise((go) => setTimeout(go, LOOK_MS));
      if (!moved && waited % SELDOM) continue;
      moved = false;
      update(await api.get(path, signal));
    }
    for (let number = 1; number <= page; number++) {
      for (const row of (await api.get(withQuery(`${path}/rows`, { status, page: number, page_size: PAGE }), signal)).tasks) put(row);
    }
  }

  load(1).catch((error) => tell(head.place, error));
  return {
    node: h("div", { class: "stack loose" }, head.node, h("div", { class: "row" }, filter),
      h("table", { class: "rows live" }, h("thead", {}, h("tr", {}, ["number", "text", "state", "seconds", "do"].map((one) => h("th", { scope: "col" }, one === "do" ? h("span", { class: "unseen" }, t("batch.columns.do")) : t(`batch.columns.${one}`))))), list),
      h("div", { class: "row" }, older)),
    shown: follow,
    hidden: () => stop?.abort(),
    close: () => stop?.abort(),
  };
}

/** One row, changed in place. */
function line(row, app, place, told) {
  const tag = stateTag(row);
  const meter = bar(t("tasks.progress"));
  const seconds = h("td", { class: "number" });
  const play = button(t("ui.loading"), { icon: "play", kind: "quiet", only: true });
  const sound = listen(app.player, play);
  const slot = h("td", { class: "slot" });
  const problem = h("p", { class: "facts bad" });
  const node = h("tr", { data: { row: row.row } }, h("td", { class: "number muted" }, String(row.row)),
    h("td", { class: "said" }, row.name && row.about ? [h("strong", {}, row.name), " "] : null, h("span", {}, row.about ?? called(row)), problem), h("td", { class: "how" }, tag, meter), seconds, slot);
  let shown = "";

  const change = (verb, one) => busy(one, place, async () => told(await act(row.task_id, verb)));

  function show(next) {
    row = next;
    tag.show(row);
    meter.show(row);
    meter.classList.toggle("idle", row.status !== "running");
    seconds.textContent = row.progress.audio_seconds ? clock(row.progress.audio_seconds) : "";
    problem.textContent = row.status === "failed" ? row.error : "";
    const [file] = row.output_files;
    if (file) sound.show(file.url, called(row), downloads(row));
    const now = file ? "play" : row.status;
    if (now === shown) return;
    shown = now;
    const inside = slot.contains(document.activeElement);
    const [verb] = verbs(row).filter((one) => one === "retry");
    const retry = verb && button(t("batch.retry_row", { n: row.row }), { icon: VERB_ICONS[verb], kind: "quiet", only: true, onclick: () => change(verb, retry) });
    fill(slot, file ? play : retry ?? null);
    if (inside) slot.querySelector("button")?.focus();
  }

  return { node, show };
}
