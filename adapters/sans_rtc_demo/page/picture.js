// A picture and a tone that need neither camera nor microphone. The picture carries the time of its drawing in a strip of
// light and dark cells, so that whoever gets it back can tell how long it was on its way.

export const WIDTH = 640;
export const HEIGHT = 360;
const FRAMES_PER_S = 30;
const TIME_BITS = 16; // milliseconds, a good minute until they repeat
const CHECK_BITS = 4;
const CELLS = TIME_BITS + CHECK_BITS;
const CELL_WIDTH = WIDTH / CELLS;
const STRIP_HEIGHT = 28;
const TONE_HZ = 440;

const clock = () => Math.floor(performance.now()) & (2 ** TIME_BITS - 1);
const checkOf = (time) => ((time >> 12) + (time >> 8) + (time >> 4) + time + 5) & (2 ** CHECK_BITS - 1);

/** Draws on a canvas, thirty times a second, and gives it as a track. */
export class GeneratedPicture {
  constructor() {
    this.canvas = document.createElement("canvas");
    this.canvas.width = WIDTH;
    this.canvas.height = HEIGHT;
    this.context = this.canvas.getContext("2d", { alpha: false });
    this.#draw();
    this.track = this.canvas.captureStream(FRAMES_PER_S).getVideoTracks()[0];
    setInterval(() => this.#draw(), 1000 / FRAMES_PER_S);
  }

  #draw() {
    const { context } = this;
    const turn = performance.now() / 1000;
    const hue = (turn * 20) % 360;
    const sky = context.createLinearGradient(0, 0, WIDTH, HEIGHT);
    sky.addColorStop(0, `hsl(${hue} 55% 22%)`);
    sky.addColorStop(1, `hsl(${(hue + 60) % 360} 55% 42%)`);
    context.fillStyle = sky;
    context.fillRect(0, 0, WIDTH, HEIGHT);
    context.fillStyle = "hsl(45 90% 62%)";
    context.beginPath();
    context.arc(WIDTH / 2 + Math.cos(turn * 1.7) * 240, 160 + Math.sin(turn * 2.3) * 90, 34, 0, 2 * Math.PI);
    context.fill();
    context.fillStyle = "#ffffff";
    context.font = "600 52px ui-monospace, monospace";
    context.textAlign = "center";
    context.fillText(new Date().toISOString().slice(11, 23), WIDTH / 2, 180);
    this.#drawTime(clock());
  }

  #drawTime(time) {
    const value = (time << CHECK_BITS) | checkOf(time);
    for (let cell = 0; cell < CELLS; cell += 1) {
      this.context.fillStyle = (value >> (CELLS - 1 - cell)) & 1 ? "#f4f4f4" : "#101010";
      this.context.fillRect(cell * CELL_WIDTH, HEIGHT - STRIP_HEIGHT, CELL_WIDTH, STRIP_HEIGHT);
    }
  }
}

const strip = document.createElement("canvas");
strip.width = WIDTH;
strip.height = STRIP_HEIGHT;
const stripContext = strip.getContext("2d", { alpha: false, willReadFrequently: true });

/** How many milliseconds ago the picture that a video element shows was drawn; null where it carries no time. */
export function ageOf(video) {
  const { videoWidth: width, videoHeight: height } = video;
  if (!width || !height) return null;
  const share = STRIP_HEIGHT / HEIGHT;
  stripContext.drawImage(video, 0, height * (1 - share), width, height * share, 0, 0, WIDTH, STRIP_HEIGHT);
  const pixels = stripContext.getImageData(0, STRIP_HEIGHT / 2, WIDTH, 1).data;
  let value = 0;
  for (let cell = 0; cell < CELLS; cell += 1) {
    value = value * 2 + (pixels[4 * Math.floor((cell + 0.5) * CELL_WIDTH)] > 128 ? 1 : 0);
  }
  const time = value >> CHECK_BITS;
  if ((value & (2 ** CHECK_BITS - 1)) !== checkOf(time)) return null;
  return (clock() - time) & (2 ** TIME_BITS - 1);
}

/** A quiet tone as a track. Browsers let a page sound only after it was touched; a track need not wait for that. */
export function generatedTone() {
  return typeof MediaStreamTrackGenerator === "function" ? samplesTrack() : contextTrack();
}

function contextTrack() {
  const context = new AudioContext();
  const [tone, volume, out] = [context.createOscillator(), context.createGain(), context.createMediaStreamDestination()];
  tone.frequency.value = TONE_HZ;
  volume.gain.value = 0.1;
  tone.connect(volume).connect(out);
  tone.start();
  const resume = () => context.state === "suspended" && context.resume().catch(() => {});
  resume();
  for (const touched of ["pointerdown", "keydown"]) addEventListener(touched, resume);
  return out.stream.getAudioTracks()[0];
}

function samplesTrack() {
  const [rate, count] = [48_000, 480];
  const track = new MediaStreamTrackGenerator({ kind: "audio" });
  const writer = track.writable.getWriter();
  let at = 0;
  const startedAt = performance.now();
  const write = () => {
    for (let due = ((performance.now() - startedAt) / 1000) * rate; at < due; at += count) {
      const data = Float32Array.from({ length: count }, (_, i) => 0.1 * Math.sin((2 * Math.PI * TONE_HZ * (at + i)) / rate));
      const timestamp = Math.round((at / rate) * 1e6);
      const sound = { format: "f32", sampleRate: rate, numberOfFrames: count, numberOfChannels: 1, timestamp, data };
      writer.write(new AudioData(sound)).catch(() => clearInterval(timer));
    }
  };
  const timer = setInterval(write, 20);
  return track;
}
