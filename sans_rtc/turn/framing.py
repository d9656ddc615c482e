"""Cuts a TCP or TLS stream into STUN messages and ChannelData (RFC 8489 section 6.2.2, RFC 8656 sections 3 and 12.5).

Both kinds say their own length, so there is no framing beyond them: the two top bits of the first byte tell them apart,
00 a STUN message (RFC 8489 section 5), 01 ChannelData, and only the latter is padded. A stream that holds anything else
has no next message to find: it is broken for good and wants closing.
"""

from __future__ import annotations

import struct

from sans_rtc.stun.wire import HEADER_BYTES, MAGIC_COOKIE
from sans_rtc.turn.channel_data import CHANNEL_DATA_HEADER_BYTES, CHANNEL_NUMBER_MAX, CHANNEL_NUMBER_MIN

# The first 4 bytes say how long a frame is; those of STUN take 8 to be known as such.
_PREFIX_BYTES = 4
_COOKIE_END = 8
_TYPE_LENGTH = struct.Struct("!HH")
_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")

FRAME_BYTES_MAX = HEADER_BYTES + 0xFFFC
"""The longest frame there can be: a STUN message; ChannelData has at most 4 + 65536."""


class TurnFramer:
    """One direction of one stream. Holds at most one frame that is not whole, less than `frame_bytes_max` bytes.

    frame_bytes_max     a longer frame breaks the stream
    channel_number_max  0x7FFF for the ends of RFC 5766, which had more channels (RFC 8656 section 12)

    Attributes
    is_broken  the stream holds something that is neither STUN nor ChannelData; nothing more comes out of it
    reason     why, for people
    """

    __slots__ = ("_buffer", "_channel_number_max", "_frame_bytes_max", "_needed", "is_broken", "reason")

    def __init__(self, frame_bytes_max: int = FRAME_BYTES_MAX, channel_number_max: int = CHANNEL_NUMBER_MAX) -> None:
        self._buffer = bytearray()
        self._needed = _PREFIX_BYTES
        self._frame_bytes_max = frame_bytes_max
        self._channel_number_max = channel_number_max
        self.is_broken = False
        self.reason = ""

    @property
    def buffered_bytes(self) -> int:
        """Bytes of the frame that is not whole yet."""
        return len(self._buffer)

    def feed(self, piece: bytes, *, count_max: int | None = None) -> list[bytes]:
        """Take the next piece of the stream, cut anywhere; return the frames that are whole now, without padding.

        count_max  take at most this many frames out, and leave what follows for `take_rest` or the next call
        """
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
        offset = 0
        while count_max is None or len(frames) < count_max:
            size, padded = self._measure(piece, offset)
            if offset + padded > len(piece):
                self._needed = padded
                break
            frames.append(piece[offset : offset + size])
            offset += padded
            self._needed = _PREFIX_BYTES
        if not self.is_broken:
            self._buffer += piece[offset:]
        return frames

    def take_rest(self) -> bytes:
        """Hand over what has come and is not part of a whole frame: the raw data of an RFC 6062 connection."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._needed = _PREFIX_BYTES
        return rest

    def _measure(self, data: bytes, offset: int) -> tuple[int, int]:
        """Bytes of the frame at the offset, without and with padding; of its prefix where that is not there yet."""
        left = len(data) - offset
        if left < _PREFIX_BYTES:
            return 0, _PREFIX_BYTES
        kind, length = _TYPE_LENGTH.unpack_from(data, offset)
        if CHANNEL_NUMBER_MIN <= kind <= self._channel_number_max:
            size = CHANNEL_DATA_HEADER_BYTES + length
        elif kind > 0x3FFF:
            return self._break(f"0x{kind:04X} begins neither a STUN message nor ChannelData", left)
        elif length & 3:
            return self._break(f"a STUN message of {length} bytes, not a multiple of 4", left)
        else:
            size = HEADER_BYTES + length
            if left >= _COOKIE_END and data[offset + 4 : offset + _COOKIE_END] != _COOKIE:
                return self._break("a message without the magic cookie", left)
            if left < _COOKIE_END and size <= self._frame_bytes_max:
                return 0, _COOKIE_END
        if size > self._frame_bytes_max:
            return self._break(f"a frame of {size} bytes, {self._frame_bytes_max} is the most", left)
        return size, size + 3 & ~3

    def _break(self, reason: str, left: int) -> tuple[int, int]:
        self.is_broken, self.reason = True, reason
        self._buffer.clear()
        return 0, left + 1  # more than there is, so that the loop ends
