"""pion's parsers of RTP, RTCP and payloads: the Go program of the folder pion_codecs, asked by lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from interop_peers.processes import Missing

SOURCE: Final = Path(__file__).parents[1] / "pion_codecs"
DEBIAN_GOPATH: Final = Path("/usr/share/gocode")
BUILD_S_MAX: Final = 120.0


class PionCodecs:
    """The program, built."""

    def __init__(self, directory: Path) -> None:
        go = shutil.which("go")
        if go is None:
            raise Missing("no go")
        if not (DEBIAN_GOPATH / "src/github.com/pion/rtp").is_dir():
            raise Missing("no golang-github-pion-webrtc.v3-dev, which brings pion's rtp")
        source = directory / "src" / "pion_codecs"
        shutil.copytree(SOURCE, source)
        self._program = directory / "pion_codecs"
        environment = {**os.environ, "GO111MODULE": "off", "CGO_ENABLED": "0", "GOPATH": f"{directory}:{DEBIAN_GOPATH}"}
        command = [go, "build", "-o", str(self._program), "."]
        subprocess.run(command, cwd=source, env=environment, check=True, timeout=BUILD_S_MAX, capture_output=True)

    def read(self, questions: Sequence[tuple[str, bytes]]) -> list[Any]:
        """What pion makes of each (kind, packet)."""
        lines = "".join(f"{kind} {data.hex()}\n" for kind, data in questions)
        done = subprocess.run([self._program], input=lines, capture_output=True, text=True, timeout=60, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]
