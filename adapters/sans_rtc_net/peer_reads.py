"""What every adapter's peer connection tells of itself; each of them adds its verbs and how it waits."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from sans_rtc.ice import ConnectionState as IceConnectionState
from sans_rtc.ice import GatheringState
from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc.peer.explain import Explanation
from sans_rtc.peer.negotiation import Description, SignalingState
from sans_rtc.peer.states import ConnectionState
from sans_rtc_net.recording import RecordingFile

_NO_LOCK: AbstractContextManager[object] = nullcontext()


class PeerReads:
    """The plain reads of one peer connection, over its machine."""

    _recording: RecordingFile | None = None

    def __init__(self, machine: Machine, lock: AbstractContextManager[object] = _NO_LOCK) -> None:
        """Read from `machine`, with `lock` held where it is not one thread's alone."""
        self._machine = machine
        self._reading = lock

    @property
    def local_description(self) -> Description | None:
        """The description of this end, with the candidates gathered so far."""
        with self._reading:
            return self._machine.local_description

    @property
    def remote_description(self) -> Description | None:
        """The description of the peer."""
        with self._reading:
            return self._machine.remote_description

    @property
    def connection_state(self) -> ConnectionState:
        """new, connecting, connected, disconnected, failed or closed."""
        with self._reading:
            return self._machine.connection_state

    @property
    def ice_connection_state(self) -> IceConnectionState:
        """The state of ICE."""
        with self._reading:
            return self._machine.ice_connection_state

    @property
    def ice_gathering_state(self) -> GatheringState:
        """new, gathering or complete."""
        with self._reading:
            return self._machine.ice_gathering_state

    @property
    def signaling_state(self) -> SignalingState:
        """The state of the offer/answer exchange."""
        with self._reading:
            return self._machine.signaling_state

    def explain(self) -> Explanation:
        """Say what was tried, what came of it, and the likely cause where it failed; `str` of it is readable."""
        with self._reading:
            return self._machine.explain()

    @property
    def recording(self) -> RecordingFile | None:
        """The file of `record=`, whose `failure` says whether it has ended early, and why; None where there is none."""
        return self._recording
