"""What a peer connection asks of a mux that it is to live on; `AsyncUdpMux` has it."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Protocol

from sans_rtc.ice import IceConfig
from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc_net.mux import Seat


class MuxHost(Protocol):
    """Shared sockets with places for peers."""

    def seat(self, machine: Machine, ice: IceConfig, sockets: Sequence[socket.socket]) -> Seat:
        """A place for a peer that is being made.

        sockets  those that the peer was given besides: it can have none
        """
