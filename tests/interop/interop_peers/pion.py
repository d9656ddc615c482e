"""pion: the Go program beside this package, built once into a temporary folder."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from interop_peers.lines import LinesHost
from interop_peers.processes import Missing
from interop_peers.session import PeerError

SOURCE = Path(__file__).parents[1] / "pion"
DEBIAN_GOPATH = Path("/usr/share/gocode")
BUILD_TIMEOUT_S = 120.0


class Pion(LinesHost):
    """pion/webrtc v3 of Debian's golang-github-pion-webrtc.v3-dev."""

    lacks = frozenset({"media-enable", "media-direct", "media-replace", "media-stop"})

    def __init__(self) -> None:
        # It reads a message into a buffer of 65535 bytes and closes the channel at a larger one.
        super().__init__("pion", largest=65_535)
        self._folder: str | None = None
        self._build: asyncio.Task[str] | None = None

    async def prepare(self) -> None:
        """Begin to build, so that it is done when the first session is asked for."""
        if self._build is None:
            self._build = asyncio.create_task(self._compile())
            await asyncio.sleep(0.1)  # long enough for the compiler to have been started; it runs on by itself

    async def command(self) -> Sequence[str]:
        await self.prepare()
        assert self._build is not None
        return [await self._build]

    async def stop(self) -> None:
        await super().stop()
        if self._build is not None:
            await asyncio.wait([self._build])
            self._build.exception()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    async def _compile(self) -> str:
        if shutil.which("go") is None:
            raise Missing("go is not installed")
        if not (DEBIAN_GOPATH / "src/github.com/pion/webrtc").is_dir():
            raise Missing("golang-github-pion-webrtc.v3-dev is not installed")
        self._folder = tempfile.mkdtemp(prefix="sans_rtc_pion_")
        # Without modules, a go.mod makes the import path's /v3 understood, and only inside a GOPATH.
        source = Path(self._folder, "src", "pion_peer")
        shutil.copytree(SOURCE, source)
        program = str(Path(self._folder, "pion_peer"))
        env = {**os.environ, "GO111MODULE": "off", "CGO_ENABLED": "0", "GOPATH": f"{self._folder}:{DEBIAN_GOPATH}"}
        child = await asyncio.create_subprocess_exec(
            "go", "build", "-o", program, ".", cwd=source, env=env, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(BUILD_TIMEOUT_S):
                _, errors = await child.communicate()
        except TimeoutError:
            child.kill()
            await child.wait()
            raise PeerError("go build takes too long") from None
        if child.returncode:
            raise PeerError(f"go build failed: {errors.decode(errors='replace')}")
        return program
