// What is remembered: small choices in the browser, and lists of the server that several tabs show.
import { api } from "./api.js";

/** A choice that outlives the page; null if there is none. */
export function recall(name) {
  const kept = localStorage.getItem(name);
  return kept === null ? null : JSON.parse(kept);
}

export const remember = (name, value) => localStorage.setItem(name, JSON.stringify(value));

const ASKED = {
  options: () => api.get("/api/v1/options"),
  config: () => api.get("/api/v1/config"),
  models: () => api.get("/api/v1/models"),
  voices: allVoices,
  stock: async () => (await api.get("/v1/audio/voices")).voices.filter((voice) => voice.kind !== "file"),
};
const known = new Map();

/**
 * A list of the server: asked for once, until somebody says that it changed.
 * @param {"options"|"config"|"models"|"voices"|"stock"} name
 */
export function listed(name) {
  if (!known.has(name)) {
    const asked = ASKED[name]();
    known.set(name, asked);
    asked.catch(() => known.delete(name));
  }
  return known.get(name);
}

/** Says that lists are not true any more: whoever asks next gets new ones. Without names: all. */
export function changed(...names) {
  for (const name of names.length ? names : [...known.keys()]) known.delete(name);
}

async function allVoices() {
  const found = [];
  for (let page = 1; ; page++) {
    const reply = await api.get(`/api/v1/voices?page=${page}&page_size=100`);
    found.push(...reply.voices);
    if (!reply.has_next) return found;
  }
}
