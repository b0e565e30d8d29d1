// A part of a recording, as a file of its own.
import { wav } from "../../wav.js";

const RATE = 48000; // Hz: no microphone has more to say

/**
 * @param {Blob} blob a file the browser can decode
 * @param {number} from seconds
 * @param {number} to seconds
 * @returns {Promise<Blob>} mono wav
 */
export async function cut(blob, from, to) {
  const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await blob.arrayBuffer());
  const [first, last] = [Math.round(from * RATE), Math.min(sound.length, Math.round(to * RATE))];
  const mixed = new Float32Array(last - first);
  for (let channel = 0; channel < sound.numberOfChannels; channel++) {
    sound.getChannelData(channel).subarray(first, last).forEach((value, n) => { mixed[n] += value / sound.numberOfChannels; });
  }
  return wav(mixed, RATE);
}

/** How long a file is, in seconds, without decoding it; NaN where the browser cannot tell. */
export function lengthOf(blob) {
  const url = URL.createObjectURL(blob);
  const sound = new Audio();
  sound.preload = "metadata";
  return new Promise((resolve) => {
    sound.addEventListener("loadedmetadata", () => resolve(sound.duration));
    sound.addEventListener("error", () => resolve(NaN));
    sound.src = url;
  }).finally(() => URL.revokeObjectURL(url));
}
