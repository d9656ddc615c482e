"""Transceivers for threads: encoded frames and RTP packets out by a call, in by iteration that waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from sans_rtc.media import MediaFrame, PacketReceived
from sans_rtc_net.blocking_channel import ThreadSignal, deadline_of
from sans_rtc_net.media_inbox import TransceiverInbox
from sans_rtc_net.transceiver import BitrateTaker, MediaHost, ReceiverBase, SenderBase, TransceiverBase

Item = TypeVar("Item")


class _Stream(Generic[Item]):
    """Iterates over what arrives in one transceiver, until it or the connection ends."""

    def __init__(
        self,
        host: MediaHost[ThreadSignal],
        inbox: TransceiverInbox[ThreadSignal],
        take: Callable[[], Item | None],
        signal: ThreadSignal,
        timeout_s: float | None,
    ) -> None:
        self._host = host
        self._inbox = inbox
        self._take = take
        self._signal = signal
        self._timeout_s = timeout_s

    def __iter__(self) -> _Stream[Item]:
        return self

    def __next__(self) -> Item:
        deadline = deadline_of(self._timeout_s)
        session = self._host.session
        with self._host.reading:
            while (item := self._take()) is None:
                loss = session.loss()
                if loss is not None:
                    raise loss
                if self._inbox.is_ended or session.terminated is not None:
                    raise StopIteration
                self._signal.wait_once(deadline)
        return item


class BlockingSender(SenderBase[ThreadSignal]):
    """What this end sends in a transceiver. Callbacks come in the connection's own thread, and must not wait.

    sender.send_frame(data, timestamp)      # encoded; the timestamp in units of the codec's clock
    """

    def __init__(self, host: MediaHost[ThreadSignal], inbox: TransceiverInbox[ThreadSignal]) -> None:
        """Made with its `BlockingTransceiver`."""
        super().__init__(host, inbox)
        self._host = host

    def bitrates(self, timeout_s: float | None = None) -> Iterator[int]:
        """The bitrate that the encoder shall have, at each change; the present one first where it is known.

        timeout_s  TimeoutError where the next one takes longer
        """
        taker = BitrateTaker(self._inbox)
        return _Stream(self._host, self._inbox, taker.take, self._inbox.changed, timeout_s)

    def keyframe_requests(self, timeout_s: float | None = None) -> Iterator[str]:
        """The rids of layers that the peer wants a keyframe of; requests that nobody took meanwhile count once."""
        return _Stream(self._host, self._inbox, self._take_keyframe_request, self._inbox.changed, timeout_s)


class BlockingReceiver(ReceiverBase[ThreadSignal]):
    """What this end receives in a transceiver.

    for frame in receiver.frames(): ...    # MediaFrame: data, timestamp, is_keyframe, codec
    """

    def __init__(self, host: MediaHost[ThreadSignal], inbox: TransceiverInbox[ThreadSignal]) -> None:
        """Made with its `BlockingTransceiver`."""
        super().__init__(host, inbox)
        self._host = host

    def frames(self, timeout_s: float | None = None) -> Iterator[MediaFrame]:
        """Whole encoded frames in order; ends with the transceiver or the connection.

        What is not taken is kept for a while; then the oldest are dropped, and the next one is not `is_contiguous`.
        timeout_s  TimeoutError where the next one takes longer; the iterator can go on after it
        Errors     ConnectionLost where the connection went or failed
        """
        self._want_frames()
        return _Stream(self._host, self._inbox, self._take_frame, self._inbox.arrived, timeout_s)

    def packets(self, timeout_s: float | None = None, *, frames: bool = False) -> Iterator[PacketReceived]:
        """RTP packets as they arrive, authenticated and decrypted: for forwarding without decoding.

        timeout_s  as of `frames`
        frames     whole frames are still wanted as well
        """
        self._want_packets(frames=frames)
        return _Stream(self._host, self._inbox, self._take_packet, self._inbox.arrived, timeout_s)


class BlockingTransceiver(TransceiverBase[ThreadSignal]):
    """A sender and a receiver that share a media section (W3C RTCRtpTransceiver). For any thread."""

    def __init__(self, host: MediaHost[ThreadSignal], inbox: TransceiverInbox[ThreadSignal]) -> None:
        """Made by `BlockingPeerConnection.add_transceiver`, `add_track` and `accept_transceiver`."""
        super().__init__(host, inbox)
        self.sender = BlockingSender(host, inbox)
        self.receiver = BlockingReceiver(host, inbox)

    def changed(self, timeout_s: float | None = None) -> None:
        """Wait until something happens to it: a direction is negotiated, a stream begins or ends, it is stopped."""
        with self._reading:
            if not self._is_over:
                self._inbox.changed.wait_once(deadline_of(timeout_s))
