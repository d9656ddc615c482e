"""A live connection handed over to another process, or to another host behind the same address (docs/snapshots.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidState
from sans_rtc.ice import ConnectionState as IceState
from sans_rtc.machine import Terminated, Trace
from sans_rtc.outbox import Outbox
from sans_rtc.peer.base import PeerBase
from sans_rtc.peer.events import ConnectionStateChanged, PeerEvent
from sans_rtc.peer.states import ConnectionState, TerminationReason
from sans_rtc.snapshot import restore, store


class HandOver(PeerBase):
    """Part of `PeerConnection`: it becomes bytes here, and a connection again elsewhere."""

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
        if self._end is not None:
            raise InvalidState(f"the connection has ended: {self._end.reason}")
        sealed = store(self, key, now)
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
