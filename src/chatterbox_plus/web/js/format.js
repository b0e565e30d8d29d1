// Numbers and times as people read them.
import { t } from "./text.js";

const LOCALE = document.documentElement.lang;
const day = new Intl.DateTimeFormat(LOCALE, { dateStyle: "medium", timeStyle: "short" });
const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

/** 75.2 → "1:15"; 3700 → "1:01:40". Seconds; a dash where nobody knows. */
export function clock(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–:––";
  const all = Math.max(0, Math.floor(seconds + 0.05));
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (value) => String(value).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** "about 9 s", "about 2 min". */
export function roughly(seconds) {
  if (seconds < 59.5) return t("format.seconds", { n: Math.max(1, Math.round(seconds)) });
  if (seconds < 3600) return t("format.minutes", { n: Math.round(seconds / 60) });
  return t("format.hours", { n: Math.round(seconds / 360) / 10 });
}

/** 42044 → "42 kB". */
export function bytes(count) {
  let [value, unit] = [count, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return new Intl.NumberFormat(LOCALE, {
    style: "unit", unit: UNITS[unit], unitDisplay: "short", maximumFractionDigits: value < 10 && unit ? 1 : 0,
  }).format(value);
}

/** A UTC date of the API as a local one. */
export const date = (iso) => (iso ? day.format(new Date(iso)) : "");

/** A language's own name for a reader of the page: "pt-br" → "Brazilian Portuguese". */
export function language(code) {
  try {
    return new Intl.DisplayNames(LOCALE, { type: "language" }).of(code) ?? code;
  } catch (error) {
    if (error instanceof RangeError) return code; // some codes are espeak-ng's own
    throw error;
  }
}

export const number = (value, digits = 1) =>
  new Intl.NumberFormat(LOCALE, { maximumFractionDigits: digits }).format(value);
