// System: which model speaks and why, and how the server does.
import { api } from "../api.js";
import { fill, h, put } from "../dom.js";
import { bytes, number } from "../format.js";
import { t } from "../text.js";
import { live, tell } from "../ui.js";
import { charts } from "./system/charts.js";
import { keys } from "./system/keys.js";
import { models } from "./system/models.js";
import { storage } from "./system/storage.js";
import { troubles } from "./system/troubles.js";

export const styles = ["work", "system"];
const MB = 2 ** 20;

/** @param {HTMLElement} root */
export async function mount(root, app) {
  const place = live();
  const speaking = models(app);
  const facts = h("dl", { class: "facts-list wide" });
  const parts = app.admin ? [charts(), storage(), keys(app), troubles()] : [];
  const titles = ["charts", "storage", "keys", "troubles"];
  const section = (key, node, ...actions) => h("section", { class: "stack section", "aria-label": t(`system.${key}.title`) }, h("div", { class: "row" }, h("h2", { class: "grow" }, t(`system.${key}.title`)), actions), node);

  const sheet = h("div", { class: "sections" }, h("p", { class: "muted small" }, t("ui.loading")));
  put(root, h("div", { class: "page" }, h("header", { class: "page-head" }, h("h1", {}, t("tabs.system"))), place, sheet));
  const sections = [section("models", speaking.node), section("server", facts), parts.map((part, n) => section(titles[n], part.node, part.actions ?? [])),
    app.admin ? null : h("p", { class: "note" }, t("system.admins"))];

  async function server() {
    const [health, config] = await Promise.all([api.get("/api/v1/health"), api.get("/api/v1/config")]);
    const limits = config.api_limits;
    const told = [
      ["version", health.version], ["state", t(`system.states.${health.status}`)], ["uptime", health.uptime],
      ["memory", health.system_info?.memory.rss_mb && bytes(health.system_info.memory.rss_mb * MB)],
      ["workers", health.engine?.workers && t("system.server.busy", { busy: health.engine.busy, n: health.engine.workers })],
      ["text", t("speak.characters", { n: limits.max_text_length })], ["upload", bytes(limits.max_file_size_mb * MB)], ["queue", number(limits.queue_limit)],
      ["access", t(app.session.keys_required ? "system.server.keys_on" : "system.server.keys_off")],
    ];
    fill(facts, told.filter(([, value]) => value).map(([key, value]) => [h("dt", {}, t(`system.server.${key}`)), h("dd", { class: "number" }, value)]),
      health.warnings ? [h("dt", {}, t("system.server.warnings")), h("dd", { class: "note bad" }, health.warnings.join("; "))] : null);
  }

  const all = [{ refresh: server }, speaking, ...parts];
  let timer = 0;

  const refresh = () => Promise.all(all.map((part) => part.refresh?.())).then(() => fill(place)).catch((error) => tell(place, error));

  // All of it before it is seen: what comes later would push the rest about.
  await refresh();
  fill(sheet, sections);
  return {
    shown() {
      clearInterval(timer);
      timer = setInterval(() => { if (!document.hidden) refresh(); }, 10_000); // a slice of the charts
      speaking.shown();
    },
    hidden() {
      clearInterval(timer);
      speaking.hidden();
    },
  };
}
