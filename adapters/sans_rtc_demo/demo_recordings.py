"""What `sans-rtc demo --record FILE` writes: a recording for each connection, and each load of the page is one.

FILE is the first; the others have their number before its suffix: session.rec, session-2.rec, session-3.rec ...
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from sans_rtc_asyncio import PeerConnection

# Whoever reaches the page can load it again and again: then the disk is not filled with their connections.
RECORDING_COUNT_MAX: Final = 100

Make = Callable[[Path | None], PeerConnection]
"""Makes the peer of one connection, recorded in a file where there is one."""


class Recordings:
    """Gives each connection its file, and says what becomes of it."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        """Record to `path` and, numbered, beside it; `say` is given a line whenever one begins or ends."""
        self._path = path
        self._say = say
        self._count = 0
        self._open: dict[PeerConnection, Path] = {}

    def make_peer(self, make: Make) -> PeerConnection:
        """Make the peer of the next connection, recorded; where that cannot be, say why and make it all the same."""
        self._count += 1
        if self._count > RECORDING_COUNT_MAX:
            self._tell(f"Connection {self._count} is not recorded: {RECORDING_COUNT_MAX} are enough.")
            return make(None)
        path = numbered(self._path, self._count)
        try:
            peer = make(path)
        except OSError as error:
            self._tell(f"Connection {self._count} is not recorded: {path}: {error.strerror or error}")
            return make(None)
        self._open[peer] = path
        self._tell(f"Connection {self._count} is recorded in {path}")
        return peer

    def on_closed(self, peer: PeerConnection) -> None:
        """Say what the recording of a peer that has ended came to; once, whatever comes later."""
        path = self._open.pop(peer, None)
        if path is None:
            return
        failure = None if peer.recording is None else peer.recording.failure
        if failure is not None:
            self._tell(f"{path} ends before its connection did: {failure.strerror or failure}")
            return
        with suppress(OSError):  # taken away meanwhile
            self._tell(f"{path} is complete: {path.stat().st_size} bytes")

    def _tell(self, line: str) -> None:
        with suppress(OSError):  # nobody reads it any more; the connection goes on
            self._say(line)


def numbered(path: Path, number: int) -> Path:
    """The file of a connection, counted from 1."""
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def require_writable(path: Path) -> None:
    """See that a recording can be made at `path`, leaving what is there as it is; OSError where it cannot."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        os.close(os.open(path, os.O_RDWR | getattr(os, "O_NONBLOCK", 0)))
    else:
        path.unlink()
