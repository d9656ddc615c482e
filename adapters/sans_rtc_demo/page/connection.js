// The connection to Python: offer, answer, candidates as they are found, and the channels.
// Events: "state" (detail: { state, title, text }), "message" (detail: text), "echo" (detail: milliseconds), "media"
// (detail: the stream that Python sends), "nomedia" (detail: why there is none).

const CONNECT_MS_MAX = 15_000;
const PING_EVERY_MS = 100;
const SILENCE_MS = 3_000; // as long as the Python side waits before it says "disconnected"
const PENDING_PINGS_MAX = 600;

/** An answer of the server that is not a success; `status` 0 stands for a server that cannot be reached. */
export class ServerError extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

async function request(method, path, body, options = {}) {
  let response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      ...options,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ServerError(0, "The server does not answer.");
  }
  if (!response.ok) throw new ServerError(response.status, (await response.text()).trim() || response.statusText);
  return response.status === 204 ? null : response.json();
}

const NO_PATH = "Python was reached for the setup, but no direct path to it was found.";
const NO_ADDRESS = "This browser found no address to connect from: is this machine connected to a network?";
const FIREFOX = "Without a network, Firefox connects once media.peerconnection.ice.loopback is true in about:config.";

function failureText(hasAddress, cause) {
  const text = !hasAddress ? NO_ADDRESS : cause ? `Python says: ${cause}.` : NO_PATH;
  return navigator.userAgent.includes("Firefox") ? `${text} ${FIREFOX}` : text;
}

export class Connection extends EventTarget {
  #abort = new AbortController();
  #candidates = [];
  #hasAddress = false;
  #session = null;
  #pings = new Map();
  #sequence = 0;
  #heardAt = 0;
  #timers = [];
  #state = "starting";

  /** `sources` has the tracks to send: { video, audio }, once `start` was called. */
  constructor(sources) {
    super();
    this.sources = sources;
  }

  get state() {
    return this.#state;
  }

  /** Open everything; the outcome comes as "state" events. */
  async open() {
    if (typeof RTCPeerConnection !== "function") {
      this.#enter("unsupported", "This browser cannot connect", "It does not offer WebRTC, or WebRTC is switched off.");
      return;
    }
    this.startedAt = performance.now();
    this.#enter("connecting");
    this.#later(CONNECT_MS_MAX, () => this.#state === "connecting" && this.#giveUp());
    const peer = (this.peer = new RTCPeerConnection());
    peer.onicecandidate = ({ candidate }) => this.#onLocalCandidate(candidate);
    peer.onconnectionstatechange = () => this.#onPeerState();
    this.#openChannels(peer);
    try {
      await this.#signal(peer);
    } catch (error) {
      if (error.name !== "AbortError") this.#onSignallingError(error);
    }
  }

  /** Close for good, telling Python. */
  close() {
    if (this.#session !== null) {
      request("DELETE", this.#path(""), undefined, { keepalive: true }).catch(() => {});
      this.#session = null;
    }
    this.#release();
  }

  /** Send one text on the message channel. */
  send(text) {
    this.messages.send(text);
  }

  /** What Python says about the connection: { text, likely_cause }. */
  explain() {
    return request("GET", this.#path("/explanation"), undefined, { signal: this.#abort.signal });
  }

  /** What the browser knows of the path and its encryption; fields it does not know are missing. */
  async facts() {
    const stats = await this.peer.getStats();
    const rows = [...stats.values()];
    const transport = rows.find((row) => row.type === "transport");
    const pair = stats.get(transport?.selectedCandidatePairId) ?? rows.find((row) => row.type === "candidate-pair" && (row.selected || (row.nominated && row.state === "succeeded")));
    return {
      tlsVersion: transport?.tlsVersion,
      cipher: transport?.dtlsCipher,
      local: stats.get(pair?.localCandidateId),
      remote: stats.get(pair?.remoteCandidateId),
    };
  }

  #path(rest) {
    return `/sessions/${this.#session}${rest}`;
  }

  #openChannels(peer) {
    this.echo = peer.createDataChannel("echo");
    this.echo.binaryType = "arraybuffer";
    this.echo.onopen = () => this.#onOpen();
    this.echo.onmessage = ({ data }) => this.#onEcho(data);
    this.echo.onclose = () => this.#onLost();
    this.messages = peer.createDataChannel("messages");
    this.messages.onmessage = ({ data }) => this.dispatchEvent(new CustomEvent("message", { detail: data }));
  }

  // Only now: a browser takes its time to look up its codecs, and the rest need not wait for that.
  async #addMedia() {
    const { peer } = this;
    this.sources.start();
    const [stream, arrived] = [new MediaStream(), new MediaStream()];
    peer.ontrack = ({ track }) => {
      arrived.addTrack(track);
      this.dispatchEvent(new CustomEvent("media", { detail: arrived }));
    };
    this.senders = ["audio", "video"].map((kind) => peer.addTransceiver(this.sources[kind], { streams: [stream] }).sender);
    await peer.setLocalDescription();
    const { type, sdp } = peer.localDescription;
    await peer.setRemoteDescription(await request("POST", this.#path("/offer"), { type, sdp }, { signal: this.#abort.signal }));
  }

  /** Send other tracks; nothing is negotiated again. */
  async replaceTracks(sources) {
    const [audio, video] = this.senders ?? [];
    await Promise.all([audio?.replaceTrack(sources.audio), video?.replaceTrack(sources.video)]);
  }

  /** What Python counts, and where its picture comes from: { source, sources, stats }. */
  statistics() {
    return request("GET", this.#path("/statistics"), undefined, { signal: this.#abort.signal });
  }

  /** Let Python send a picture from another source: "echo" or "python". */
  chooseSource(source) {
    return request("POST", this.#path("/source"), { source }, { signal: this.#abort.signal });
  }

  async #signal(peer) {
    await peer.setLocalDescription();
    const { type, sdp } = peer.localDescription;
    const answer = await request("POST", "/offer", { type, sdp }, { signal: this.#abort.signal });
    this.#session = answer.session;
    await peer.setRemoteDescription({ type: answer.type, sdp: answer.sdp });
    await Promise.all([this.#postCandidates(), this.#fetchCandidates(peer)]);
  }

  #onLocalCandidate(candidate) {
    this.#hasAddress ||= Boolean(candidate?.candidate);
    this.#candidates.push(candidate?.toJSON() ?? { candidate: "" });
    if (this.#session !== null) this.#postCandidates().catch((error) => this.#onCandidateError(error));
  }

  async #postCandidates() {
    if (this.#candidates.length === 0) return;
    const candidates = this.#candidates.splice(0);
    await request("POST", this.#path("/candidates"), { candidates }, { signal: this.#abort.signal });
  }

  async #fetchCandidates(peer) {
    for (let after = 0, complete = false; !complete && this.#state === "connecting"; ) {
      const page = await request("GET", this.#path(`/candidates?after=${after}`), undefined, { signal: this.#abort.signal });
      for (const candidate of page.candidates) await peer.addIceCandidate(candidate);
      ({ next: after, complete } = page);
    }
  }

  #onCandidateError(error) {
    // Candidates of a connection that is open already are not needed: only its own loss counts then.
    if (error.name !== "AbortError" && this.#state === "connecting") this.#onSignallingError(error);
  }

  #onSignallingError(error) {
    if (this.#state !== "connecting") return;
    if (error instanceof ServerError && error.status === 0) this.#end("gone");
    else this.#end("failed", "Could not connect", error.message);
  }

  #onOpen() {
    this.connectMs = performance.now() - this.startedAt;
    this.#heardAt = performance.now();
    this.#enter("connected");
    this.#timers.push(setInterval(() => this.#ping(), PING_EVERY_MS));
    this.#addMedia().catch((error) => this.dispatchEvent(new CustomEvent("nomedia", { detail: error.message })));
  }

  #ping() {
    const now = performance.now();
    if (this.#state === "connected" && now - this.#heardAt > SILENCE_MS && !document.hidden) {
      this.#enter("interrupted", "Python is not answering", "Waiting for it to come back. Nothing that you sent is lost yet.");
      this.#probe();
    }
    if (this.echo.readyState !== "open" || this.#pings.size >= PENDING_PINGS_MAX) return;
    const ping = new DataView(new ArrayBuffer(100));
    ping.setUint32(0, ++this.#sequence);
    this.#pings.set(this.#sequence, now);
    this.echo.send(ping);
  }

  #onEcho(data) {
    const now = performance.now();
    const sequence = new DataView(data).getUint32(0);
    const sentAt = this.#pings.get(sequence);
    if (sentAt === undefined) return;
    this.#pings.delete(sequence);
    this.#heardAt = now;
    if (this.#state === "interrupted") this.#enter("connected");
    this.dispatchEvent(new CustomEvent("echo", { detail: now - sentAt }));
  }

  #onPeerState() {
    if (this.peer?.connectionState === "failed") this.#state === "connecting" ? this.#giveUp() : this.#onLost();
  }

  async #giveUp() {
    const cause = await this.explain().then((answer) => answer.likely_cause, () => "");
    if (this.#state !== "connecting") return;
    this.#end("failed", "Could not connect", failureText(this.#hasAddress, cause));
  }

  // Tells a server that has ended from a connection that broke: the server still answers in the second case.
  async #onLost() {
    const cause = await this.#probe();
    if (this.#isOpen) this.#end("lost", "The connection was lost", cause || "Python has closed it, or the path to it broke.");
  }

  // Ask the server what it knows of a trouble; a server that cannot be reached, or is ending (503), is the trouble.
  async #probe() {
    try {
      return (await this.explain()).likely_cause;
    } catch (error) {
      if (this.#isOpen && (error.status === 0 || error.status === 503)) this.#end("gone");
      return "";
    }
  }

  get #isOpen() {
    return this.#state === "connected" || this.#state === "interrupted";
  }

  #end(state, title, text) {
    if (state === "gone") {
      title = "The server has gone";
      text = "Start it again with “sans-rtc demo”, then reconnect.";
    }
    this.#release();
    this.#enter(state, title, text);
  }

  #release() {
    this.#abort.abort();
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
    this.#state = "closed";
    this.peer?.close();
  }

  #later(milliseconds, action) {
    this.#timers.push(setTimeout(action, milliseconds));
  }

  #enter(state, title = "", text = "") {
    this.#state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: { state, title, text } }));
  }
}
