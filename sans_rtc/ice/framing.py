"""Datagrams on a stream: two bytes of length before each (RFC 4571 section 2, used by RFC 6544 section 3).

 0                   1
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 ...
+-------------------------------+---------
|            LENGTH             |  datagram
+-------------------------------+---------
"""

from __future__ import annotations

import struct

from sans_rtc.errors import InvalidArgument

FRAME_BYTES_MAX = 0xFFFF

_HEADER = struct.Struct("!H")


def serialize_frame(data: bytes) -> bytes:
    """Put its length before a datagram. InvalidArgument over 65535 bytes."""
    if len(data) > FRAME_BYTES_MAX:
        raise InvalidArgument(f"a frame holds {FRAME_BYTES_MAX} bytes at most, not {len(data)}")
    return _HEADER.pack(len(data)) + data


class FrameReader:
    """Cuts a stream into its datagrams, wherever the pieces that arrive were cut.

    It keeps the beginning of one frame at most: `frame_bytes_max` + 2 bytes.

    frame_bytes_max  a longer frame breaks the stream; may be raised at any time
    is_broken        a frame was too long: where the next one begins will never be known, nothing more comes out
    """

    __slots__ = ("_buffer", "_needed", "frame_bytes_max", "is_broken")

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX) -> None:
        self.frame_bytes_max = frame_bytes_max
        self.is_broken = False
        self._buffer = bytearray()
        self._needed = _HEADER.size

    def feed(self, piece: bytes) -> list[bytes]:
        """Take a piece of the stream; return the datagrams that are whole now. Empty frames are left out."""
        if self.is_broken:
            return []
        if self._buffer:
            # Waiting for the rest of a frame costs an append, however small the pieces are.
            self._buffer += piece
            if len(self._buffer) < self._needed:
                return []
            piece = bytes(self._buffer)
            self._buffer.clear()
        frames: list[bytes] = []
        offset, size = 0, len(piece)
        # Each turn advances by two bytes at least.
        while size - offset >= _HEADER.size:
            (length,) = _HEADER.unpack_from(piece, offset)
            if length > self.frame_bytes_max:
                self.is_broken = True
                return frames
            end = offset + _HEADER.size + length
            if end > size:
                self._needed = end - offset
                break
            if length:
                frames.append(piece[offset + _HEADER.size : end])
            offset = end
        else:
            self._needed = _HEADER.size
        self._buffer += piece[offset:]
        return frames

    @property
    def waiting_bytes(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return len(self._buffer)
