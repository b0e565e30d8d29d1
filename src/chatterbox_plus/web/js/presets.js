// Sets of options that the server keeps under a name.
import { api, ask } from "./api.js";
import { h } from "./dom.js";
import { t } from "./text.js";
import { button, busy, confirmed, dialog, field, input, live, menu, select, tell, toast } from "./ui.js";

/**
 * A list of presets, and what can be done with them.
 * @param {{kind: "speech"|"conversion"|"joining", read: () => Record<string, any>, apply: (options: Record<string, any>) => void}} asked
 */
export function presets({ kind, read, apply }) {
  const chooser = select([["", t("presets.none")]]);
  const wrong = live();
  const actions = menu(button(t("presets.more"), { icon: "more", only: true }), () => [
    { words: t("presets.save"), icon: "add", act: save },
    ...(chooser.value ? [{ words: t("presets.again", { name: chooser.value }), icon: "check", act: () => put(chooser.value, true) },
      { words: t("presets.delete", { name: chooser.value }), icon: "delete", act: remove }] : []),
  ]);
  const labelled = field(t("presets.label"), chooser);
  labelled.append(h("div", { class: "row" }, chooser, actions), wrong);
  let known = [];

  async function refresh(chosen = chooser.value) {
    known = (await api.get("/api/v1/presets")).presets.filter((preset) => preset.kind === kind);
    chooser.replaceChildren(...[["", t("presets.none")], ...known.map(({ name }) => [name, name])].map(([value, words]) => h("option", { value }, words)));
    chooser.value = known.some(({ name }) => name === chosen) ? chosen : "";
  }

  async function put(name, overwrite) {
    const path = `/api/v1/presets/${encodeURIComponent(name)}`;
    const headers = overwrite ? {} : { "If-None-Match": "*" };
    await ask(path, { method: "PUT", json: { kind, options: read() }, headers });
    await refresh(name);
    toast(t("presets.saved", { name }));
  }

  function save() {
    const name = input({ maxlength: 100, required: true, autofocus: true });
    return dialog(t("presets.save"), (close) => {
      const place = live();
      const enter = button(t("ui.save"), { kind: "main", type: "submit" });
      const submit = (event) => {
        event.preventDefault();
        busy(enter, place, async () => {
          await put(name.value.trim(), false);
          close();
        });
      };
      return { narrow: true, body: h("form", { class: "stack", onsubmit: submit }, field(t("presets.name"), name, t("presets.hint")), place, h("div", { class: "row" }, enter)) };
    });
  }

  async function remove() {
    const name = chooser.value;
    if (!(await confirmed(t("presets.delete", { name }), t("presets.sure"), t("ui.delete")))) return;
    await api.delete(`/api/v1/presets/${encodeURIComponent(name)}`).then(() => refresh("")).catch((error) => tell(wrong, error));
  }

  chooser.addEventListener("change", () => apply(known.find(({ name }) => name === chooser.value)?.options ?? {}));
  refresh().catch((error) => tell(wrong, error));
  return { node: labelled, refresh };
}
