"use strict";
// The driver interface inside a browser: requests come as calls of rtc.request, events are fetched with rtc.takeEvents.

const NOISE_SIZE = 1 << 19; // messages.py makes the same noise
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const PREFIX = "é€😀";
const PREFIX_BYTES = 9;
const BUFFERED_BYTES_MAX = 1 << 20;
const SILENCE_MS = 500;

const noise = new Uint8Array(NOISE_SIZE);
let text = "";
{
  let x = 1;
  const letters = new Array(NOISE_SIZE);
  for (let i = 0; i < NOISE_SIZE; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    noise[i] = x >>> 24;
    letters[i] = ALPHABET[noise[i] & 63];
  }
  text = letters.join("");
}

function content([kind, size, offset]) {
  if (kind === "b") return noise.slice(offset, offset + size);
  if (size >= PREFIX_BYTES && offset % 3 === 0) return PREFIX + text.slice(offset, offset + size - PREFIX_BYTES);
  return text.slice(offset, offset + size);
}

async function digest(data) {
  const [kind, bytes] = typeof data === "string" ? ["t", new TextEncoder().encode(data)] : ["b", new Uint8Array(data)];
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  const hex = Array.from(hash.slice(0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [kind, bytes.length, hex];
}

class Session {
  constructor(configuration) {
    this.events = [];
    this.channels = new Map();
    this.echoed = new Set();
    this.hashed = Promise.resolve();
    this.pc = new RTCPeerConnection(configuration);
    this.pc.onicecandidate = ({ candidate }) => {
      // Firefox says twice that there are no more: an empty candidate, then none.
      if (candidate?.candidate !== "") this.events.push({ event: "candidate", candidate: candidate?.toJSON() ?? null });
    };
    this.pc.onconnectionstatechange = this.pc.oniceconnectionstatechange = () => this.reportState();
    this.pc.ondatachannel = ({ channel }) => this.watch(channel);
    this.media = new Media(this.pc); // media.js
  }

  reportState() {
    this.events.push({ event: "state", connection: this.pc.connectionState, ice: this.pc.iceConnectionState });
  }

  watch(channel) {
    const { label, ordered, protocol, maxRetransmits, maxPacketLifeTime } = channel;
    this.channels.set(label, channel);
    channel.binaryType = "arraybuffer";
    const onopen = () =>
      this.events.push({ event: "open", id: channel.id, label, ordered, protocol, maxRetransmits, maxPacketLifeTime });
    channel.onopen = onopen;
    channel.onclose = () => this.events.push({ event: "closed", label });
    channel.onmessage = ({ data }) => {
      if (this.echoed.has(label)) channel.send(data);
      // Hashing takes its time; one after the other keeps the order of arrival.
      this.hashed = this.hashed.then(async () => {
        this.events.push({ event: "received", label, messages: [await digest(data)] });
      });
    };
  }

  async describeLocally(description, trickle) {
    await this.pc.setLocalDescription(description);
    if (!trickle && this.pc.iceGatheringState !== "complete") {
      await new Promise((resolve) => {
        this.pc.addEventListener("icegatheringstatechange", () => {
          if (this.pc.iceGatheringState === "complete") resolve();
        });
      });
    }
    return { sdp: trickle ? description.sdp : this.pc.localDescription.sdp };
  }

  async sendAll(channel, messages) {
    channel.bufferedAmountLowThreshold = BUFFERED_BYTES_MAX / 2;
    for (const message of messages) {
      if (channel.bufferedAmount > BUFFERED_BYTES_MAX) await this.room(channel);
      channel.send(content(message));
    }
  }

  // Where a message's life ends just as all that is in flight has been acknowledged, Chromium falls silent, whatever is
  // buffered, until something is sent again; reliable messages have no such moment.
  room(channel) {
    const isReliable = channel.maxPacketLifeTime === null && channel.maxRetransmits === null;
    return new Promise((resolve) => {
      channel.addEventListener("bufferedamountlow", resolve, { once: true });
      if (!isReliable) setTimeout(resolve, SILENCE_MS);
    });
  }

  createChannel({ label, negotiated, ...options }) {
    if (negotiated !== undefined) Object.assign(options, { negotiated: true, id: negotiated });
    this.watch(this.pc.createDataChannel(label, options));
  }

  async request(what, body) {
    const { pc } = this;
    const channel = this.channels.get(body.label);
    switch (what) {
      case "offer":
        return this.describeLocally(await pc.createOffer({ iceRestart: body.restart }), body.trickle);
      case "answer":
        await pc.setRemoteDescription({ type: "offer", sdp: body.sdp });
        return this.describeLocally(await pc.createAnswer(), body.trickle);
      case "accept":
        return pc.setRemoteDescription({ type: "answer", sdp: body.sdp });
      case "candidate":
        return pc.addIceCandidate(body.candidate || undefined);
      case "create-channel":
        return this.createChannel(body);
      case "add-media":
        for (const kind of ["audio", "video"]) pc.addTransceiver(kind);
        return null;
      case "send-all":
        return this.sendAll(channel, body.messages);
      case "echo":
        this.echoed.add(body.label);
        return null;
      case "close-channel":
        return channel.close();
      case "describe":
        return { connection: pc.connectionState, ice: pc.iceConnectionState, signaling: pc.signalingState };
      case "close":
        return pc.close();
    }
    return this.media.request(what, body);
  }
}

const sessions = new Map();

const rtc = {
  open(number, configuration) {
    sessions.set(number, new Session(configuration));
    return null;
  },
  // The answer arrives as an event, so that no browser's driver has to wait inside a call.
  request(number, id, what, body) {
    const session = sessions.get(number);
    session
      .request(what, body)
      .then((value) => session.events.push({ id, value: value ?? null }))
      .catch((error) => session.events.push({ id, error: String(error) }));
    return null;
  },
  takeEvents() {
    const taken = {};
    for (const [number, session] of sessions) {
      if (session.events.length) taken[number] = session.events.splice(0);
    }
    return taken;
  },
  end(number) {
    sessions.get(number)?.pc.close();
    sessions.get(number)?.media.end();
    sessions.delete(number);
    return null;
  },
};
