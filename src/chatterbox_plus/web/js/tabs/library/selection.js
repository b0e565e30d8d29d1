// Which lines are ticked: one by one, a range with Shift, or all that are shown.

export class Selection {
  #chosen = new Set(); // stems
  #last = null;

  /** @param {() => string[]} order of what is shown @param {() => void} onchange */
  constructor(order, onchange) {
    this.order = order;
    this.onchange = onchange;
  }

  has(stem) { return this.#chosen.has(stem); }

  get size() { return this.#chosen.size; }

  /** Ticks one, or with `range` all from the last one on, as that one is ticked. */
  set(stem, ticked, range) {
    const order = this.order();
    const [a, b] = [order.indexOf(this.#last), order.indexOf(stem)];
    const some = range && a >= 0 ? order.slice(Math.min(a, b), Math.max(a, b) + 1) : [stem];
    for (const one of some) this.#chosen[ticked ? "add" : "delete"](one);
    this.#last = stem;
    this.onchange();
  }

  all(ticked) {
    this.#chosen = new Set(ticked ? this.order() : []);
    this.onchange();
  }

  /** Forgets what is not shown any more. */
  keep() {
    const order = new Set(this.order());
    this.#chosen = new Set([...this.#chosen].filter((stem) => order.has(stem)));
    this.onchange();
  }
}
