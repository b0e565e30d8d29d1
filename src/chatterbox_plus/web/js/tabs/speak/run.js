// One text being spoken: a task of the server, its sentences, and the player that hears them as they come.
import { ApiError, api, events, inPath } from "../../api.js";
import { t } from "../../text.js";

const PAGE = 100;
const FORMATS = ["wav", "mp3", "flac", "opus", "aac"]; // what players know; those that were not made are made when asked for

/** Hears: "script" (the sentences are known), "progress", "take" (another take was chosen), "files", "end". */
export class Run extends EventTarget {
  sentences = []; // as /passages has them
  files = []; // how the newest file can be had, as a menu shows it
  status = "queued";
  made = 0; // sentences
  edited = false; // takes were chosen that the file does not have yet
  error = "";
  result = null;
  #stop = new AbortController();

  /**
   * @param {import("../../player.js").Player} player
   * @param {{id: string, text: string|null, speed: number}} what text: null where only the server knows it
   */
  constructor(player, { id, text, speed }) {
    super();
    Object.assign(this, { player, id, text, speed });
  }

  /** A task that was spoken before. Its file's sidecar knows text and speed; where that is gone, its sentences do. */
  static async found(player, id) {
    const task = await api.get(`/api/v1/tasks/${encodeURIComponent(id)}`);
    if (task.kind !== "tts") throw new Error(t("speak.no_speech"));
    const path = task.output_files[0]?.path.replace(/^outputs\//, "");
    let asked = {};
    try {
      if (path) asked = (await api.get(`/api/v1/outputs/${inPath(path)}/metadata`)).parameters;
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
    return new Run(player, { id, text: asked.text ?? null, speed: asked.speed_factor ?? 1 });
  }

  get path() { return `/api/v1/tasks/${this.id}`; }
  get running() { return this.status === "queued" || this.status === "running"; }

  /** Lets the sound begin as soon as there is some, and follows the task to its end. Raises ApiError. */
  async follow(title, play = true) {
    const signal = this.#stop.signal;
    this.title = title;
    this.player.load({ title, open: true, owner: this });
    if (play) this.player.play();
    await this.#script(signal);
    for await (const [name, data] of events(`${this.path}/events`, signal)) {
      if (name === "started") this.status = "running";
      if (name === "passage") this.#arrived(data.passage);
      this.#tell("progress");
    }
    await this.#finished(signal);
  }

  /** Plays one sentence; takes the player back if something else was heard meanwhile. */
  hear(number) {
    const made = this.made;
    if (this.player.owner !== this) {
      this.player.load({ title: this.title, open: this.running, owner: this, downloads: this.files });
      this.made = 0;
      this.#arrived(made);
    }
    return this.player.playOnly(number - 1);
  }

  /** Calls the task off. */
  async cancel() {
    this.player.finish();
    if (this.running) await api.delete(this.path);
  }

  /** Hears no more of it. The task goes on. */
  leave() { this.#stop.abort(); }

  /** Says a sentence again, in other words if there are any, and chooses that take. */
  async redo(number, text = null) {
    const { passage } = await api.post(`${this.path}/passages/${number}/retake`, text ? { text } : {});
    this.#changed(passage);
  }

  /** Chooses a take; "original" is the sentence as it was first spoken. */
  async choose(number, take) {
    const { passage } = await api.put(`${this.path}/passages/${number}`, { take });
    this.#changed(passage);
  }

  /** Makes a new file of the chosen takes. */
  async render() {
    const { task_id: id } = await api.post(`${this.path}/render`);
    for await (const [,] of events(`/api/v1/tasks/${id}/events`, this.#stop.signal)); // until its end
    const task = await api.get(`/api/v1/tasks/${id}`);
    if (task.status !== "succeeded") throw new Error(task.error ?? t("speak.stopped"));
    this.#filed(id, task);
    this.edited = false;
    this.#tell("files");
  }

  /** Where to hear a take of a sentence. */
  audio(number, take = null) {
    return `${this.path}/passages/${number}/audio${take ? `?take=${take}` : ""}`;
  }

  async #script(signal) {
    const found = [];
    for (let page = 1; ; page++) {
      const reply = await api.get(`${this.path}/passages?page=${page}&page_size=${PAGE}`, signal);
      found.push(...reply.passages);
      if (!reply.has_next) break;
    }
    this.sentences = found;
    this.text ??= rebuilt(found);
    this.#tell("script");
  }

  /** So many sentences are there now. */
  #arrived(count) {
    while (this.made < Math.min(count, this.sentences.length)) this.player.add(this.#piece(this.sentences[this.made++]));
  }

  #piece({ number, pause_seconds: silence }) {
    return { url: this.audio(number), rate: this.speed, silence };
  }

  #changed(passage) {
    const index = passage.number - 1;
    this.sentences[index] = passage;
    this.edited = true;
    if (this.player.owner === this) this.player.replace(index, this.#piece(passage));
    this.#tell("take");
  }

  async #finished(signal) {
    const task = await api.get(this.path, signal);
    this.status = task.status;
    this.result = task.result;
    this.error = task.error ?? "";
    if (this.player.owner === this) this.player.finish();
    this.#filed(this.id, task);
    this.#tell("end");
  }

  /** The files there are now: those that were made, and other formats that are made of the same sound when asked for. */
  #filed(id, task) {
    this.files = task.status !== "succeeded" ? [] : FORMATS.map((format) => {
      const made = task.output_files.find((file) => file.format === format);
      const name = task.output_files[0].filename.replace(/\.\w+$/, `.${format}`);
      return {
        words: t("speak.save_as", { format: format.toUpperCase() }), icon: "download",
        href: made?.url ?? `/api/v1/tasks/${id}/audio?format=${format}`, download: name,
      };
    });
    if (this.player.owner === this) this.player.offer(this.files);
  }

  #tell(name) { this.dispatchEvent(new Event(name)); }
}

/** The text again, of a task that is opened later: what lies between two sentences is nowhere else. */
function rebuilt(passages) {
  let text = "";
  let at = 0;
  for (const { text: said, char_start: start, char_end: end } of passages) {
    text += (start - at > 1 ? "\n" : " ").repeat(Math.max(0, start - at)) + said;
    at = end;
  }
  return text;
}
