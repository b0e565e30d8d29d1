// What of the library is asked for: filters, order, and one page after the other.
import { debounced, h } from "../../dom.js";
import { gathered, outputs } from "../../outputs.js";
import { t } from "../../text.js";
import { field, input, select } from "../../ui.js";

const PAGE = 60; // files
const KINDS = ["", "tts", "vc", "concat", "book"];
const ORDERS = { newest: ["created_date", "desc"], oldest: ["created_date", "asc"], name: ["filename", "asc"], largest: ["file_size", "desc"] };

/** Filters as controls. onchange: when something else is wanted. */
export function filters(onchange) {
  const search = input({ type: "search", placeholder: t("ui.search"), "aria-label": t("join.search"), oninput: debounced(onchange) });
  const kind = select(KINDS.map((one) => [one, t(`library.kinds.${one || "all"}`)]), { onchange, "aria-label": t("library.kind") });
  const order = select(Object.keys(ORDERS).map((one) => [one, t(`library.orders.${one}`)]), { onchange, "aria-label": t("library.order") });
  const since = input({ type: "date", onchange });
  const until = input({ type: "date", onchange });
  const node = h("div", { class: "library-filters", role: "search" },
    h("div", { class: "wanted" }, search), kind, order, field(t("library.since"), since), field(t("library.until"), until));
  return {
    node,
    /** Whether anything is left out. */
    get open() { return !search.value.trim() && !kind.value && !since.value && !until.value; },
    read() {
      const [sort_by, sort_order] = ORDERS[order.value];
      return { q: search.value.trim(), generation_type: kind.value, date_from: moment(since.value), date_to: moment(until.value, true), sort_by, sort_order };
    },
    clear() {
      search.value = kind.value = since.value = until.value = "";
      onchange();
    },
  };
}

/** A day of the reader's own, as a moment. */
function moment(day, end = false) {
  return day ? new Date(`${day}T${end ? "23:59:59.999" : "00:00:00"}`).toISOString() : "";
}

/** Pages of outputs, a generation a line. */
export class Shelf {
  outputs = [];
  page = 0;
  more = false;
  files = 0; // of all pages
  bytes = 0;
  #stop = new AbortController();
  #seen = new Set();

  /** Begins anew; as many pages as were there, if `again`. Raises ApiError. */
  async load(query, again = false) {
    this.#stop.abort();
    const { signal } = (this.#stop = new AbortController());
    const until = again ? Math.max(1, this.page) : 1;
    const [found, seen] = [[], new Set()];
    let reply = null;
    let page = 0;
    do {
      reply = await outputs({ ...query, page: ++page, page_size: PAGE }, signal);
      found.push(...gathered(reply.files, seen));
    } while (page < until && reply.has_next);
    Object.assign(this, { outputs: found, page });
    this.#seen = seen;
    this.#told(reply);
  }

  /** The next page. Returns what is new. Raises ApiError. */
  async next(query) {
    const reply = await outputs({ ...query, page: this.page + 1, page_size: PAGE }, this.#stop.signal);
    const found = gathered(reply.files, this.#seen);
    this.page++;
    this.outputs.push(...found);
    this.#told(reply);
    return found;
  }

  #told(reply) {
    this.more = reply.has_next;
    this.files = reply.summary.total_files;
    this.bytes = reply.summary.total_size_bytes;
  }
}
