// Where every piece sounds, by the server's rules: silences as they are, else a natural pause, else a crossfade.

/**
 * @typedef {object} Piece
 * @property {number} id
 * @property {"stored"|"sent"|"silence"} kind
 * @property {string} name
 * @property {number|null} seconds null until it is measured
 * @property {string} [path] of what is stored
 * @property {string} [url] of what is stored
 * @property {File} [file] of what is sent along
 * @property {Float32Array} [peaks]
 */

const UNKNOWN_S = 2; // how wide something is drawn that is not measured yet

/**
 * @param {Piece[]} pieces
 * @param {{crossfade_ms?: number, pause_duration_ms?: number}} options
 * @returns {{parts: Array<{piece: Piece|null, from: number, to: number}>, fades: Array<{from: number, to: number}>, total: number}}
 *   seconds; a part without a piece is a natural pause
 */
export function arranged(pieces, { crossfade_ms: fade = 0, pause_duration_ms: pause = 0 } = {}) {
  const items = [];
  const paused = pausing(pieces, pause);
  for (const piece of pieces) {
    const before = items.at(-1);
    if (paused && before && sounds(before.piece) && sounds(piece)) items.push({ piece: null, length: pause / 1000 });
    items.push({ piece, length: piece.seconds ?? UNKNOWN_S, left: 0, right: 0 });
  }
  overlap(items, fade / 1000);
  const parts = [];
  const fades = [];
  let at = 0;
  for (const { piece, length, left = 0 } of items) {
    const from = at - left;
    if (left) fades.push({ from, to: at });
    parts.push({ piece, from, to: from + length });
    at = from + length;
  }
  return { parts, fades, total: at };
}

const sounds = (piece) => piece !== null && piece?.kind !== "silence";

/** Whether natural pauses are made: a form with files of one's own has none beside silences. */
export const pausing = (pieces, pause) =>
  pause > 0 && !(pieces.some((piece) => piece.kind === "sent") && pieces.some((piece) => piece.kind === "silence"));

/** Crossfades of neighbours: never longer than the shorter, and the two of one piece share it. */
function overlap(items, fade) {
  for (let n = 1; n < items.length; n++) {
    const [left, right] = [items[n - 1], items[n]];
    if (sounds(left.piece) && sounds(right.piece)) left.right = right.left = Math.min(fade, left.length, right.length);
  }
  items.forEach((item, n) => {
    if (!sounds(item.piece) || item.left + item.right <= item.length) return;
    const half = item.length / 2;
    if (item.left <= half) item.right = item.length - item.left;
    else if (item.right <= half) item.left = item.length - item.right;
    else item.left = item.right = half;
    if (items[n - 1] && item.left) items[n - 1].right = item.left;
    if (items[n + 1] && item.right) items[n + 1].left = item.right;
  });
}
