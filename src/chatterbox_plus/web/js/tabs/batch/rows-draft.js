// The rows of a file as the server reads them, before anything is spoken.
import { ApiError, api } from "../../api.js";
import { debounced, fill, h, icon } from "../../dom.js";
import { roughly } from "../../format.js";
import { t } from "../../text.js";
import { button, busy, field, input, live } from "../../ui.js";
import { reading } from "./reading.js";

/** @param {File} file */
export function rowsDraft(file, { app, begin }) {
  const status = live({ class: "status" });
  const found = h("div", { class: "stack" });
  const name = input({ value: file.name.replace(/\.\w+$/, ""), maxlength: 200 });
  const hook = input({ type: "url", maxlength: 2048, placeholder: "https://" });
  const how = reading({ app, groups: ["sampling", "text", "sound", "output"], onchange: debounced(() => look(), 300) });
  const go = button(t("batch.speak"), { icon: "play", kind: "main", disabled: true, onclick: () => busy(go, status, send).then(() => { go.disabled = !count; }) });
  let [asking, count] = [null, 0];

  const body = () => {
    const form = new FormData();
    form.append("file", file);
    form.append("options", JSON.stringify(how.values()));
    if (name.value.trim()) form.append("name", name.value.trim());
    return form;
  };

  /** Asks the server how it reads the rows; the last question counts. */
  async function look() {
    asking?.abort();
    const mine = (asking = new AbortController());
    try {
      const told = await api.form("/api/v1/batch/preview", body(), mine.signal);
      count = told.count;
      draw(told);
    } catch (error) {
      if (error.name === "AbortError") return;
      if (!(error instanceof ApiError)) throw error;
      count = 0;
      wrong(error);
    }
    go.disabled = !count;
    fill(go, icon("play"), count ? t("batch.speak_rows", { n: count }) : t("batch.speak"));
  }

  function draw(told) {
    const more = told.count - told.rows.length;
    fill(found,
      h("p", { class: "facts number" }, [t("batch.rows", { n: told.count }), t("speak.characters", { n: told.characters }), t("speak.estimate", { time: roughly(told.estimated_seconds) })].join(" · ")),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("batch.table") }, h("table", { class: "rows" },
        h("thead", {}, h("tr", {}, ["number", "text", "name", "voice"].map((one) => h("th", { scope: "col" }, t(`batch.columns.${one}`))))),
        h("tbody", {}, told.rows.map((row) => h("tr", {}, h("td", { class: "number muted" }, String(row.row)), h("td", { class: "said" }, row.text), h("td", {}, row.name ?? ""), h("td", {}, row.voice ?? "")))))),
      more > 0 ? h("p", { class: "muted small" }, t("batch.and_more", { n: more })) : null);
  }

  /** All that is wrong, by line and column, in the server's words. */
  function wrong(error) {
    const all = Array.isArray(error.body?.detail) ? error.body.detail : [];
    const places = all.map((one) => ({ at: String(one.loc?.[1] ?? ""), words: one.msg }));
    fill(found, h("p", { class: "note bad" }, icon("warn"), h("span", {}, t(places.length > 1 ? "batch.problems" : "batch.problem", { n: places.length }))),
      places.length ? h("table", { class: "rows" }, h("thead", {}, h("tr", {}, ["line", "column", "problem"].map((one) => h("th", { scope: "col" }, t(`batch.columns.${one}`))))),
        h("tbody", {}, places.map(({ at, words }) => {
          const [line, column] = at.split(/\.(.*)/s);
          const told = /^\d+$/.test(line);
          return h("tr", {}, h("td", { class: "number" }, told && line !== "0" ? line : "–"), h("td", {}, (told ? column : at) || "–"), h("td", {}, words.replace(/^(line \d+|what all rows share)(, [^:]+)?: /, "")));
        }))) : h("p", {}, error.message),
      h("p", { class: "muted small" }, t("batch.mend")));
  }

  async function send() {
    const form = body();
    if (hook.value.trim()) form.append("webhook_url", hook.value.trim());
    const { task_id: task } = await api.form("/api/v1/batch", form);
    app.go("batch", { task });
  }

  fill(found, h("p", { class: "muted small" }, t("batch.reading")));
  look();
  return {
    node: h("div", { class: "split" },
      h("section", { class: "stack", "aria-label": file.name }, h("div", { class: "row wrap" }, h("h2", { class: "clip grow" }, file.name), button(t("ui.cancel"), { onclick: begin }), go), status, found),
      h("section", { class: "stack side", "aria-label": t("batch.how") }, h("h2", {}, t("batch.how")), how.node, field(t("batch.name"), name), field(t("batch.webhook"), hook, t("batch.webhook_hint")))),
    close: () => asking?.abort(),
  };
}
