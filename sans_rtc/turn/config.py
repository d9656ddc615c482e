"""Everything that can be chosen about a TURN client: credentials, what to ask for, times, bounds; checked when made."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.stun.credentials import opaque_string
from sans_rtc.stun.transaction import RetransmissionSchedule
from sans_rtc.stun.values import TEXT_CHARACTERS_MAX, USERNAME_BYTES_MAX
from sans_rtc.turn.framing import FRAME_BYTES_MAX
from sans_rtc.validators import none_or, within

PERMISSION_LIFETIME_S = 300.0
"""RFC 8656 section 9: "The Permission Lifetime MUST be 300 seconds"."""
CHANNEL_LIFETIME_S = 600.0
"""RFC 8656 section 12: "A channel binding lasts for 10 minutes unless refreshed." """
CHANNEL_QUARANTINE_S = 300.0
"""RFC 8656 section 12: how long after its end neither number nor peer may be bound to another."""
RESERVATION_TOKEN_BYTES = 8

RelayTransport: TypeAlias = Literal["udp", "tcp"]


def check_credentials(username: str, password: str) -> None:
    """InvalidArgument where a user name and a password cannot be used; both empty: none, and that is fine."""
    if not username and not password:
        return
    if len(opaque_string(username).encode()) > USERNAME_BYTES_MAX:
        raise InvalidArgument(f"a user name of more than {USERNAME_BYTES_MAX} bytes")
    opaque_string(password)


@attrs.frozen(slots=True, kw_only=True)
class TurnConfig:
    """The configuration of a TURN client; durations in seconds.

    Who
      username, password         of the long-term mechanism; both empty: the server must ask for none
      server_name                with TLS: the name that the certificates of the server's further streams must prove
      software                   text for SOFTWARE; empty: left out, so that servers learn less
    What to ask for
      transport                  between server and peers: "udp"; "tcp" for RFC 6062, over a "tcp" or "tls" path only
      families                   IP versions of relayed addresses: (4,), (6,), or both with one allocation
      lifetime_s                 the server may give another
      even_port                  an even port
      reserve_next               an even port, and the next one reserved: `Allocated.reservation_token`
      reservation_token          ask for the port that an earlier allocation has reserved
      dont_fragment              relayed datagrams are sent with DF; where the server cannot, it is done without
    Times
      schedule                   requests over UDP; over TCP and TLS they are sent once and fail after 39.5 s
      refresh_margin_s           the allocation is refreshed this long before it expires, or after half of its life
      permission_refresh_s       permissions last for 300 s and are refreshed at this age
      channel_refresh_s          channels last for 600 s and are bound again at this age
      idle_s                     what nothing was sent to or received from for so long is left to expire
      refusal_s                  how long a refused peer is not asked for again by `send`
      keepalive_s                over UDP: a Binding indication where nothing else was sent, so that no NAT on the way
                                 forgets the path; None: none
      close_wait_s               `close` waits this long for the server to confirm
      connection_wait_s          RFC 6062: the server forgets a connection that is not bound by then
    When to do more
      channel_after              bind a channel after so many datagrams to one peer; None: only by `bind_channel`
      redirect_count_max         ALTERNATE-SERVER is followed so often; 0: not at all
    Bounds
      request_window             requests under way at once; others wait for their turn
      peer_count_max             peers, and hosts with permissions: a call that needs one more raises LimitExceeded
      connection_count_max       RFC 6062: `connect` raises LimitExceeded, attempts of peers are discarded
      queued_datagram_count_max,
      queued_bytes_max           data that wait for a permission: what comes beyond is discarded and counted
      stream_frame_bytes_max     a longer message breaks the stream
    """

    username: str = ""
    password: str = attrs.field(default="", repr=False)
    server_name: str = ""
    software: str = ""
    transport: RelayTransport = "udp"
    families: tuple[int, ...] = (4,)
    lifetime_s: int = attrs.field(default=600, validator=within(1, 86_400))
    even_port: bool = False
    reserve_next: bool = False
    reservation_token: bytes | None = None
    dont_fragment: bool = False
    schedule: RetransmissionSchedule = attrs.field(factory=RetransmissionSchedule)
    refresh_margin_s: float = attrs.field(default=60.0, validator=within(1.0, 3600.0))
    permission_refresh_s: float = attrs.field(default=240.0, validator=within(1.0, PERMISSION_LIFETIME_S - 1.0))
    channel_refresh_s: float = attrs.field(default=540.0, validator=within(1.0, CHANNEL_LIFETIME_S - 1.0))
    idle_s: float = attrs.field(default=300.0, validator=within(1.0, math.inf))
    refusal_s: float = attrs.field(default=60.0, validator=within(0.0, 3600.0))
    keepalive_s: float | None = attrs.field(default=15.0, validator=none_or(within(1.0, 600.0)))
    close_wait_s: float = attrs.field(default=5.0, validator=within(0.0, 60.0))
    connection_wait_s: float = attrs.field(default=30.0, validator=within(1.0, 600.0))
    channel_after: int | None = attrs.field(default=10, validator=none_or(within(1, 1 << 30)))
    redirect_count_max: int = attrs.field(default=3, validator=within(0, 16))
    request_window: int = attrs.field(default=16, validator=within(1, 1000))
    peer_count_max: int = attrs.field(default=256, validator=within(1, 4096))
    connection_count_max: int = attrs.field(default=32, validator=within(1, 4096))
    queued_datagram_count_max: int = attrs.field(default=64, validator=within(0, 65_536))
    queued_bytes_max: int = attrs.field(default=65_536, validator=within(0, 1 << 30))
    stream_frame_bytes_max: int = attrs.field(default=FRAME_BYTES_MAX, validator=within(1024, FRAME_BYTES_MAX))

    def __attrs_post_init__(self) -> None:
        check_credentials(self.username, self.password)
        if len(self.software) > TEXT_CHARACTERS_MAX:
            raise InvalidArgument(f"software has {len(self.software)} characters, {TEXT_CHARACTERS_MAX} is the most")
        if self.transport not in ("udp", "tcp"):
            raise InvalidArgument(f"a relay is of udp or tcp, not {self.transport!r}")
        if tuple(sorted(set(self.families))) not in ((4,), (6,), (4, 6)):
            raise InvalidArgument(f"families is 4, 6 or both, not {self.families}")
        self._check_ports()
        # RFC 6062 section 4.1: EVEN-PORT, DONT-FRAGMENT and RESERVATION-TOKEN have no place beside TCP.
        if self.transport == "tcp" and (self.wants_even_port or self.dont_fragment or self.reservation_token):
            raise InvalidArgument("even ports, reservations and DF are for relayed UDP only")

    def _check_ports(self) -> None:
        """RFC 8656 section 7.1: what an Allocate request must not combine."""
        token = self.reservation_token
        if token is not None and len(token) != RESERVATION_TOKEN_BYTES:
            raise InvalidArgument(f"a reservation token has {RESERVATION_TOKEN_BYTES} bytes, not {len(token)}")
        if token is not None and self.wants_even_port:
            raise InvalidArgument("a reserved port is what it is: no even_port or reserve_next beside it")
        if token is not None and len(set(self.families)) > 1:
            raise InvalidArgument("a reserved port is of one family")
        if self.reserve_next and len(set(self.families)) > 1:
            raise InvalidArgument("a port is reserved of one family only")

    @property
    def wants_even_port(self) -> bool:
        """True where the request carries EVEN-PORT."""
        return self.even_port or self.reserve_next
