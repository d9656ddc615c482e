"""What RTP header extensions hold, and how it is laid out: one pair of functions for each layout.

A parser is called with a value whose length the table in `extensions` has checked. Serializers are given the caller's
own values, so what is wrong there is an InvalidArgument.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from sans_rtc.errors import InvalidArgument, Malformed

Parse: TypeAlias = Callable[[bytes], object]
Serialize: TypeAlias = Callable[[object], bytes]

# playout-delay: 12 bits each, in units of 10 ms.
PLAYOUT_DELAY_STEP_MS = 10
PLAYOUT_DELAY_MS_MAX = 0xFFF * PLAYOUT_DELAY_STEP_MS

_UINT16_PAIR = struct.Struct("!HH")
_NTP = struct.Struct("!Q")
_NTP_AND_OFFSET = struct.Struct("!Qq")
_TIMING = struct.Struct("!B6H")
_TIMING_WITHOUT_FLAGS = struct.Struct("!6H")
_COLOR = struct.Struct("!4B")
_HDR = struct.Struct("!12H")


class AudioLevel(NamedTuple):
    """ssrc-audio-level (RFC 6464 section 3): the level in -dBov, 0 loudest to 127 silent, and voice activity."""

    level: int
    has_voice: bool = False


class VideoOrientation(NamedTuple):
    """video-orientation (3GPP TS 26.114 section 7.4.5): how to turn the picture before showing it.

    rotation_degrees  0, 90, 180 or 270
    """

    rotation_degrees: int = 0
    is_flipped: bool = False
    is_back_camera: bool = False


class PlayoutDelay(NamedTuple):
    """playout-delay: the bounds that the sender recommends, in milliseconds, in steps of 10 up to 40950."""

    min_ms: int
    max_ms: int


class AbsoluteCaptureTime(NamedTuple):
    """abs-capture-time: the capturer's NTP clock (UQ32.32), and its estimated offset to the sender's (Q32.32)."""

    timestamp: int
    clock_offset: int | None = None


class FeedbackRequest(NamedTuple):
    """The request for feedback inside transport-wide-cc-02: on how many packets, and whether with their times."""

    packet_count: int
    is_with_times: bool = True


class TransportSequence(NamedTuple):
    """transport-wide-cc-02: the sequence number over all streams of a transport, and a request for feedback."""

    sequence_number: int
    request: FeedbackRequest | None = None


class VideoTiming(NamedTuple):
    """video-timing: milliseconds from capture to each step of sending.

    flags  1 where the sender measures regularly, 2 where this frame is an outlier; None in the oldest form
    """

    flags: int | None
    encode_start_ms: int
    encode_finish_ms: int
    packetization_finish_ms: int
    pacer_exit_ms: int
    network_ms: int = 0
    network2_ms: int = 0


class Chromaticity(NamedTuple):
    """A point of CIE 1931, each coordinate times 50000."""

    x: int
    y: int


class HdrMetadata(NamedTuple):
    """What a display for high dynamic range needs (SMPTE ST 2086, CTA-861.3).

    luminance_max                  in nits
    luminance_min                  in 1/10000 nits
    content_light_level_max        in nits
    frame_average_light_level_max  in nits
    """

    luminance_max: int
    luminance_min: int
    red: Chromaticity
    green: Chromaticity
    blue: Chromaticity
    white: Chromaticity
    content_light_level_max: int
    frame_average_light_level_max: int


class ColorSpace(NamedTuple):
    """color-space: the numbers of ITU-T H.273 tables 2 to 4, range and chroma siting, and HDR metadata.

    range              0 derived, 1 limited, 2 full, 3 from matrix and transfer
    chroma_horizontal, chroma_vertical  0 unspecified, 1 collocated, 2 half
    """

    primaries: int
    transfer: int
    matrix: int
    range: int = 0
    chroma_horizontal: int = 0
    chroma_vertical: int = 0
    hdr: HdrMetadata | None = None


# --- helpers ----------------------------------------------------------------------------------------------------------


def _uint(value: object, low: int, high: int, what: str) -> int:
    if not isinstance(value, int) or not low <= value <= high:
        raise InvalidArgument(f"{what} is {low} to {high}, not {value!r}")
    return value


def _wrong(what: str, value: object) -> InvalidArgument:
    return InvalidArgument(f"{what} is what this extension holds, not {value!r}")


def _pack(layout: struct.Struct, *fields: int) -> bytes:
    try:
        return layout.pack(*fields)
    except struct.error as error:
        raise InvalidArgument(f"a field is out of its range: {error}") from error


# --- plain ------------------------------------------------------------------------------------------------------------


def parse_text(value: bytes) -> str:
    """mid (RFC 9143 section 15), an SDES item in a header extension (RFC 7941): UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"text that is not UTF-8: {error.reason}", field="text", offset=error.start) from error


def serialize_text(value: object) -> bytes:
    """mid."""
    if not isinstance(value, str) or not value:
        raise _wrong("text", value)
    return value.encode()


def parse_token(value: bytes) -> str:
    """rtp-stream-id, repaired-rtp-stream-id (RFC 8852 section 3): ASCII letters, digits, and what RFC 8851 adds."""
    text = value.decode("ascii", "replace")
    if not all(character.isalnum() or character in "-_" for character in text):
        raise Malformed("a restriction identifier has letters, digits, - and _", field="rid")
    return text


def serialize_token(value: object) -> bytes:
    """rtp-stream-id, repaired-rtp-stream-id."""
    if not isinstance(value, str) or not value or not value.isascii():
        raise _wrong("a restriction identifier", value)
    if not all(character.isalnum() or character in "-_" for character in value):
        raise InvalidArgument(f"a restriction identifier has letters, digits, - and _: {value!r}")
    return value.encode()


def parse_uint(value: bytes) -> int:
    """video-content-type (8 bits), transport-wide-cc-01 (16), abs-send-time (24)."""
    return int.from_bytes(value, "big")


def serialize_uint8(value: object) -> bytes:
    """video-content-type."""
    return bytes((_uint(value, 0, 0xFF, "an 8-bit number"),))


def serialize_uint16(value: object) -> bytes:
    """transport-wide-cc-01."""
    return _uint(value, 0, 0xFFFF, "a 16-bit number").to_bytes(2, "big")


def serialize_uint24(value: object) -> bytes:
    """abs-send-time: seconds with 18 bits of fraction, modulo 64 s."""
    return _uint(value, 0, 0xFFFFFF, "a 24-bit number").to_bytes(3, "big")


def parse_int24(value: bytes) -> int:
    """toffset (RFC 5450 section 2): signed, in units of the RTP timestamp."""
    return int.from_bytes(value, "big", signed=True)


def serialize_int24(value: object) -> bytes:
    """toffset."""
    return _uint(value, -(1 << 23), (1 << 23) - 1, "a signed 24-bit number").to_bytes(3, "big", signed=True)


def parse_bytes(value: bytes) -> bytes:
    """A value that is kept as it is."""
    return value


def serialize_bytes(value: object) -> bytes:
    """A value that is kept as it is."""
    if not isinstance(value, bytes):
        raise _wrong("bytes", value)
    return value


# --- audio ------------------------------------------------------------------------------------------------------------


def parse_audio_level(value: bytes) -> AudioLevel:
    """ssrc-audio-level (RFC 6464 section 3): V and 7 bits of level."""
    return AudioLevel(value[0] & 0x7F, value[0] > 0x7F)


def serialize_audio_level(value: object) -> bytes:
    """ssrc-audio-level."""
    if not isinstance(value, AudioLevel):
        raise _wrong("AudioLevel", value)
    return bytes((_uint(value.level, 0, 127, "a level") | (0x80 if value.has_voice else 0),))


def parse_mixer_levels(value: bytes) -> tuple[int, ...]:
    """csrc-audio-level (RFC 6465 section 3): a level for each CSRC in their order; the top bit is reserved."""
    return tuple([byte & 0x7F for byte in value])


def serialize_mixer_levels(value: object) -> bytes:
    """csrc-audio-level."""
    if not isinstance(value, tuple):
        raise _wrong("a tuple of levels", value)
    return bytes([_uint(level, 0, 127, "a level") for level in value])


# --- time -------------------------------------------------------------------------------------------------------------


def parse_capture_time(value: bytes) -> AbsoluteCaptureTime:
    """abs-capture-time: 8 bytes, or 16 with the clock offset."""
    if len(value) == 8:
        return AbsoluteCaptureTime(*_NTP.unpack(value))
    if len(value) == 16:
        return AbsoluteCaptureTime(*_NTP_AND_OFFSET.unpack(value))
    raise Malformed(f"a capture time of {len(value)} bytes", field="abs-capture-time")


def serialize_capture_time(value: object) -> bytes:
    """abs-capture-time."""
    if not isinstance(value, AbsoluteCaptureTime):
        raise _wrong("AbsoluteCaptureTime", value)
    if value.clock_offset is None:
        return _pack(_NTP, value.timestamp)
    return _pack(_NTP_AND_OFFSET, value.timestamp, value.clock_offset)


def parse_transport_sequence(value: bytes) -> TransportSequence:
    """transport-wide-cc-02: 16 bits of sequence number; 16 more where feedback is asked for."""
    if len(value) == 2:
        return TransportSequence(value[0] << 8 | value[1])
    if len(value) != 4:
        raise Malformed(f"a transport sequence number of {len(value)} bytes", field="transport-wide-cc-02")
    sequence_number, request = _UINT16_PAIR.unpack(value)
    if not request & 0x7FFF:
        return TransportSequence(sequence_number)
    return TransportSequence(sequence_number, FeedbackRequest(request & 0x7FFF, request > 0x7FFF))


def serialize_transport_sequence(value: object) -> bytes:
    """transport-wide-cc-02."""
    if not isinstance(value, TransportSequence):
        raise _wrong("TransportSequence", value)
    number = serialize_uint16(value.sequence_number)
    if value.request is None:
        return number
    count = _uint(value.request.packet_count, 1, 0x7FFF, "a packet count")
    return number + serialize_uint16(count | (0x8000 if value.request.is_with_times else 0))


# --- video ------------------------------------------------------------------------------------------------------------


def parse_orientation(value: bytes) -> VideoOrientation:
    """video-orientation: 0 0 0 0 C F R1 R0."""
    bits = value[0]
    return VideoOrientation((bits & 3) * 90, bool(bits & 4), bool(bits & 8))


def serialize_orientation(value: object) -> bytes:
    """video-orientation."""
    if not isinstance(value, VideoOrientation) or value.rotation_degrees not in (0, 90, 180, 270):
        raise _wrong("VideoOrientation", value)
    return bytes((value.rotation_degrees // 90 | (4 if value.is_flipped else 0) | (8 if value.is_back_camera else 0),))


def parse_playout_delay(value: bytes) -> PlayoutDelay:
    """playout-delay: 12 bits least, 12 bits most."""
    bits = int.from_bytes(value, "big")
    return PlayoutDelay((bits >> 12) * PLAYOUT_DELAY_STEP_MS, (bits & 0xFFF) * PLAYOUT_DELAY_STEP_MS)


def serialize_playout_delay(value: object) -> bytes:
    """playout-delay; a step of less than 10 ms is lost."""
    if not isinstance(value, PlayoutDelay):
        raise _wrong("PlayoutDelay", value)
    low = _uint(value.min_ms, 0, PLAYOUT_DELAY_MS_MAX, "a delay") // PLAYOUT_DELAY_STEP_MS
    high = _uint(value.max_ms, 0, PLAYOUT_DELAY_MS_MAX, "a delay") // PLAYOUT_DELAY_STEP_MS
    return (low << 12 | high).to_bytes(3, "big")


def parse_timing(value: bytes) -> VideoTiming:
    """video-timing: a byte of flags, which the oldest form does not have, and six times of 16 bits."""
    if len(value) == _TIMING.size:
        return VideoTiming(*_TIMING.unpack(value))
    return VideoTiming(None, *_TIMING_WITHOUT_FLAGS.unpack(value))


def serialize_timing(value: object) -> bytes:
    """video-timing."""
    if not isinstance(value, VideoTiming):
        raise _wrong("VideoTiming", value)
    times = value[1:]
    return _pack(_TIMING_WITHOUT_FLAGS, *times) if value.flags is None else _pack(_TIMING, value.flags, *times)


def parse_color_space(value: bytes) -> ColorSpace:
    """color-space: 4 bytes, or 28 with HDR metadata."""
    if len(value) not in (_COLOR.size, _COLOR.size + _HDR.size):
        raise Malformed(f"a color space of {len(value)} bytes", field="color-space")
    primaries, transfer, matrix, merged = _COLOR.unpack_from(value)
    hdr = _parse_hdr(value) if len(value) > _COLOR.size else None
    return ColorSpace(primaries, transfer, matrix, merged >> 4 & 3, merged >> 2 & 3, merged & 3, hdr)


def _parse_hdr(value: bytes) -> HdrMetadata:
    fields = _HDR.unpack_from(value, _COLOR.size)
    points = [Chromaticity(fields[at], fields[at + 1]) for at in range(2, 10, 2)]
    return HdrMetadata(fields[0], fields[1], points[0], points[1], points[2], points[3], fields[10], fields[11])


def serialize_color_space(value: object) -> bytes:
    """color-space."""
    if not isinstance(value, ColorSpace):
        raise _wrong("ColorSpace", value)
    merged = _uint(value.range, 0, 3, "a range") << 4
    merged |= _uint(value.chroma_horizontal, 0, 3, "a siting") << 2 | _uint(value.chroma_vertical, 0, 3, "a siting")
    head = _pack(_COLOR, value.primaries, value.transfer, value.matrix, merged)
    hdr = value.hdr
    if hdr is None:
        return head
    points = (*hdr.red, *hdr.green, *hdr.blue, *hdr.white)
    lights = (hdr.content_light_level_max, hdr.frame_average_light_level_max)
    return head + _pack(_HDR, hdr.luminance_max, hdr.luminance_min, *points, *lights)
