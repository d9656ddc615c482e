// The three panels that the visitor works with: speed, messages, and what Python sees.

const CHUNK_BYTES = 65_536;
const BUFFER_HIGH_BYTES = 2_097_152;
const BUFFER_LOW_BYTES = 524_288;
const OVERTIME_MS = 10_000;
const LOG_LINES_MAX = 200;
const EXPLAIN_EVERY_MS = 2_000;

const byId = (id) => document.getElementById(id);

function megabytesPerSecond(bytes, seconds) {
  const rate = seconds > 0 ? bytes / seconds / 1e6 : 0;
  return rate >= 100 ? rate.toFixed(0) : rate.toFixed(1);
}

/** One measurement of `length` seconds on a channel of its own; calls `report(bytes, seconds, share)` while it runs. */
function measure(peer, direction, length, report) {
  const channel = peer.createDataChannel(direction);
  channel.binaryType = "arraybuffer";
  return new Promise((resolve, reject) => {
    const overtime = setTimeout(() => reject(new Error("Python did not answer in time.")), length * 1000 + OVERTIME_MS);
    const finish = (bytes, seconds) => resolve({ bytes, seconds });
    channel.onclose = () => reject(new Error("The connection ended during the measurement."));
    channel.onopen = () => (direction === "upload" ? upload : download)(channel, length, report, finish);
    channel.onfinished = () => clearTimeout(overtime);
  }).finally(() => {
    channel.onfinished();
    channel.onclose = null;
    channel.close();
  });
}

function upload(channel, length, report, finish) {
  const chunk = crypto.getRandomValues(new Uint8Array(Math.min(CHUNK_BYTES, 65_536)));
  const startedAt = performance.now();
  const endsAt = startedAt + length * 1000;
  channel.bufferedAmountLowThreshold = BUFFER_LOW_BYTES;
  channel.onmessage = ({ data }) => {
    const { bytes, seconds, done } = JSON.parse(data);
    if (done) finish(bytes, seconds);
    else report(bytes, seconds, (performance.now() - startedAt) / 1000 / length);
  };
  const pump = () => {
    if (channel.readyState !== "open") return;
    while (performance.now() < endsAt && channel.bufferedAmount < BUFFER_HIGH_BYTES) channel.send(chunk);
    if (performance.now() < endsAt) return;
    channel.onbufferedamountlow = null;
    channel.send("end");
  };
  channel.onbufferedamountlow = pump;
  pump();
}

function download(channel, length, report, finish) {
  let bytes = 0;
  let startedAt = 0;
  let reportedAt = 0;
  channel.onmessage = ({ data }) => {
    const now = performance.now();
    if (typeof data === "string") return finish(bytes, (now - startedAt) / 1000);
    // The clock starts with the first arrival, whose bytes travelled before it: they do not count.
    if (startedAt === 0) startedAt = reportedAt = now;
    else bytes += data.byteLength;
    if (now - reportedAt > 100) {
      reportedAt = now;
      report(bytes, (now - startedAt) / 1000, (now - startedAt) / 1000 / length);
    }
  };
  channel.send(JSON.stringify({ seconds: length }));
}

/** The speed panel. `connection()` gives the open connection. */
export class SpeedPanel {
  #running = false;
  #usable = false;

  constructor(connection) {
    this.connection = connection;
    byId("speed-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.#running && this.#usable) this.#run(new FormData(event.target).get("direction"));
    });
  }

  set usable(usable) {
    this.#usable = usable;
    this.#refresh();
  }

  async #run(choice) {
    this.#running = true;
    this.#refresh();
    const directions = choice === "both" ? ["upload", "download"] : [choice];
    try {
      for (const [index, direction] of directions.entries()) await this.#measure(direction, index, directions.length);
      byId("speed-progress").value = 100;
      byId("speed-status").textContent = "Done";
    } catch (error) {
      byId("speed-progress").value = 0;
      byId("speed-status").textContent = error.message;
    }
    this.#running = false;
    this.#refresh();
  }

  async #measure(direction, index, count) {
    const figure = byId(`speed-${direction}`);
    const status = byId("speed-status");
    status.textContent = direction === "upload" ? "Sending to Python…" : "Receiving from Python…";
    const report = (bytes, seconds, share) => {
      figure.textContent = megabytesPerSecond(bytes, seconds);
      byId("speed-progress").value = ((index + Math.min(share, 1)) / count) * 100;
    };
    const length = Number(byId("speed-form").dataset.seconds);
    const { bytes, seconds } = await measure(this.connection().peer, direction, length, report);
    report(bytes, seconds, 1);
  }

  #refresh() {
    const button = byId("speed-start");
    button.disabled = !this.#usable || this.#running;
    button.textContent = this.#running ? "Measuring…" : "Measure";
    for (const radio of document.querySelectorAll('input[name="direction"]')) radio.disabled = this.#running;
  }
}

/** The message box and its log. */
export class MessagePanel {
  #sentAt = [];

  constructor(connection) {
    this.input = byId("message");
    this.log = byId("log");
    byId("message-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send(connection());
    });
  }

  set usable(usable) {
    this.input.disabled = byId("message-send").disabled = !usable;
    if (!usable) this.#sentAt.length = 0;
  }

  /** A message came back from Python. */
  received(text) {
    const sentAt = this.#sentAt.shift();
    this.#add("theirs", "Python", text, sentAt === undefined ? "" : `${(performance.now() - sentAt).toFixed(1)} ms`);
  }

  #send(connection) {
    const text = this.input.value;
    if (text.trim() === "") return;
    try {
      connection.send(text);
    } catch (error) {
      this.#add("event", "", `Not sent: ${error.message}`, "");
      return;
    }
    this.#sentAt.push(performance.now());
    this.#add("mine", "You", text, "");
    this.input.value = "";
    this.input.focus();
  }

  #add(kind, who, text, note) {
    const line = document.createElement("li");
    line.className = kind;
    const small = document.createElement("small");
    small.textContent = note ? `${who} · ${note}` : who;
    line.append(small, text);
    this.log.append(line);
    while (this.log.childElementCount > LOG_LINES_MAX) this.log.firstElementChild.remove();
    this.log.scrollTop = this.log.scrollHeight;
  }
}

/** Python's explanation of the connection, kept fresh while somebody may be looking. */
export class ExplainPanel {
  #timer = 0;
  #text = "";

  constructor(connection) {
    this.connection = connection;
    this.output = byId("explain");
    byId("explain-copy").addEventListener("click", () => this.#copy());
  }

  set usable(usable) {
    clearInterval(this.#timer);
    if (!usable) return;
    this.#read();
    this.#timer = setInterval(() => document.hidden || this.#read(), EXPLAIN_EVERY_MS);
  }

  async #read() {
    let text;
    try {
      ({ text } = await this.connection().explain());
    } catch {
      return; // what is shown stays; the connection itself tells when the server has gone
    }
    // Leave the text alone while it is being selected, and the place where it is scrolled to.
    const isSelecting = !document.getSelection().isCollapsed && this.output.contains(document.getSelection().anchorNode);
    if (text !== this.#text && !isSelecting) this.#show(text);
    byId("explain-copy").disabled = false;
  }

  // One element a line, so that a long line goes on further in than it began.
  #show(text) {
    this.#text = text;
    const lines = text.split("\n").map((content) => {
      const line = document.createElement("span");
      line.textContent = `${content.trimStart()}\n`;
      if (content.startsWith(" ")) line.className = "detail";
      return line;
    });
    this.output.replaceChildren(...lines);
  }

  async #copy() {
    const button = byId("explain-copy");
    try {
      await navigator.clipboard.writeText(this.#text);
      button.textContent = "Copied";
    } catch {
      document.getSelection().selectAllChildren(this.output);
      button.textContent = "Selected";
    }
    setTimeout(() => (button.textContent = "Copy"), 1500);
  }
}
