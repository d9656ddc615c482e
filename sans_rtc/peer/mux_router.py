"""Whose is this datagram? Routing for many peers behind one socket. A transform: no queue of its own but the strangers.

    payload            by the path, where a peer has proven it; from a path that one merely knows, to that peer's gate
    STUN request       by the fragment of ours in USERNAME; an unknown one is a stranger; without one by the path
    STUN response      by the transaction id, where one of us asks from a path that is not its own; else by the path
    STUN indication    by the path
    TCP stream         by its first frame, a check, as a request; from then on by its name

Security. Bytes that nothing proves are handed to a peer, which judges them as it would those of its own socket, but
they bind nothing. A path becomes a peer's when that peer's ICE has proven it, and stays so. Where another peer proves
the same path, as a NAT reuses a port, it moves only to the one that has *answered a check of ours* there more lately,
or where its owner has fallen silent: the source of a request can be forged, even by the user of another peer, who has
credentials of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import attrs

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.machine import Datagram, Path
from sans_rtc.peer.mux_config import MuxConfig
from sans_rtc.peer.mux_events import UnknownUfrag
from sans_rtc.peer.mux_routable import Routable
from sans_rtc.peer.mux_stats import DiscardReason, MuxStatistics
from sans_rtc.peer.mux_strangers import Strangers
from sans_rtc.peer.mux_streams import Streams
from sans_rtc.peer.mux_transactions import Transactions
from sans_rtc.peer.mux_username import addressed_ufrags
from sans_rtc.stun.wire import HEADER_BYTES

# RFC 7983 section 7: a first byte of 0 to 3 is STUN.
STUN_BYTE_MAX = 3
# Fragments of a peer's generations that are over: late checks for them are its own, and no strangers.
FORMER_UFRAGS_MAX = 4
# Paths of a peer that are known and not proven yet, whose payload goes to its gate.
EARLY_PATHS_MAX = 32

Batch: TypeAlias = tuple[int, Sequence[Datagram]]


@attrs.define(slots=True, eq=False)
class _Entry:
    """What the router has seen of one peer.

    proven   its paths, whether they are bound to it or not
    rivalled those of them that are another peer's
    early    paths that it knows and has not proven
    asked    paths from which requests for it have come since the last look
    """

    peer: Routable
    revision: int = -1
    ufrags: tuple[str, ...] = ()
    former: tuple[str, ...] = ()
    proven: set[Path] = attrs.field(factory=set)
    rivalled: set[Path] = attrs.field(factory=set)
    early: set[Path] = attrs.field(factory=set)
    asked: list[Path] = attrs.field(factory=list)


class Router:
    """The routes of peers that share sockets. Peers are named by keys, numbers of the caller's choice."""

    def __init__(self, config: MuxConfig | None = None) -> None:
        self.stats = MuxStatistics()
        self._config = config or MuxConfig()
        self._entries: dict[int, _Entry] = {}
        self._paths: dict[Path, int] = {}
        self._early: dict[Path, int] = {}
        self._ufrags: dict[str, int] = {}
        self._asked: dict[Path, int] = {}
        self._rivals: dict[Path, set[int]] = {}
        self._transactions = Transactions(self._config.transaction_count_max)
        self._strangers = Strangers(self._config, self.stats.discard)
        self.streams = Streams(self._config, self.stats)
        """TCP and TLS streams."""

    # -- peers ---------------------------------------------------------------------------------------------------------

    def add(self, key: int, peer: Routable) -> None:
        """Route to this peer from now on.

        Errors  InvalidArgument where its fragment, or the key, is another's; LimitExceeded
        """
        if key in self._entries:
            raise InvalidArgument(f"there is a peer {key} already")
        if len(self._entries) >= self._config.peer_count_max:
            raise LimitExceeded(f"{self._config.peer_count_max} peers share the socket already")
        taken = [ufrag for ufrag in peer.local_ufrags if ufrag in self._ufrags]
        if taken:
            raise InvalidArgument(f"another peer has the ICE user name fragment {taken[0]!r}")
        self._entries[key] = _Entry(peer)
        self.follow(key)

    def remove(self, key: int) -> None:
        """Forget a peer and whatever was bound to it; no effect for one that is not known."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        for ufrag in (*entry.ufrags, *entry.former):
            if self._ufrags.get(ufrag) == key:
                del self._ufrags[ufrag]
        for path in entry.proven:
            self._release(path, key, entry)
        for path in entry.early:
            del self._early[path]
        self._forget_asked(entry)
        self.streams.remove(key)

    def follow(self, key: int) -> None:
        """Take over what has changed at a peer: after whatever may have touched it; cheap where nothing has."""
        entry = self._entries.get(key)
        if entry is None:
            return
        peer = entry.peer
        if peer.revision == entry.revision:
            self._forget_asked(entry)
            return
        entry.revision = peer.revision
        ufrags = peer.local_ufrags
        if ufrags != entry.ufrags:
            self._follow_ufrags(key, entry, ufrags)
        proven = peer.proven_paths
        if proven != entry.proven:
            self._follow_paths(key, entry, set(proven))
        for path in tuple(entry.rivalled):
            self._settle_rivalry(path, key, entry)
        if entry.asked:
            self._follow_asked(key, entry)

    def note_sent(self, key: int, datagrams: Iterable[Datagram], now: float) -> None:
        """A peer sends these: remember its requests to where it has no path yet, so that answers find back."""
        paths = self._paths
        for datagram in datagrams:
            data = datagram.data
            # The first byte of a request is 0, for methods below 0x80; the class bit of an indication is in the second.
            if not data[0] and not data[1] & 0x10:
                path = datagram.path
                if path.protocol == "udp" and paths.get(path) != key:
                    self._transactions.add(data[8:20], key, now)

    # -- datagrams -----------------------------------------------------------------------------------------------------

    def sort(self, datagrams: Sequence[Datagram], now: float) -> Sequence[Batch]:
        """Part a burst into what is whose, each in order; a run of payload on one path costs one look-up.

        What is nobody's is counted, and may become an `UnknownUfrag`.
        """
        batches: dict[int, list[Datagram]] = {}
        owner_of = self._paths.get
        start, count = 0, len(datagrams)
        while start < count:
            datagram = datagrams[start]
            end = start + 1
            data, path = datagram.data, datagram.path
            if path.protocol != "udp":
                key = self._owner_of_piece(datagram, now)
            elif data and data[0] > STUN_BYTE_MAX:
                while end < count:
                    following = datagrams[end]
                    if following.path is not path or not (data := following.data) or data[0] <= STUN_BYTE_MAX:
                        break
                    end += 1
                key = owner_of(path)
                if key is None:
                    key = self._owner_of_early(path, end - start)
            else:
                key = self._owner_of_stun(datagram, now)
            if key is not None:
                if end - start == count:
                    return ((key, datagrams),)
                batch = batches.get(key)
                if batch is None:
                    batches[key] = list(datagrams[start:end])
                else:
                    batch += datagrams[start:end]
            start = end
        return tuple(batches.items())

    def take_strangers(self) -> Sequence[UnknownUfrag]:
        """Hand over the requests with unknown fragments that are to be told."""
        return self._strangers.take()

    # -- reads ---------------------------------------------------------------------------------------------------------

    def owner_of(self, path: Path) -> int | None:
        """The key of the peer whose path this is; None where it is nobody's."""
        return self._paths.get(path)

    def owner_of_ufrag(self, ufrag: str) -> int | None:
        """The key of the peer that has this fragment."""
        return self._ufrags.get(ufrag)

    @property
    def sizes(self) -> dict[str, int]:
        """How much is kept in each table: for tests of their bounds, and for people."""
        return {
            "peers": len(self._entries),
            "paths": len(self._paths),
            "early": len(self._early),
            "ufrags": len(self._ufrags),
            "rivals": len(self._rivals),
            "transactions": len(self._transactions),
            "strangers": self._strangers.remembered_count,
            "visitors": self.streams.visitor_count,
            "streams": len(self.streams),
        }

    # -- whose ---------------------------------------------------------------------------------------------------------

    def _owner_of_stun(self, datagram: Datagram, now: float) -> int | None:
        data, path = datagram.data, datagram.path
        if len(data) < HEADER_BYTES:
            self.stats.discard(DiscardReason.MALFORMED_STUN if data else DiscardReason.EMPTY)
            return None
        owner = self._paths.get(path)
        if data[0] & 1:
            asker = self._transactions.find(data[8:20])
            if asker is not None and asker in self._entries:
                return asker
            if owner is None:
                self.stats.discard(DiscardReason.UNKNOWN_TRANSACTION)
            return owner
        ufrags = addressed_ufrags(data)
        if ufrags is None:
            if owner is None:
                self.stats.discard(DiscardReason.NOT_ADDRESSED)
            return owner
        key = self._ufrags.get(ufrags[0])
        if key is None:
            self._strangers.offer(datagram, *ufrags, now)
        elif key != owner:
            entry = self._entries[key]
            if len(entry.asked) < EARLY_PATHS_MAX and path not in self._asked:
                entry.asked.append(path)
                self._asked[path] = key
        return key

    def _owner_of_piece(self, datagram: Datagram, now: float) -> int | None:
        """Whose a piece of a stream is. The one with which that becomes known is nobody's: it is in the claim."""
        path, streams = datagram.path, self.streams
        key = streams.owner_of(path)
        if key is not None:
            return key
        frame = streams.first_frame(datagram)
        if not frame:
            return None
        ufrags = addressed_ufrags(frame)
        if ufrags is None:
            streams.refuse(path)
            return None
        key = self._ufrags.get(ufrags[0])
        if key is None:
            self._strangers.offer(Datagram(frame, path), *ufrags, now)
        else:
            streams.claim(path, key)
        return None

    def _owner_of_early(self, path: Path, count: int) -> int | None:
        """Whose gate payload goes to that comes before its path is proven: who knows the path, or was asked from it."""
        key = self._early.get(path)
        if key is None:
            key = self._asked.get(path)  # in one burst with the request, which the peer has not seen yet
        if key is None:
            self.stats.discard(DiscardReason.UNKNOWN_PATH, count)
        return key

    # -- following -----------------------------------------------------------------------------------------------------

    def _follow_ufrags(self, key: int, entry: _Entry, ufrags: tuple[str, ...]) -> None:
        gone = tuple(ufrag for ufrag in entry.ufrags if ufrag not in ufrags)
        former = tuple(dict.fromkeys((*gone, *entry.former)))
        former = tuple(ufrag for ufrag in former if ufrag not in ufrags)
        for ufrag in former[FORMER_UFRAGS_MAX:]:
            if self._ufrags.get(ufrag) == key:
                del self._ufrags[ufrag]
        entry.former = former[:FORMER_UFRAGS_MAX]
        for ufrag in ufrags:
            if self._ufrags.setdefault(ufrag, key) != key:
                self.stats.ufrag_conflicts += 1
        entry.ufrags = ufrags

    def _follow_paths(self, key: int, entry: _Entry, proven: set[Path]) -> None:
        before, entry.proven = entry.proven, proven
        for path in before - proven:
            self._release(path, key, entry)
        for path in proven - before:
            if path in self._paths:
                entry.rivalled.add(path)
                self._rivals.setdefault(path, set()).add(key)
            else:
                self._paths[path] = key
            if self._early.get(path) == key:
                del self._early[path]
                entry.early.discard(path)

    def _follow_asked(self, key: int, entry: _Entry) -> None:
        for path in self._forget_asked(entry):
            is_free = path not in self._paths and path not in self._early
            if is_free and len(entry.early) < EARLY_PATHS_MAX and entry.peer.knows(path):
                self._early[path] = key
                entry.early.add(path)

    def _forget_asked(self, entry: _Entry) -> list[Path]:
        asked = entry.asked
        if asked:
            entry.asked = []
            for path in asked:
                del self._asked[path]
        return asked

    def _settle_rivalry(self, path: Path, key: int, entry: _Entry) -> None:
        """Move a path to this peer, which has proven it too, where it has the better claim now."""
        owner_key = self._paths[path]
        owner = self._entries[owner_key]
        is_later = entry.peer.answered_at(path) > owner.peer.answered_at(path)
        is_abandoned = owner.peer.is_silent and not entry.peer.is_silent
        if not is_later and not is_abandoned:
            return
        self._paths[path] = key
        self._rivals[path] = (self._rivals[path] - {key}) | {owner_key}
        entry.rivalled.discard(path)
        owner.rivalled.add(path)
        self.stats.paths_moved += 1

    def _release(self, path: Path, key: int, entry: _Entry) -> None:
        """The path is not this peer's any more: it becomes that of a rival, where there is one."""
        rivals = self._rivals.get(path, set())
        if self._paths.get(path) != key:
            entry.rivalled.discard(path)
            rivals.discard(key)
        elif rivals:
            heir = max(rivals, key=lambda rival: self._entries[rival].peer.answered_at(path))
            rivals.discard(heir)
            self._entries[heir].rivalled.discard(path)
            self._paths[path] = heir
        else:
            del self._paths[path]
        if not rivals:
            self._rivals.pop(path, None)
