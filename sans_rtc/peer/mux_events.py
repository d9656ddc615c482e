"""What a mux tells: what its peers tell, each with the peer's key, and who has knocked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import attrs

from sans_rtc.machine import Datagram, Path, Terminated
from sans_rtc.peer.events import PeerEvent
from sans_rtc.streams import StreamNeeded, StreamUnneeded


@attrs.define(slots=True)
class PeerEvents:
    """What one peer has told, in order; after its `Terminated` the key is not used again."""

    peer: int
    events: Sequence[PeerEvent]


@attrs.define(slots=True)
class UnknownUfrag:
    """A Binding request came whose user name fragment is no peer's.

    Nothing is proven: anybody can send it, from a forged address too. To take it up, add a peer whose configuration has
    this local fragment and the password that belongs to it, then give `datagram` to `receive` again.

    local_ufrag   of the peer that it asks for
    remote_ufrag  what the sender calls itself
    """

    local_ufrag: str
    remote_ufrag: str
    path: Path
    datagram: Datagram = attrs.field(repr=False)


MuxEvent: TypeAlias = PeerEvents | UnknownUfrag | StreamNeeded | StreamUnneeded | Terminated
