"""A small web page whose audio and video go to Python, come from it, or both: what the examples with a browser share.

Signalling is one POST: the page's offer with all its candidates, the answer with all of ours. A server that others can
reach would want TLS, and to know its visitors; this one is for the browser of this machine.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from sans_rtc_asyncio import ConnectionFailed, ConnectionLost, PeerConnection, SansRtcError

VISITORS_MAX = 8
CONNECT_TIMEOUT_S = 20

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>sans_rtc: MODE</title>
<style>
  body { font: 16px system-ui; margin: 2rem auto; max-width: 44rem; color-scheme: light dark }
  video { width: 100%; background: #222; aspect-ratio: 16 / 9 }
  button { font: inherit; padding: .4rem .8rem }
</style>
<h1>sans_rtc: MODE</h1>
<p id="buttons"></p><p id="status" role="status">Not connected.</p>
<video id="view" autoplay playsinline controls muted aria-label="What Python sends"></video>
<script type="module">
const mode = "MODE", status = document.getElementById("status"), view = document.getElementById("view");
const choices = mode === "watch" ? { "Watch": async () => null }
  : { "Camera and microphone": camera, "A generated picture": drawn };
for (const [text, source] of Object.entries(choices)) {
  const button = document.createElement("button");
  button.textContent = text;
  button.onclick = () => connect(source).catch(error => { status.textContent = error.message; });
  document.getElementById("buttons").append(button, " ");
}
if (location.hash === "#drawn") connect(drawn);

function camera() { return navigator.mediaDevices.getUserMedia({ audio: true, video: true }); }

async function drawn() {
  const canvas = Object.assign(document.createElement("canvas"), { width: 640, height: 360 });
  const pen = canvas.getContext("2d"), sound = new AudioContext();
  let count = 0;
  setInterval(() => {
    pen.fillStyle = `hsl(${count++ % 360} 60% 40%)`; pen.fillRect(0, 0, 640, 360);
    pen.fillStyle = "white"; pen.font = "120px system-ui"; pen.fillText(count, 40 + count % 200, 220);
  }, 33);
  const tone = new OscillatorNode(sound, { frequency: 440 }), out = sound.createMediaStreamDestination();
  tone.connect(new GainNode(sound, { gain: 0.1 })).connect(out);
  tone.start();
  return new MediaStream([...canvas.captureStream(30).getTracks(), ...out.stream.getTracks()]);
}

async function connect(source) {
  const peer = new RTCPeerConnection(), stream = await source();
  peer.onconnectionstatechange = () => { status.textContent = peer.connectionState; };
  view.srcObject = new MediaStream();
  peer.ontrack = event => view.srcObject.addTrack(event.track);
  if (stream) {
    const direction = mode === "echo" ? "sendrecv" : "sendonly";
    for (const track of stream.getTracks()) peer.addTransceiver(track, { direction, streams: [stream] });
  } else {
    for (const kind of ["video", "audio"]) peer.addTransceiver(kind, { direction: "recvonly" });
  }
  await peer.setLocalDescription();
  await new Promise(resolve => {
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve();
    setTimeout(resolve, 2000);
  });
  const reply = await fetch("offer", {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(peer.localDescription),
  });
  if (!reply.ok) throw new Error(await reply.text());
  await peer.setRemoteDescription(await reply.json());
}
</script>
</html>
"""


@dataclass
class Visitors:
    """Whoever is connected.

    prepare  called with a peer that has the page's offer: sets directions and codecs of the answer
    serve    called with a connected peer, until that is over
    """

    prepare: Callable[[PeerConnection], None]
    serve: Callable[[PeerConnection], Awaitable[None]]
    bind: str = ""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def offer(self, request: Request) -> Response:
        """Answer one page. Another type of content could come from a page of strangers without asking us."""
        if request.headers.get("content-type") != "application/json":
            return PlainTextResponse("an offer is application/json", 415)
        if len(self.tasks) >= VISITORS_MAX:
            return PlainTextResponse("too many pages are connected", 503)
        peer = PeerConnection(bind=self.bind or ())
        try:
            await peer.set_remote_description(await request.json())
            self.prepare(peer)
            await peer.set_local_description()
            await peer.gathering_complete()
        except (SansRtcError, ValueError) as error:
            peer.abort()
            return PlainTextResponse(f"the offer cannot be answered: {error}", 400)
        task = asyncio.create_task(self._visit(peer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        answer = peer.local_description
        return JSONResponse({"type": str(answer.type), "sdp": answer.sdp})

    async def _visit(self, peer: PeerConnection) -> None:
        async with peer:
            try:
                await peer.wait_connected(CONNECT_TIMEOUT_S)
                await self.serve(peer)
            except* (ConnectionFailed, ConnectionLost) as group:
                print("a visitor is gone:", str(group.exceptions[0]).splitlines()[0])

    async def close(self) -> None:
        """End all that are connected."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def add_arguments(parser: ArgumentParser) -> None:
    """The options that all of them have."""
    parser.add_argument("--port", type=int, default=8081, help="of the page; 0: any")
    parser.add_argument("--seconds", type=float, help="end after so long")
    parser.add_argument("--bind", default="", help="use this local address only")


async def run(mode: str, visitors: Visitors, arguments: Namespace) -> None:
    """Serve the page until Ctrl-C, or so many seconds. mode: "echo", "send" or "watch", as the page sees it."""
    page = HTMLResponse(PAGE.replace("MODE", mode))
    visitors.bind = arguments.bind

    async def index(request: Request) -> Response:
        return page

    app = Starlette(
        routes=[Route("/", index), Route("/offer", visitors.offer, methods=["POST"])],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"])],
    )
    listener = socket.create_server(("127.0.0.1", arguments.port))
    print(f"open http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    server.capture_signals = nullcontext  # its own way ends the program in the midst
    serving, stop = asyncio.create_task(server.serve(sockets=[listener])), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # a loop of Windows
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), arguments.seconds)
    server.should_exit = True
    await visitors.close()
    await serving
