"""Picture numbers in the payload descriptors of VP8 and VP9, made to go on where the source of a stream changes.

    VP8 (RFC 7741 4.2)  X R N S R PID | I L T K rsv | M PictureID (7 or 15 bits) | TL0PICIDX
    VP9 (RFC 9628 4.2)  I P L F B E V Z             | M PictureID (7 or 15 bits) | layer | TL0PICIDX where F is 0

A receiver takes a picture whose number jumps back for an old one, so whoever switches sources has to renumber.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Fields(NamedTuple):
    """Where the numbers stand in a payload; -1: not there."""

    picture_at: int
    picture_bits: int
    layer_zero_at: int


def vp8_fields(payload: bytes) -> Fields:
    """Of VP8."""
    if len(payload) < 2 or not payload[0] & 0x80:
        return _NONE
    flags = payload[1]
    return _fields(payload, 2, has_picture=bool(flags & 0x80), layer_bytes=0, has_layer_zero=bool(flags & 0x40))


def vp9_fields(payload: bytes) -> Fields:
    """Of VP9."""
    if not payload:
        return _NONE
    flags = payload[0]
    has_layer = bool(flags & 0x20)
    return _fields(
        payload,
        1,
        has_picture=bool(flags & 0x80),
        layer_bytes=int(has_layer),
        has_layer_zero=has_layer and not flags & 0x10,
    )


def _fields(payload: bytes, at: int, *, has_picture: bool, layer_bytes: int, has_layer_zero: bool) -> Fields:
    picture_at, bits = -1, 0
    if has_picture and at < len(payload):
        picture_at = at
        bits = 15 if payload[at] & 0x80 else 7
        at += 1 + (bits > 7)
    layer_zero_at = at + layer_bytes if has_layer_zero else -1
    if max(at - 1, layer_zero_at) >= len(payload):
        return _NONE
    return Fields(picture_at, bits, layer_zero_at)


_NONE = Fields(-1, 0, -1)
_FIELDS: dict[str, Callable[[bytes], Fields]] = {"vp8": vp8_fields, "vp9": vp9_fields}


class PictureIds:
    """Renumbers the pictures of one forwarded stream; a transform."""

    __slots__ = ("_is_new", "_layer_zero", "_layer_zero_shift", "_picture", "_picture_shift")

    def __init__(self) -> None:
        self._picture = self._layer_zero = -1
        self._picture_shift = self._layer_zero_shift = 0
        self._is_new = False

    def switch(self) -> None:
        """The next packet is of another source."""
        self._is_new = self._picture >= 0 or self._layer_zero >= 0

    def renumber(self, codec_name: str, payload: bytes, is_next: bool) -> bytes:
        """The payload with its numbers moved on; as it is where the format has none.

        is_next  it is the furthest packet so far
        """
        find = _FIELDS.get(codec_name.lower())
        if find is None:
            return payload
        picture_at, bits, layer_zero_at = find(payload)
        if picture_at < 0 and layer_zero_at < 0:
            return payload
        picture = _picture(payload, picture_at, bits)
        layer_zero = payload[layer_zero_at] if layer_zero_at >= 0 else 0
        if self._is_new:
            self._is_new = False
            self._picture_shift = self._picture + 1 - picture
            self._layer_zero_shift = self._layer_zero + 1 - layer_zero
        picture = picture + self._picture_shift & ((1 << bits) - 1)
        layer_zero = layer_zero + self._layer_zero_shift & 0xFF
        if is_next:
            self._picture = picture
            self._layer_zero = layer_zero
        if not self._picture_shift and not self._layer_zero_shift:
            return payload
        return _write(payload, picture_at, bits, picture, layer_zero_at, layer_zero)


def _picture(payload: bytes, at: int, bits: int) -> int:
    if at < 0:
        return 0
    return payload[at] & 0x7F if bits == 7 else (payload[at] & 0x7F) << 8 | payload[at + 1]


def _write(payload: bytes, picture_at: int, bits: int, picture: int, layer_zero_at: int, layer_zero: int) -> bytes:
    changed = bytearray(payload)
    if bits == 7:
        changed[picture_at] = picture
    elif bits:
        changed[picture_at] = 0x80 | picture >> 8
        changed[picture_at + 1] = picture & 0xFF
    if layer_zero_at >= 0:
        changed[layer_zero_at] = layer_zero
    return bytes(changed)
