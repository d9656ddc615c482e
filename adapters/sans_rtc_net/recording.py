"""Recordings in files: what `record=` of a peer takes, and the file that is written as the machine runs."""

from __future__ import annotations

import mmap
import os
import stat
import struct
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import attrs

from sans_rtc.dtls.certificate import Certificate
from sans_rtc.entropy import Entropy
from sans_rtc.machine import Trace
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.connection import PeerConnection
from sans_rtc.trace import RecordOptions, Ring, make_recorded
from sans_rtc_net.file_space import FileSpace
from sans_rtc_net.validators import at_least


@attrs.frozen(slots=True, kw_only=True)
class RecordTo:
    """Where a recording goes, and what is in it.

    path       of the file; one that is there is overwritten
    bytes_max  the largest size of the file: beyond, the oldest half is dropped, and there is no replay any more. None:
               it grows with the session
    payloads   what the application sends and receives; False: only sizes, and no replay
    secrets    whatever opens the session's datagrams: entropy, keys, passwords; False: none, and no replay
    """

    path: str | os.PathLike[str]
    bytes_max: int | None = attrs.field(default=None, validator=attrs.validators.optional(at_least(4096)))
    payloads: bool = True
    secrets: bool = True


Recording: TypeAlias = str | os.PathLike[str] | RecordTo
"""A path, or all that can be said of a recording."""


# Records wait in a mapped file beside the recording until so many bytes are written at once: a system call for each
# would cost more than all the rest. The memory is the system's: it is there after the process is killed.
# The larger, the fewer calls; beyond half a MiB no difference is to be measured.
TAIL_BYTES = 512 << 10
TAIL_SUFFIX = ".tail"
# Where the tail belongs in the recording, and how many bytes it has.
_TAIL_HEADER = struct.Struct(">QI")
_TAIL_HEADER_BYTES = _TAIL_HEADER.size
_write_tail_header = _TAIL_HEADER.pack_into
_write_tail_size = struct.Struct(">I").pack_into
_TAIL_SIZE_AT = 8
# Pieces longer than this on an average are copied to the tail one by one, shorter ones joined first.
_LONG_BYTES = 2048
_CHUNK_BYTES = 1 << 20
# A record as large as this goes to the file at once, from where its pieces lie: copying it costs more than the call.
_DIRECT_BYTES_MIN = 256 << 10
# POSIX lets `writev` take 16 pieces at least; every system that has it takes 1024.
_PIECE_COUNT_MAX = 1000


_HAS_WRITEV = hasattr(os, "writev")


class RecordingFile:
    """A file that takes one record at each call, and has it when the call returns: a crash loses the last at most.

    The session does not depend on it: where the file takes no more, the recording ends there and `failure` says why.
    The newest records are in `PATH.tail`, which is gone once the file is closed; `read_recording` reads both.
    """

    def __init__(self, path: str | os.PathLike[str], bytes_max: int | None = None) -> None:
        """Open the file; only its owner may read it, since it can hold keys. OSError where it cannot be written."""
        self.failure: OSError | None = None
        """Why the recording has ended early; None where it has not."""
        self._path = os.fspath(path)
        self._bytes_max = bytes_max
        self._ring = None if bytes_max is None else Ring(bytes_max // 2)
        self._fd = _open_private(self._path)
        self._byte_count = 0
        try:
            tail = _open_private(self._path + TAIL_SUFFIX)
            try:
                os.ftruncate(tail, TAIL_BYTES)
                self._tail = mmap.mmap(tail, TAIL_BYTES)
            finally:
                os.close(tail)
        except BaseException:
            os.close(self._fd)
            raise
        self._end = _TAIL_HEADER_BYTES
        self._tail_end = TAIL_BYTES if bytes_max is None else -1
        self._space = FileSpace(self._fd)

    def __call__(self, record: bytes) -> None:
        """Take one record."""
        start = self._end
        end = start + len(record)
        if end <= self._tail_end:
            tail = self._tail
            tail[start:end] = record
            self._end = end
            _write_tail_size(tail, _TAIL_SIZE_AT, end - _TAIL_HEADER_BYTES)
        else:
            self._take_slowly([record], len(record))

    def take_pieces(self, pieces: list[bytes], size: int) -> None:
        """Take one record of `size` bytes in pieces, as the recorder has them."""
        start = self._end
        end = start + size
        if end > self._tail_end or size >= _DIRECT_BYTES_MIN:
            self._take_slowly(pieces, size)
            return
        tail = self._tail
        if size > _LONG_BYTES * len(pieces):
            tail.seek(start)
            for piece in pieces:
                tail.write(piece)
        else:
            tail[start:end] = b"".join(pieces)
        self._end = end
        _write_tail_size(tail, _TAIL_SIZE_AT, end - _TAIL_HEADER_BYTES)

    def _take_slowly(self, pieces: list[bytes], size: int) -> None:
        """Take a record that does not go where the last one ends: the tail is full, or the file has a bound."""
        if self._fd < 0:
            return
        try:
            if self._ring is None:
                self._write_pieces(pieces, size)
                self._space.advance(self._byte_count)
            else:
                self._take_bounded(b"".join(pieces), self._ring)
        except OSError as error:
            self.failure = error
            self.close()

    def _take_bounded(self, record: bytes, ring: Ring) -> None:
        end = self._end + len(record)
        if end <= TAIL_BYTES:
            self._tail[self._end : end] = record
            self._end = end
            _write_tail_size(self._tail, _TAIL_SIZE_AT, end - _TAIL_HEADER_BYTES)
        else:
            self._write_pieces([record], len(record))
        ring(record)
        assert self._bytes_max is not None
        if self._byte_count + self._end > self._bytes_max:
            self._begin_again(ring.contents())

    def close(self) -> None:
        """The recording is complete; what comes later is left out. Idempotent."""
        if self._fd < 0:
            return
        try:
            self._write_pieces([], 0)
            if self._ring is None:
                self._space.end(self._byte_count)
        except OSError as error:
            self.failure = self.failure or error
        os.close(self._fd)
        self._fd = self._tail_end = -1
        self._tail.close()
        try:
            os.unlink(self._path + TAIL_SUFFIX)
        except OSError:
            pass

    def _write_pieces(self, pieces: list[bytes], size: int) -> None:
        """Write what is in the tail, and the pieces behind it; the tail is empty then."""
        start, end, self._end = _TAIL_HEADER_BYTES, self._end, _TAIL_HEADER_BYTES
        size += end - start
        with memoryview(self._tail)[start:end] as view:
            if _HAS_WRITEV and len(pieces) < _PIECE_COUNT_MAX:
                written = os.writev(self._fd, [view, *pieces])
            else:
                written = 0
            if written < size:  # a disk that is nearly full
                self._write(b"".join([view, *pieces])[written:])
        self._byte_count += size
        _write_tail_header(self._tail, 0, self._byte_count, 0)

    def _write(self, data: bytes) -> None:
        written = os.write(self._fd, data)
        while written < len(data):
            data = data[written:]
            written = os.write(self._fd, data)

    def _begin_again(self, contents: bytes) -> None:
        """Replace the file by its newer half, at once: whoever reads it meanwhile sees the one or the other."""
        aside = f"{self._path}.new"
        os.close(self._fd)
        self._fd = _open_private(aside)
        self._byte_count, self._end = len(contents), _TAIL_HEADER_BYTES
        self._write(contents)
        _write_tail_header(self._tail, 0, self._byte_count, 0)
        os.replace(aside, self._path)


def read_recording(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The bytes of a recording, piece by piece, for `sans_rtc.trace`; of one whose process was killed as well."""
    start, tail = _read_tail(os.fspath(path) + TAIL_SUFFIX)
    position = 0
    with open(path, "rb") as file:
        while tail and position < start and (chunk := file.read(min(_CHUNK_BYTES, start - position))):
            position += len(chunk)
            yield chunk
        if tail and position == start:  # the file may have the same already, or the beginning of it
            yield tail
            file.seek(start + len(tail))
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


def _read_tail(path: str) -> tuple[int, bytes]:
    """Where in the recording the tail belongs, and its bytes; none where there is no tail."""
    try:
        with open(path, "rb") as file:
            tail = file.read(TAIL_BYTES)
    except FileNotFoundError:
        return 0, b""
    if len(tail) < _TAIL_HEADER_BYTES:
        return 0, b""
    start, size = _TAIL_HEADER.unpack_from(tail)
    return start, tail[_TAIL_HEADER_BYTES:][:size]


def open_private(path: str, flags: int = os.O_WRONLY | os.O_CREAT | os.O_TRUNC) -> int:
    """Open a file that may hold keys: only its owner may read it, also where it was there before."""
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0), 0o600)
    if hasattr(os, "fchmod") and stat.S_ISREG(os.fstat(descriptor).st_mode):
        try:
            os.fchmod(descriptor, 0o600)
        except PermissionError:
            pass  # another's file, which we may write to: its owner has decided who reads it
    return descriptor


def _open_private(path: str) -> int:
    return open_private(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)


def make_peer(
    recording: Recording | None,
    config: PeerConfig,
    *,
    certificate: Certificate | None,
    entropy: Entropy,
    trace: Trace | None,
) -> tuple[PeerConnection, RecordingFile | None]:
    """Make the machine of a peer, recorded where that is wanted, and the file to close in the end."""
    return _made(recording, PeerConnection, config, certificate=certificate, entropy=entropy, trace=trace)


def restore_peer(
    recording: Recording | None,
    snapshot: bytes,
    key: bytes,
    *,
    entropy: Entropy,
    trace: Trace | None,
    key_log: Callable[[str], None] | None,
    claim: Callable[[bytes], bool] | None,
    now: float | None,
) -> tuple[PeerConnection, RecordingFile | None]:
    """The same of a snapshot, which is where a recording begins then."""
    return _made(
        recording, PeerConnection.restore, snapshot, key, entropy=entropy, trace=trace, key_log=key_log, claim=claim,
        now=now,
    )  # fmt: skip


def _made(
    recording: Recording | None, make: Callable[..., PeerConnection], *arguments: object, entropy: Entropy, **named: Any
) -> tuple[PeerConnection, RecordingFile | None]:
    if recording is None:
        return make(*arguments, entropy=entropy, **named), None
    target = recording if isinstance(recording, RecordTo) else RecordTo(path=recording)
    file = RecordingFile(target.path, target.bytes_max)
    # What is dropped in the end cannot be replayed: then everything has to be there whole.
    is_whole = target.bytes_max is None
    options = RecordOptions(payloads=target.payloads, secrets=target.secrets, checksums=is_whole)
    try:
        return make_recorded(make, *arguments, entropy=entropy, sink=file, options=options, **named), file
    except BaseException:
        file.close()
        raise
