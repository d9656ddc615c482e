"""From what people write to what the machines take: configurations and descriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.ice.config import StunServer
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.negotiation import Description
from sans_rtc.stun.uri import Scheme, parse_stun_uri
from sans_rtc_net.clock import wall_clock_offset_s
from sans_rtc_net.options import CAN_SEND_WHOLE


def peer_config_from(config: PeerConfig | None, stun_servers: Sequence[str] = ()) -> PeerConfig:
    """Complete a configuration with what only an adapter knows: the wall clock, who chooses the addresses, and
    whether its sockets can tell the path's MTU.

    config        the defaults where None
    stun_servers  URIs, added to those of the configuration
    Errors        InvalidArgument for a URI that is not "stun:host" or "stun:host:port"
    """
    config = config or PeerConfig()
    servers = tuple(_stun_server(uri) for uri in stun_servers)
    # Which addresses are offered is decided where sockets are bound (`BindConfig`); the machine takes what it gets.
    address_filter = attrs.evolve(config.ice.address_filter, allow_loopback=True, allow_link_local=True)
    return attrs.evolve(
        config,
        mtu_discovery=CAN_SEND_WHOLE if config.mtu_discovery is None else config.mtu_discovery,
        wall_clock_offset_s=config.wall_clock_offset_s or wall_clock_offset_s(),
        ice=attrs.evolve(config.ice, address_filter=address_filter, stun_servers=(*config.ice.stun_servers, *servers)),
    )


def as_description(value: Description | Mapping[str, str]) -> Description:
    """Take a description as an object or as the mapping that browsers make of it: {"type": ..., "sdp": ...}."""
    if isinstance(value, Description):
        return value
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        raise InvalidArgument("a description is a Description or a mapping with type and sdp")
    return Description(value["type"], value.get("sdp", ""))


def _stun_server(uri: str) -> StunServer:
    try:
        parsed = parse_stun_uri(uri)
    except WireError as error:
        raise InvalidArgument(f"{uri!r}: {error}") from None
    if parsed.scheme is not Scheme.STUN:
        raise InvalidArgument(f"only stun: servers are supported, not {uri!r}")
    return StunServer(parsed.host, parsed.port)
