"""What the actions of `sans-rtc trace` share: exit statuses, reading recordings, writing what may hold keys."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from sans_rtc.trace import Record, read_records
from sans_rtc_net.recording import read_recording

EXIT_SAME: Final = 0
EXIT_DIFFERENT: Final = 1
EXIT_FAILED: Final = 2


def records_of(path: Path) -> Iterator[Record]:
    """The records of a recording, as they are read."""
    return read_records(read_recording(path))


def write(path: Path, pieces: Iterable[bytes]) -> int:
    """Write a file that only its owner may read, piece by piece."""
    path.touch(mode=0o600)  # it can hold keys, as the recording does
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)
    return EXIT_SAME


def write_text(path: Path | None, lines: Iterable[str]) -> int:
    """Write lines to a file, as `write` does, or to the standard output."""
    if path is not None:
        return write(path, (f"{line}\n".encode("utf-8", "replace") for line in lines))
    for line in lines:
        sys.stdout.write(f"{line}\n")
    return EXIT_SAME
