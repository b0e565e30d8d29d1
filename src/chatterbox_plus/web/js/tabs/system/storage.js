// What takes room, and what may go: first shown, then removed.
import { api } from "../../api.js";
import { fill, h, icon } from "../../dom.js";
import { bytes, number } from "../../format.js";
import { t } from "../../text.js";
import { button, busy, confirmed, live } from "../../ui.js";

const MB = 2 ** 20;
const GB = 2 ** 30;

export function storage() {
  const list = h("ul", { class: "list" });
  const found = live({ class: "stack" });
  const look = button(t("system.storage.look"), { onclick: () => busy(look, found, dry) });

  function row(name, { size_bytes: size, file_count: count, max_size_mb: most, max_files: files, usage_percent: percent }) {
    const limit = most ? t("system.storage.of", { size: bytes(most * MB) }) : files ? t("system.storage.of_files", { n: files }) : t("system.storage.no_limit");
    const meter = percent === null || percent === undefined ? null : h("progress", { class: "meter short", max: 100, value: percent, "aria-label": t("system.storage.used", { name: t(`system.storage.folders.${name}`) }) });
    return h("li", {}, h("div", { class: "what" }, h("p", { class: "name" }, t(`system.storage.folders.${name}`)), h("p", { class: "facts number" }, [t("system.storage.files", { n: count }), limit].join(" · "))), meter, h("span", { class: "number size" }, bytes(size)));
  }

  async function refresh() {
    const { directories, disk } = await api.get("/api/v1/resources");
    fill(list, Object.entries(directories).map(([name, told]) => row(name, told)),
      disk.total_gb ? h("li", {}, h("div", { class: "what" }, h("p", { class: "name" }, t("system.storage.disk")), h("p", { class: "facts number" }, t("system.storage.free", { size: bytes(disk.available_gb * GB) }))), h("progress", { class: "meter short", max: 100, value: disk.usage_percent, "aria-label": t("system.storage.used", { name: t("system.storage.disk") }) }), h("span", { class: "number size" }, bytes(disk.total_gb * GB))) : null);
  }

  /** What would go; nothing is touched. */
  async function dry() {
    const told = await api.post("/api/v1/cleanup", { target: "all", dry_run: true });
    const { total_files_removed: count, total_bytes_freed: size } = told;
    if (!count) return fill(found, h("p", { class: "note good" }, icon("check"), t("system.storage.nothing")));
    const names = Object.values(told.actions).flatMap((action) => action.details);
    const remove = button(t("system.storage.remove"), { kind: "danger", icon: "delete", onclick: async () => {
      if (await confirmed(t("system.storage.remove"), t("system.storage.sure", { n: count, size: bytes(size) }), t("system.storage.remove"))) await busy(remove, null, clean);
    } });
    return fill(found, h("p", { class: "note" }, t("system.storage.would", { n: count, size: bytes(size) })),
      h("ul", { class: "names small muted" }, names.slice(0, 8).map((name) => h("li", { class: "clip" }, name)), names.length > 8 ? h("li", {}, t("system.storage.more", { n: names.length - 8 })) : null), h("div", { class: "row" }, remove));
  }

  async function clean() {
    const told = await api.post("/api/v1/cleanup", { target: "all" });
    await refresh();
    fill(found, h("p", { class: "note good" }, icon("check"), t("system.storage.gone", { n: number(told.total_files_removed, 0), size: bytes(told.total_bytes_freed) })));
    look.focus();
  }

  return { node: h("div", { class: "stack" }, list, found), actions: look, refresh };
}
