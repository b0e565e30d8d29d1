// Folders of outputs, at the side; a list to choose from where there is no room for that.
import { api } from "../../api.js";
import { fill, h } from "../../dom.js";
import { t } from "../../text.js";
import { select } from "../../ui.js";

/** @param {(folder: string) => void} onchange "" is everything */
export function projects(onchange) {
  const list = h("ul", { class: "projects" });
  const narrow = select([["", t("library.all")]], { "aria-label": t("library.projects"), onchange: () => choose(narrow.value) });
  const node = h("nav", { class: "side", "aria-label": t("library.projects") }, h("h2", {}, t("library.projects")), list);
  let chosen = "";

  function choose(folder) {
    chosen = folder;
    mark();
    onchange(folder);
  }

  function mark() {
    narrow.value = chosen;
    for (const one of list.querySelectorAll("button")) {
      if (one.value === chosen) one.setAttribute("aria-current", "true");
      else one.removeAttribute("aria-current");
    }
  }

  /** As the server has them now. Raises ApiError. */
  async function refresh() {
    const { folders, total_files: total } = await api.get("/api/v1/outputs/folders");
    const below = (path) => folders.filter((one) => one.path === path || one.path.startsWith(`${path}/`)).reduce((sum, one) => sum + one.file_count, 0);
    const known = folders.filter(({ path }) => path !== "root").map(({ path }) => ({ path, name: path.split("/").at(-1), depth: path.split("/").length - 1, count: below(path) }));
    known.sort((a, b) => a.path.localeCompare(b.path));
    const all = [{ path: "", name: t("library.all"), depth: 0, count: total }, ...known.filter((one) => one.count)];
    if (!all.some(({ path }) => path === chosen)) chosen = "";
    fill(list, all.map(({ path, name, depth, count }) => {
      const button = h("button", { type: "button", value: path, title: path || name, onclick: () => choose(path) },
        h("span", { class: "clip grow" }, name), h("span", { class: "facts number", "aria-label": t("library.files", { n: count }) }, String(count)));
      button.style.paddingLeft = `calc(var(--s3) + ${Math.min(depth, 4)} * var(--s3))`;
      return h("li", {}, button);
    }));
    fill(narrow, all.map(({ path, name }) => h("option", { value: path }, path || name)));
    mark();
  }

  return { node, narrow, refresh, get chosen() { return chosen; } };
}
