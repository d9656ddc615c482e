// A line chart of the last seconds, drawn by hand on a canvas, in the page's own colours. The scale grows by tenfold
// steps (1, 10, 100 ms), so that one slow round trip does not flatten all the others.

const SPAN_MS = 30_000;
const GAP_MS = 1_000; // a longer silence breaks the line
const GUTTER = 62; // room for the words of the scale, in CSS pixels
const MS_MIN = 0.01;
const DECADES_MIN = 2;

export function formatMs(value) {
  if (value >= 100) return value.toFixed(0);
  return value.toFixed(value >= 10 ? 1 : 2);
}

export class RoundTripChart {
  #samples = []; // { at, ms }, oldest first
  #pointerX = null;
  #describedAt = -Infinity;
  #requested = false;

  constructor(canvas, tip) {
    this.canvas = canvas;
    this.tip = tip;
    this.context = canvas.getContext("2d");
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    canvas.addEventListener("pointermove", (event) => this.#point(event.offsetX));
    canvas.addEventListener("pointerleave", () => this.#point(null));
  }

  /** Add one measurement, of now. */
  add(ms) {
    const at = performance.now();
    this.#samples.push({ at, ms });
    while (this.#samples[0].at < at - SPAN_MS - GAP_MS) this.#samples.shift();
    this.draw();
  }

  clear() {
    this.#samples.length = 0;
    this.draw();
  }

  /** Typical (median) and slowest of what is shown; null before the first measurement. */
  summary() {
    if (this.#samples.length === 0) return null;
    const sorted = this.#samples.map((sample) => sample.ms).sort((a, b) => a - b);
    return { typical: sorted[sorted.length >> 1], slowest: sorted[sorted.length - 1] };
  }

  draw() {
    if (this.#requested) return;
    this.#requested = true;
    requestAnimationFrame(() => {
      this.#requested = false;
      this.#paint();
    });
  }

  #point(x) {
    this.#pointerX = x;
    this.draw();
  }

  #frame() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const ratio = devicePixelRatio || 1;
    const [pixelWidth, pixelHeight] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== pixelWidth || this.canvas.height !== pixelHeight) {
      this.canvas.width = pixelWidth;
      this.canvas.height = pixelHeight;
    }
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, width, height);
    return { left: GUTTER, right: width - 2, top: 8, bottom: height - 22 };
  }

  #paint() {
    const box = this.#frame();
    if (box.right <= box.left || box.bottom <= box.top) return;
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const [low, high] = this.#decades();
    const now = performance.now();
    const x = (at) => box.right - ((now - at) / SPAN_MS) * (box.right - box.left);
    const share = (ms) => (Math.log10(Math.max(ms, MS_MIN)) - low) / (high - low);
    const y = (ms) => box.bottom - share(ms) * (box.bottom - box.top);
    this.#paintGrid(box, y, colour, low, high);
    this.#paintLine(box, x, y, colour);
    this.#paintPointer(box, x, y, colour);
    this.#describe(now);
  }

  // The powers of ten, as exponents, that the scale reaches from and to.
  #decades() {
    const all = this.#samples.map((sample) => Math.max(sample.ms, MS_MIN));
    const low = all.length === 0 ? -1 : Math.floor(Math.log10(Math.min(...all)));
    const high = all.length === 0 ? 1 : Math.ceil(Math.log10(Math.max(...all)));
    return [low, Math.max(high, low + DECADES_MIN)];
  }

  #paintGrid(box, y, colour, low, high) {
    const { context } = this;
    context.font = `12px ${getComputedStyle(this.canvas).fontFamily}`;
    context.lineWidth = 1;
    context.strokeStyle = colour("--line");
    context.fillStyle = colour("--muted");
    context.textBaseline = "middle";
    context.textAlign = "left";
    for (let exponent = low; exponent <= high; exponent += 1) {
      const at = Math.round(y(10 ** exponent)) + 0.5;
      context.beginPath();
      context.moveTo(box.left, at);
      context.lineTo(box.right, at);
      context.stroke();
      context.fillText(`${Number((10 ** exponent).toPrecision(1))} ms`, 0, at);
    }
    context.textBaseline = "top";
    context.fillText("30 s ago", box.left, box.bottom + 6);
    context.textAlign = "center";
    context.fillText("15 s ago", (box.left + box.right) / 2, box.bottom + 6);
    context.textAlign = "right";
    context.fillText("now", box.right, box.bottom + 6);
  }

  // The runs of samples without a silence between them.
  #runs() {
    const runs = [];
    for (const sample of this.#samples) {
      const run = runs.at(-1);
      if (run !== undefined && sample.at - run.at(-1).at <= GAP_MS) run.push(sample);
      else runs.push([sample]);
    }
    return runs;
  }

  #paintLine(box, x, y, colour) {
    const { context } = this;
    context.save();
    context.beginPath();
    context.rect(box.left, 0, box.right - box.left, box.bottom + 1);
    context.clip();
    for (const run of this.#runs()) {
      const line = new Path2D();
      run.forEach(({ at, ms }, index) => (index === 0 ? line.moveTo(x(at), y(ms)) : line.lineTo(x(at), y(ms))));
      const area = new Path2D(line);
      area.lineTo(x(run.at(-1).at), box.bottom);
      area.lineTo(x(run[0].at), box.bottom);
      area.closePath();
      context.fillStyle = colour("--accent-wash");
      context.fill(area);
      context.strokeStyle = colour("--accent");
      context.lineWidth = 2;
      context.lineJoin = "round";
      context.stroke(line);
    }
    context.restore();
  }

  #nearest(x) {
    let best = null;
    for (const sample of this.#samples) {
      const distance = Math.abs(x(sample.at) - this.#pointerX);
      if (best === null || distance < best.distance) best = { sample, distance };
    }
    return best !== null && best.distance < 24 ? best.sample : null;
  }

  #paintPointer(box, x, y, colour) {
    const sample = this.#pointerX === null ? null : this.#nearest(x);
    this.tip.hidden = sample === null;
    if (sample === null) return;
    const { context } = this;
    const [atX, atY] = [x(sample.at), y(sample.ms)];
    context.strokeStyle = colour("--edge");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(atX, box.top);
    context.lineTo(atX, box.bottom);
    context.stroke();
    context.fillStyle = colour("--accent");
    context.beginPath();
    context.arc(atX, atY, 4, 0, 2 * Math.PI);
    context.fill();
    this.tip.textContent = `${formatMs(sample.ms)} ms`;
    this.tip.style.left = `${Math.min(Math.max(atX - this.tip.offsetWidth / 2, 0), box.right - this.tip.offsetWidth)}px`;
  }

  #describe(now) {
    const summary = this.summary();
    if (summary === null || now - this.#describedAt < 5_000) return;
    this.#describedAt = now;
    const words = `typically ${formatMs(summary.typical)}, at most ${formatMs(summary.slowest)} milliseconds`;
    this.canvas.setAttribute("aria-label", `Round trip over the last 30 seconds: ${words}`);
  }
}
