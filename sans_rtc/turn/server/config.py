"""Everything that can be chosen about a server: what it relays from, how long things live, and every bound."""

from __future__ import annotations

import math

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address
from sans_rtc.stun.credentials import opaque_string
from sans_rtc.stun.values import host_bytes, host_text
from sans_rtc.turn.channel_data import CHANNEL_NUMBER_MAX
from sans_rtc.turn.server.peers import PeerRules
from sans_rtc.validators import within

# RFC 8656 section 9: "The Permission Lifetime MUST be 300 seconds"; section 12: "A channel binding lasts for 10
# minutes unless refreshed."
PERMISSION_LIFETIME_S = 300.0
CHANNEL_LIFETIME_S = 600.0
# RFC 8656 section 7.2: "The server MUST hold this reservation for at least 30 seconds".
RESERVATION_LIFETIME_S = 30.0
# RFC 6062 sections 5.2, 5.3: a peer connection nobody binds is closed, one that does not come about is given up.
TCP_BIND_TIMEOUT_S = 30.0
TCP_CONNECT_TIMEOUT_S = 30.0

# A challenge repeats the realm to whoever asks, so a long one would amplify: see docs/turn-server.md.
REALM_BYTES_MAX = 64


def _is_realm(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if len(opaque_string(value).encode()) > REALM_BYTES_MAX:
        raise InvalidArgument(f"{attribute.name} has at most {REALM_BYTES_MAX} bytes")


def _are_hosts(_: object, attribute: attrs.Attribute[tuple[str, ...]], hosts: tuple[str, ...]) -> None:
    for host in hosts:
        if host_text(host_bytes(host)) != host:
            raise InvalidArgument(f"{attribute.name}: {host!r} is not an address in its usual spelling")


@attrs.frozen(slots=True, kw_only=True)
class ServerConfig:
    """The configuration of a server; durations in seconds.

    What it is
      realm                     of the users' passwords
      relay_hosts               addresses that relays are bound to: one of IPv4, one of IPv6, or both; none: no TURN
      external_hosts            what clients are told in place of a relay host of the same version of IP: the public
                                address of a 1:1 NAT in front of this host
      relay_port_min, _max      ports of relays; section 7.2 of RFC 8656 asks for 49152 to 65535
      own_hosts                 further addresses of the server, among them those it listens on: no peers
      binding_addresses         (primary, alternate): two sockets' addresses with different hosts and ports, where those
                                of host and port exchanged are bound too: then Binding answers as in RFC 5780
      peers                     which peers can be reached
      can_forbid_fragments      the driver heeds Datagram.dont_fragment; else DONT-FRAGMENT is answered 420
      channel_number_max        0x7FFF takes the numbers of RFC 5766 as well, which some clients still choose
      software                  of SOFTWARE in authenticated responses; empty: left out
      wall_clock_offset_s       added to `now` gives Unix time, for credentials that expire
    Lifetimes
      lifetime_s                of an allocation whose client asks for nothing or less
      lifetime_s_max            of one whose client asks for more
      nonce_lifetime_s          RFC 8656 section 5: at most an hour
      stream_idle_s             a TCP or TLS connection without an allocation
    Bounds (what is beyond is refused with the code given, or dropped and counted)
      allocation_count_max      508; reserved ports count as well
      user_allocation_count_max     486
      source_allocation_count_max   486, by the client's IP address
      permission_count_max      of an allocation: 508
      channel_count_max         of an allocation: 508
      allocation_bytes_per_s_max    relayed by an allocation, both ways; beyond it dropped
      stream_count_max, source_stream_count_max   TCP and TLS connections of clients
      connection_count_max      RFC 6062 connections of an allocation: 508, or closed
      early_bytes_max           of such a connection, kept until the client takes it
      relay_attempt_count_max   ports tried before 508
      unauthenticated_per_s     answers to one source's requests without (right) credentials, Binding among them
      unauthenticated_burst     of them at once
      source_bucket_count       memory for that
    """

    realm: str = attrs.field(default="sans-rtc", validator=_is_realm)
    relay_hosts: tuple[str, ...] = attrs.field(default=(), validator=_are_hosts)
    external_hosts: tuple[str, ...] = attrs.field(default=(), validator=_are_hosts)
    relay_port_min: int = attrs.field(default=49_152, validator=within(1024, 65_535))
    relay_port_max: int = attrs.field(default=65_535, validator=within(1024, 65_535))
    own_hosts: tuple[str, ...] = attrs.field(default=(), validator=_are_hosts)
    binding_addresses: tuple[Address, Address] | None = None
    peers: PeerRules = attrs.Factory(PeerRules)
    can_forbid_fragments: bool = False
    channel_number_max: int = attrs.field(default=CHANNEL_NUMBER_MAX, validator=within(CHANNEL_NUMBER_MAX, 0x7FFF))
    software: str = "sans_rtc"
    wall_clock_offset_s: float = 0.0
    lifetime_s: float = attrs.field(default=600.0, validator=within(10.0, 3600.0))
    lifetime_s_max: float = attrs.field(default=3600.0, validator=within(10.0, 86_400.0))
    nonce_lifetime_s: float = attrs.field(default=3600.0, validator=within(1.0, 3600.0))
    stream_idle_s: float = attrs.field(default=30.0, validator=within(1.0, 3600.0))
    allocation_count_max: int = attrs.field(default=1000, validator=within(1, 64_000))
    user_allocation_count_max: int = attrs.field(default=200, validator=within(1, 64_000))
    source_allocation_count_max: int = attrs.field(default=200, validator=within(1, 64_000))
    permission_count_max: int = attrs.field(default=64, validator=within(1, 4096))
    channel_count_max: int = attrs.field(default=64, validator=within(1, 4096))
    allocation_bytes_per_s_max: float = attrs.field(default=math.inf, validator=within(1000.0, math.inf))
    stream_count_max: int = attrs.field(default=2000, validator=within(0, 64_000))
    source_stream_count_max: int = attrs.field(default=400, validator=within(1, 64_000))
    connection_count_max: int = attrs.field(default=16, validator=within(1, 1000))
    early_bytes_max: int = attrs.field(default=65_536, validator=within(0, 1 << 24))
    relay_attempt_count_max: int = attrs.field(default=8, validator=within(1, 100))
    unauthenticated_per_s: float = attrs.field(default=50.0, validator=within(0.1, 100_000.0))
    unauthenticated_burst: float = attrs.field(default=200.0, validator=within(1.0, 1_000_000.0))
    source_bucket_count: int = attrs.field(default=4096, validator=within(1, 1 << 20))

    def __attrs_post_init__(self) -> None:
        if self.relay_port_min > self.relay_port_max:
            raise InvalidArgument(f"no port lies between {self.relay_port_min} and {self.relay_port_max}")
        if self.lifetime_s > self.lifetime_s_max:
            raise InvalidArgument("lifetime_s is more than lifetime_s_max")
        if len({":" in host for host in self.relay_hosts}) != len(self.relay_hosts):
            raise InvalidArgument("relay_hosts are one of IPv4, one of IPv6, or both")
        families = [Address(host, 0).family for host in self.external_hosts]
        if len(set(families)) != len(families) or not all(map(self.relay_host, families)):
            raise InvalidArgument("external_hosts stand for relay_hosts, one for each version of IP")
        if self.binding_addresses is not None:
            primary, alternate = self.binding_addresses
            if primary.host == alternate.host or primary.port == alternate.port or primary.family != alternate.family:
                raise InvalidArgument("binding_addresses differ in host and port, and not in the version of IP")

    def relay_host(self, family: int) -> str | None:
        """The address that relays of this version of IP are bound to."""
        return next((host for host in self.relay_hosts if Address(host, 0).family == family), None)
