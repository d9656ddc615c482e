"""The data channels of a peer connection and the SCTP association under them: made when DTLS has proved the peer."""

from __future__ import annotations

from typing import Protocol

import attrs

from sans_rtc import dtls, sctp
from sans_rtc.datachannel import ChannelEvent, DataChannels, carry_event
from sans_rtc.entropy import Entropy
from sans_rtc.machine import Terminated, Trace
from sans_rtc.peer.config import PROBE_BYTES, PROBE_UNASKED_BYTES, PeerConfig
from sans_rtc.peer.states import SctpState


@attrs.define(slots=True)
class SctpEnded:
    """The association has terminated."""

    reason: sctp.TerminationReason
    detail: str


@attrs.frozen(slots=True)
class DataParameters:
    """What the descriptions say of the data section.

    remote_sctp_port   RFC 8841 section 5
    message_bytes_max  the longest message the peer takes
    """

    remote_sctp_port: int
    message_bytes_max: int


class MakeAssociation(Protocol):
    """What makes associations: their class, or what stands in for it (`sans_rtc.peer.layers`)."""

    def __call__(self, config: sctp.SctpConfig, *, entropy: Entropy, trace: Trace | None) -> sctp.Association: ...


class DataTransport:
    """SCTP and the data channels under one peer connection."""

    make_association: MakeAssociation = sctp.Association

    def __init__(self, config: PeerConfig, *, entropy: Entropy, trace: Trace | None) -> None:
        self.association: sctp.Association | None = None
        self.channels = DataChannels(config.channels)
        self.state = SctpState.NEW
        self._config = config
        self._entropy = entropy
        self._trace = trace
        self._ends: list[SctpEnded] = []
        self._is_dtls_client = False
        self._message_bytes_max = 0

    # -- what happens to it ------------------------------------------------------------------------------------------

    def associate(
        self,
        parameters: DataParameters,
        connection: dtls.Connection,
        *,
        is_dtls_client: bool,
        overhead_bytes: int,
        is_path_plain: bool,
        now: float,
    ) -> None:
        """Make the association: DTLS is up, and the descriptions have a data section.

        overhead_bytes  that a relay puts around each datagram
        """
        self._is_dtls_client = is_dtls_client
        self._message_bytes_max = parameters.message_bytes_max
        mtu_bytes, is_probing = self._config.mtu_bytes, bool(self._config.mtu_discovery)
        base = _packet_bytes_in(mtu_bytes, connection)
        probes = tuple(size for each in PROBE_BYTES if (size := _packet_bytes_in(each, connection)) > base)
        config = attrs.evolve(
            self._config.sctp,
            remote_port=parameters.remote_sctp_port,
            # Of a relay that is found later 1200 bytes leave room for what TURN puts around them.
            mtu_bytes=_packet_bytes_in(mtu_bytes - overhead_bytes, connection),
            mtu_probe_bytes=probes if is_probing else (),
            mtu_unasked_bytes=_packet_bytes_in(PROBE_UNASKED_BYTES, connection),
        )
        self.association = self.make_association(config, entropy=self._entropy, trace=self._trace)
        self.association.allow_probes(is_path_plain, now)
        self.association.connect(now)
        self.state = SctpState.CONNECTING

    def disassociate(self) -> None:
        """The association is gone with the DTLS under it; another may follow."""
        self.association = None
        self.state = SctpState.NEW

    def stop(self) -> None:
        """The data section is gone from the session, and DTLS has taken the association with it."""
        self.association = None
        self.state = SctpState.CLOSED

    # -- rising ------------------------------------------------------------------------------------------------------

    def rise(self, now: float) -> None:
        """Carry what the association says to the channels."""
        if self.association is None:
            return
        for event in self.association.take_events():
            if type(event) is sctp.Message:
                self.channels.on_message(event.stream_id, event.ppid, event.data, now)
            else:
                self._on_event(event, now)

    def take_events(self) -> list[ChannelEvent | SctpEnded]:
        """Hand over what the channels say, and the association's end."""
        events: list[ChannelEvent | SctpEnded] = list(self.channels.take_events())
        if self._ends:
            events += self._ends
            self._ends = []
        return events

    def close_channels(self) -> None:
        """All channels are over."""
        self.channels.on_terminated()

    def _on_event(self, event: sctp.SctpEvent, now: float) -> None:
        match event:
            case sctp.Connected():
                self._on_associated(event, now)
            case Terminated():
                self.state = SctpState.CLOSED
                self.close_channels()
                self._ends.append(SctpEnded(sctp.TerminationReason(event.reason), event.detail))
            case _:
                carry_event(event, self.channels, now)

    def _on_associated(self, event: sctp.Connected, now: float) -> None:
        assert self.association is not None
        self.state = SctpState.CONNECTED
        self.channels.on_connected(
            self.association,
            is_dtls_client=self._is_dtls_client,
            message_bytes_max=self._message_bytes_max,
            streams_max=min(event.streams_inbound, event.streams_outbound, 65_535),
            now=now,
        )


def _packet_bytes_in(datagram_bytes: int, connection: dtls.Connection) -> int:
    """The largest SCTP packet, whole words, whose record makes a datagram of this size."""
    return min(datagram_bytes - connection.record_overhead_bytes, dtls.PLAINTEXT_BYTES_MAX) & ~3
