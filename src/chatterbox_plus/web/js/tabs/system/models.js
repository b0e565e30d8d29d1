// Which model speaks and why; models fetched, loaded, put away.
import { api, events } from "../../api.js";
import { fill, h } from "../../dom.js";
import { bytes, language } from "../../format.js";
import { changed } from "../../store.js";
import { t } from "../../text.js";
import { button, confirmed, live, menu, tell, toast } from "../../ui.js";

const SHOWN = 6; // languages by name; of more, how many there are

/** @param {any} app */
export function models(app) {
  const who = h("p", { class: "who" });
  const why = h("p", { class: "muted" });
  const place = live();
  const list = h("ul", { class: "list models", "aria-label": t("system.models.all") });
  const node = h("div", { class: "stack" }, h("div", { class: "speaking" }, who, why), place, list);
  const pulls = new Map(); // name → AbortController of who watches
  const rows = new Map();
  let seen = false;

  async function refresh() {
    const told = await api.get("/api/v1/models");
    const speaker = told.models.find((one) => one.default);
    who.textContent = speaker ? t("system.models.speaks", { name: speaker.title }) : t("system.models.nobody");
    why.textContent = [told.why, told.device && t("system.models.device", { device: told.device.toUpperCase() }), speaker && !speaker.preview && t("system.models.precision", { name: told.precision })].filter(Boolean).join(" · ");
    for (const model of told.models) {
      const row = rows.get(model.name) ?? one(model.name);
      if (!rows.has(model.name)) list.append(row.node);
      rows.set(model.name, row);
      row.show(model);
    }
    for (const [name, row] of rows) if (!told.models.some((model) => model.name === name)) { row.node.remove(); rows.delete(name); }
    if (seen) for (const model of told.models) if (model.pull && model.pull.success === null) watch(model.name);
  }

  /** Hears of a pull until it has ended. */
  async function watch(name) {
    if (pulls.has(name) || !app.admin) return;
    const stop = new AbortController();
    pulls.set(name, stop);
    try {
      for await (const [, pull] of events(`/api/v1/models/pulls/${encodeURIComponent(name)}`, stop.signal)) rows.get(name)?.pulled(pull);
      changed("models", "options", "config");
    } catch (error) {
      tell(place, error);
    } finally {
      pulls.delete(name);
    }
    if (seen) await refresh().catch((error) => tell(place, error));
  }

  /** Does something with a model, and shows how it stands then. */
  async function ask(name, work, after = "") {
    fill(place);
    try {
      await work();
      changed("models", "options", "config");
      if (after) toast(after);
      await refresh();
      rows.get(name)?.focus();
    } catch (error) {
      tell(place, error);
      await refresh().catch(() => {}); // the first error says more
    }
  }

  const path = (name) => `/api/v1/models/${encodeURIComponent(name)}`;

  function one(name) {
    const title = h("p", { class: "name" });
    const facts = h("p", { class: "facts" });
    const trouble = h("p", { class: "facts bad" });
    const tags = h("span", { class: "row" });
    const meter = h("progress", { class: "meter", max: 100, hidden: true, "aria-label": t("system.models.progress") });
    const slot = h("span", { class: "act" });
    const more = h("span", { class: "slot" });
    const row = h("li", { data: { model: name } }, h("div", { class: "what" }, title, facts, trouble, meter), tags, more, slot);
    let [model, shown] = [null, ""];

    const pull = () => ask(name, () => api.post("/api/v1/models/pull", { model: name })).then(() => watch(name));
    const stop = () => ask(name, () => api.delete(`/api/v1/models/pulls/${encodeURIComponent(name)}`));
    const load = () => { working(); return ask(name, () => api.post("/api/v1/warmup", { model: name }), t("system.models.is_loaded", { name: model.title })); };
    const unload = () => ask(name, () => api.post(`${path(name)}/unload`));

    function working() {
      const only = slot.firstChild;
      only?.setAttribute("aria-busy", "true");
      if (only) only.disabled = true;
    }

    async function remove() {
      if (!(await confirmed(t("system.models.remove", { name: model.title }), t("system.models.sure", { size: bytes(model.size_bytes ?? 0) }), t("system.models.remove_now")))) return;
      await ask(name, () => api.delete(`${path(name)}?confirm=true`));
    }

    function pulled(state) {
      const under = state && state.success === null;
      meter.hidden = !under;
      if (!under) return;
      if (state.percent === null) meter.removeAttribute("value");
      else meter.value = state.percent;
      facts.textContent = [t(state.status === "cancelling" ? "system.models.stopping" : "system.models.coming"), state.total_bytes && t("system.models.of", { done: bytes(state.bytes_done), total: bytes(state.total_bytes) }), state.file].filter(Boolean).join(" · ");
    }

    function action() {
      if (!app.admin) return null;
      if (model.pull?.success === null) return button(t("system.models.stop"), { icon: "stop", disabled: model.pull.status === "cancelling", onclick: stop });
      if (!model.installed) return model.download_bytes ? button(t(model.unfinished ? "system.models.go_on" : "system.models.get"), { icon: "download", "aria-label": t(model.unfinished ? "system.models.go_on_with" : "system.models.get_one", { name: model.title }), onclick: pull }) : null;
      if (!model.loaded) return button(t("system.models.load"), { "aria-label": t("system.models.load_one", { name: model.title }), onclick: load });
      return model.preview ? null : button(t("system.models.unload"), { "aria-label": t("system.models.unload_one", { name: model.title }), onclick: unload });
    }

    function show(next) {
      model = next;
      title.textContent = model.title;
      const languages = model.languages?.length > SHOWN ? t("system.models.languages", { n: model.languages.length }) : model.languages?.map(language).join(", ");
      const size = model.size_bytes ?? model.download_bytes;
      facts.textContent = [languages ?? model.description, size && t(model.installed ? "system.models.size" : "system.models.to_fetch", { size: bytes(size) }), model.licence, model.source && model.source !== "built in" && t(`system.models.sources.${model.source.replace(" ", "_")}`)].filter(Boolean).join(" · ");
      trouble.textContent = model.problem ?? (model.pull?.status === "failed" && !model.installed ? model.pull.error : "") ?? "";
      pulled(model.pull);
      fill(tags, model.default ? h("span", { class: "tag busy" }, t("system.models.default")) : null, model.loaded ? h("span", { class: "tag good" }, t("system.models.loaded")) : model.installed ? h("span", { class: "tag" }, t("system.models.here")) : null);
      const now = [model.installed, model.loaded, model.unfinished, model.pull?.success === null, model.pull?.status === "cancelling"].join();
      if (now === shown) return;
      shown = now;
      fill(slot, action());
      const removable = app.admin && model.installed && ["pulled", "copied", "added"].includes(model.source);
      fill(more, removable ? menu(button(t("tasks.more", { name: model.title }), { icon: "more", kind: "quiet", only: true }), () => [{ words: t("system.models.remove", { name: model.title }), icon: "delete", act: remove }]) : null);
    }

    return { node: row, show, pulled, focus: () => document.activeElement === document.body && slot.querySelector("button")?.focus() };
  }

  return {
    node,
    refresh,
    shown() {
      seen = true;
      for (const [name, row] of rows) if (!row.node.querySelector(".meter").hidden) watch(name);
    },
    hidden() {
      seen = false;
      for (const stop of pulls.values()) stop.abort();
    },
  };
}
