"""What a TURN server is started with, and what the machine behind it makes of that."""

from __future__ import annotations

from ipaddress import ip_address

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address
from sans_rtc.turn.server import PeerRules, ServerConfig
from sans_rtc_net.addresses import PORT_MAX, family_of
from sans_rtc_net.interfaces import usable_addresses
from sans_rtc_net.options import CAN_SEND_WHOLE

DEFAULT_PORT = 3478
DEFAULT_TLS_PORT = 5349


@attrs.frozen(slots=True, kw_only=True)
class TurnServerSettings:
    """Where a server listens and relays, and what is to be changed of its configuration.

    hosts             IP addresses to listen on; 0.0.0.0 and ::, every one of this machine
    port              of UDP and TCP; 0: any that is free
    tls_port          of TLS; 0: any that is free; None: no TLS
    certificate_file, key_file   PEM, for TLS
    relay_hosts       addresses for relays; empty: the first of `hosts` of each version of IP
    external_hosts    what clients are told in place of `relay_hosts`: public addresses of a 1:1 NAT
    alternate_port    a second port to listen on with UDP; with it and two `hosts` of one version of IP, clients can
                      find out about their NAT (RFC 5780)
    peers             which peers can be reached
    machine           everything else; its addresses, `peers` and the clock's offset are set from the above
    """

    hosts: tuple[str, ...] = ("127.0.0.1",)
    port: int = DEFAULT_PORT
    tls_port: int | None = None
    certificate_file: str = ""
    key_file: str = ""
    relay_hosts: tuple[str, ...] = ()
    external_hosts: tuple[str, ...] = ()
    alternate_port: int | None = None
    peers: PeerRules = attrs.Factory(PeerRules)
    machine: ServerConfig = attrs.Factory(ServerConfig)

    def __attrs_post_init__(self) -> None:
        for host in (*self.hosts, *self.relay_hosts, *self.external_hosts):
            family_of(host)
        if not self.hosts:
            raise InvalidArgument("a server listens on one address at least")
        if any(ip_address(host).is_unspecified for host in self.relay_hosts):
            raise InvalidArgument("relays are bound to a particular address: it is what peers are told")
        for port in (self.port, self.tls_port, self.alternate_port):
            if port is not None and not 0 <= port <= PORT_MAX:
                raise InvalidArgument(f"not a port: {port}")
        if self.tls_port is not None and not (self.certificate_file and self.key_file):
            raise InvalidArgument("TLS needs a certificate and its key")

    def listening_hosts(self) -> tuple[str, ...]:
        """The particular addresses to listen on."""
        hosts: dict[str, None] = {}
        for host in self.hosts:
            if ip_address(host).is_unspecified:
                found = usable_addresses(families=(4,) if ":" not in host else (6,), include_loopback=True)
                hosts |= dict.fromkeys(address.host for address in found if "%" not in address.host)
            else:
                hosts[str(ip_address(host))] = None
        return tuple(hosts)

    def machine_config(self, hosts: tuple[str, ...], port: int, wall_clock_offset_s: float) -> ServerConfig:
        """The machine's configuration.

        hosts, port   where it listens
        """
        relay_hosts = tuple(str(ip_address(host)) for host in self.relay_hosts) or _first_of_each_family(hosts)
        return attrs.evolve(
            self.machine,
            relay_hosts=relay_hosts,
            external_hosts=tuple(str(ip_address(host)) for host in self.external_hosts),
            own_hosts=hosts,
            binding_addresses=self._binding_addresses(hosts, port),
            peers=self.peers,
            can_forbid_fragments=CAN_SEND_WHOLE,
            wall_clock_offset_s=wall_clock_offset_s,
        )

    def _binding_addresses(self, hosts: tuple[str, ...], port: int) -> tuple[Address, Address] | None:
        if self.alternate_port is None:
            return None
        pair = next((pair for family in ("", ":") if len(pair := _of_family(hosts, family)) > 1), None)
        return None if pair is None else (Address(pair[0], port), Address(pair[1], self.alternate_port))


def _of_family(hosts: tuple[str, ...], mark: str) -> list[str]:
    return [host for host in hosts if (":" in host) == bool(mark)]


def _first_of_each_family(hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Not loopback where there is anything else: with 0.0.0.0 the machine's own list may begin with it."""
    chosen = []
    for mark in ("", ":"):
        found = sorted(_of_family(hosts, mark), key=lambda host: ip_address(host).is_loopback)
        chosen += found[:1]
    return tuple(chosen)
