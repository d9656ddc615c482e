"""Chromium, by the DevTools protocol over --remote-debugging-pipe: messages of JSON, each ended by a zero byte."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import tempfile
from pathlib import Path

from interop_peers.browser import PAGE_URL, BrowserHost
from interop_peers.processes import Process, find_executable
from interop_peers.session import REQUEST_TIMEOUT_S, PeerError
from interop_peers.tone import write_tone

# Not the wrapper /usr/bin/chromium, which adds switches of its own.
EXECUTABLES = ("/usr/lib/chromium/chromium", "/opt/google/chrome/chrome")

SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--no-first-run",
    "--no-default-browser-check",
    # Loopback candidates need the switch and a page that may use a microphone, which the fake dialog grants.
    "--allow-loopback-in-peer-connection",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)

# The browser wants its commands on descriptor 3 and answers on 4: a shell moves our pipes there.
MOVE_PIPES = 'exec "$@" 3<&0 4>&1 </dev/null >/dev/null'


class Chromium(BrowserHost):
    """One browser process tree; a crash takes a page, not the browser."""

    name = "chromium"

    def __init__(self, *switches: str) -> None:
        super().__init__()
        self._switches = switches
        self._process: Process | None = None
        self._profile = ""
        self._session_id = ""
        self._numbers_of_commands = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._loaded = asyncio.Event()
        self._crashed = asyncio.Event()

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    async def load_page(self) -> None:
        if self._process is None or not self._process.is_running:
            await self._launch()
        target = await self.command("Target.createTarget", url="about:blank")
        attached = await self.command("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session_id = attached["sessionId"]
        self._loaded.clear()
        self._crashed.clear()
        await self.command("Page.enable", self._session_id)
        await self.command("Inspector.enable", self._session_id)
        await self.command("Page.navigate", self._session_id, url=PAGE_URL)
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            await self._loaded.wait()

    async def evaluate(self, expression: str) -> object:
        answer = await self.command(
            "Runtime.evaluate", self._session_id, expression=expression, awaitPromise=True, returnByValue=True
        )
        if "exceptionDetails" in answer:
            raise PeerError(f"chromium: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    async def crash(self) -> None:
        await self.stop_polling()
        crashing = asyncio.create_task(self.command("Page.crash", self._session_id))
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            await self._crashed.wait()
        crashing.cancel()  # a crashed page does not answer
        await asyncio.wait([crashing])

    async def stop(self) -> None:
        await self.stop_polling()
        if self._process is None:
            return
        try:
            await self.command("Browser.close", timeout_s=2.0)
            await self._process.wait(3.0)
        except (TimeoutError, PeerError):
            pass
        await self._process.kill()
        if self._reader is not None:
            await asyncio.wait([self._reader])
        shutil.rmtree(self._profile, ignore_errors=True)

    async def command(
        self, method: str, session_id: str = "", timeout_s: float = REQUEST_TIMEOUT_S, **parameters: object
    ) -> dict:
        """Send one command and return its result."""
        assert self._process is not None
        if not self._process.is_running:
            raise PeerError("chromium has ended")
        number = next(self._numbers_of_commands)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        if session_id:
            message["sessionId"] = session_id
        self._process.stdin.write(json.dumps(message).encode() + b"\0")
        async with asyncio.timeout(timeout_s):
            reply = await answer
        if "error" in reply:
            raise PeerError(f"chromium: {method}: {reply['error']}")
        return reply["result"]

    async def _launch(self) -> None:
        executable = find_executable(EXECUTABLES)
        self._profile = tempfile.mkdtemp(prefix="sans_rtc_chromium_")
        tone = write_tone(Path(self._profile, "tone.wav"))
        switches = [*SWITCHES, f"--user-data-dir={self._profile}", f"--use-file-for-fake-audio-capture={tone}"]
        switches += self._switches
        command = ["/bin/sh", "-c", MOVE_PIPES, "sh", executable, *switches, "about:blank"]
        env = {**os.environ, "HOME": self._profile, "PULSE_RUNTIME_PATH": self._profile}
        self._process = await Process.start("chromium", command, env=env)
        self._reader = asyncio.create_task(self._read(self._process))

    async def _read(self, process: Process) -> None:
        try:
            while True:
                message = json.loads((await process.stdout.readuntil(b"\0"))[:-1])
                if message.get("method") == "Page.loadEventFired":
                    self._loaded.set()
                elif message.get("method") == "Inspector.targetCrashed":
                    self._crashed.set()
                answer = self._waiting.pop(message.get("id", 0), None)
                if answer is not None and not answer.done():
                    answer.set_result(message)
        except asyncio.IncompleteReadError:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(PeerError("chromium has ended"))
