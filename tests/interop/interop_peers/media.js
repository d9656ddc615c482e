"use strict";
// Audio and video inside a browser: the "media-..." requests of media.py, and what the page does with tracks that come.

const STATS = new Set(["inbound-rtp", "outbound-rtp", "remote-inbound-rtp", "media-source", "codec", "transport"]);
// What a browser does to speech would be heard in a tone.
const AS_IT_IS = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };

// A worker that lets encoded frames through, counts them, and can ask the sender for a keyframe.
const TRANSFORM = `
  let transformer;
  onrtctransform = (event) => {
    transformer = event.transformer;
    transformer.readable.pipeTo(transformer.writable);
  };
  onmessage = () => transformer.sendKeyFrameRequest().then(() => postMessage(null), (e) => postMessage(String(e)));
`;

function drawnTrack({ width, height, rate }) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  let count = 0;
  const timer = setInterval(() => {
    context.fillStyle = `hsl(${(count * 7) % 360} 80% 50%)`;
    context.fillRect(0, 0, width, height);
    context.fillStyle = "white";
    context.fillRect((count * 5) % width, height / 3, 40, 40);
    count += 1;
  }, 1000 / rate);
  const [track] = canvas.captureStream(rate).getVideoTracks();
  track.addEventListener("ended", () => clearInterval(timer));
  return { track, end: () => clearInterval(timer) };
}

async function deviceTrack(kind, { width, height, rate }) {
  const constraints = kind === "audio" ? { audio: AS_IT_IS } : { video: { width, height, frameRate: rate } };
  const stream = await navigator.mediaDevices.getUserMedia(constraints);
  return { track: stream.getTracks()[0], end: () => {} };
}

class Media {
  constructor(pc) {
    this.pc = pc;
    this.transceivers = new Map();
    this.sources = [];
    this.elements = [];
    this.workers = new Map();
    pc.addEventListener("track", ({ track }) => this.play(track));
  }

  // Without an element to play in, a browser may leave sound undecoded.
  play(track) {
    const element = Object.assign(document.createElement(track.kind), { autoplay: true, muted: track.kind === "video" });
    element.srcObject = new MediaStream([track]);
    element.play().catch(() => {});
    this.elements.push(element);
  }

  async open(kind, { source = "device", width = 320, height = 240, rate = 15 }) {
    const made =
      source === "drawn" ? drawnTrack({ width, height, rate }) : await deviceTrack(kind, { width, height, rate });
    this.sources.push(made);
    return made.track;
  }

  // As the answerer a track waits for the section that the offer brings (addTrack); the offerer makes its own.
  async add({ name, kind, direction = "sendrecv", waits = false, codecs = [], encodings, ...picture }) {
    const track = direction.startsWith("send") ? await this.open(kind, picture) : undefined;
    if (waits && track) {
      const sender = this.pc.addTrack(track, new MediaStream([track]));
      const transceiver = this.pc.getTransceivers().find((each) => each.sender === sender);
      this.transceivers.set(name, transceiver);
      this.prefer(transceiver, kind, codecs);
      return null;
    }
    const init = { direction, ...(encodings && { sendEncodings: encodings }) };
    if (track) init.streams = [new MediaStream([track])];
    const transceiver = this.pc.addTransceiver(track ?? kind, init);
    this.transceivers.set(name, transceiver);
    this.prefer(transceiver, kind, codecs);
    return null;
  }

  prefer(transceiver, kind, names) {
    if (!names.length) return;
    const known = RTCRtpReceiver.getCapabilities(kind).codecs;
    const chosen = names.flatMap((name) => known.filter(({ mimeType }) => mimeType.endsWith("/" + name)));
    transceiver.setCodecPreferences([...chosen, ...known.filter(({ mimeType }) => /\/(rtx|red|ulpfec)$/.test(mimeType))]);
  }

  async replace(transceiver, body) {
    const track = await this.open(transceiver.receiver.track.kind, body);
    await transceiver.sender.replaceTrack(track);
  }

  requestKeyframe(name) {
    const worker = this.workers.get(name);
    return new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => (data === null ? resolve(null) : reject(new Error(data)));
      worker.postMessage(null);
    });
  }

  transform(name, transceiver) {
    const worker = new Worker(URL.createObjectURL(new Blob([TRANSFORM])));
    this.workers.set(name, worker);
    transceiver.receiver.transform = new RTCRtpScriptTransform(worker, {});
  }

  async stats() {
    const report = await this.pc.getStats();
    return [...report.values()].filter(({ type }) => STATS.has(type));
  }

  request(what, body) {
    const transceiver = this.transceivers.get(body.name);
    switch (what) {
      case "media-add":
        return this.add(body);
      case "media-enable":
        transceiver.sender.track.enabled = body.on;
        return null;
      case "media-direct":
        transceiver.direction = body.direction;
        return null;
      case "media-replace":
        return this.replace(transceiver, body);
      case "media-remove":
        return this.pc.removeTrack(transceiver.sender) ?? null;
      case "media-stop":
        return transceiver.stop() ?? null;
      case "media-prepare":
        return this.transform(body.name, transceiver) ?? null;
      case "media-request-keyframe":
        return this.requestKeyframe(body.name);
      case "media-stats":
        return this.stats();
    }
    throw new Error(`unknown request ${what}`);
  }

  end() {
    for (const { track, end } of this.sources) {
      track.stop();
      end();
    }
    for (const element of this.elements) element.srcObject = null;
    for (const worker of this.workers.values()) worker.terminate();
  }
}
