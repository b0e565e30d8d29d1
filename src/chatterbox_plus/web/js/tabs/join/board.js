// The pieces in their order, remembered from visit to visit as far as the server has them.
import { details, pathOf, titled, toWorkWith } from "../../outputs.js";
import { ask } from "../../api.js";
import { recall, remember } from "../../store.js";
import { t } from "../../text.js";
import { peaksOf } from "../../waveform.js";

const MEMORY = "join";
const DRAWN_S = 900; // longer ones are joined without a picture of them: they would have to be fetched whole
const SILENCE_S = 0.5;

/** Hears: "change" (pieces, or their order), "measured" (a picture, a length). */
export class Board extends EventTarget {
  pieces = [];
  #ids = 0;
  #pictures = new Map(); // address or file → what is known of its sound

  constructor() {
    super();
    for (const piece of recall(MEMORY) ?? []) this.#put(piece, this.pieces.length);
  }

  /** An output of the library, at the end. */
  addOutput(output) {
    const file = toWorkWith(output);
    return this.#put({ kind: "stored", name: titled(output), path: pathOf(output, file), url: file.url, seconds: output.duration_seconds });
  }

  /** An output of which only the path is known. Raises ApiError. */
  async addPath(path) {
    return this.addOutput(await details(path));
  }

  /** A file of one's own, which is sent along. */
  addFile(file) {
    return this.#put({ kind: "sent", name: file.name.replace(/\.\w+$/, ""), file, seconds: null });
  }

  addSilence(index = this.pieces.length, seconds = SILENCE_S) {
    return this.#put({ kind: "silence", name: t("join.silence"), seconds }, index);
  }

  copy(index) { return this.#put(this.pieces[index], index + 1); }

  move(from, to) {
    const [piece] = this.pieces.splice(from, 1);
    this.pieces.splice(to, 0, piece);
    this.#changed();
    return piece;
  }

  /** Takes one out. Returns a function that puts it back. */
  remove(index) {
    const [piece] = this.pieces.splice(index, 1);
    this.#changed();
    return () => {
      this.pieces.splice(Math.min(index, this.pieces.length), 0, piece);
      this.#changed();
    };
  }

  /** Takes out all. Returns a function that puts them back. */
  clear() {
    const before = this.pieces;
    this.pieces = [];
    this.#changed();
    return () => {
      this.pieces = before;
      this.#changed();
    };
  }

  last(index, ms) {
    this.pieces[index].seconds = ms / 1000;
    this.#changed();
  }

  #put({ kind, name, path, url, file, seconds }, index = this.pieces.length) {
    const piece = { id: ++this.#ids, kind, name, path, url, file, seconds };
    this.pieces.splice(index, 0, piece);
    this.#look(piece);
    this.#changed();
    return piece;
  }

  #changed() {
    const kept = this.pieces.filter((piece) => piece.kind !== "sent");
    remember(MEMORY, kept.map(({ kind, name, path, url, seconds }) => ({ kind, name, path, url, seconds })));
    this.dispatchEvent(new Event("change"));
  }

  /** Draws its sound, once whatever how often it is there. */
  #look(piece) {
    if (piece.kind === "silence" || (piece.seconds ?? 0) > DRAWN_S) return;
    const key = piece.file ?? piece.url;
    if (!this.#pictures.has(key)) {
      const sound = piece.file ? Promise.resolve(piece.file) : ask(piece.url).then((reply) => reply.blob());
      this.#pictures.set(key, sound.then(peaksOf));
    }
    this.#pictures.get(key).then(({ peaks, seconds }) => {
      piece.peaks = peaks;
      piece.seconds ??= seconds;
    }).catch(() => {
      piece.seconds ??= 0; // not for this browser to decode; the server says what is wrong with it, if anything is
    }).finally(() => this.dispatchEvent(new Event("measured")));
  }
}
