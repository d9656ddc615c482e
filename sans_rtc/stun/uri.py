"""URIs of STUN and TURN servers (RFC 7064 section 3.1, RFC 7065 section 3.1).

    stunURI = ("stun" / "stuns") ":" host [":" port]
    turnURI = ("turn" / "turns") ":" host [":" port] ["?transport=" ("udp" / "tcp" / other)]

They are not hierarchical: no slashes, no user name, no path, and no generic URI parser.
"""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum

import attrs

from sans_rtc.errors import Malformed, Unsupported
from sans_rtc.machine import TransportProtocol

# A DNS name has at most 253 characters; with a scheme, a port and a transport a URI stays below this.
URI_CHARACTERS_MAX = 300
DEFAULT_PORT = 3478
DEFAULT_PORT_SECURE = 5349


class Scheme(StrEnum):
    """The four schemes."""

    STUN = "stun"
    STUNS = "stuns"
    TURN = "turn"
    TURNS = "turns"


@attrs.frozen(slots=True)
class StunUri:
    """A STUN or TURN server.

    scheme     stun, stuns, turn, turns
    host       an IP address (IPv6 without brackets) or a DNS name
    port       the given one, or 3478; 5349 for stuns and turns
    transport  udp or tcp; below TLS where the scheme is secure: tcp then means TLS, udp means DTLS
    """

    scheme: Scheme
    host: str
    port: int
    transport: TransportProtocol

    @property
    def is_secure(self) -> bool:
        """True where the transport is protected by TLS or DTLS."""
        return self.scheme in (Scheme.STUNS, Scheme.TURNS)

    @property
    def is_turn(self) -> bool:
        """True for a TURN server."""
        return self.scheme in (Scheme.TURN, Scheme.TURNS)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        transport = f"?transport={self.transport}" if self.is_turn else ""
        return f"{self.scheme}:{host}:{self.port}{transport}"


_HOST_AND_PORT = re.compile(r"(?:\[(?P<literal>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?")


def parse_stun_uri(text: str) -> StunUri:
    """Parse a stun:, stuns:, turn: or turns: URI. Malformed or Unsupported (another transport) where it is not one.

    Source   RFC 7064 section 3.2 and RFC 7065 section 3.2 for the default ports; stuns and turns run over TCP unless
             said otherwise
    """
    if len(text) > URI_CHARACTERS_MAX:
        raise Malformed(f"a URI of {len(text)} characters", field="uri")
    scheme = _parse_scheme(text.partition(":")[0])
    rest, has_query, query = text.partition(":")[2].partition("?")
    match = _HOST_AND_PORT.fullmatch(rest)
    if match is None:
        raise Malformed(f"no host and port in {text!r}", field="host")
    is_secure = scheme in (Scheme.STUNS, Scheme.TURNS)
    transport: TransportProtocol = "tcp" if is_secure else "udp"
    if has_query:
        transport = _parse_transport(scheme, query)
    port = int(match["port"] or (DEFAULT_PORT_SECURE if is_secure else DEFAULT_PORT))
    if not 0 < port <= 0xFFFF:
        raise Malformed(f"a port of {port}", field="port")
    return StunUri(scheme, _parse_host(match), port, transport)


def _parse_scheme(text: str) -> Scheme:
    try:
        return Scheme(text.lower())
    except ValueError as error:
        raise Malformed(f"{text!r} is not a scheme of STUN or TURN", field="scheme") from error


def _parse_transport(scheme: Scheme, query: str) -> TransportProtocol:
    if scheme in (Scheme.STUN, Scheme.STUNS):
        raise Malformed(f"a {scheme} URI has no query", field="query")
    name, _, value = query.partition("=")
    if name != "transport" or not value:
        raise Malformed(f"the query is not a transport: {query!r}", field="query")
    if value.lower() == "udp":
        return "udp"
    if value.lower() == "tcp":
        return "tcp"
    raise Unsupported(f"transport {value!r}", field="transport")


def _parse_host(match: re.Match[str]) -> str:
    if match["name"] is not None:
        return match["name"]
    try:
        return str(ipaddress.IPv6Address(match["literal"]))
    except ValueError as error:
        raise Malformed(f"not an IPv6 address: {match['literal']!r}", field="host") from error
