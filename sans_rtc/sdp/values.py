"""The values that the lines and attributes of a session hold: who, where, when, and how its transports are secured.

Each class parses the text after `=` or `:` and gives the strict text back with `str()`.
"""

from __future__ import annotations

import re
from enum import StrEnum

import attrs

from sans_rtc.errors import Malformed
from sans_rtc.sdp.grammar import parse_token, parse_uint, shorten, split_words

_WORDS_MAX = 4096  # a bound for lists of words; the line's own length is the tighter one
_UINT64_MAX = (1 << 64) - 1
_UINT16_MAX = 65_535
_FINGERPRINT = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2})*\Z")


class Setup(StrEnum):
    """Which end begins the connection (RFC 4145 section 4, RFC 8842 section 5)."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ACTPASS = "actpass"
    HOLDCONN = "holdconn"


class Direction(StrEnum):
    """Which way media flow, as the author of the description sees it (RFC 8866 section 6.7)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


@attrs.frozen(slots=True)
class Origin:
    """Who made the description, and which version of it this is (RFC 8866 section 5.2)."""

    username: str
    session_id: int
    session_version: int
    network_type: str = "IN"
    address_type: str = "IP4"
    address: str = "0.0.0.0"

    @classmethod
    def parse(cls, text: str) -> Origin:
        """Take the value of an `o=` line."""
        user, session_id, version, network_type, address_type, address = split_words(text, "o=", 6, 6)
        return cls(
            user,
            parse_uint(session_id, "o= session id", _UINT64_MAX),
            parse_uint(version, "o= session version", _UINT64_MAX),
            parse_token(network_type, "o= network type"),
            parse_token(address_type, "o= address type"),
            address,
        )

    def __str__(self) -> str:
        return (
            f"{self.username} {self.session_id} {self.session_version}"
            f" {self.network_type} {self.address_type} {self.address}"
        )


@attrs.frozen(slots=True)
class Connection:
    """An address (RFC 8866 section 5.7). With ICE it is only the default destination."""

    address: str
    address_type: str = "IP4"
    network_type: str = "IN"

    @classmethod
    def parse(cls, text: str) -> Connection:
        """Take the value of a `c=` line."""
        network_type, address_type, address = split_words(text, "c=", 3, 3)
        return cls(address, parse_token(address_type, "c= address type"), parse_token(network_type, "c= network type"))

    def __str__(self) -> str:
        return f"{self.network_type} {self.address_type} {self.address}"


@attrs.frozen(slots=True)
class Timing:
    """When the session takes place, NTP seconds; 0 0 is always (RFC 8866 section 5.9)."""

    start: int = 0
    stop: int = 0

    @classmethod
    def parse(cls, text: str) -> Timing:
        """Take the value of a `t=` line."""
        start, stop = split_words(text, "t=", 2, 2)
        return cls(parse_uint(start, "t= start", _UINT64_MAX), parse_uint(stop, "t= stop", _UINT64_MAX))

    def __str__(self) -> str:
        return f"{self.start} {self.stop}"


@attrs.frozen(slots=True)
class Bandwidth:
    """A bandwidth in the unit that its type names (RFC 8866 section 5.8)."""

    type: str
    value: int

    @classmethod
    def parse(cls, text: str) -> Bandwidth:
        """Take the value of a `b=` line."""
        kind, colon, value = text.strip(" ").partition(":")
        if not colon:
            raise Malformed(f"b= has no colon: {shorten(text)}", field="b=")
        return cls(parse_token(kind, "b= type"), parse_uint(value, "b= value", _UINT64_MAX))

    def __str__(self) -> str:
        return f"{self.type}:{self.value}"


@attrs.frozen(slots=True)
class Group:
    """Media sections that belong together, by their mids (RFC 5888 section 5). BUNDLE is RFC 9143's."""

    semantics: str
    mids: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Group:
        """Take the value of an `a=group` attribute."""
        semantics, *mids = split_words(text, "group", 1, _WORDS_MAX)
        return cls(parse_token(semantics, "group semantics"), tuple(parse_token(mid, "group mid") for mid in mids))

    def __str__(self) -> str:
        return " ".join((self.semantics, *self.mids))


@attrs.frozen(slots=True)
class Fingerprint:
    """The hash of a certificate (RFC 8122 section 5): the hash function in lower case, and its value."""

    algorithm: str
    value: bytes

    @classmethod
    def parse(cls, text: str) -> Fingerprint:
        """Take the value of an `a=fingerprint` attribute; hexadecimal digits of either case."""
        algorithm, digest = split_words(text, "fingerprint", 2, 2)
        if _FINGERPRINT.match(digest.upper()) is None or not digest.isascii():
            raise Malformed(f"fingerprint is not pairs of hexadecimal digits: {shorten(digest)}", field="fingerprint")
        return cls(parse_token(algorithm, "fingerprint hash function").lower(), bytes.fromhex(digest.replace(":", "")))

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value.hex(':').upper()}"


@attrs.frozen(slots=True)
class RtcpDestination:
    """Where RTCP goes (RFC 3605 section 2.1); the address may be left out."""

    port: int
    connection: Connection | None = None

    @classmethod
    def parse(cls, text: str) -> RtcpDestination:
        """Take the value of an `a=rtcp` attribute."""
        port, *address = split_words(text, "rtcp", 1, 4)
        return cls(parse_uint(port, "rtcp port", _UINT16_MAX), Connection.parse(" ".join(address)) if address else None)

    def __str__(self) -> str:
        return str(self.port) if self.connection is None else f"{self.port} {self.connection}"


@attrs.frozen(slots=True)
class SctpMap:
    """The data channel of descriptions from before RFC 8841: SCTP port, protocol, and number of streams."""

    port: int
    protocol: str
    stream_count: int | None = None

    @classmethod
    def parse(cls, text: str) -> SctpMap:
        """Take the value of an `a=sctpmap` attribute."""
        port, protocol, *streams = split_words(text, "sctpmap", 2, 3)
        return cls(
            parse_uint(port, "sctpmap port", _UINT16_MAX),
            parse_token(protocol, "sctpmap protocol"),
            parse_uint(streams[0], "sctpmap streams", _UINT16_MAX) if streams else None,
        )

    def __str__(self) -> str:
        text = f"{self.port} {self.protocol}"
        return text if self.stream_count is None else f"{text} {self.stream_count}"
