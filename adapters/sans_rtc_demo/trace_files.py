"""What the actions of `sans-rtc trace` share: exit statuses, reading recordings, writing what may hold keys."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from sans_rtc.errors import SansRtcError, WireError
from sans_rtc.trace import Record, read_records
from sans_rtc_net.recording import open_private, read_recording

EXIT_SAME: Final = 0
EXIT_DIFFERENT: Final = 1
EXIT_FAILED: Final = 2


class Unreadable(SansRtcError):
    """A file is not what it should be; the message names it."""


def records_of(path: Path) -> Iterator[Record]:
    """The records of a recording, as they are read. Errors: OSError, Unreadable."""
    try:
        yield from read_records(read_recording(path))
    except WireError as error:
        raise Unreadable(f"{path}: {error}") from error


def write(path: Path, pieces: Iterable[bytes]) -> int:
    """Write a file that only its owner may read, piece by piece: nothing where there is nothing, or half of it."""
    remaining = iter(pieces)
    first = next(remaining, b"")  # before the file is touched: it may fail
    try:
        with open(path, "wb", opener=open_private) as file:
            try:
                file.write(first)
                for piece in remaining:
                    file.write(piece)
                file.flush()
            except BaseException:
                if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    path.unlink(missing_ok=True)
                raise
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    return EXIT_SAME


def require_other(path: Path, output: Path) -> None:
    """Refuse to write over what is being read. Errors: Unreadable."""
    if output.exists() and path.exists() and output.samefile(path):
        raise Unreadable(f"{output}: it would overwrite what is read: choose another file for the output")


def write_text(path: Path | None, lines: Iterable[str]) -> int:
    """Write lines to a file, as `write` does, or to the standard output."""
    if path is not None:
        return write(path, (f"{line}\n".encode("utf-8", "replace") for line in lines))
    for line in lines:
        sys.stdout.write(f"{line}\n")
    return EXIT_SAME
