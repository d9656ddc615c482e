"""STUN and TURN servers as browsers have them: {"urls": "turn:host?transport=tcp", "username": ..., "credential": ...}.

stun:host            asked for our public address, over UDP
stuns:host           taken, as browsers take it, and not asked: over TLS it would tell the address of a TCP connection
turn:host            relays; we reach it over UDP, or TCP with ?transport=tcp
turns:host           relays; we reach it over TLS, its certificate must prove the host's name or address
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import attrs

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.ice.config import StunServer, TurnServer
from sans_rtc.machine import TransportProtocol
from sans_rtc.stun.uri import Scheme, StunUri, parse_stun_uri

# RFC 8489 section 14.3: USERNAME is less than 509 bytes.
USERNAME_BYTES_MAX = 508
_KEYS = frozenset({"urls", "url", "username", "credential", "credentialType"})


def _as_urls(urls: object) -> tuple[str, ...]:
    listed = (urls,) if isinstance(urls, str) else urls
    if not isinstance(listed, Iterable):
        raise InvalidArgument(f"urls is a URL or a list of them, not {urls!r}")
    texts = tuple(listed)
    if not texts or not all(isinstance(url, str) for url in texts):
        raise InvalidArgument(f"urls is a URL or a list of them, not {urls!r}")
    return texts


@attrs.frozen(slots=True)
class IceServer:
    """One server, under one or several URLs (RTCIceServer, W3C WebRTC section 4.2.2).

    urls        one URL or several: stun:, stuns:, turn:, turns:
    username,
    credential  for TURN; the credential is kept out of the repr
    """

    urls: tuple[str, ...] = attrs.field(converter=_as_urls)
    username: str = ""
    credential: str = attrs.field(default="", repr=False)


IceServerLike: TypeAlias = IceServer | Mapping[str, object] | str
"""An IceServer, the mapping that browsers make of it, or one URL."""


def servers_from(items: Sequence[IceServerLike]) -> tuple[tuple[StunServer, ...], tuple[TurnServer, ...]]:
    """Sort servers into those that are asked and those that relay; each once.

    Errors  InvalidArgument with what is wrong
    """
    if isinstance(items, str | Mapping | IceServer):
        raise InvalidArgument("ice_servers is a list")
    stun: dict[StunServer, None] = {}
    turn: dict[TurnServer, None] = {}
    for item in items:
        server = as_ice_server(item)
        for url in server.urls:
            parsed = _parsed(url)
            if parsed.is_turn:
                turn[_turn_server(url, parsed, server)] = None
            elif parsed.scheme is Scheme.STUN:
                stun[StunServer(parsed.host, parsed.port)] = None
    return tuple(stun), tuple(turn)


def as_ice_server(item: IceServerLike) -> IceServer:
    """Take a server in any of its forms. Errors: InvalidArgument."""
    if isinstance(item, IceServer):
        return item
    if isinstance(item, str):
        return IceServer(item)
    if not isinstance(item, Mapping):
        raise InvalidArgument(f"an ICE server is a mapping with urls, or an IceServer, not {type(item).__name__}")
    unknown = set(item) - _KEYS
    if unknown:
        raise InvalidArgument(f"an ICE server has no {', '.join(sorted(map(str, unknown)))}")
    if item.get("credentialType", "password") != "password":
        raise InvalidArgument(f"credentials of TURN servers are passwords, not {item['credentialType']!r}")
    return IceServer(item.get("urls", item.get("url")), _text(item, "username"), _text(item, "credential"))


def stun_server_from(url: str) -> StunServer:
    """Take a STUN server's URL. Errors: InvalidArgument for any other."""
    parsed = _parsed(url)
    if parsed.scheme is not Scheme.STUN:
        raise InvalidArgument(f"a STUN server is stun:host or stun:host:port, not {url!r}; ice_servers takes others")
    return StunServer(parsed.host, parsed.port)


def _text(item: Mapping[str, object], key: str) -> str:
    value = item.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidArgument(f"{key} of an ICE server is text, not {type(value).__name__}")
    return value


def _parsed(url: str) -> StunUri:
    try:
        return parse_stun_uri(url)
    except WireError as error:
        raise InvalidArgument(f"{url!r} is not the URL of a STUN or TURN server: {error}") from None


def _turn_server(url: str, parsed: StunUri, server: IceServer) -> TurnServer:
    if not server.username or not server.credential:
        raise InvalidArgument(f"{url!r} needs a username and a credential")
    if len(server.username.encode("utf-8", "surrogatepass")) > USERNAME_BYTES_MAX:
        raise InvalidArgument(f"the username for {url!r} is longer than {USERNAME_BYTES_MAX} bytes")
    if parsed.is_secure and parsed.transport == "udp":
        raise InvalidArgument(f"TURN over DTLS is not supported: {url!r}; without ?transport=udp it is TLS over TCP")
    transport: TransportProtocol = "tls" if parsed.is_secure else parsed.transport
    return TurnServer(parsed.host, parsed.port, server.username, server.credential, transport)
