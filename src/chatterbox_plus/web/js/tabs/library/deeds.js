// What is done to outputs: deleted, packed, passed on, spoken again.
import { api, ask, inPath, withQuery } from "../../api.js";
import { h } from "../../dom.js";
import { details, pathsOf, titled } from "../../outputs.js";
import { listed } from "../../store.js";
import { t } from "../../text.js";
import { button, busy, checkbox, confirmed, dialog, download, field, input, live, select, toast } from "../../ui.js";

const AT_ONCE = 40; // names in one address
const LONGEST = 24_000; // characters of an address that every proxy lets through
const HOURS = [1, 24, 168];

const named = (paths) => paths.map((path) => `filenames=${encodeURIComponent(path)}`).join("&");

/** Asks, then deletes generations with all their formats. progress: how many files are gone. Returns whether it was done. Raises ApiError. */
export async function remove(outputs, progress = () => {}) {
  const paths = outputs.flatMap(pathsOf);
  const words = outputs.length === 1 ? t("library.sure_one", { name: titled(outputs[0]) }) : t("library.sure", { n: outputs.length });
  const files = t("library.files", { n: paths.length });
  if (!(await confirmed(words, t("library.forever", { files }), t("ui.delete")))) return false;
  if (outputs.length === 1) {
    await api.delete(`/api/v1/output/${inPath(paths[0])}?confirm=true&all_formats=true`);
    return true;
  }
  for (let n = 0; n < paths.length; n += AT_ONCE) {
    const some = paths.slice(n, n + AT_ONCE);
    if (some.length === 1) some.push(some[0]); // one name alone would be cut at its commas
    await ask(`/api/v1/outputs?confirm=true&${named(some)}`, { method: "DELETE" });
    progress(Math.min(1, (n + AT_ONCE) / paths.length));
  }
  return true;
}

/** All files of generations as one archive, as the browser downloads it. */
export function pack(outputs) {
  const paths = outputs.flatMap(pathsOf);
  if (paths.length === 1) {
    download(outputs[0].url, outputs[0].filename);
    return;
  }
  const address = `/api/v1/outputs/zip?${named(paths)}`;
  if (address.length > LONGEST) throw new Error(t("library.too_many"));
  download(address, "outputs.zip");
}

/** A link for somebody without a key. */
export function pass(path, name) {
  return dialog(t("library.link"), () => {
    const place = live();
    const life = select(HOURS.map((hours) => [String(3600 * hours), t(`library.lives.${hours}`)]));
    const link = input({ readonly: true, "aria-label": t("library.link"), placeholder: t("library.no_link") });
    const make = button(t("library.make_link"), { icon: "link", onclick: () => busy(make, place, async () => {
      const reply = await api.post(withQuery(`/api/v1/outputs/${inPath(path)}/link`, { expires_in: life.value }));
      link.value = reply.full_url;
      copy.disabled = false;
      link.select();
    }) });
    const copy = button(t("library.copy"), { icon: "check", disabled: true, onclick: () => busy(copy, place, async () => {
      await navigator.clipboard.writeText(link.value);
      toast(t("library.copied"));
    }) });
    if (!navigator.clipboard) copy.hidden = true; // only pages of this machine and over HTTPS have one; the link can be marked
    return { narrow: true, body: [h("p", {}, t("library.link_of", { name })), field(t("library.life"), life), link, place], foot: [copy, make] };
  });
}

/** Speaks a text again as it was spoken, as a new task. Resolves with the task's id, or nothing. */
export async function repeat(output) {
  const [{ parameters, metadata }, told] = await Promise.all([details(output.path), listed("options")]);
  const kept = settingsOf(parameters, told.speech);
  return dialog(t("library.again"), (close) => {
    const place = live();
    const text = h("textarea", { class: "input", rows: 6, value: parameters.text ?? "", autofocus: true });
    const seed = metadata.generation_info?.seed_used ?? parameters.seed;
    const same = checkbox(t("library.same_seed", { seed: String(seed ?? "") }), { checked: false });
    same.hidden = !seed;
    const go = button(t("speak.speak"), { icon: "play", kind: "main", onclick: () => busy(go, place, async () => {
      const body = { ...kept, text: text.value };
      delete body.seed;
      if (same.querySelector("input").checked) body.seed = seed;
      close((await api.post("/api/v1/tts/async", body)).task_id);
    }) });
    return { body: [field(t("speak.text"), text), same, place], foot: [button(t("ui.cancel"), { onclick: () => close() }), go] };
  });
}

/** What was asked for otherwise than the server's defaults. */
export function settingsOf(parameters, options) {
  const names = new Map(options.filter((option) => !["text", "webhook_url", "streaming"].includes(option.name)).map((option) => [option.name, option]));
  return Object.fromEntries(Object.entries(parameters ?? {}).filter(([name, value]) =>
    names.has(name) && value !== null && JSON.stringify(value) !== JSON.stringify(names.get(name).default)));
}
