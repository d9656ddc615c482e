// The picture panel: what this page sends to Python, what comes back, and how both are on their way.

import { GeneratedPicture, ageOf, generatedTone } from "./picture.js";
import { Trend } from "./trend.js";

const READ_EVERY_MS = 500;
const ASK_PYTHON_EVERY = 4; // readings
const AGES_KEPT = 30;

const byId = (id) => document.getElementById(id);
const kilobits = (value) => (value >= 1e6 ? `${(value / 1e6).toFixed(2)} Mbit/s` : `${(value / 1e3).toFixed(0)} kbit/s`);
const milliseconds = (value) => `${value.toFixed(0)} ms`;
const percent = (value) => `${value.toFixed(1)} %`;

/** What the page sends: made once, for every connection, when the first one is there. */
export class Sources {
  #camera = null;
  #picture = null;
  #tone = null;

  start() {
    if (this.#picture !== null) return;
    this.#picture = new GeneratedPicture();
    this.#tone = generatedTone();
    [this.video, this.audio] = [this.#picture.track, this.#tone];
  }

  get isGenerated() {
    return this.#camera === null;
  }

  /** Take the camera and the microphone, or the generated ones again; rejects where the visitor does not allow it. */
  async choose(choice) {
    this.#camera?.getTracks().forEach((track) => track.stop());
    this.#camera = null;
    [this.video, this.audio] = [this.#picture.track, this.#tone];
    if (choice !== "camera") return;
    this.#camera = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 360 }, audio: true });
    [this.video, this.audio] = [this.#camera.getVideoTracks()[0], this.#camera.getAudioTracks()[0]];
  }
}

/** One reading of getStats, and what it says beside the one before. */
class Reading {
  constructor(stats, at) {
    this.at = at;
    const rows = [...stats.values()];
    const find = (type, kind) => rows.find((row) => row.type === type && row.kind === kind) ?? {};
    this.sent = find("outbound-rtp", "video");
    this.received = find("inbound-rtp", "video");
    this.audio = find("inbound-rtp", "audio");
    this.remote = find("remote-inbound-rtp", "video");
    this.pair = rows.find((row) => row.type === "candidate-pair" && (row.nominated || row.selected) && row.state === "succeeded") ?? {};
  }

  rate(before, row, field) {
    const change = (this[row][field] ?? 0) - (before[row][field] ?? 0);
    return Math.max(0, change) / ((this.at - before.at) / 1000);
  }

  /** Of the packets expected since the reading before, the share that is missing, in percent. */
  loss(before) {
    const lost = Math.max(0, (this.received.packetsLost ?? 0) - (before.received.packetsLost ?? 0));
    const got = Math.max(0, (this.received.packetsReceived ?? 0) - (before.received.packetsReceived ?? 0));
    return lost + got === 0 ? null : (100 * lost) / (lost + got);
  }

  get target() {
    return this.sent.targetBitrate ?? this.pair.availableOutgoingBitrate ?? null;
  }
}

export class MediaPanel {
  #timer = 0;
  #before = null;
  #ages = [];
  #readings = 0;
  #pythonTarget = null; // what Python may send, where the browser does not tell what it may

  /** `connection()` gives the present connection, `sources` what it sends. */
  constructor(connection, sources) {
    Object.assign(this, { connection, sources });
    this.back = byId("video-back");
    this.trends = {
      age: new Trend(byId("trend-age"), "Round trip of the picture", milliseconds),
      sent: new Trend(byId("trend-sent"), "Bitrate sent", kilobits),
      received: new Trend(byId("trend-received"), "Bitrate that came back", kilobits),
      loss: new Trend(byId("trend-loss"), "Packets lost", percent),
      target: new Trend(byId("trend-target"), "Target bitrate", kilobits),
    };
    byId("media-form").addEventListener("change", (event) => this.#onChoice(event.target));
    byId("media-sound").addEventListener("click", () => this.#toggleSound());
    this.#watchFrames();
  }

  set usable(usable) {
    clearInterval(this.#timer);
    for (const input of byId("media-form").elements) input.disabled = !usable;
    if (!usable) return;
    this.#before = null;
    this.#ages.length = 0;
    for (const trend of Object.values(this.trends)) trend.clear();
    this.#timer = setInterval(() => this.#read(), READ_EVERY_MS);
    this.#offerSources();
  }

  /** Python's side of the picture has arrived as a stream. */
  show(stream) {
    if (byId("video-sent").srcObject === null) byId("video-sent").srcObject = new MediaStream([this.sources.video]);
    this.back.srcObject = stream;
    this.back.play().catch(() => {});
  }

  async #onChoice(input) {
    const status = byId("media-status");
    status.textContent = "";
    try {
      if (input.name === "sends") {
        await this.sources.choose(input.value);
        await this.connection().replaceTracks(this.sources);
        byId("video-sent").srcObject = new MediaStream([this.sources.video]);
      } else if (input.name === "returns") {
        await this.connection().chooseSource(input.value);
      }
    } catch (error) {
      status.textContent = input.value === "camera" ? `No camera: ${error.message}` : error.message;
      if (input.value === "camera") byId("sends-picture").checked = true;
    }
  }

  #toggleSound() {
    this.back.muted = !this.back.muted;
    byId("media-sound").textContent = this.back.muted ? "Hear it" : "Mute it";
    byId("media-sound").setAttribute("aria-pressed", String(!this.back.muted));
  }

  async #offerSources() {
    const { source, sources } = await this.connection().statistics().catch(() => ({ source: "echo", sources: ["echo"] }));
    byId("returns-choice").hidden = sources.length < 2;
    byId(`returns-${source}`).checked = true;
  }

  #watchFrames() {
    const look = () => {
      const age = this.sources.isGenerated ? ageOf(this.back) : null;
      if (age !== null && age < 10_000) this.#ages.push(age);
      if (this.#ages.length > AGES_KEPT) this.#ages.shift();
      if (this.back.requestVideoFrameCallback) this.back.requestVideoFrameCallback(look);
    };
    if (this.back.requestVideoFrameCallback) this.back.requestVideoFrameCallback(look);
    else setInterval(look, 1000 / 30);
  }

  async #read() {
    const peer = this.connection()?.peer;
    if (peer === undefined) return;
    const reading = new Reading(await peer.getStats(), performance.now());
    document.body.dataset.videoFrames = String(reading.received.framesDecoded ?? 0);
    document.body.dataset.audioPackets = String(reading.audio.packetsReceived ?? 0);
    byId("media-frames").textContent = (reading.received.framesDecoded ?? 0).toLocaleString("en");
    byId("media-audio").textContent = (reading.audio.packetsReceived ?? 0).toLocaleString("en");
    if (reading.target === null && this.#readings++ % ASK_PYTHON_EVERY === 0) await this.#askPython();
    if (this.#before !== null) this.#tell(reading, this.#before);
    this.#before = reading;
  }

  async #askPython() {
    const { stats } = await this.connection().statistics().catch(() => ({ stats: [] }));
    this.#pythonTarget = stats.find((row) => row.availableOutgoingBitrate !== undefined)?.availableOutgoingBitrate ?? null;
  }

  #tell(reading, before) {
    const ages = [...this.#ages].sort((a, b) => a - b);
    this.#ages.length = 0;
    const network = reading.remote.roundTripTime ?? reading.pair.currentRoundTripTime;
    this.#put("age", ages[ages.length >> 1] ?? (this.sources.isGenerated || network === undefined ? null : network * 1000), milliseconds);
    this.#put("sent", 8 * reading.rate(before, "sent", "bytesSent"), kilobits);
    this.#put("received", 8 * reading.rate(before, "received", "bytesReceived"), kilobits);
    this.#put("loss", reading.loss(before), percent);
    this.#put("target", reading.target ?? this.#pythonTarget, kilobits);
  }

  #put(name, value, format) {
    byId(`media-${name}`).textContent = value === null ? "–" : format(value);
    this.trends[name].add(value);
  }
}
