"""From what people write to what the machines take: configurations and descriptions."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping, Sequence
from typing import TypeVar

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.ice.config import StunServer, TcpPolicy, TransportPolicy, TurnServer
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.negotiation import Description
from sans_rtc_net.clock import wall_clock_offset_s
from sans_rtc_net.ice_servers import IceServerLike, servers_from, stun_server_from
from sans_rtc_net.options import CAN_SEND_WHOLE, StreamConfig
from sans_rtc_net.proxy import Proxy, parse_proxy, proxy_from_environment
from sans_rtc_net.tls import client_context

Server = TypeVar("Server", StunServer, TurnServer)


def peer_config_from(
    config: PeerConfig | None,
    stun_servers: Sequence[str] = (),
    *,
    ice_servers: Sequence[IceServerLike] = (),
    ice_transport_policy: str | None = None,
    tcp: bool | str | TcpPolicy | None = None,
    hide_host_addresses: bool | None = None,
) -> PeerConfig:
    """Complete a configuration with what only an adapter knows: the wall clock, who chooses the addresses, and
    whether its sockets can tell the path's MTU.

    config                the defaults where None
    stun_servers          URIs, added to those of the configuration
    ice_servers           STUN and TURN servers as browsers have them, added likewise
    ice_transport_policy  "all", or "relay": only by way of TURN servers; None: as the configuration says
    tcp                   candidates over TCP: True, False, "active", "passive"; None: as the configuration says
    hide_host_addresses   host candidates are told as `.local` names; None: as the configuration says
    Errors                InvalidArgument with what is wrong
    """
    config = config or PeerConfig()
    asked, relaying = servers_from(ice_servers)
    named = [stun_server_from(uri) for uri in stun_servers]
    # Which addresses are offered is decided where sockets are bound (`BindConfig`); the machine takes what it gets.
    address_filter = attrs.evolve(config.ice.address_filter, allow_loopback=True, allow_link_local=True)
    ice = attrs.evolve(
        config.ice,
        address_filter=address_filter,
        stun_servers=_each_once(*config.ice.stun_servers, *named, *asked),
        turn_servers=_each_once(*config.ice.turn_servers, *relaying),
        transport_policy=config.ice.transport_policy if ice_transport_policy is None else _policy(ice_transport_policy),
        tcp=config.ice.tcp if tcp is None else _tcp_policy(tcp, config.ice.tcp),
        hide_host_addresses=config.ice.hide_host_addresses if hide_host_addresses is None else hide_host_addresses,
    )
    return attrs.evolve(
        config,
        mtu_discovery=CAN_SEND_WHOLE if config.mtu_discovery is None else config.mtu_discovery,
        wall_clock_offset_s=config.wall_clock_offset_s or wall_clock_offset_s(),
        ice=ice,
    )


def stream_config_from(
    config: StreamConfig | None = None,
    *,
    proxy: str | Proxy | None = None,
    tls_ca: str | os.PathLike[str] | ssl.SSLContext | None = None,
) -> StreamConfig:
    """Complete a configuration of streams with its short forms.

    config  the defaults where None
    proxy   a URL, "http://user:password@host:port"; "environment": what HTTPS_PROXY and NO_PROXY say; None: as the
            configuration says
    tls_ca  a file of certificates to trust in place of the system's, or a context of the ssl module with all it needs
    Errors  InvalidArgument with what is wrong
    """
    config = config or StreamConfig()
    if proxy is not None:
        config = attrs.evolve(config, proxy=_proxy(proxy))
    if tls_ca is not None:
        context = tls_ca if isinstance(tls_ca, ssl.SSLContext) else client_context(tls_ca)
        config = attrs.evolve(config, tls_context=context)
    return config


def as_description(value: Description | Mapping[str, str]) -> Description:
    """Take a description as an object or as the mapping that browsers make of it: {"type": ..., "sdp": ...}."""
    if isinstance(value, Description):
        return value
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        raise InvalidArgument("a description is a Description or a mapping with type and sdp")
    return Description(value["type"], value.get("sdp", ""))


def _each_once(*servers: Server) -> tuple[Server, ...]:
    return tuple(dict.fromkeys(servers))


def _policy(text: str) -> TransportPolicy:
    try:
        return TransportPolicy(text)
    except ValueError:
        raise InvalidArgument(f'ice_transport_policy is "all" or "relay", not {text!r}') from None


def _tcp_policy(chosen: bool | str | TcpPolicy, policy: TcpPolicy) -> TcpPolicy:
    if isinstance(chosen, TcpPolicy):
        return chosen
    if chosen not in (True, False, "active", "passive"):
        raise InvalidArgument(f'tcp is True, False, "active" or "passive", not {chosen!r}')
    return attrs.evolve(policy, active=chosen in (True, "active"), passive=chosen in (True, "passive"))


def _proxy(chosen: str | Proxy) -> Proxy | None:
    if isinstance(chosen, Proxy):
        return chosen
    if not isinstance(chosen, str):
        raise InvalidArgument(f"proxy is a URL, not {chosen!r}")
    return proxy_from_environment() if chosen == "environment" else parse_proxy(chosen)
