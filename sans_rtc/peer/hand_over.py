"""A live connection handed over to another process, or to another host behind the same address (docs/snapshots.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidState
from sans_rtc.ice import ConnectionState as IceState
from sans_rtc.machine import Address, Path, Terminated, Trace
from sans_rtc.outbox import Outbox
from sans_rtc.peer.base import PeerBase
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.events import ConnectionStateChanged, PeerEvent
from sans_rtc.peer.states import ConnectionState, TerminationReason
from sans_rtc.snapshot import restore, store


@attrs.frozen(slots=True)
class SocketsInUse:
    """What a connection has of its driver's: an heir needs it too, or is told that it is gone.

    local_addresses  of the UDP sockets that were named by `add_local_address`
    listeners        of the TCP sockets that were named by `add_tcp_listener`
    streams          TCP and TLS streams that are open, or were asked for
    """

    local_addresses: tuple[Address, ...]
    listeners: tuple[Address, ...]
    streams: tuple[Path, ...]


class HandOver(PeerBase):
    """Part of `PeerConnection`: it becomes bytes here, and a connection again elsewhere."""

    _config: PeerConfig
    _events: Outbox[PeerEvent]
    _state: ConnectionState
    _ice_state: IceState

    def snapshot(self, key: bytes, now: float) -> bytes:
        """Hand the session over: return all of it as bytes, sealed with a key, and end here without a word to the peer.

        What goes on is what `restore` makes of it, at this very point: what has not been taken yet is taken there. Here
        nothing is sent any more, for two that send would use the same nonces. The sockets are the caller's to pass on.

        key      32 bytes, secret: whoever has it can read the session's keys
        Effects  ConnectionStateChanged, then Terminated with "handed_over"
        Errors   InvalidState after the end; InvalidArgument for a key of another length, and where the configuration
                 holds a function of the caller's other than `key_log`. Nothing has changed then
        """
        return self.hand_over(key, (), now)

    def hand_over(self, key: bytes, untaken: Sequence[PeerEvent], now: float) -> bytes:
        """The same as `snapshot`, with events that were taken here and that nobody has dealt with.

        untaken  in their order; the heir tells them first, before what waits here
        """
        if self._end is not None:
            raise InvalidState(f"the connection has ended: {self._end.reason}")
        self._events.put_back(untaken)
        is_stored = False
        try:
            sealed = store(self, key, now)
            is_stored = True
        finally:
            if not is_stored:
                self._events.drop_first(len(untaken))
        self._transport.agent.abort(now)
        self._transport.agent.take_datagrams(now)  # unsaid: whatever it is, the peer would take it for the end
        self._end = Terminated(TerminationReason.HANDED_OVER, "the session goes on where its snapshot is restored")
        self._state, self._ice_state = ConnectionState.CLOSED, IceState.CLOSED
        self._events = Outbox()
        self._events.append(ConnectionStateChanged(ConnectionState.CLOSED))
        self._events.append(self._end)
        return sealed

    @classmethod
    def restore(
        cls,
        snapshot: bytes,
        key: bytes,
        *,
        entropy: Entropy,
        trace: Trace | None = None,
        key_log: Callable[[str], None] | None = None,
        claim: Callable[[bytes], bool] | None = None,
        now: float | None = None,
    ) -> Self:
        """Make the connection of a snapshot, to be driven as ever; do so once for each snapshot.

        snapshot  what `snapshot` returned, by this version of the library
        key       with which it was sealed
        entropy   for what is drawn from now on; `trace` and `key_log` are given anew as well
        claim     called with the snapshot's id, which `sans_rtc.snapshot.snapshot_id` tells as well; notes that it is
                  used, and returns False where it was before
        now       the moment of the snapshot on the new scale of time, where that is another (another host, as a rule)
        Errors    InvalidArgument for what is not a whole snapshot of a connection, sealed with this key by this version
                  of the library; InvalidState where `claim` says no
        """
        return restore(cls, snapshot, key, entropy=entropy, trace=trace, key_log=key_log, claim=claim, now=now)

    @property
    def config(self) -> PeerConfig:
        """The configuration, as it was made with."""
        return self._config

    @property
    def sockets(self) -> SocketsInUse:
        """The sockets and streams that it goes by, of which an heir's driver must have the same."""
        return SocketsInUse(*self._transport.agent.sockets)
