// How sound looks: peaks of a file, and bars on a canvas.

const RATE = 8000; // Hz; enough to see
const PER_SECOND = 50;

/**
 * @param {Blob} blob a file the browser can decode
 * @returns {Promise<{peaks: Float32Array, seconds: number}>} peaks: in [0, 1], PER_SECOND of them a second
 */
export async function peaksOf(blob) {
  const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(await blob.arrayBuffer());
  const samples = sound.getChannelData(0);
  const step = RATE / PER_SECOND;
  const peaks = new Float32Array(Math.ceil(samples.length / step));
  for (let n = 0; n < peaks.length; n++) {
    let top = 0;
    for (const value of samples.subarray(n * step, (n + 1) * step)) top = Math.max(top, Math.abs(value));
    peaks[n] = top;
  }
  return { peaks, seconds: sound.duration };
}

const BAR = 2; // CSS pixels
const APART = 1;

/**
 * Draws a line of time.
 * @param {HTMLCanvasElement} canvas
 * @param {Array<{peaks?: Float32Array, from: number, to: number}>} parts seconds of the whole
 * @param {number} total seconds
 * @param {number} at seconds: what lies before is in the accent
 */
export function draw(canvas, parts, total, at) {
  const ratio = devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  const look = getComputedStyle(canvas);
  const [past, future] = [look.getPropertyValue("accent-color"), look.color];
  const loudest = Math.max(0.05, ...parts.map((part) => part.top ?? (part.top = part.peaks?.reduce((a, b) => Math.max(a, b), 0) ?? 0)));
  for (let x = 0; x + BAR <= width; x += BAR + APART) {
    const [from, to] = [(x / width) * total, ((x + BAR + APART) / width) * total];
    const tall = Math.max(BAR, (height - 4) * (total ? level(parts, from, to) / loudest : 0));
    pen.fillStyle = total && to <= at ? past : future;
    pen.fillRect(x, (height - tall) / 2, BAR, tall);
  }
}

function level(parts, from, to) {
  let top = 0;
  for (const part of parts) {
    if (!part.peaks || part.to <= from || part.from >= to) continue;
    const scale = part.peaks.length / (part.to - part.from);
    const last = Math.max(Math.floor((to - part.from) * scale), Math.floor((from - part.from) * scale) + 1);
    for (const value of part.peaks.subarray(Math.max(0, Math.floor((from - part.from) * scale)), last)) top = Math.max(top, value);
  }
  return top;
}
