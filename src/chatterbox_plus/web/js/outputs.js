// What was made, as Library and Join show it: one line a generation, whatever formats it has.
import { api, inPath, withQuery } from "./api.js";
import { clock, number } from "./format.js";
import { t } from "./text.js";

const TO_HEAR = ["mp3", "m4b", "wav", "flac"]; // the smallest that every browser plays
const TO_WORK_WITH = ["wav", "flac"]; // nothing was lost in these
const GENERATED = /^(tts|vc|concat)_\d{4}-\d\d-\d\d_/; // a name that the server made up
const TITLE = 80; // characters

/**
 * @typedef {object} Output an item of GET /api/v1/outputs
 * @property {string} filename
 * @property {string} path
 * @property {string} url
 * @property {string} generation_type
 * @property {string|null} folder_path
 * @property {number|null} duration_seconds
 * @property {string} created_date
 * @property {Record<string, any>} parameters
 * @property {Array<{format: string, filename: string, url: string, file_size_bytes: number}>} formats
 */

/** A page of outputs. Raises ApiError. */
export const outputs = (query, signal) => api.get(withQuery("/api/v1/outputs", query), signal);

/** How one was made. Raises ApiError. */
export const details = (path) => api.get(`/api/v1/outputs/${inPath(path)}/metadata`);

/** All formats of a generation have it in common. */
export const stemOf = (path) => path.replace(/\.\w+$/, "");

/** Files as generations: each once, where its first file stands. seen: stems that were shown before, and are then. */
export function gathered(files, seen = new Set()) {
  return files.filter((file) => {
    const stem = stemOf(file.path);
    if (seen.has(stem)) return false;
    seen.add(stem);
    return true;
  });
}

/** What it says, else what it is called. */
export function titled(output) {
  const told = (output.parameters?.text || output.parameters?.title || "").trim().replace(/\s+/g, " ");
  const title = told || composed(output) || bare(output.filename);
  return title.length > TITLE ? `${title.slice(0, TITLE)}…` : title;
}

/** What it was made of, where nobody gave it a name. */
function composed({ generation_type: kind, parameters: asked, source_files: sources = [], filename }) {
  if (!GENERATED.test(filename)) return "";
  if (kind === "vc" && asked?.input_audio_source) return [asked.input_audio_source, asked.target_voice_source].filter(Boolean).map(bare).join(" → ");
  if (kind !== "concat" || !sources.length) return "";
  const names = sources.map(bare);
  return names.some((name) => GENERATED.test(name)) ? t("library.join_of", { n: names.length }) : names.join(" + ");
}

/** A path without its folders and extension. */
const bare = (path) => String(path).split("/").at(-1).replace(/\.\w+$/, "");

const best = (output, wanted) =>
  wanted.map((format) => output.formats.find((file) => file.format === format)).find(Boolean) ?? output.formats[0] ?? output;

/** The file to hear. */
export const toHear = (output) => best(output, TO_HEAR);

/** The file to make something else of. */
export const toWorkWith = (output) => best(output, TO_WORK_WITH);

/** The path of one of its files, as requests name it. */
export const pathOf = (output, file) => (output.folder_path ? `${output.folder_path}/${file.filename}` : file.filename);

/** 3.53 → "3.5 s"; from a minute on as a clock. A dash where nobody knows. */
export const lasting = (seconds) =>
  seconds === null || seconds === undefined || seconds >= 59.95 ? clock(seconds) : t("library.lasts", { n: number(seconds) });

/** All its paths. */
export const pathsOf = (output) => output.formats.map((file) => pathOf(output, file));

/** Its files as a menu shows them. */
export const savings = (output) => output.formats.map((file) => ({
  words: t("speak.save_as", { format: file.format.toUpperCase() }), icon: "download", href: file.url, download: file.filename,
}));
