"""For tools that look at one layer of a peer connection: that layer, made by them."""

from __future__ import annotations

from sans_rtc.peer.connection import PeerConnection
from sans_rtc.peer.data_transport import MakeAssociation


def tap_association(peer: PeerConnection, make: MakeAssociation) -> None:
    """Let every SCTP association that a peer needs from now on be made by this function: `sctp.Association`, or a
    stand-in that has all of its verbs and reads."""
    peer._transport.data.make_association = make
