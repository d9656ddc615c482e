// Small line charts of the last half minute, one quantity each: the value now in words, its course as a line. The scale
// begins at zero and ends at a round number above the highest value shown.

const SPAN_MS = 30_000;
const STEPS = [1, 2, 5, 10];

/** The least round number (1, 2 or 5 times a power of ten) that is not below a value. */
export function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return STEPS.find((step) => step * power >= value * 0.999) * power;
}

export class Trend {
  #samples = []; // { at, value }, oldest first; value null: a gap

  /** Draw in a canvas; `format` makes words of a value, `name` is what the chart shows. */
  constructor(canvas, name, format) {
    Object.assign(this, { canvas, name, format });
    this.context = canvas.getContext("2d");
    new ResizeObserver(() => this.#draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** Add a value of now; null where there is none. */
  add(value) {
    const at = performance.now();
    this.#samples.push({ at, value });
    while (this.#samples[0].at < at - SPAN_MS - 2_000) this.#samples.shift();
    const shown = value === null ? "nothing measured" : this.format(value);
    this.canvas.setAttribute("aria-label", `${this.name} over the last 30 seconds, now: ${shown}`);
    this.#draw();
  }

  clear() {
    this.#samples.length = 0;
    this.#draw();
  }

  #draw() {
    const { canvas, context } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const top = roundUp(Math.max(0, ...this.#samples.map((sample) => sample.value ?? 0)));
    const now = performance.now();
    const x = (at) => width - ((now - at) / SPAN_MS) * width;
    const y = (value) => height - 1.5 - (value / top) * (height - 18);
    context.strokeStyle = colour("--line");
    for (const value of [0, top]) this.#line([[0, y(value)], [width, y(value)]]);
    context.fillStyle = colour("--muted");
    context.font = `11px ${getComputedStyle(canvas).fontFamily}`;
    context.textBaseline = "bottom";
    context.fillText(this.format(top), 0, y(top) - 1);
    context.strokeStyle = colour("--accent");
    context.lineWidth = 2;
    for (const run of this.#runs()) this.#line(run.map(({ at, value }) => [x(at), y(value)]));
    context.lineWidth = 1;
  }

  #line(points) {
    this.context.beginPath();
    points.forEach(([x, y], index) => (index === 0 ? this.context.moveTo(x, y) : this.context.lineTo(x, y)));
    this.context.stroke();
  }

  #runs() {
    const runs = [[]];
    for (const sample of this.#samples) {
      if (sample.value === null) runs.push([]);
      else runs.at(-1).push(sample);
    }
    return runs.filter((run) => run.length > 1);
  }
}
