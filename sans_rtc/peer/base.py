"""What the parts of a peer connection stand on: its layers, and the rule that a connection that has ended does nothing.

PeerConnection(DataVerbs, MediaVerbs)   connection.py: the lifecycle, the network and the descriptions
  DataVerbs    data_verbs.py: data channels
  MediaVerbs   media_verbs.py: audio and video
"""

from __future__ import annotations

from sans_rtc.errors import InvalidState
from sans_rtc.machine import UNARMED, Terminated
from sans_rtc.peer.signalling import Signalling
from sans_rtc.peer.transport import PeerTransport


class PeerBase:
    """The layers of one peer connection, and whether it still lives."""

    _transport: PeerTransport
    _signalling: Signalling
    _end: Terminated | None
    _close_deadline: float

    def _rise_all(self, now: float) -> None:
        """After a verb: let what it has brought about rise."""
        raise NotImplementedError

    def _require_open(self) -> None:
        if self._end is not None:
            raise InvalidState(f"the connection has ended: {self._end.reason}")
        if self._close_deadline < UNARMED:
            raise InvalidState("the connection is being closed")
