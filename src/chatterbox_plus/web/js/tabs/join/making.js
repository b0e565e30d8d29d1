// What the server is asked to make of the pieces: a preview that it forgets, or files that it keeps.
import { ApiError, api, ask, events, withQuery } from "../../api.js";
import { t } from "../../text.js";

const HEARD_AS = "mp3"; // of a preview: small, and its length is known from its size

/**
 * A request, and the files that go with it.
 * @param {import("./arranged.js").Piece[]} pieces
 * @param {Record<string, any>} options
 */
export function asked(pieces, options) {
  const sent = [...new Set(pieces.filter((piece) => piece.kind === "sent").map((piece) => piece.file))];
  const segments = pieces.map((piece) => {
    if (piece.kind === "silence") return { type: "silence", duration_ms: Math.round(1000 * piece.seconds) };
    if (piece.kind === "sent") return { type: "upload", index: sent.indexOf(piece.file) };
    return { type: "server_file", filename: piece.path };
  });
  return { body: { segments, ...options }, sent };
}

function form({ body, sent }) {
  const parts = new FormData();
  parts.append("request_json", JSON.stringify(body));
  for (const file of sent) parts.append("uploaded_files", file, file.name);
  return parts;
}

const where = ({ sent }) => (sent.length ? "/api/v1/concat/mixed" : "/api/v1/concat");
const what = (wanted) => (wanted.sent.length ? { form: form(wanted) } : { json: wanted.body });

/** How it will sound; nothing is stored. Raises ApiError. */
export async function preview(wanted, signal) {
  const reply = await ask(withQuery(where(wanted), { keep: false, return_format: HEARD_AS }), { ...what(wanted), signal });
  try {
    return await reply.blob();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(t("join.broken"), 0); // what goes wrong after the beginning breaks the connection
  }
}

/**
 * Files. Stored pieces are joined by a task, which tells how far it is; a form with files of one's own is one request.
 * @param {(share: number|null) => void} progress null: nobody knows
 * @returns {Promise<{files: any[], seconds: number}>} Raises ApiError.
 */
export async function made(wanted, progress, signal) {
  progress(null);
  if (wanted.sent.length) {
    const reply = await api.form("/api/v1/concat/mixed?response_mode=url", form(wanted), signal);
    return { files: reply.files, seconds: reply.total_duration_seconds };
  }
  const { task_id: id } = await api.post("/api/v1/concat/async", wanted.body, signal);
  const path = `/api/v1/tasks/${id}`;
  try {
    for await (const [name, data] of events(`${path}/events`, signal)) if (name === "progress") progress(data.done / data.total);
  } catch (error) {
    if (error.name === "AbortError") await api.delete(path);
    throw error;
  }
  const task = await api.get(path, signal);
  if (task.status !== "succeeded") throw new ApiError(task.error ?? t("join.stopped"), 0);
  return { files: task.output_files, seconds: task.result.total_duration_seconds };
}
