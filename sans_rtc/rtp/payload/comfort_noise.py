"""Comfort noise (RFC 3389): the level of the noise, and optionally its spectrum as reflection coefficients.

Byte        1      2    3    ...   M+1
         +-----+-----+-----+-----+-----+
         |level|  N1 |  N2 | ... |  NM |     for each channel, with the same M (section 4)
         +-----+-----+-----+-----+-----+
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated
from sans_rtc.rtp.payload.interface import require_payloads

# The RFC names no greatest model order. Appendix II of G.711 uses 10; 31 is far beyond any use.
ORDER_MAX = 31
_INDEX_MAX = 254  # "index N=255 is reserved for future use"


@attrs.frozen(slots=True)
class ComfortNoise:
    """The noise of one channel: level 0 to 127 stands for 0 to -127 dBov; coefficients are indices of 0 to 254."""

    level: int
    coefficients: bytes = b""

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.level <= 127:
            raise InvalidArgument(f"a noise level is 0 to 127, not {self.level}")
        if len(self.coefficients) > ORDER_MAX or 255 in self.coefficients:
            raise InvalidArgument(f"coefficients are at most {ORDER_MAX} indices of 0 to {_INDEX_MAX}")

    @property
    def reflection_coefficients(self) -> tuple[float, ...]:
        """The coefficients as numbers between -1 and 1: 258 * (N - 127) / 32768 (section 3.2)."""
        return tuple(258 * (index - 127) / 32768 for index in self.coefficients)


def parse_comfort_noise(payload: bytes, channels: int = 1) -> list[ComfortNoise]:
    """The noise of each channel; WireError for a payload that is none."""
    if channels < 1:
        raise InvalidArgument(f"channels is 1 at least, not {channels}")
    if len(payload) < channels:
        raise Truncated(f"comfort noise of {channels} channels in {len(payload)} bytes", field="level", offset=0)
    size, rest = divmod(len(payload), channels)
    if rest or size - 1 > ORDER_MAX:
        raise Malformed(f"comfort noise of {channels} channels in {len(payload)} bytes", field="coefficients")
    return [_parse_channel(payload, start, start + size) for start in range(0, len(payload), size)]


def _parse_channel(payload: bytes, start: int, end: int) -> ComfortNoise:
    # Section 3.1: the most significant bit is "always set to 0".
    if payload[start] > 127:
        raise Malformed(f"a noise level of {payload[start]}", field="level", offset=start)
    coefficients = payload[start + 1 : end]
    if 255 in coefficients:
        raise Malformed("a reserved coefficient", field="coefficients", offset=start + 1 + coefficients.index(255))
    return ComfortNoise(payload[start], coefficients)


def serialize_comfort_noise(noises: Sequence[ComfortNoise]) -> bytes:
    """One payload of the noise of each channel; InvalidArgument where their orders differ."""
    if not noises or len({len(noise.coefficients) for noise in noises}) != 1:
        raise InvalidArgument("comfort noise needs one or more channels with the same number of coefficients")
    return b"".join([bytes((noise.level,)) + noise.coefficients for noise in noises])


class ComfortNoiseFormat:
    """Packetizer and depacketizer: a payload is a frame."""

    def packetize(self, frame: bytes, *, payload_bytes_max: int) -> list[bytes]:
        """The payload as it is."""
        if not 0 < len(frame) <= payload_bytes_max:
            raise InvalidArgument(f"comfort noise of {len(frame)} bytes, {payload_bytes_max} is the most")
        return [frame]

    def depacketize(self, payloads: Sequence[bytes]) -> bytes:
        """The payload as it is; `parse_comfort_noise` takes it apart."""
        require_payloads(payloads)
        if len(payloads) != 1:
            raise Malformed(f"comfort noise in {len(payloads)} payloads", field="payload")
        return payloads[0]
