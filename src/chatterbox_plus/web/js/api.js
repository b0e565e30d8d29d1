// The one way to the server: JSON in and out, errors in the server's own words, and a way to stop.
import { t } from "./text.js";

/** What the server refused, or that it was not there. `message` is for people. */
export class ApiError extends Error {
  /** @param {number} status 0: no answer came */
  constructor(message, status, code = "", body = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.body = body;
  }
}

/** Hears "signin" when the server asks for a key. */
export const door = new EventTarget();

/**
 * A reply, whatever its body. Raises ApiError; an AbortError when `signal` says so.
 * @param {string} path
 * @param {{method?: string, json?: any, form?: FormData, signal?: AbortSignal, headers?: Record<string, string>}} [asked]
 */
export async function ask(path, { method, json, form, signal, headers = {} } = {}) {
  const body = json === undefined ? form : JSON.stringify(json);
  if (json !== undefined) headers = { ...headers, "Content-Type": "application/json" };
  let reply;
  try {
    reply = await fetch(path, { method: method ?? (body === undefined ? "GET" : "POST"), body, signal, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(t("errors.away"), 0);
  }
  if (reply.ok) return reply;
  const told = await reply.json().catch(() => ({})); // a proxy's error page is no JSON
  if (reply.status === 401 && path !== "/api/v1/session") door.dispatchEvent(new Event("signin"));
  throw new ApiError(told.error ?? t("errors.status", { n: reply.status }), reply.status, told.error_code, told);
}

const parsed = async (path, asked) => (await ask(path, asked)).json();

export const api = {
  get: (path, signal) => parsed(path, { signal }),
  post: (path, json = {}, signal) => parsed(path, { json, signal }),
  put: (path, json, signal) => parsed(path, { method: "PUT", json, signal }),
  delete: (path, signal) => parsed(path, { method: "DELETE", signal }),
  form: (path, form, signal) => parsed(path, { form, signal }),
};

/** "/a/b?x=1": empty values are left out. */
export function withQuery(path, values) {
  const kept = Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  const query = new URLSearchParams(kept.map(([name, value]) => [name, String(value)])).toString();
  return query ? `${path}?${query}` : path;
}

/** "a b/c.wav" → "a%20b/c.wav": a stored file's path within a URL. */
export const inPath = (path) => path.split("/").map(encodeURIComponent).join("/");

/**
 * What happens to a task or a pull, as it happens: [event, data, id]. Comes back by itself where a connection breaks, and
 * ends after "finished".
 * @param {string} path of Server-Sent Events
 */
export async function* events(path, signal) {
  let seen = 0;
  let over = false;
  for (let failures = 0; ; ) {
    try {
      const reply = await ask(path, { signal, headers: { Accept: "text/event-stream", ...(seen && { "Last-Event-ID": String(seen) }) } });
      for await (const event of framed(reply.body)) {
        failures = 0;
        seen = event.id ?? seen;
        yield [event.name, event.data, seen];
        over ||= event.name === "finished";
      }
      if (over) return;
    } catch (error) {
      const broken = (error instanceof ApiError && error.status === 0) || error instanceof TypeError;
      if (!broken || ++failures > 20) throw error; // 20 s: a server that starts anew is back by then
    }
    await new Promise((go) => setTimeout(go, 1000));
    signal?.throwIfAborted();
  }
}

async function* framed(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: ?(.*)/s).slice(0, 2)));
        if (fields.data) yield { name: fields.event ?? "message", data: JSON.parse(fields.data), id: Number(fields.id) || undefined };
      }
    }
  } finally {
    await reader.cancel().catch(() => {}); // a broken stream has nothing left to cancel
  }
}
