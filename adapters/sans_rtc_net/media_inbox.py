"""The audio and video of one peer as every adapter sees them: what has arrived, and what the peer wants of us.

    machine events --> MediaInboxes.on_event --> frames, packets, bitrates, wishes for keyframes --> signal.notify()
    application    <-- an adapter's Receiver and Sender <-- take from them, and await the signals in their own way

Bounds: what nobody takes is kept up to `FRAMES_KEPT_MAX`, `FRAME_BYTES_KEPT_MAX` and `PACKETS_KEPT_MAX`; the oldest
goes first, is counted, and the frame after it is not contiguous.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeAlias

import attrs

from sans_rtc.media import (
    FrameReceived,
    FramesDropped,
    KeyframeRequested,
    MediaFrame,
    PacketReceived,
    SenderBitrateChanged,
    StreamEnded,
    StreamStarted,
    TargetBitrateChanged,
)
from sans_rtc.peer.events import (
    DirectionChanged,
    PeerEvent,
    TrackAdded,
    TrackEnded,
    TransceiverAdded,
    TransceiverStopped,
)
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc_net.inbox import SignalT

# Two seconds of video at 30 frames a second, 1.3 s of audio at 20 ms.
FRAMES_KEPT_MAX = 64
FRAME_BYTES_KEPT_MAX = 8 << 20
PACKETS_KEPT_MAX = 2048
# Transceivers that the peer has added and nobody has taken; beyond, the oldest is not told.
INCOMING_COUNT_MAX = 256

BitrateCallback: TypeAlias = Callable[[int], None]
KeyframeCallback: TypeAlias = Callable[[str], None]

TransceiverMedia: TypeAlias = (
    FrameReceived
    | PacketReceived
    | SenderBitrateChanged
    | KeyframeRequested
    | StreamStarted
    | StreamEnded
    | FramesDropped
)


@attrs.define(slots=True, eq=False)
class TransceiverInbox(Generic[SignalT]):
    """The application's side of one transceiver.

    arrived           notified at each frame and packet, and at the end
    changed           notified when anything else happens to it
    frames, packets   that nobody has taken yet
    bitrates          by rid: what the encoder of that layer shall send, bits a second
    keyframes_wanted  rids of layers that the peer wants a keyframe of, and nobody has been told
    is_muted          nothing comes from the peer: not yet, or not any more
    output            frames, packets: whether the machine tells of them; None where the application has not said
    """

    handle: int
    kind: MediaKind
    arrived: SignalT
    changed: SignalT
    frames: deque[MediaFrame] = attrs.Factory(deque)
    packets: deque[PacketReceived] = attrs.Factory(deque)
    bitrates: dict[str, int] = attrs.Factory(dict)
    keyframes_wanted: dict[str, None] = attrs.Factory(dict)
    bitrate_version: int = 0
    on_bitrate: list[BitrateCallback] = attrs.Factory(list)
    on_keyframe: list[KeyframeCallback] = attrs.Factory(list)
    dropped_frames: int = 0
    dropped_packets: int = 0
    is_muted: bool = True
    is_ended: bool = False
    frame_bytes: int = 0
    stream: StreamStarted | StreamEnded | None = None
    output: tuple[bool, bool] | None = (True, False)

    def add_frame(self, frame: MediaFrame) -> None:
        """A frame has arrived; the oldest make room for it."""
        self.frames.append(frame)
        self.frame_bytes += len(frame.data)
        if len(self.frames) > FRAMES_KEPT_MAX or self.frame_bytes > FRAME_BYTES_KEPT_MAX:
            self._drop_oldest()
        self.arrived.notify()

    def take_frame(self) -> MediaFrame:
        """Take the oldest frame. There must be one."""
        frame = self.frames.popleft()
        self.frame_bytes -= len(frame.data)
        return frame

    def add_packet(self, event: PacketReceived) -> None:
        """A packet has arrived; the oldest makes room for it."""
        self.packets.append(event)
        if len(self.packets) > PACKETS_KEPT_MAX:
            self.packets.popleft()
            self.dropped_packets += 1
        self.arrived.notify()

    @property
    def target_bitrate_bps(self) -> int | None:
        """What all its encoders together shall send; None before it is known."""
        return sum(self.bitrates.values()) if self.bitrates else None

    def end(self) -> None:
        """Nothing more comes."""
        self.is_ended = self.is_muted = True
        self.arrived.notify()
        self.changed.notify()

    def _drop_oldest(self) -> None:
        while len(self.frames) > FRAMES_KEPT_MAX or (self.frame_bytes > FRAME_BYTES_KEPT_MAX and len(self.frames) > 1):
            self.take_frame()
            self.dropped_frames += 1
        self.frames[0].is_contiguous = False


class MediaInboxes(Generic[SignalT]):
    """The application's side of all transceivers of one peer.

    incoming      those that the peer sends in, and nobody has taken
    call_soon     calls the application back, in its own turn
    """

    def __init__(self, make_signal: Callable[[], SignalT], call_soon: Callable[..., None]) -> None:
        self.by_handle: dict[int, TransceiverInbox[SignalT]] = {}
        self.incoming: deque[TransceiverInbox[SignalT]] = deque()
        self.incoming_changed = make_signal()
        self.target: TargetBitrateChanged | None = None
        self._make_signal = make_signal
        self._call_soon = call_soon

    def add(self, handle: int, kind: MediaKind) -> TransceiverInbox[SignalT]:
        """The inbox of a transceiver; made where there is none yet."""
        inbox = self.by_handle.get(handle)
        if inbox is None:
            inbox = TransceiverInbox(handle, kind, self._make_signal(), self._make_signal())
            self.by_handle[handle] = inbox
        return inbox

    def on_event(self, event: PeerEvent) -> None:
        """Take what the machine says of media; other events are not looked at."""
        match event:
            case FrameReceived() | PacketReceived() | SenderBitrateChanged() | KeyframeRequested():
                self._on_media(event)
            case StreamStarted() | StreamEnded() | FramesDropped():
                self._on_media(event)
            case TransceiverAdded():
                self.add(event.transceiver, event.kind)
            case TrackAdded():
                self._on_track(event)
            case DirectionChanged() | TrackEnded():
                self._on_changed(event.transceiver)
            case TransceiverStopped():
                self._on_stopped(event.transceiver)
            case TargetBitrateChanged():
                self.target = event
            case _:
                pass

    def _on_media(self, event: TransceiverMedia) -> None:
        inbox = self.by_handle.get(event.handle)
        if inbox is None:
            return  # its transceiver was stopped: what ends with it is told after it
        match event:
            case FrameReceived():
                inbox.add_frame(event.frame)
            case PacketReceived():
                inbox.add_packet(event)
            case SenderBitrateChanged():
                self._on_bitrate(inbox, event)
            case KeyframeRequested():
                self._on_keyframe(inbox, event)
            case StreamStarted() | StreamEnded():
                inbox.stream = event
                inbox.is_muted = type(event) is StreamEnded
                inbox.changed.notify()
            case FramesDropped():
                inbox.dropped_frames += event.count

    def end(self) -> None:
        """The connection is over."""
        for inbox in self.by_handle.values():
            inbox.end()
        self.incoming_changed.notify()

    def notify(self) -> None:
        """The connection as a whole has changed: everybody looks again."""
        for inbox in self.by_handle.values():
            inbox.arrived.notify()
            inbox.changed.notify()
        self.incoming_changed.notify()

    def _on_track(self, event: TrackAdded) -> None:
        inbox = self.add(event.transceiver, event.kind)
        inbox.changed.notify()
        if inbox not in self.incoming:
            self.incoming.append(inbox)
        if len(self.incoming) > INCOMING_COUNT_MAX:
            self.incoming.popleft()
        self.incoming_changed.notify()

    def _on_changed(self, handle: int) -> None:
        inbox = self.by_handle.get(handle)
        if inbox is not None:  # else it was stopped before its connection was handed over to here
            inbox.changed.notify()

    def _on_stopped(self, handle: int) -> None:
        inbox = self.by_handle.pop(handle, None)
        if inbox is None:
            return
        if inbox in self.incoming:
            self.incoming.remove(inbox)
        inbox.end()

    def _on_bitrate(self, inbox: TransceiverInbox[SignalT], event: SenderBitrateChanged) -> None:
        inbox.bitrates[event.rid] = event.bitrate_bps
        inbox.bitrate_version += 1
        inbox.changed.notify()
        for callback in inbox.on_bitrate:
            self._call_soon(callback, inbox.target_bitrate_bps)

    def _on_keyframe(self, inbox: TransceiverInbox[SignalT], event: KeyframeRequested) -> None:
        for callback in inbox.on_keyframe:
            self._call_soon(callback, event.rid)
        if not inbox.on_keyframe:
            inbox.keyframes_wanted[event.rid] = None
        inbox.changed.notify()
