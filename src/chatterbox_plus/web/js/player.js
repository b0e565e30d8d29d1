// One player for the whole page: pieces of sound, back to back, as one line of time that may still grow.
//
// Two audio elements take turns, so that the next piece is loaded before the last one ends; the browser keeps the pitch
// when the speed changes.
import { ask } from "./api.js";
import { peaksOf } from "./waveform.js";
import { silence } from "./wav.js";

const TOO_MANY_MS = 2000; // between two attempts, where the server counts requests
const MEASURED_S = 900; // longer files are played without drawing them: they would have to be fetched whole

/**
 * @typedef {object} Piece
 * @property {string} [url] where it is fetched
 * @property {Blob} [blob] the sound itself, where it was fetched before
 * @property {number} [seconds] how long it is, as the file has it; measured when it is fetched, if not said
 * @property {number} [rate] how fast it is to sound by itself: a sentence of a text with speed_factor 1.5 has 1.5
 * @property {number} [silence] seconds of silence after it, before `rate`
 * @property {boolean} [whole] false: played while it is fetched, as long files are
 */

export class Player extends EventTarget {
  #elements = [new Audio(), new Audio()];
  #aside = new Audio();
  #queue = Promise.resolve(); // of fetches
  #turn = 0; // which of them is heard
  #pieces = [];
  #index = 0;
  #open = false; // more pieces may come
  #speed = 1;
  #state = "empty"; // empty, ready, playing, waiting (for a piece that is being made)
  #pause = 0; // timer of a gap
  #only = false; // stop after this piece
  title = "";
  subtitle = "";
  downloads = []; // [{words, href, download}]
  owner = null; // who loaded it: a tab asks whether what plays is its own

  constructor() {
    super();
    for (const element of this.#elements) {
      element.preload = "auto";
      element.addEventListener("ended", () => element === this.#heard && this.#current?.place === element && this.#ended());
      element.addEventListener("durationchange", () => this.#measured(element));
      element.addEventListener("error", () => element === this.#heard && element.src && this.#fail(element.error));
    }
  }

  get state() { return this.#state; }
  get playing() { return this.#state === "playing" || this.#state === "waiting"; }
  get index() { return this.#index; }
  get pieces() { return this.#pieces; }
  get growing() { return this.#open; }
  get #heard() { return this.#elements[this.#turn]; }
  get #current() { return this.#pieces[this.#index]; }

  /** Seconds of all that is there. */
  get total() { return this.#pieces.reduce((sum, piece) => sum + length(piece), 0); }

  /** Where it is, in seconds from the beginning. */
  get at() {
    const piece = this.#pieces[this.#index];
    if (!piece) return 0;
    const within = piece.place === this.#heard ? this.#heard.currentTime / rateOf(piece) : 0;
    return this.start(this.#index) + Math.min(within, length(piece));
  }

  /** When a piece begins, in seconds. */
  start(index) { return this.#pieces.slice(0, index).reduce((sum, piece) => sum + length(piece), 0); }

  get speed() { return this.#speed; }
  set speed(value) {
    this.#speed = value;
    for (const piece of this.#pieces) if (piece.place) this.#tune(piece);
    this.#tell("change");
  }

  /** Within a click: browsers let a page sound later only if something sounded then. */
  unlock() {
    for (const element of this.#elements) {
      if (element.src) continue;
      element.src = silence();
      element.play().catch(() => {}); // refused or replaced: the play button is still there
    }
  }

  /**
   * Something else to hear, from its beginning; what played before stops.
   * @param {{title: string, subtitle?: string, pieces?: Piece[], open?: boolean, downloads?: any[], owner?: any}} what
   */
  load({ title, subtitle = "", pieces = [], open = false, downloads = [], owner = null }) {
    this.clear();
    Object.assign(this, { title, subtitle, downloads, owner });
    this.#open = open;
    this.#state = "ready";
    for (const piece of pieces) this.add(piece);
    this.#tell("change");
  }

  /** Plays sound that was fetched; `key` tells whether it is the same again, which pauses it. */
  async playBlob(key, blob, title, subtitle = "") {
    if (this.owner === key) return this.toggle();
    this.load({ title, subtitle, owner: key, pieces: [{ blob }] });
    return this.play();
  }

  /** Loads a file and plays it at once; the same again pauses it. */
  async playFile(url, title, { subtitle = "", seconds, downloads = [] } = {}) {
    if (this.owner === url) return this.toggle();
    this.load({ title, subtitle, downloads, owner: url, pieces: [{ url, seconds, whole: (seconds ?? 0) < 60 }] });
    return this.play();
  }

  /** A piece at the end. */
  add(piece) {
    this.#pieces.push({ ...piece });
    const last = this.#pieces.length - 1;
    this.#fetch(last);
    if (this.#state === "waiting" && this.#index === last) this.#begin();
    this.#tell("change");
  }

  /** Another sound for a piece: a new take. */
  replace(index, piece) {
    const old = this.#pieces[index];
    this.#pieces[index] = { ...piece };
    this.#release(old);
    if (index === this.#index && this.playing) this.stop();
    this.#fetch(index);
    this.#tell("change");
  }

  /** Files to download. */
  offer(downloads) {
    this.downloads = downloads;
    this.#tell("change");
  }

  /** Plays something beside the line of time, to compare: the line stays where it is. */
  async aside(url) {
    this.pause();
    const object = URL.createObjectURL(await (await ask(url)).blob());
    this.#aside.src = object;
    this.#aside.addEventListener("ended", () => URL.revokeObjectURL(object), { once: true });
    await this.#aside.play();
  }

  /** No more pieces come. */
  finish() {
    this.#open = false;
    if (this.#state === "waiting" && this.#index >= this.#pieces.length) this.#rest();
    this.#tell("change");
  }

  async play() {
    if (this.#state === "empty" || this.playing) return;
    this.#only = false;
    if (this.#index >= this.#pieces.length && !this.#open) this.#index = 0;
    await this.#begin();
  }

  /** Plays one piece and stops after it. */
  async playOnly(index) {
    this.#halt();
    this.#index = index;
    await this.#begin(0);
    this.#only = true;
  }

  pause() {
    if (!this.playing) return;
    this.#halt();
    this.#state = "ready";
    this.#tell("change");
  }

  toggle() { return this.playing ? this.pause() : this.play(); }

  /** Pauses, and goes back to the beginning. */
  stop() {
    this.#halt();
    if (this.#state === "empty") return;
    this.#rest();
  }

  /** Goes to a moment, in seconds. */
  async seek(seconds) {
    let index = 0;
    while (index < this.#pieces.length - 1 && seconds >= this.start(index + 1)) index++;
    const playing = this.playing;
    this.#halt();
    this.#index = index;
    const within = Math.max(0, seconds - this.start(index));
    if (playing) await this.#begin(within);
    else {
      const piece = await this.#place(index, within);
      if (piece) this.#turn = this.#elements.indexOf(piece.place);
    }
    this.#tell("change");
  }

  clear() {
    this.#halt();
    for (const piece of this.#pieces) this.#release(piece);
    Object.assign(this, { title: "", subtitle: "", downloads: [], owner: null });
    this.#pieces = [];
    this.#queue = Promise.resolve();
    this.#index = 0;
    this.#open = false;
    this.#state = "empty";
    this.#tell("change");
  }

  #tell(name) { this.dispatchEvent(new Event(name)); }

  #fail(error) {
    this.#halt();
    this.#state = this.#pieces.length ? "ready" : "empty";
    this.error = error;
    this.#tell("error");
    this.#tell("change");
  }

  #halt() {
    clearTimeout(this.#pause);
    for (const element of [...this.#elements, this.#aside]) element.pause();
  }

  #rest() {
    this.#index = 0;
    this.#state = "ready";
    const first = this.#pieces[0];
    if (first?.place) first.place.currentTime = 0;
    this.#tell("change");
  }

  /** Fetches a piece that is to be had whole, and measures it. */
  #fetch(index) {
    const piece = this.#pieces[index];
    const drawn = (piece.seconds ?? 0) < MEASURED_S;
    if (piece.whole === false && !drawn) {
      piece.ready = Promise.resolve(piece.url);
      return;
    }
    const blob = piece.blob ? Promise.resolve(piece.blob) : this.#sound(piece);
    const measured = blob.then(peaksOf).then((found) => {
      piece.peaks = found.peaks;
      piece.seconds = found.seconds;
      this.#tell("change");
    });
    measured.catch(() => {}); // no picture of it: it can be heard all the same, and if not, `ready` says why
    piece.ready = piece.whole === false ? Promise.resolve(piece.url) : blob.then((data) => (piece.object = URL.createObjectURL(data)));
    piece.ready.catch(() => {}); // told when it is to be heard
  }

  /** The sound of a piece: one after the other, so that the first ones are here first, and no faster than allowed. */
  #sound(piece) {
    const load = async () => {
      for (;;) {
        if (!this.#pieces.includes(piece)) throw new DOMException("not wanted any more", "AbortError");
        try {
          return await (await ask(piece.url)).blob();
        } catch (error) {
          if (error.status !== 429) throw error;
          await new Promise((go) => setTimeout(go, TOO_MANY_MS));
        }
      }
    };
    const found = this.#queue.then(load);
    this.#queue = found.catch(() => {}); // told by whoever wants to hear that piece
    return found;
  }

  #release(piece) {
    if (piece?.object) URL.revokeObjectURL(piece.object);
    if (piece) piece.place = null;
  }

  /** Puts a piece into an element: that which is heard if it is there already, else the other's turn comes. */
  async #place(index, within = 0) {
    const piece = this.#pieces[index];
    const source = await piece.ready;
    if (this.#pieces[index] !== piece) return null; // replaced meanwhile
    if (!piece.place) {
      const element = this.#elements[1 - this.#turn];
      for (const other of this.#pieces) if (other.place === element) other.place = null;
      element.src = source;
      piece.place = element;
    }
    this.#tune(piece);
    const moment = within * rateOf(piece);
    if (Math.abs(piece.place.currentTime - moment) > 0.01) piece.place.currentTime = moment;
    return piece;
  }

  #tune(piece) {
    piece.place.defaultPlaybackRate = piece.place.playbackRate = this.#speed * rateOf(piece);
  }

  async #begin(within = null) {
    const index = this.#index;
    if (index >= this.#pieces.length) {
      this.#state = "waiting";
      this.#tell("change");
      return;
    }
    this.#state = "playing";
    this.#only = false;
    this.#tell("change");
    try {
      const known = this.#pieces[index];
      const from = within ?? (known.place === this.#heard ? this.#heard.currentTime / rateOf(known) : 0);
      const piece = await this.#place(index, from < length(known) - 0.02 ? from : 0);
      if (!piece || this.#index !== index || this.#state !== "playing") return;
      this.#turn = this.#elements.indexOf(piece.place);
      await piece.place.play();
      this.#tell("piece");
      if (index + 1 < this.#pieces.length) await this.#place(index + 1);
    } catch (error) {
      if (error.name !== "AbortError") this.#fail(error); // AbortError: paused before it began
    }
  }

  #ended() {
    const piece = this.#pieces[this.#index];
    if (this.#only) {
      this.#only = false;
      this.pause();
      return;
    }
    this.#pause = setTimeout(() => {
      this.#index++;
      if (this.#index < this.#pieces.length || this.#open) this.#begin(0);
      else this.#rest();
    }, (1000 * silenceAfter(piece)) / this.#speed);
  }

  #measured(element) {
    const piece = this.#pieces.find((one) => one.place === element);
    if (!piece || piece.seconds || !Number.isFinite(element.duration)) return;
    piece.seconds = element.duration;
    this.#tell("change");
  }
}

const rateOf = (piece) => piece.rate ?? 1;
const length = (piece) => ((piece.seconds ?? 0) + (piece.silence ?? 0)) / rateOf(piece);
const silenceAfter = (piece) => (piece.silence ?? 0) / rateOf(piece);
