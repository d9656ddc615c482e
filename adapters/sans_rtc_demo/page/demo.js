// Puts the page together: one connection at a time, and the panels that show it.

import { RoundTripChart, formatMs } from "./chart.js";
import { Connection } from "./connection.js";
import { MediaPanel, Sources } from "./media.js";
import { ExplainPanel, MessagePanel, SpeedPanel } from "./panels.js";

const STATE_WORDS = {
  starting: "Starting",
  connecting: "Connecting",
  connected: "Connected",
  interrupted: "Not answering",
  lost: "Connection lost",
  gone: "Server gone",
  failed: "Not connected",
  unsupported: "Not supported",
};

const byId = (id) => document.getElementById(id);
const chart = new RoundTripChart(byId("chart"), byId("chart-tip"));
const sources = new Sources();
const panels = [SpeedPanel, MessagePanel, ExplainPanel].map((Panel) => new Panel(() => connection));
const messagePanel = panels[1];
const mediaPanel = new MediaPanel(() => connection, sources);
panels.push(mediaPanel);
let connection = null;
let echoes = 0;

function connect() {
  connection?.close();
  const made = (connection = new Connection(sources));
  const whenCurrent = (action) => (event) => made === connection && action(event.detail);
  made.addEventListener("state", whenCurrent(showState));
  made.addEventListener("echo", whenCurrent(showEcho));
  made.addEventListener("nomedia", whenCurrent((reason) => (byId("media-status").textContent = `No picture: ${reason}`)));
  made.addEventListener("media", whenCurrent((stream) => mediaPanel.show(stream)));
  made.addEventListener("message", whenCurrent((text) => messagePanel.received(text)));
  made.open();
}

function showState({ state, title, text }) {
  const before = document.body.dataset.state;
  document.body.dataset.state = state;
  byId("state").textContent = STATE_WORDS[state];
  showNotice(state, title, text);
  for (const panel of panels) panel.usable = state === "connected";
  if (state === "connecting") forgetFigures();
  if (state === "connected" && before !== "interrupted") {
    byId("fact-connect").textContent = `${connection.connectMs.toFixed(0)} ms`;
    showFacts();
  }
}

function forgetFigures() {
  chart.clear();
  const names = ["fact-connect", "fact-encryption", "fact-local", "fact-remote", "rtt-latest", "rtt-typical", "rtt-slowest"];
  for (const name of names) byId(name).textContent = "–";
}

function showNotice(state, title, text) {
  const hadFocus = byId("notice").contains(document.activeElement);
  byId("notice-title").textContent = title;
  byId("notice-text").textContent = text;
  byId("notice").hidden = title === "";
  byId("reconnect").hidden = state === "unsupported" || state === "interrupted";
  if (hadFocus && title === "") byId("main").focus();
}

function showEcho(ms) {
  echoes += 1;
  document.body.dataset.echoes = String(echoes);
  chart.add(ms);
  const { typical, slowest } = chart.summary();
  byId("rtt-latest").textContent = formatMs(ms);
  byId("rtt-typical").textContent = formatMs(typical);
  byId("rtt-slowest").textContent = formatMs(slowest);
  byId("rtt-count").textContent = echoes.toLocaleString("en");
}

function endpoint(candidate) {
  if (candidate?.port === undefined) return null;
  const host = candidate.address ?? candidate.ip;
  if (!host) return `port ${candidate.port}`;
  return `${host.includes(":") ? `[${host}]` : host}:${candidate.port}`;
}

function encryption({ tlsVersion, cipher }) {
  const version = { FEFD: "DTLS 1.2", FEFC: "DTLS 1.3" }[tlsVersion?.toUpperCase()] ?? "DTLS";
  const name = cipher?.match(/(AES_(?:128|256)_GCM|CHACHA20)/)?.[1].replaceAll("_", "\u2011"); // hyphens that do not break the line
  return name ? `${version}, ${name}` : version;
}

async function showFacts() {
  const facts = await connection.facts();
  byId("fact-encryption").textContent = encryption(facts);
  byId("fact-local").textContent = endpoint(facts.local) ?? "not told";
  byId("fact-remote").textContent = endpoint(facts.remote) ?? "not told";
}

byId("reconnect").addEventListener("click", connect);
addEventListener("pagehide", () => connection?.close());
addEventListener("pageshow", (event) => event.persisted && connect());
connect();
