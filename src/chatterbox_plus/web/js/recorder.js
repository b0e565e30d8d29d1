// The microphone, as a mono wav file.
import { t } from "./text.js";
import { wav } from "./wav.js";

/**
 * Starts to record. Raises an Error in words where there is no microphone or it is not allowed.
 * @param {(level: number, seconds: number) => void} heard called many times a second; level in [0, 1]
 * @returns {Promise<{stop: () => Promise<{blob: Blob, seconds: number}>, cancel: () => void}>}
 */
export async function record(heard = () => {}) {
  if (!navigator.mediaDevices) throw new Error(t("recorder.insecure"));
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false } });
  } catch (error) {
    throw new Error(t(error.name === "NotAllowedError" ? "recorder.denied" : "recorder.none"));
  }
  const context = new AudioContext();
  await context.audioWorklet.addModule("/assets/js/recorder-worklet.js");
  const tap = new AudioWorkletNode(context, "tap", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  const blocks = [];
  let count = 0;
  tap.port.onmessage = ({ data }) => {
    blocks.push(data);
    count += data.length;
    heard(data.reduce((top, value) => Math.max(top, Math.abs(value)), 0), count / context.sampleRate);
  };
  context.createMediaStreamSource(stream).connect(tap);

  async function end() {
    for (const track of stream.getTracks()) track.stop();
    await context.close();
  }

  return {
    cancel: end,
    async stop() {
      await end();
      const samples = new Float32Array(count);
      let at = 0;
      for (const block of blocks) {
        samples.set(block, at);
        at += block.length;
      }
      return { blob: wav(samples, context.sampleRate), seconds: count / context.sampleRate };
    },
  };
}
