// Hands on what the microphone hears, 2048 samples at a time.
registerProcessor("tap", class extends AudioWorkletProcessor {
  #block = new Float32Array(2048);
  #filled = 0;

  process([[samples]]) {
    for (const value of samples ?? []) {
      this.#block[this.#filled++] = value;
      if (this.#filled < this.#block.length) continue;
      this.port.postMessage(this.#block);
      this.#block = new Float32Array(2048);
      this.#filled = 0;
    }
    return true;
  }
});
