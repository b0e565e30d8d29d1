// Who may use the server: keys made, shown once, revoked. Where nobody is asked for one: how that is changed.
import { api } from "../../api.js";
import { fill, h, icon } from "../../dom.js";
import { date } from "../../format.js";
import { t } from "../../text.js";
import { button, busy, confirmed, dialog, field, input, live, select, tell } from "../../ui.js";

/** @param {any} app */
export function keys(app) {
  const place = live();
  if (!app.session.keys_required) {
    return { node: h("div", { class: "stack" }, h("p", { class: "small" }, t("system.keys.off")), h("ol", { class: "steps small" }, ["make", "switch", "again"].map((step) => h("li", {}, t(`system.keys.steps.${step}`), " ", h("code", {}, t(`system.keys.commands.${step}`)))))) };
  }
  const list = h("ul", { class: "list", "aria-label": t("system.keys.title") });
  const add = button(t("system.keys.add"), { icon: "add", onclick: make });

  async function refresh() {
    const told = await api.get("/api/v1/keys");
    fill(list, told.keys.map((key) => {
      const facts = [t(`system.keys.roles.${key.role}`), key.project && t("system.keys.in", { project: key.project }), key.rate_limit_per_minute && t("system.keys.rate", { n: key.rate_limit_per_minute }), key.last_used_at ? t("system.keys.used", { date: date(key.last_used_at) }) : t("system.keys.unused")];
      return h("li", {}, h("div", { class: "what" }, h("p", { class: "name" }, key.name), h("p", { class: "facts" }, facts.filter(Boolean).join(" · "))),
        key.yours ? h("span", { class: "tag busy" }, t("system.keys.yours")) : button(t("system.keys.revoke_one", { name: key.name }), { icon: "delete", kind: "quiet", only: true, onclick: () => revoke(key) }));
    }));
  }

  async function revoke(key) {
    if (!(await confirmed(t("system.keys.revoke_one", { name: key.name }), t("system.keys.sure"), t("system.keys.revoke")))) return;
    try {
      await api.delete(`/api/v1/keys/${key.id}?confirm=true`);
      await refresh();
      add.focus();
    } catch (error) {
      tell(place, error);
    }
  }

  async function make() {
    const name = input({ maxlength: 64, required: true, autofocus: true });
    const role = select(["user", "admin"].map((one) => [one, t(`system.keys.roles.${one}`)]), { onchange: () => { project.parentElement.hidden = role.value === "admin"; } });
    const project = input({ maxlength: 260 });
    const made = await dialog(t("system.keys.add"), (close) => {
      const wrong = live();
      const enter = button(t("system.keys.make"), { kind: "main", type: "submit" });
      const submit = (event) => {
        event.preventDefault();
        busy(enter, wrong, async () => close(await api.post("/api/v1/keys", { name: name.value.trim(), role: role.value, project: (role.value === "user" && project.value.trim()) || null })));
      };
      return { narrow: true, body: h("form", { class: "stack", onsubmit: submit }, field(t("system.keys.name"), name), field(t("system.keys.role"), role), field(t("system.keys.project"), project, t("system.keys.project_hint")), wrong, h("div", { class: "row" }, enter)) };
    });
    if (!made) return;
    await refresh().catch((error) => tell(place, error));
    await shown(made);
    add.focus();
  }

  return { node: h("div", { class: "stack" }, list, place), actions: add, refresh };
}

/** The key, for the only time. */
function shown(made) {
  return dialog(t("system.keys.made", { name: made.name }), (close) => {
    const text = input({ value: made.key, readonly: true, class: "input", "aria-label": t("system.keys.key"), onfocus: () => text.select() });
    const copied = live();
    const copy = button(t("system.keys.copy"), { icon: "file", kind: "main", autofocus: true, onclick: () => busy(copy, copied, async () => {
      await navigator.clipboard.writeText(made.key);
      fill(copied, h("p", { class: "note good" }, icon("check"), t("system.keys.copied")));
    }) });
    return { narrow: true, body: [h("p", {}, t("system.keys.once")), text, copied], foot: [copy, button(t("ui.close"), { onclick: () => close() })] };
  });
}
