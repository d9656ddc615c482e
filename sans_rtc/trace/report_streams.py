"""The RTP streams of a report: what was sent and came of each SSRC, and what is missing (RFC 3550 section 6.4.1, A.3).

Of what came, loss is what the sequence numbers say; of what was sent, what the peer reports by RTCP.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import attrs

from sans_rtc.trace.decoded import Decoded, Plain
from sans_rtc.trace.samples import SAMPLE_COUNT_MAX, Series

STREAM_COUNT_MAX: Final = 24
# RFC 3550 A.1, MAX_DROPOUT: a step further than this is a stream that begins anew, and no loss.
_DROPOUT_MAX: Final = 3000
# Packets behind the newest one that are known to be there or not: a later one is no second one of the same.
_WINDOW_BITS: Final = 1024
_WINDOW_MASK: Final = (1 << _WINDOW_BITS) - 1
_CODEC_COUNT_MAX: Final = 128
_RTPMAP: Final = re.compile(r"^a=rtpmap:(\d{1,3}) ([A-Za-z0-9_.-]{1,32})/", re.MULTILINE)


@attrs.define(slots=True)
class Stream:
    """One SSRC in one direction.

    expected, received  by bin: packets that the sequence numbers tell of, and that were there, once each
    reported            (seconds, percent): what the peer says it missed since it last said so
    reported_lost       packets that the peer says it missed, in all; None: it says nothing
    """

    is_outgoing: bool
    ssrc: int
    payload_type: int = 0
    packets: int = 0
    bytes: int = 0
    first_s: float = 0.0
    last_s: float = 0.0
    expected: dict[int, int] = attrs.Factory(dict)
    received: dict[int, int] = attrs.Factory(dict)
    reported: Series = attrs.Factory(list)
    reported_lost: int | None = None
    _highest: int = -1
    _seen: int = 0

    def take(self, sequence_number: int, payload_type: int, size: int, at_s: float, number: int) -> None:
        """Count one packet, in bin `number`."""
        if not self.packets:
            self.first_s = at_s
        self.last_s = at_s
        self.packets, self.bytes = self.packets + 1, self.bytes + size
        self.payload_type = payload_type
        step = (sequence_number - self._highest + 0x8000 & 0xFFFF) - 0x8000
        if self._highest < 0 or abs(step) > _DROPOUT_MAX:
            step, self._seen = 1, 0
        if step > 0:
            self._highest = sequence_number
            self._seen = (self._seen << step | 1) & _WINDOW_MASK
            self.expected[number] = self.expected.get(number, 0) + step
        elif -step >= _WINDOW_BITS or self._seen >> -step & 1:
            return  # there already
        else:
            self._seen |= 1 << -step
        self.received[number] = self.received.get(number, 0) + 1

    def report(self, fraction_lost: int, packets_lost: int, at_s: float) -> None:
        """Take what the peer says of what we send."""
        self.reported_lost = packets_lost
        if len(self.reported) < SAMPLE_COUNT_MAX:
            self.reported.append((at_s, fraction_lost * 100 / 256))

    @property
    def lost(self) -> int | None:
        """Packets that are missing; None where nobody says."""
        if self.is_outgoing:
            return self.reported_lost
        return sum(self.expected.values()) - sum(self.received.values())

    @property
    def lost_percent(self) -> float:
        """Of those expected."""
        expected = sum(self.expected.values())
        return 100 * max(0, self.lost or 0) / expected if expected else 0.0

    def losses(self, bin_s: float) -> Series:
        """Percent over time; what comes late is taken from the loss of the bin it comes in."""
        if self.is_outgoing:
            return self.reported
        return [
            (number * bin_s, 100 * max(0, expected - self.received.get(number, 0)) / expected)
            for number, expected in sorted(self.expected.items())
        ]


@attrs.define(slots=True)
class Streams:
    """All streams, by "in SSRC" or "out SSRC", and the names of their codecs."""

    bin_s: float = 1.0
    by_key: dict[str, Stream] = attrs.Factory(dict)
    codecs: dict[int, str] = attrs.Factory(dict)

    def on_rtp(self, message: Decoded, at_s: float, *, is_outgoing: bool, size: int) -> str:
        """Count a packet; returns the key of its stream, empty where it is of none that is shown."""
        fields = message.fields
        ssrc = fields.get("ssrc")
        if not isinstance(ssrc, int):
            return ""
        key = f"{'out' if is_outgoing else 'in'} {ssrc}"
        stream = self.by_key.get(key)
        if stream is None:
            if len(self.by_key) >= STREAM_COUNT_MAX:
                return ""
            stream = self.by_key[key] = Stream(is_outgoing, ssrc)
        sequence_number, payload_type = fields.get("sequence_number"), fields.get("payload_type")
        if isinstance(sequence_number, int) and isinstance(payload_type, int):
            stream.take(sequence_number, payload_type, size, at_s, int(at_s / self.bin_s))
        return key

    def on_rtcp(self, message: Decoded, at_s: float, *, is_outgoing: bool) -> None:
        """Take the peer's reports of what we send."""
        blocks = message.fields.get("blocks")
        if is_outgoing or message.name not in ("SenderReport", "ReceiverReport") or not isinstance(blocks, list):
            return
        for block in blocks:
            if isinstance(block, Mapping):
                self._on_block(block, at_s)

    def on_values(self, values: Iterable[object]) -> None:
        """Look for descriptions among what a call was given or returned: they name the codecs."""
        for value in values:
            sdp = getattr(value, "sdp", None)
            if isinstance(sdp, str):
                for number, name in _RTPMAP.findall(sdp):
                    if len(self.codecs) < _CODEC_COUNT_MAX:
                        self.codecs.setdefault(int(number), name)

    def name(self, key: str) -> str:
        """The key and the codec, where it is known."""
        stream = self.by_key.get(key)
        codec = "" if stream is None else self.codecs.get(stream.payload_type, "")
        return f"{key} {codec}".rstrip()

    def _on_block(self, block: Mapping[str, Plain], at_s: float) -> None:
        stream = self.by_key.get(f"out {block.get('ssrc')}")
        fraction, lost = block.get("fraction_lost"), block.get("packets_lost")
        if stream is not None and isinstance(fraction, int) and isinstance(lost, int):
            stream.report(fraction, lost, at_s)
