// Every word of the page is in text/en.json; a translation is another file beside it.

const words = await (await fetch("/assets/text/en.json")).json();
const LOCALE = document.documentElement.lang;
const plural = new Intl.PluralRules(LOCALE);

/**
 * The words of a key such as "speak.button". Where a key has `one` and `other`, `n` of the values decides.
 * @param {string} key
 * @param {Record<string, string|number>} [values] for {name} in the words
 */
export function t(key, values = {}) {
  let found = key.split(".").reduce((at, part) => at?.[part], words);
  if (found && typeof found === "object") found = found[plural.select(Number(values.n))] ?? found.other;
  if (typeof found !== "string") throw new Error(`no words for ${key}`);
  return found.replace(/\{(\w+)\}/g, (_, name) => shown(values[name]));
}

/** Whether there are words for a key: for names that the server makes, such as options. */
export const has = (key) => key.split(".").reduce((at, part) => at?.[part], words) !== undefined;

const number = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 2 });
const shown = (value) => (typeof value === "number" ? number.format(value) : String(value));
