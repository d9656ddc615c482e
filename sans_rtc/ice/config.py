"""Everything that can be chosen about an ICE agent: times, bounds, servers, filters, rewriting; checked when made."""

from __future__ import annotations

import math
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.ice.addresses import is_ip
from sans_rtc.ice.candidate import CandidateType, is_host
from sans_rtc.ice.network_cost import NETWORK_COST_MAX
from sans_rtc.ice.parameters import check_own_parameters
from sans_rtc.ice.priority import CANDIDATES_PER_ADDRESS_MAX
from sans_rtc.machine import Address, TransportProtocol
from sans_rtc.stun.transaction import RetransmissionSchedule
from sans_rtc.turn.config import check_credentials
from sans_rtc.validators import within

DEFAULT_CHECK_PACE_S = 0.05  # RFC 8445 section 14.2
# RFC 8445 section 14.2: transactions "MUST NOT be sent more often than once every 5 ms".
CHECK_PACE_S_MIN = 0.005
# RFC 7675 section 5.1: "Consent expires after 30 seconds."
CONSENT_S_MAX = 30.0

# At 0, 0.5, 1.5, 3.5, 5.5, 7.5 and 9.5 s; given up at 17.5 s.
# deviation: RFC 8489 doubles without end and gives up after 39.5 s. A person waits that long for nothing; and where
# both ends open a firewall by sending, requests in step every 2 s meet more often than requests 8 and 16 s apart.
CHECK_SCHEDULE = RetransmissionSchedule(rto_s=0.5, request_count_max=7, last_wait_factor=16.0, rto_s_max=2.0)
# At 0, 0.5, 1.5, 2.5, ... 5.5 s; given up at 6.5 s: a server that does not answer must not hold up end-of-candidates.
# Where a fifth is lost each way, 4 requests in that time fail once in 60 times, 7 once in 1300.
GATHERING_SCHEDULE = RetransmissionSchedule(rto_s=0.5, request_count_max=7, last_wait_factor=2.0, rto_s_max=1.0)


def total_s(schedule: RetransmissionSchedule) -> float:
    """Seconds from the first request to the moment a transaction fails."""
    return math.fsum(schedule.wait_after(count) for count in range(1, schedule.request_count_max + 1))


@attrs.frozen(slots=True)
class StunServer:
    """A STUN server: an IP address or a name, and a port."""

    host: str
    port: int = attrs.field(default=3478, validator=within(1, 0xFFFF))

    def __attrs_post_init__(self) -> None:
        if not is_host(self.host):
            raise InvalidArgument(f"neither an IP address nor a name: {self.host!r}")

    def __str__(self) -> str:
        return str(Address(self.host, self.port))


@attrs.frozen(slots=True)
class TurnServer:
    """A TURN server: where it is, how it is reached, and who we are to it.

    host         an IP address or a name
    username,
    password     long-term credentials (RFC 8489 section 9.2); the password is kept out of the repr
    transport    between us and the server: "udp", "tcp", or "tls" over TCP
    server_name  with "tls": the name that the certificate must prove; empty: `host`
    families     the versions of IP of which a relayed address is asked for: (4,), (6,) or (4, 6)
    """

    host: str
    port: int = attrs.field(default=3478, validator=within(1, 0xFFFF))
    username: str = ""
    password: str = attrs.field(default="", repr=False)
    transport: TransportProtocol = "udp"
    server_name: str = ""
    families: tuple[int, ...] = (4,)

    def __attrs_post_init__(self) -> None:
        if not is_host(self.host):
            raise InvalidArgument(f"neither an IP address nor a name: {self.host!r}")
        if self.transport not in ("udp", "tcp", "tls"):
            raise InvalidArgument(f"the transport to a TURN server is udp, tcp or tls, not {self.transport!r}")
        check_credentials(self.username, self.password)
        if self.families not in ((4,), (6,), (4, 6)):
            raise InvalidArgument(f"families is (4,), (6,) or (4, 6), not {self.families}")

    def __str__(self) -> str:
        scheme = "turns" if self.transport == "tls" else "turn"
        return f"{scheme}:{Address(self.host, self.port)}?transport={'udp' if self.transport == 'udp' else 'tcp'}"


class TransportPolicy(StrEnum):
    """Which candidates are told and used (RTCIceTransportPolicy, W3C WebRTC section 4.2.4)."""

    ALL = "all"
    RELAY = "relay"


@attrs.frozen(slots=True, kw_only=True)
class TcpPolicy:
    """What is done over TCP (RFC 6544); simultaneous-open candidates are neither made nor used.

    active                 connect to the passive candidates of the peer
    passive                tell the peer of the listeners named by add_tcp_listener, and take its connections
    stream_count_max       connections of ours at a time; a check that would need another one is left out and counted
    accepted_count_max     connections of others at a time; one more is closed at once
    open_timeout_s         a connection that is not open by then has failed
    validation_timeout_s   a connection of somebody else that has brought no check of the peer by then is closed
    frame_bytes_max        a longer frame breaks its connection
    """

    active: bool = False
    passive: bool = False
    stream_count_max: int = attrs.field(default=16, validator=within(1, 1000))
    accepted_count_max: int = attrs.field(default=16, validator=within(1, 1000))
    open_timeout_s: float = attrs.field(default=10.0, validator=within(0.1, 600.0))
    validation_timeout_s: float = attrs.field(default=5.0, validator=within(0.1, 600.0))
    frame_bytes_max: int = attrs.field(default=16_384, validator=within(1500, 0xFFFF))


@attrs.frozen(slots=True, kw_only=True)
class RenominationPolicy:
    """When the controlling agent moves to a better pair (draft-thatcher-ice-renomination); durations in seconds.

    Better is a pair of cheaper networks; of equal cost, one that is not relayed; of equal kind, one whose round trip
    is shorter by both margins.

    hold_s            a pair must have been better for so long
    move_interval_s   between two moves
    rtt_margin_s,
    rtt_margin        shorter by so many seconds, and by this share of the round trip of the pair in use
    check_interval_s  between two checks of a pair that is not in use
    """

    hold_s: float = attrs.field(default=3.0, validator=within(0.0, 600.0))
    move_interval_s: float = attrs.field(default=10.0, validator=within(0.0, 3600.0))
    rtt_margin_s: float = attrs.field(default=0.02, validator=within(0.0, 60.0))
    rtt_margin: float = attrs.field(default=0.3, validator=within(0.0, 1.0))
    check_interval_s: float = attrs.field(default=2.0, validator=within(0.1, 600.0))


class RewriteMode(StrEnum):
    """What an address rewriting does with the candidate of the address itself."""

    REPLACE = "replace"
    ADD = "add"


@attrs.frozen(slots=True)
class AddressRewrite:
    """A 1:1 NAT in front of this host: datagrams to `external` arrive at `internal`, ports unchanged.

    internal        the host part of a local address
    external        the address by which peers reach it, of the same IP version
    mode            REPLACE: peers are told the external address only; ADD: both
    candidate_type  HOST or SERVER_REFLEXIVE: what the external address is announced as
    """

    internal: str
    external: str
    mode: RewriteMode = RewriteMode.REPLACE
    candidate_type: CandidateType = CandidateType.HOST

    def __attrs_post_init__(self) -> None:
        if not is_ip(self.internal) or not is_ip(self.external) or "%" in self.external:
            raise InvalidArgument("an address is rewritten from one IP address to another")
        if (":" in self.internal) != (":" in self.external):
            raise InvalidArgument("a rewriting keeps the version of IP")
        if self.candidate_type not in (CandidateType.HOST, CandidateType.SERVER_REFLEXIVE):
            raise InvalidArgument(f"a rewritten address is a host or srflx candidate, not {self.candidate_type}")


@attrs.frozen(slots=True, kw_only=True)
class AddressFilter:
    """Which local addresses become candidates.

    families             the versions of IP, some of (4, 6)
    networks             patterns of interface names to take, as a shell has them ("eth*"); None: all
    excluded_networks    patterns to leave out
    unreliable_networks  patterns whose addresses are taken and rank below all others (RFC 8421 section 3)
    allow_loopback       RFC 8445 section 5.1.1.1 leaves loopback out; for tests and peers on one machine
    allow_link_local     169.254.0.0/16 and fe80::/10
    port_min, port_max   local ports outside are left out
    """

    families: tuple[int, ...] = (4, 6)
    networks: tuple[str, ...] | None = None
    excluded_networks: tuple[str, ...] = ()
    unreliable_networks: tuple[str, ...] = ()
    allow_loopback: bool = False
    allow_link_local: bool = False
    port_min: int = attrs.field(default=1, validator=within(1, 0xFFFF))
    port_max: int = attrs.field(default=0xFFFF, validator=within(1, 0xFFFF))

    def __attrs_post_init__(self) -> None:
        if not self.families or not set(self.families) <= {4, 6}:
            raise InvalidArgument(f"families is 4, 6 or both, not {self.families}")
        if self.port_min > self.port_max:
            raise InvalidArgument(f"no port lies between {self.port_min} and {self.port_max}")


@attrs.frozen(slots=True, kw_only=True)
class IceConfig:
    """The configuration of an agent; durations in seconds.

    Gathering
      stun_servers                  asked all at once; each answers or fails for itself
      turn_servers                  raced alike; each gives relayed candidates, and over UDP a reflexive one
      transport_policy              RELAY: only relayed candidates are told, used and answered on
      tcp                           candidates over TCP; none by default
      gathering_schedule            requests to one server from one address
      name_timeout_s                a name that is not resolved by then does not exist
      binding_keepalive_s           server-reflexive addresses are kept alive until a pair is selected
      address_filter, rewrites      which local addresses, and what peers are told of them
      candidate_types               the types that are told to the peer
      hide_host_addresses           host candidates are told as `.local` names: draft-ietf-rtcweb-mdns-ice-candidates
      network_costs                 (pattern of interface names, cost 0 to 999), the first that fits counts. As
                                    libwebrtc has it: 0 a cable, 10 Wi-Fi, 50 unknown (what fits none), 900 a mobile
                                    network. Cheaper networks are preferred, and the peer is told. Empty: no difference
      relay_timeout_s               a TURN server that has not given an address by then has failed
      relay_release_after_s         so long after another pair was selected, with gathering complete, an allocation that
                                    nothing needs is given back; None: never
    Credentials
      local_ufrag, local_pwd        of the first generation, where both ends derive them from something else than
                                    signalling; None: drawn. After a restart they are drawn in any case
    Checks
      is_lite                       answer checks, send none: only for hosts with a public address
      check_pace_s                  Ta, between two checks; the first goes at once
      triggered_burst_max           triggered checks (and nominations) that may run ahead of the pace
      check_schedule                requests of one check
      patience_s                    RFC 8863: no failure is declared earlier; None: the length of check_schedule
      nomination_wait_s             how long a valid pair waits for a better one that is still being checked
      nomination_wait_relayed_s     the same for a pair by way of a relay: a check that came to a NAT before that was
                                    open is repeated half a second later. Data travel on the valid pair meanwhile
    After that
      renomination                  move to better pairs where the peer takes that, too
      renomination_policy           which pairs are better, and when to move
      liveness_interval_s           between checks of the pair in use, randomised by 0.8 to 1.2; None: consent only
      liveness_retry_s              between them while no response comes
      consent_interval_s            RFC 7675, used where liveness_interval_s is None
      disconnected_after_s          without a response: DISCONNECTED, and other pairs are tried
      failed_after_s                without a response: consent has expired, nothing more is sent, FAILED
      previous_generation_s         how long after a restart has succeeded the old credentials are still answered
    Bounds (what comes beyond is left out and counted, except where it says that the call raises)
      local_address_count_max       add_local_address raises LimitExceeded
      relay_count_max               allocations at a time, over all servers and local addresses
      pair_count_max                RFC 8445 section 6.1.2.5
      remote_candidate_count_max    signalled candidates of one generation
      peer_reflexive_count_max      candidates learned from checks of one generation
      transaction_count_max         checks without an answer
      early_request_count_max       requests kept until the remote parameters are known
      early_datagram_count_max,
      early_bytes_max               payload kept until its path is proven
      refusals_per_s_max            error responses to unauthenticated requests
      role_switch_count_max         of one generation: two ends that never agree do not go on for ever
    """

    stun_servers: tuple[StunServer, ...] = ()
    turn_servers: tuple[TurnServer, ...] = ()
    transport_policy: TransportPolicy = TransportPolicy.ALL
    tcp: TcpPolicy = attrs.Factory(TcpPolicy)
    gathering_schedule: RetransmissionSchedule = GATHERING_SCHEDULE
    name_timeout_s: float = attrs.field(default=5.0, validator=within(0.0, 600.0))
    binding_keepalive_s: float = attrs.field(default=15.0, validator=within(1.0, 3600.0))
    address_filter: AddressFilter = attrs.Factory(AddressFilter)
    rewrites: tuple[AddressRewrite, ...] = ()
    candidate_types: frozenset[CandidateType] = frozenset(CandidateType)
    relay_timeout_s: float = attrs.field(default=10.0, validator=within(0.1, 600.0))
    relay_release_after_s: float | None = 30.0
    local_ufrag: str | None = None
    local_pwd: str | None = attrs.field(default=None, repr=False)
    hide_host_addresses: bool = False
    network_costs: tuple[tuple[str, int], ...] = ()
    is_lite: bool = False
    renomination: bool = False
    renomination_policy: RenominationPolicy = attrs.Factory(RenominationPolicy)
    check_pace_s: float = attrs.field(default=DEFAULT_CHECK_PACE_S, validator=within(CHECK_PACE_S_MIN, 60.0))
    triggered_burst_max: int = attrs.field(default=5, validator=within(0, 100))
    check_schedule: RetransmissionSchedule = CHECK_SCHEDULE
    patience_s: float | None = None
    nomination_wait_s: float = attrs.field(default=0.15, validator=within(0.0, 600.0))
    nomination_wait_relayed_s: float = attrs.field(default=1.0, validator=within(0.0, 600.0))
    liveness_interval_s: float | None = 1.0
    liveness_retry_s: float = attrs.field(default=0.5, validator=within(0.05, 60.0))
    consent_interval_s: float = attrs.field(default=5.0, validator=within(1.0, 25.0))
    disconnected_after_s: float = attrs.field(default=3.0, validator=within(0.1, CONSENT_S_MAX))
    failed_after_s: float = attrs.field(default=CONSENT_S_MAX, validator=within(0.1, CONSENT_S_MAX))
    previous_generation_s: float = attrs.field(default=15.0, validator=within(0.0, 600.0))
    local_address_count_max: int = attrs.field(default=32, validator=within(1, 1000))
    relay_count_max: int = attrs.field(default=16, validator=within(1, 1000))
    pair_count_max: int = attrs.field(default=100, validator=within(1, 10_000))
    remote_candidate_count_max: int = attrs.field(default=64, validator=within(1, 10_000))
    peer_reflexive_count_max: int = attrs.field(default=16, validator=within(0, 10_000))
    transaction_count_max: int = attrs.field(default=256, validator=within(8, 100_000))
    early_request_count_max: int = attrs.field(default=16, validator=within(0, 10_000))
    early_datagram_count_max: int = attrs.field(default=16, validator=within(0, 10_000))
    early_bytes_max: int = attrs.field(default=32_768, validator=within(0, 1 << 30))
    refusals_per_s_max: int = attrs.field(default=10, validator=within(0, 10_000))
    role_switch_count_max: int = attrs.field(default=8, validator=within(1, 1000))

    def __attrs_post_init__(self) -> None:
        if len(self.stun_servers) + len(self.turn_servers) + len(self.rewrites) >= CANDIDATES_PER_ADDRESS_MAX:
            raise InvalidArgument(f"servers and rewritings: fewer than {CANDIDATES_PER_ADDRESS_MAX} in all")
        if self.relay_release_after_s is not None and not 0.0 <= self.relay_release_after_s <= 86_400.0:
            raise InvalidArgument(f"relay_release_after_s is 0 to 86400, not {self.relay_release_after_s}")
        if (self.local_ufrag is None) is not (self.local_pwd is None):
            raise InvalidArgument("local_ufrag and local_pwd go together")
        if self.local_ufrag is not None and self.local_pwd is not None:
            check_own_parameters(self.local_ufrag, self.local_pwd)
        for _, cost in self.network_costs:
            if not 0 <= cost <= NETWORK_COST_MAX:
                raise InvalidArgument(f"the cost of a network is 0 to {NETWORK_COST_MAX}, not {cost}")
        if self.disconnected_after_s >= self.failed_after_s:
            raise InvalidArgument("disconnected_after_s comes before failed_after_s")
        if self.patience_s is not None and not 0.0 <= self.patience_s <= 600.0:
            raise InvalidArgument(f"patience_s is 0 to 600, not {self.patience_s}")
        if self.liveness_interval_s is not None and not 0.1 <= self.liveness_interval_s <= 25.0:
            raise InvalidArgument(f"liveness_interval_s is 0.1 to 25, not {self.liveness_interval_s}")
        # Two checks must fit: one that is lost and one that is answered (1.2 is the largest random factor).
        if 1.2 * (self.confirmation_interval_s + self.liveness_retry_s) >= self.disconnected_after_s:
            raise InvalidArgument("disconnected_after_s leaves no time for a second check")

    @property
    def is_relay_only(self) -> bool:
        """True where only relayed candidates count."""
        return self.transport_policy == TransportPolicy.RELAY

    @property
    def confirmation_interval_s(self) -> float:
        """Seconds between two checks of the pair in use, before randomising."""
        return self.consent_interval_s if self.liveness_interval_s is None else self.liveness_interval_s

    @property
    def patience_effective_s(self) -> float:
        """The duration of RFC 8863's timer: as recommended there, the length of a transaction where none is given."""
        return total_s(self.check_schedule) if self.patience_s is None else self.patience_s
