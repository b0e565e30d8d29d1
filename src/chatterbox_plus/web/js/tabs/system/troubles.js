// The last errors, in words.
import { api, withQuery } from "../../api.js";
import { fill, h } from "../../dom.js";
import { date } from "../../format.js";
import { t } from "../../text.js";
import { empty, segments } from "../../ui.js";

const SHOWN = 12;

export function troubles() {
  const list = h("ul", { class: "list", "aria-label": t("system.troubles.title") });
  const none = h("div", {});
  const levels = segments(t("system.troubles.whose"), ["error", "warning"].map((one) => [one, t(`system.troubles.levels.${one}`)]), "error", (one) => { level = one; refresh(); });
  let level = "error";

  async function refresh() {
    const told = await api.get(withQuery("/api/v1/errors/recent", { level, limit: SHOWN }));
    fill(list, told.errors.map((one) => h("li", {}, h("div", { class: "what" }, h("p", { class: "name" }, one.message), h("p", { class: "facts" }, [one.endpoint, one.request_id, date(one.timestamp)].join(" · "))), h("span", { class: `tag ${level === "error" ? "bad" : ""}` }, one.error_code))));
    fill(none, told.errors.length ? null : empty("check", t(`system.troubles.none.${level}`)));
    list.hidden = !told.errors.length;
  }

  return { node: h("div", { class: "stack" }, h("div", { class: "row" }, levels), list, none), refresh };
}
