// Deleted voices, for as long as the server keeps them.
import { api } from "../../api.js";
import { fill, h } from "../../dom.js";
import { clock, date } from "../../format.js";
import { t } from "../../text.js";
import { button, busy, confirmed, dialog, empty, live, tell } from "../../ui.js";

/** Shows them. onrestored(voice): one is back. */
export function trash(onrestored) {
  const place = live();
  const rows = h("ul", { class: "list" });
  const nothing = empty("delete", t("voices.trash.none"));
  nothing.hidden = true;

  async function refresh() {
    const { trash: found } = await api.get("/api/v1/trash");
    nothing.hidden = found.length > 0;
    rows.hidden = !found.length;
    fill(rows, found.map(row));
  }

  function row(entry) {
    const back = button(t("voices.trash.restore"), { icon: "undo", onclick: () => busy(back, place, async () => {
      const { voice_metadata: voice } = await api.post(`/api/v1/trash/${entry.id}/restore`);
      onrestored(voice);
      await refresh();
    }) });
    const gone = button(t("voices.trash.remove", { name: entry.name }), { icon: "delete", kind: "quiet", only: true, onclick: async () => {
      if (!(await confirmed(t("voices.trash.remove", { name: entry.name }), t("voices.trash.sure"), t("ui.delete")))) return;
      await busy(gone, place, async () => {
        await api.delete(`/api/v1/trash/${entry.id}?confirm=true`);
        await refresh();
      });
    } });
    const facts = [clock(entry.duration_seconds), t("voices.trash.until", { when: date(entry.restore_until) })].join(" · ");
    return h("li", {}, h("div", { class: "what" }, h("p", { class: "name" }, entry.name), h("p", { class: "facts" }, facts)), back, gone);
  }

  refresh().catch((error) => tell(place, error));
  return dialog(t("voices.trash.title"), () => ({ body: h("div", { class: "stack trash" }, place, rows, nothing) }));
}
