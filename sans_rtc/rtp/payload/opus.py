"""Opus (RFC 7587): one Opus packet (RFC 6716 section 3) is one RTP payload; the clock is 48000 Hz, always.

 0 1 2 3 4 5 6 7
+-+-+-+-+-+-+-+-+   config   mode, bandwidth and duration of each frame
| config  |s| c |   s        stereo
+-+-+-+-+-+-+-+-+   c        0: one frame, 1: two of equal size, 2: two of different size, 3: any number

c = 3, next byte:  |v|p|     M     |   v: different sizes, p: padding, M: frames, at most 120 ms altogether
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, WireError
from sans_rtc.rtp.payload.fmtp import (
    IntegerParameter,
    check_integers,
    parse_integers,
    parse_parameters,
    serialize_integers,
    serialize_parameters,
)
from sans_rtc.rtp.payload.interface import require_frame, require_payloads

CLOCK_RATE = 48000
# RFC 6716 section 3.4, requirements R2 and R5.
FRAME_BYTES_MAX = 1275
PACKET_TICKS_MAX = CLOCK_RATE * 120 // 1000


class OpusMode(StrEnum):
    """The layers of the codec that are in use (RFC 6716 section 3.1)."""

    SILK = "silk"
    HYBRID = "hybrid"
    CELT = "celt"


class OpusBandwidth(StrEnum):
    """The audio bandwidth: 4, 6, 8, 12 and 20 kHz."""

    NARROWBAND = "NB"
    MEDIUMBAND = "MB"
    WIDEBAND = "WB"
    SUPER_WIDEBAND = "SWB"
    FULLBAND = "FB"


# RFC 6716 section 3.1, table 2: configurations, mode, bandwidth, ticks of a frame. (120 ticks are 2.5 ms.)
_SILK_TICKS, _HYBRID_TICKS, _CELT_TICKS = (480, 960, 1920, 2880), (480, 960), (120, 240, 480, 960)
_GROUPS = (
    (OpusMode.SILK, OpusBandwidth.NARROWBAND, _SILK_TICKS),
    (OpusMode.SILK, OpusBandwidth.MEDIUMBAND, _SILK_TICKS),
    (OpusMode.SILK, OpusBandwidth.WIDEBAND, _SILK_TICKS),
    (OpusMode.HYBRID, OpusBandwidth.SUPER_WIDEBAND, _HYBRID_TICKS),
    (OpusMode.HYBRID, OpusBandwidth.FULLBAND, _HYBRID_TICKS),
    (OpusMode.CELT, OpusBandwidth.NARROWBAND, _CELT_TICKS),
    (OpusMode.CELT, OpusBandwidth.WIDEBAND, _CELT_TICKS),
    (OpusMode.CELT, OpusBandwidth.SUPER_WIDEBAND, _CELT_TICKS),
    (OpusMode.CELT, OpusBandwidth.FULLBAND, _CELT_TICKS),
)
_CONFIGURATIONS = tuple((mode, bandwidth, ticks) for mode, bandwidth, group in _GROUPS for ticks in group)


@attrs.define(slots=True)
class OpusPacket:
    """What an Opus packet says of itself.

    frames         the compressed frames; an empty one is a frame that was not transmitted
    frame_ticks    duration of each frame at 48000 Hz
    padding_bytes  bytes of padding, length bytes not counted
    """

    mode: OpusMode
    bandwidth: OpusBandwidth
    frame_ticks: int
    is_stereo: bool
    frames: list[bytes]
    padding_bytes: int = 0

    @property
    def duration_ticks(self) -> int:
        """Duration of the packet in ticks of 48000 Hz."""
        return self.frame_ticks * len(self.frames)

    @property
    def channels(self) -> int:
        """1 or 2."""
        return 2 if self.is_stereo else 1

    @property
    def is_dtx(self) -> bool:
        """Whether no frame holds more than one byte: the encoder has nothing to say (RFC 6716 section 2.1.9)."""
        return all(len(frame) <= 1 for frame in self.frames)

    @property
    def has_fec(self) -> bool:
        """Whether the first frame repeats the one before at a lower rate: the LBRR flag, RFC 6716 section 4.2.4."""
        if self.mode is OpusMode.CELT or not self.frames or not self.frames[0]:
            return False
        # One VAD flag for each SILK frame of at most 20 ms stands before the flag, for each channel.
        voices = max(1, self.frame_ticks // 960)
        first = self.frames[0][0]
        mid = first >> (7 - voices) & 1
        side = first >> (6 - 2 * voices) & 1 if self.is_stereo else 0
        return bool(mid or side)


def parse_opus_packet(data: bytes) -> OpusPacket:
    """Parse an Opus packet as RFC 6716 section 3.2 has it, with the requirements R1 to R7 of section 3.4.

    Errors   Truncated, Malformed
    """
    if not data:
        raise Truncated("an Opus packet without bytes", field="TOC", offset=0)
    toc = data[0]
    mode, bandwidth, ticks = _CONFIGURATIONS[toc >> 3]
    padding = 0
    if toc & 3 == 3:
        frames, padding = _parse_many(data, ticks)
    else:
        frames = _parse_few(data, toc & 3)
    if max(map(len, frames)) > FRAME_BYTES_MAX:
        raise Malformed(f"an Opus frame of more than {FRAME_BYTES_MAX} bytes", field="frame")
    return OpusPacket(mode, bandwidth, ticks, bool(toc & 4), frames, padding)


def _parse_few(data: bytes, code: int) -> list[bytes]:
    if code == 0:
        return [data[1:]]
    if code == 1:
        if not len(data) & 1:
            raise Malformed("two Opus frames of equal size in an odd number of bytes", field="frame", offset=1)
        middle = 1 + len(data) // 2
        return [data[1:middle], data[middle:]]
    size, start = _parse_size(data, 1, len(data))
    if start + size > len(data):
        raise Truncated(f"an Opus frame of {size} bytes", field="frame", offset=start)
    return [data[start : start + size], data[start + size :]]


def _parse_many(data: bytes, ticks: int) -> tuple[list[bytes], int]:
    if len(data) < 2:
        raise Truncated("an Opus packet without its frame count", field="frame count", offset=1)
    count = data[1] & 0x3F
    if not count or count * ticks > PACKET_TICKS_MAX:
        raise Malformed(f"{count} Opus frames of {ticks} ticks", field="frame count", offset=1)
    padding, start = _parse_padding(data) if data[1] & 0x40 else (0, 2)
    end = len(data) - padding
    if start > end:
        raise Truncated(f"{padding} bytes of Opus padding", field="padding", offset=start)
    sizes: list[int] = []
    if data[1] & 0x80:
        for _ in range(count - 1):
            size, start = _parse_size(data, start, end)
            sizes.append(size)
        sizes.append(end - start - sum(sizes))
        if sizes[-1] < 0:
            raise Truncated("Opus frames beyond their packet", field="frame", offset=start)
    else:
        size, rest = divmod(end - start, count)
        if rest:
            raise Malformed(f"{count} Opus frames of equal size in {end - start} bytes", field="frame", offset=start)
        sizes = [size] * count
    frames = []
    for size in sizes:
        frames.append(data[start : start + size])
        start += size
    return frames, padding


def _parse_padding(data: bytes) -> tuple[int, int]:
    # Section 3.2.5: 255 stands for 254 bytes and one more length byte.
    padding = 0
    for offset in range(2, len(data)):
        value = data[offset]
        if value != 255:
            return padding + value, offset + 1
        padding += 254
    raise Truncated("an Opus packet without its padding length", field="padding", offset=len(data))


def _parse_size(data: bytes, offset: int, end: int) -> tuple[int, int]:
    # Section 3.2.1: 0 to 251, or two bytes for 252 to 1275.
    if offset >= end:
        raise Truncated("an Opus packet without a frame length", field="frame length", offset=offset)
    first = data[offset]
    if first < 252:
        return first, offset + 1
    if offset + 1 >= end:
        raise Truncated("an Opus packet without a frame length", field="frame length", offset=offset + 1)
    return data[offset + 1] * 4 + first, offset + 2


def opus_duration(payload: bytes) -> int:
    """Ticks of 48000 Hz that a payload lasts."""
    return parse_opus_packet(payload).duration_ticks


class OpusPacketizer:
    """Makes payloads of Opus packets: one of one."""

    def packetize(self, frame: bytes, *, payload_bytes_max: int) -> list[bytes]:
        """The packet as it is. InvalidArgument if it is none or too large: an Opus packet cannot be cut."""
        require_frame(frame)
        if len(frame) > payload_bytes_max:
            raise InvalidArgument(f"an Opus packet of {len(frame)} bytes, {payload_bytes_max} is the most")
        try:
            parse_opus_packet(frame)
        except WireError as error:
            raise InvalidArgument(f"not an Opus packet: {error}") from error
        return [frame]


class OpusDepacketizer:
    """Gives the Opus packet of a payload, checked."""

    def depacketize(self, payloads: Sequence[bytes]) -> bytes:
        """The packet; RFC 7587 section 4.2: exactly one in a payload."""
        require_payloads(payloads)
        if len(payloads) != 1:
            raise Malformed(f"an Opus packet in {len(payloads)} payloads", field="payload")
        parse_opus_packet(payloads[0])
        return payloads[0]


# RFC 7587 section 6.1. maxaveragebitrate: "values outside the range 6000 to 510000 SHOULD be ignored".
_FLAGS = ("stereo", "sprop-stereo", "cbr", "useinbandfec", "usedtx")
_ROWS = (
    IntegerParameter("minptime", 1, 120),  # of browsers; not in RFC 7587
    IntegerParameter("ptime", 1, 120),
    IntegerParameter("maxptime", 1, 120),
    IntegerParameter("maxplaybackrate", 8000, 48000, 48000),
    IntegerParameter("sprop-maxcapturerate", 8000, 48000, 48000),
    IntegerParameter("maxaveragebitrate", 1, (1 << 31) - 1),
    *(IntegerParameter(name, 0, 1, 0) for name in _FLAGS),
)


def _check(values: OpusParameters) -> None:
    check_integers(values, _ROWS)


@attrs.frozen(slots=True)
class OpusParameters:
    """What a receiver of Opus wishes, and what a sender announces (sprop_...); flags are 0 or 1 (RFC 7587, 6.1)."""

    minptime: int | None = None
    ptime: int | None = None
    maxptime: int | None = None
    maxplaybackrate: int = 48000
    sprop_maxcapturerate: int = 48000
    maxaveragebitrate: int | None = None
    stereo: int = 0
    sprop_stereo: int = 0
    cbr: int = 0
    useinbandfec: int = 0
    usedtx: int = 0

    def __attrs_post_init__(self) -> None:
        _check(self)

    @classmethod
    def parse(cls, text: str) -> OpusParameters:
        """Take the format parameters; unknown ones are ignored, WireError for values that are none."""
        values = parse_integers(parse_parameters(text), _ROWS)
        bitrate = values["maxaveragebitrate"]
        if bitrate is not None and not 6000 <= bitrate <= 510000:
            values["maxaveragebitrate"] = None
        return cls(**values)  # type: ignore[arg-type]  # rows with a default never give None

    def __str__(self) -> str:
        return serialize_parameters(serialize_integers(self, _ROWS))


def negotiate_opus(ours: str, theirs: str) -> str | None:
    """Always compatible: "there is no relationship between the SDP offer and the answer" (RFC 7587 section 7.1)."""
    OpusParameters.parse(theirs)
    return str(OpusParameters.parse(ours))
