"""Firefox, by Marionette: over TCP, messages of JSON, each preceded by its length and a colon."""

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
from interop_peers.tone import TONE_HZ

EXECUTABLES = ("/usr/bin/firefox-esr", "/usr/bin/firefox")
START_TIMEOUT_S = 40.0
MESSAGE_BYTES_MAX = 1 << 24

PREFERENCES = {
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "marionette.port": 0,  # any free one
    "remote.prefs.recommended": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage": "about:blank",
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "media.gmp-provider.enabled": False,
    # Cameras and microphones that are not there, without a question.
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.navigator.audio.fake_frequency": TONE_HZ,
    "media.autoplay.default": 0,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://127.0.0.1:1/",
}


class Firefox(BrowserHost):
    """One browser process tree; a crash takes all of it."""

    name = "firefox"
    needs_namespace = True  # elsewhere it has only the addresses of the default route

    def __init__(self) -> None:
        super().__init__()
        self._process: Process | None = None
        self._profile = ""
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter | None = None
        self._numbers_of_commands = itertools.count(1)
        self._turn = asyncio.Lock()

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    async def load_page(self) -> None:
        if self._process is None or not self._process.is_running:
            await self._launch()
        await self.command("WebDriver:Navigate", url=PAGE_URL)

    async def evaluate(self, expression: str) -> object:
        # Marionette's scripts run beside the page; `rtc` is in the page's own scope, and the value comes back as JSON.
        code = json.dumps(f"JSON.stringify(({expression}) ?? null)")
        script = f"return (window.wrappedJSObject ?? window).eval({code})"
        answer = await self.command("WebDriver:ExecuteScript", script=script, args=[], sandbox=None)
        return json.loads(answer["value"])

    async def crash(self) -> None:
        await self.stop_polling()
        await self._end()

    async def stop(self) -> None:
        # A polite quit takes four seconds and nothing of the profile is kept.
        await self.stop_polling()
        await self._end()

    async def command(self, name: str, timeout_s: float = REQUEST_TIMEOUT_S, **parameters: object) -> dict:
        """Send one command and return its result."""
        if self._writer is None:
            raise PeerError("firefox has ended")
        number = next(self._numbers_of_commands)
        message = json.dumps([0, number, name, parameters]).encode()
        async with asyncio.timeout(timeout_s), self._turn:
            self._writer.write(b"%d:%b" % (len(message), message))
            while True:
                _, answered, error, result = await self._receive()
                if answered == number:  # not the late answer to a command that was given up
                    break
        if error:
            raise PeerError(f"firefox: {name}: {error['error']}: {error['message']}")
        return result

    async def _receive(self) -> list:
        try:
            length = int((await self._reader.readuntil(b":"))[:-1])
            return json.loads(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError):
            raise PeerError("firefox has ended") from None

    async def _launch(self) -> None:
        executable = find_executable(EXECUTABLES)
        self._profile = _make_profile()
        env = {
            **os.environ,
            "HOME": self._profile,
            "PULSE_RUNTIME_PATH": self._profile,
            "MOZ_CRASHREPORTER_DISABLE": "1",
        }
        command = [executable, "--headless", "--no-remote", "--marionette", "--profile", self._profile, "about:blank"]
        self._process = await Process.start("firefox", command, env=env)
        async with asyncio.timeout(START_TIMEOUT_S):
            await self._connect()
        await self.command("WebDriver:NewSession", capabilities={}, timeout_s=START_TIMEOUT_S)

    async def _connect(self) -> None:
        # A file cannot be waited for, only looked at again.
        while (port := _marionette_port(self._profile)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port, limit=MESSAGE_BYTES_MAX)
        await self._receive()  # it introduces itself, without a number

    async def _end(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._process is not None:
            await self._process.kill()
            self._process = None
        if self._profile:
            shutil.rmtree(self._profile, ignore_errors=True)


def _make_profile() -> str:
    profile = tempfile.mkdtemp(prefix="sans_rtc_firefox_")
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in PREFERENCES.items()]
    Path(profile, "user.js").write_text("\n".join(lines))
    return profile


def _marionette_port(profile: str) -> int | None:
    """The port, once Firefox listens there and has written it down."""
    try:
        return int(Path(profile, "MarionetteActivePort").read_text())
    except (OSError, ValueError):
        return None
