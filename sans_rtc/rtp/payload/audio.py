"""Audio that is a plain row of samples: PCMU, PCMA, G722 and L16 (RFC 3551 sections 4.5.2, 4.5.11, 4.5.14).

There is no payload header: a payload is any number of whole samples of all channels. PCMU and PCMA have one byte a
sample. G722 has one byte for two samples at 16000 Hz, and an RTP clock of 8000 Hz: "erroneously assigned in RFC 1890"
and kept, so that one byte is one tick there, too. L16 has two bytes a sample in network byte order, of each channel in
turn (section 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.errors import InvalidArgument, Malformed
from sans_rtc.rtp.payload.interface import require_frame, require_payloads


def _is_positive(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    if value < 1:
        raise InvalidArgument(f"{attribute.name} is 1 at least, not {value}")


@attrs.frozen(slots=True)
class SampleFormat:
    """Packetizer and depacketizer of samples: how many bytes one tick of the RTP clock has, all channels together."""

    bytes_per_tick: int = attrs.field(default=1, validator=_is_positive)

    def packetize(self, frame: bytes, *, payload_bytes_max: int) -> list[bytes]:
        """Cut samples into payloads. The timestamp of each is that of the one before plus its `duration`."""
        require_frame(frame)
        size = payload_bytes_max - payload_bytes_max % self.bytes_per_tick
        if size < self.bytes_per_tick:
            raise InvalidArgument(f"payload_bytes_max is {self.bytes_per_tick} at least, not {payload_bytes_max}")
        if len(frame) % self.bytes_per_tick:
            raise InvalidArgument(f"{len(frame)} bytes are no whole samples of {self.bytes_per_tick} bytes")
        return [frame[start : start + size] for start in range(0, len(frame), size)]

    def depacketize(self, payloads: Sequence[bytes]) -> bytes:
        """Join payloads; Malformed where one does not hold whole samples."""
        require_payloads(payloads)
        for payload in payloads:
            self.duration(payload)
        return b"".join(payloads)

    def duration(self, payload: bytes) -> int:
        """How many ticks a payload lasts."""
        ticks, rest = divmod(len(payload), self.bytes_per_tick)
        if rest or not ticks:
            raise Malformed(
                f"{len(payload)} bytes are no whole samples of {self.bytes_per_tick} bytes", field="samples"
            )
        return ticks


def l16_format(channels: int) -> SampleFormat:
    """L16 with this number of channels: two bytes for each."""
    return SampleFormat(2 * channels)


def swap_byte_order(samples: bytes) -> bytes:
    """16-bit samples from little-endian to the network byte order of L16, or back."""
    if len(samples) % 2:
        raise InvalidArgument(f"{len(samples)} bytes are no 16-bit samples")
    swapped = bytearray(len(samples))
    swapped[0::2] = samples[1::2]
    swapped[1::2] = samples[0::2]
    return bytes(swapped)
