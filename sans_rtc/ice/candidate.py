"""Candidates and their text form (RFC 8445 section 5.1, RFC 8839 section 5.1).

candidate:<foundation> <component> <transport> <priority> <address> <port> typ <type>
          [raddr <address>] [rport <port>] [tcptype <type>] *(<name> <value>)
"""

from __future__ import annotations

import re
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported
from sans_rtc.ice.addresses import canonical_host, is_ip
from sans_rtc.machine import Address

# RFC 8839 section 5.1: 1*32ice-char, 1*3DIGIT up to 256, 1*10DIGIT.
FOUNDATION_CHARACTERS_MAX = 32
COMPONENT_MAX = 256
PRIORITY_MAX = 0xFFFFFFFF  # 8445 section 5.1.2 says 2**31 - 1, 5.3 "the 32-bit priority": what fits PRIORITY is taken
EXTENSION_COUNT_MAX = 32
LINE_CHARACTERS_MAX = 2048
HOST_NAME_CHARACTERS_MAX = 253  # RFC 1035 section 2.3.4, in text form

_FOUNDATION = re.compile(r"[A-Za-z0-9+/]{1,32}")
_TOKEN = re.compile(r"[!-~]+")
# Letters, digits, hyphens and, as seen in the wild, underscores; a last label of digits only would be a broken IPv4.
_HOST_NAME = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*(?![0-9]+\.?$)[A-Za-z0-9_-]{1,63}\.?")
_DIGITS = re.compile(r"[0-9]{1,10}")


class CandidateType(StrEnum):
    """How a candidate was found (RFC 8445 section 5.1.1)."""

    HOST = "host"
    SERVER_REFLEXIVE = "srflx"
    PEER_REFLEXIVE = "prflx"
    RELAYED = "relay"


PROTOCOLS = frozenset({"udp", "tcp"})
TCP_TYPES = frozenset({"active", "passive", "so"})  # RFC 6544 section 4.5


def _check_address(_: object, attribute: attrs.Attribute[Address], value: Address) -> None:
    if not isinstance(value.port, int) or not 0 <= value.port <= 0xFFFF:
        raise InvalidArgument(f"a port is 0 to 65535, not {value.port!r}")
    if not is_host(value.host):
        raise InvalidArgument(f"{attribute.name} has neither an IP address nor a name: {value.host!r}")


def _check_related_address(owner: object, attribute: attrs.Attribute[Address | None], value: Address | None) -> None:
    if value is not None:
        _check_address(owner, attribute, value)  # type: ignore[arg-type]  # reads only attribute.name


@attrs.frozen(slots=True)
class Candidate:
    """A transport address at which one end may be reachable.

    foundation       1 to 32 letters, digits, + and /; equal where base, type, server and protocol are
    component        1 to 256; a data channel has 1
    protocol         "udp" or "tcp"
    priority         0 to 2**32 - 1, higher is better
    address          an IP address, or a `.local` or DNS name, and a port
    type             host, srflx, prflx or relay
    related_address  the base of a reflexive candidate, the mapped address of a relayed one; None for a host
    tcp_type         "active", "passive" or "so" (RFC 6544); None over UDP
    extensions       further names and values, kept in order
    """

    foundation: str
    component: int
    protocol: str
    priority: int
    address: Address = attrs.field(validator=_check_address)
    type: CandidateType
    related_address: Address | None = attrs.field(default=None, validator=_check_related_address)
    tcp_type: str | None = None
    extensions: tuple[tuple[str, str], ...] = ()

    def __attrs_post_init__(self) -> None:
        if not _FOUNDATION.fullmatch(self.foundation):
            raise InvalidArgument(f"a foundation is 1 to 32 letters, digits, + and /, not {self.foundation!r}")
        if not 1 <= self.component <= COMPONENT_MAX:
            raise InvalidArgument(f"a component is 1 to {COMPONENT_MAX}, not {self.component}")
        if self.protocol not in PROTOCOLS:
            raise InvalidArgument(f"a protocol is udp or tcp, not {self.protocol!r}")
        if not 0 <= self.priority <= PRIORITY_MAX:
            raise InvalidArgument(f"a priority is 0 to {PRIORITY_MAX}, not {self.priority}")
        if self.tcp_type is not None and self.tcp_type not in TCP_TYPES:
            raise InvalidArgument(f"a TCP type is active, passive or so, not {self.tcp_type!r}")
        if len(self.extensions) > EXTENSION_COUNT_MAX:
            raise InvalidArgument(f"more than {EXTENSION_COUNT_MAX} extensions")

    def extension(self, name: str) -> str | None:
        """The value of an extension such as "ufrag" or "network-cost"; None without it."""
        for key, value in self.extensions:
            if key == name:
                return value
        return None

    @property
    def is_named(self) -> bool:
        """True where the address is a name that has to be resolved before use."""
        return not is_ip(self.address.host)

    def __str__(self) -> str:
        return f"{self.type} {self.address}/{self.protocol}"


def is_host(text: str) -> bool:
    """True for an IP address without a zone, or a name that DNS or mDNS could know."""
    if "%" in text:
        return False  # a zone means something to its own host only
    return is_ip(text) or (len(text) <= HOST_NAME_CHARACTERS_MAX and _HOST_NAME.fullmatch(text) is not None)


def parse_candidate(line: str) -> Candidate:
    """Parse a candidate line: "candidate:..." or "a=candidate:...".

    IP addresses are brought to one spelling, the protocol to lower case; extensions that mean nothing here are kept.
    Errors   Truncated, Malformed, Unsupported (another transport or type of candidate)
    """
    if len(line) > LINE_CHARACTERS_MAX:
        raise Malformed(f"a candidate of {len(line)} characters", field="candidate")
    text = line.strip().removeprefix("a=")
    if not text.startswith("candidate:"):
        raise Malformed("a candidate line begins with candidate:", field="candidate", offset=0)
    tokens = text.removeprefix("candidate:").split()
    if len(tokens) < 8:
        raise Truncated(f"a candidate has 8 fields at least, not {len(tokens)}", field="candidate")
    foundation, component, transport, priority, host, port, typ, type_name = tokens[:8]
    if not _FOUNDATION.fullmatch(foundation):
        raise Malformed(f"foundation {foundation[:40]!r}", field="foundation")
    component_id = _parse_number(component, COMPONENT_MAX, "component")
    if component_id == 0:
        raise Malformed("component 0", field="component")
    protocol = transport.lower()
    if protocol not in PROTOCOLS:
        raise Unsupported(f"transport {transport[:20]!r}", field="transport")
    if typ != "typ":
        raise Malformed(f"typ is expected, not {typ[:20]!r}", field="typ")
    if type_name not in _TYPES:
        raise Unsupported(f"candidate type {type_name[:20]!r}", field="type")
    address = Address(_parse_host(host), _parse_number(port, 0xFFFF, "port"))
    related, tcp_type, extensions = _parse_extensions(tokens[8:])
    priority_value = _parse_number(priority, PRIORITY_MAX, "priority")
    return Candidate(
        foundation, component_id, protocol, priority_value, address, _TYPES[type_name], related, tcp_type, extensions
    )


_TYPES = {str(member): member for member in CandidateType}


def _parse_number(text: str, limit: int, field: str) -> int:
    if not _DIGITS.fullmatch(text) or int(text) > limit:
        raise Malformed(f"{field} {text[:20]!r} is not a number of 0 to {limit}", field=field)
    return int(text)


def _parse_host(text: str) -> str:
    if not is_host(text):
        raise Malformed(f"neither an IP address nor a name: {text[:60]!r}", field="address")
    return canonical_host(text) if is_ip(text) else text


def _parse_extensions(tokens: list[str]) -> tuple[Address | None, str | None, tuple[tuple[str, str], ...]]:
    related_host, related_port, tcp_type = None, 0, None
    extensions: list[tuple[str, str]] = []
    # An extension's value may be empty (*VCHAR), which can be told only at the end of the line.
    for name, value in zip(tokens[::2], [*tokens[1::2], ""], strict=False):
        if not _TOKEN.fullmatch(name + value):
            raise Malformed(f"extension {name[:20]!r}", field="extensions")
        if name == "raddr" and related_host is None:
            related_host = _parse_host(value)
        elif name == "rport":
            related_port = _parse_number(value, 0xFFFF, "rport")
        elif name == "tcptype" and value in TCP_TYPES:
            tcp_type = value
        else:
            extensions.append((name, value))
    if len(extensions) > EXTENSION_COUNT_MAX:
        raise Malformed(f"more than {EXTENSION_COUNT_MAX} extensions", field="extensions")
    related = None if related_host is None else Address(related_host, related_port)
    return related, tcp_type, tuple(extensions)


def serialize_candidate(candidate: Candidate) -> str:
    """Write the candidate as "candidate:...", ready for `a=` before it or for a signalling message."""
    parts = [
        f"candidate:{candidate.foundation} {candidate.component} {candidate.protocol} {candidate.priority}"
        f" {candidate.address.host} {candidate.address.port} typ {candidate.type}"
    ]
    if candidate.related_address is not None:
        parts.append(f"raddr {candidate.related_address.host} rport {candidate.related_address.port}")
    if candidate.tcp_type is not None:
        parts.append(f"tcptype {candidate.tcp_type}")
    parts += [f"{name} {value}" for name, value in candidate.extensions]
    return " ".join(parts)
