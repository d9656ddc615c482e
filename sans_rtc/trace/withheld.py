"""What stands in a recording for what must not be in it, and which parts of datagrams may carry application data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import attrs

from sans_rtc.dtls.ciphers import HEADER_BYTES, RECORD_HEADER
from sans_rtc.machine import Datagram, Path

_APPLICATION_DATA: Final = 23
_STUN_HEADER_BYTES: Final = 20
# STUN method and class of the indications that carry data (RFC 8656 section 18): Send and Data.
_DATA_INDICATIONS: Final = (b"\x00\x16", b"\x00\x17")


@attrs.frozen(slots=True)
class Withheld:
    """Application data that were kept out: how many bytes, whether they were text, and what may be shown of them."""

    size: int
    is_text: bool = False
    head: bytes = b""


@attrs.frozen(slots=True)
class LeftOut:
    """A value that has no place in a recording: a function, a secret, an object of a class unknown here."""

    what: str


@attrs.frozen(slots=True)
class Checksum:
    """Application data that a replay makes again: how many bytes, whether they were text, and their CRC32c."""

    size: int
    is_text: bool
    crc: int


@attrs.frozen(slots=True)
class CheckedDatagrams:
    """Datagrams that a replay makes again: the path and marks of all, the size of each, the CRC32c of them joined."""

    path: Path
    ecn: int
    sizes: tuple[int, ...]
    crc: int


def withhold(value: object) -> object:
    """A payload, as what stands for it."""
    if isinstance(value, str):
        return Withheld(len(value.encode("utf-8", "surrogatepass")), is_text=True)
    if isinstance(value, bytes | bytearray | memoryview):
        return Withheld(len(value))
    return value


def public_part(data: bytes, path: Path | None = None) -> bytes:
    """What a datagram shows without any application data: where in doubt, nothing.

    STUN stays, but for indications that carry data; DTLS records stay up to the first of application data, of which
    the header stays; of all else nothing does.
    """
    if not data or (path is not None and path.protocol != "udp"):  # a piece of a stream is cut anywhere
        return b""
    if data[0] < 4:
        return data[:_STUN_HEADER_BYTES] if data[:2] in _DATA_INDICATIONS else data
    if not 20 <= data[0] <= 63:
        return b""
    end = 0
    while end + HEADER_BYTES <= len(data):  # each round takes a header's 13 bytes at least
        content_type, _, _, length = RECORD_HEADER.unpack_from(data, end)
        end += HEADER_BYTES
        if content_type == _APPLICATION_DATA:
            return data[:end]
        end += length
    return data[: max(end, 0)] if end <= len(data) else b""


def withhold_payloads(value: object) -> object:
    """A value of an argument or result with the application data of datagrams and events kept out."""
    if isinstance(value, Datagram):
        return (value.path, _shown(value.data, value.path))
    if isinstance(value, bytes):
        return _shown(value, None)
    if isinstance(value, tuple | list):
        return [withhold_payloads(item) for item in value]
    name = type(value).__name__
    if name in PAYLOAD_FIELDS:  # told by its size alone; the class and the other fields stay
        return _evolved(value, PAYLOAD_FIELDS[name], withhold)
    if name in _HOLDERS:
        return _evolved(value, _HOLDERS[name], withhold_payloads)
    return value


PAYLOAD_FIELDS: Final[Mapping[str, str]] = {
    "ChannelMessage": "data",
    "Message": "data",
    "ApplicationData": "data",
    "Payload": "data",
    "OutgoingFrame": "data",
    "MediaFrame": "data",
    "RtpPacket": "payload",
}
"""Where arguments and events have what the application sends and receives, by class."""

_HOLDERS: Final[Mapping[str, str]] = {"FrameReceived": "frame", "PacketReceived": "packet"}


def _evolved(value: object, field: str, change: Callable[[object], object]) -> object:
    holder = cast(Any, value)
    return attrs.evolve(holder, **{field: change(getattr(holder, field))})


def _shown(data: bytes, path: Path | None) -> object:
    head = public_part(data, path)
    return data if len(head) == len(data) else Withheld(len(data), head=head)
