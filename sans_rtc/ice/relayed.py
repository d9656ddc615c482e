"""One allocation on a TURN server, and the relayed addresses that it gives (RFC 8445 section 5.1.1.2, RFC 8656)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.ice.base import Base
from sans_rtc.ice.config import TurnServer
from sans_rtc.ice.stats import DiscardReason, IceStatistics
from sans_rtc.machine import Address, Datagram, Path, TransportProtocol
from sans_rtc.turn.client import Client
from sans_rtc.turn.events import DataReceived, TurnEvent

# Paths of peers that are remembered, so that datagrams of one peer share theirs; the server lets in few.
PATH_COUNT_MAX = 256
REFUSAL_COUNT_MAX = 16

# Between us and the server. The type preference is 0 for all of them (RFC 8445 section 5.1.2.2), so the local
# preference tells them apart: a third of its 65536 values for each, UDP first.
_TRANSPORT_RANKS: dict[TransportProtocol, int] = {"udp": 2, "tcp": 1, "tls": 0}
_RANK_SIZE = 65536 // 3


class RelayState(StrEnum):
    """How far one allocation is."""

    WAITING = "waiting"
    IN_PROGRESS = "in_progress"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"  # it had been there
    RELEASED = "released"  # given back, for another pair is in use


@attrs.frozen(slots=True)
class PeerRefusal:
    """The server relays nothing to this host: error code, its name, the server's phrase."""

    host: str
    code: int
    name: str
    reason: str


class Relay:
    """One TURN client: from one local address to one server. A Carrier.

    base          where it is asked from; over a stream one of those with this host
    server_index  of the server in the configuration
    path          to the server, as it is now
    client        None until its turn has come
    bases         by relayed address, while they can be used
    code, name,
    reason        of what went wrong; code 0: no answer came
    refusals      hosts that the server does not relay to
    give_up_at    when a server that has not answered has failed; inf otherwise
    """

    def __init__(self, base: Base, server: TurnServer, server_index: int, path: Path, stats: IceStatistics) -> None:
        self.base = base
        self.server = server
        self.server_index = server_index
        self.path = path
        self.client: Client | None = None
        self.state = RelayState.WAITING
        self.bases: dict[Address, Base] = {}
        self.mapped: Address | None = None
        self.code, self.name, self.reason = 0, "", ""
        self.refusals: list[PeerRefusal] = []
        self.give_up_at = math.inf
        self._stats = stats
        self._paths: dict[tuple[Address, Address], Path] = {}
        self._permitted: set[str] = set()
        self._news: list[TurnEvent] = []

    # -- the network -------------------------------------------------------------------------------------------------

    def unwrap(self, datagrams: Sequence[Datagram], now: float) -> Sequence[Datagram]:
        """Take what the server has sent; return what peers have sent through it."""
        assert self.client is not None
        self.client.receive_many(datagrams, now)
        inner: list[Datagram] = []
        peer = relayed = path = None
        for event in self.client.take_events():
            if type(event) is not DataReceived:
                self._news.append(event)
                continue
            if event.peer is not peer or event.relayed is not relayed:
                peer, relayed = event.peer, event.relayed
                path = self._path(relayed, peer) if relayed in self.bases else None
            if path is not None and event.data:
                inner.append(Datagram(event.data, path))
        return inner

    def send(self, datagram: Datagram, now: float) -> None:
        """Hand a pair's datagram to the server, for the peer."""
        assert self.client is not None
        try:
            self.client.send(datagram.data, datagram.path.remote, now)
        except (LimitExceeded, InvalidArgument):  # to one more peer than is kept, or longer than the protocol takes
            self._stats.discard(DiscardReason.RELAY_LIMIT)

    def permit(self, host: str, now: float) -> None:
        """A candidate of this host is paired with ours: what it sends is to be let in, before we have sent anything."""
        if host in self._permitted:
            return
        assert self.client is not None
        self._permitted.add(host)
        try:
            self.client.create_permission(host, now)
        except LimitExceeded:
            self._stats.discard(DiscardReason.RELAY_LIMIT)

    def on_stream_opened(self, path: Path, now: float) -> None:
        """The stream to the server is open."""
        assert self.client is not None
        self.client.stream_opened(path, now)

    def on_stream_closed(self, path: Path, reason: str, now: float) -> None:
        """The stream to the server has ended."""
        assert self.client is not None
        self.client.stream_closed(path, reason, now)

    def take_news(self) -> list[TurnEvent]:
        """Hand over what has happened, but for data."""
        if self.client is not None:
            self._news += [event for event in self.client.take_events() if type(event) is not DataReceived]
        news, self._news = self._news, []
        return news

    def note_refusal(self, refusal: PeerRefusal) -> None:
        """The server relays nothing to this host. It is not asked again but by what is sent there."""
        if len(self.refusals) < REFUSAL_COUNT_MAX:
            self.refusals.append(refusal)

    # -- reads -------------------------------------------------------------------------------------------------------

    @property
    def has_news(self) -> bool:
        """True where `take_news` has something that came with a datagram."""
        return bool(self._news)

    @property
    def is_open(self) -> bool:
        """True where it gives an address, or may yet."""
        return self.state in (RelayState.WAITING, RelayState.IN_PROGRESS, RelayState.SUCCEEDED)

    @property
    def is_using_server(self) -> bool:
        """True where its client has begun and not ended yet."""
        return self.client is not None and not self.client.is_terminated

    @property
    def key(self) -> tuple[Address | str, int]:
        """What it must be the only one of: per socket over UDP, per host over streams (and per server)."""
        return relay_key(self.base, self.server, self.server_index)

    @property
    def local_preference(self) -> int:
        """Of its first address: by transport, then by the local address asked from, then by server."""
        rank = _TRANSPORT_RANKS[self.server.transport] * _RANK_SIZE
        return rank + max(0, self.base.local_preference // 3 - 2 * self.server_index)

    @property
    def deadline(self) -> float:
        """When something is due."""
        return self.give_up_at if self.client is None else min(self.client.deadline, self.give_up_at)

    def _path(self, relayed: Address, peer: Address) -> Path:
        path = self._paths.get((relayed, peer))
        if path is None:
            if len(self._paths) >= PATH_COUNT_MAX:
                self._paths.clear()
            path = self._paths[relayed, peer] = Path(relayed, peer)
        return path


def relay_key(base: Base, server: TurnServer, server_index: int) -> tuple[Address | str, int]:
    """Two that have the same key would ask the same server from the same place."""
    return base.address if server.transport == "udp" else base.address.host, server_index
