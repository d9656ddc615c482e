"""Frames out of packets that come in order: which payloads are one frame, and whether none is missing.

A frame is the packets of one timestamp, and the marker is on its last one. It is whole if their sequence numbers
follow each other, if the one before the first belongs to another frame or the first proves to be one (`is_frame_start`
of its codec), and if the last has the marker or the packet right behind it has another timestamp.

The reordering of packets is a matter of the receive buffer before; what comes late here is discarded.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.rtp.payload.interface import Codec, Depacketizer

_SEQUENCE_NUMBERS = 1 << 16


class BrokenReason(StrEnum):
    """Why a frame cannot be given."""

    PACKET_MISSING = "packet missing"
    MALFORMED = "malformed"
    TOO_LARGE = "too large"


@attrs.frozen(slots=True)
class FrameAssemblerConfig:
    """Bounds. 4 MiB and 4096 packets are a keyframe of 8K video at its best; beyond, the frame is broken."""

    frame_bytes_max: int = 4 << 20
    packet_count_max: int = 4096

    def __attrs_post_init__(self) -> None:
        if self.frame_bytes_max < 1 or self.packet_count_max < 1:
            raise InvalidArgument("frame_bytes_max and packet_count_max are 1 at least")


@attrs.define(slots=True)
class Frame:
    """A whole frame with the timestamp of its packets."""

    timestamp: int
    data: bytes
    is_keyframe: bool


@attrs.define(slots=True)
class BrokenFrame:
    """A frame that was begun, or whose rest came, and that cannot be given."""

    timestamp: int
    reason: BrokenReason
    detail: str = ""


@attrs.define(slots=True)
class FrameAssemblerStats:
    """What happened: frames given, frames broken by reason, packets that came late or twice, empty ones."""

    frames: int = 0
    broken: dict[str, int] = attrs.field(factory=dict)
    late_packets: int = 0
    empty_packets: int = 0


def _never(_: bytes) -> bool:
    return False


class FrameAssembler:
    """Transform: takes the packets of one stream of one format in order, gives whole frames and names broken ones."""

    def __init__(
        self,
        depacketizer: Depacketizer,
        *,
        is_frame_start: Callable[[bytes], bool] = _never,
        is_keyframe: Callable[[bytes], bool] = _never,
        config: FrameAssemblerConfig | None = None,
    ) -> None:
        self.stats = FrameAssemblerStats()
        self._depacketizer = depacketizer
        self._is_frame_start = is_frame_start
        self._is_keyframe = is_keyframe
        self._config = config or FrameAssemblerConfig()
        self._previous: int | None = None  # sequence number
        self._timestamp: int | None = None  # of the frame that is open or was given last
        self._is_open = False
        self._broken: BrokenReason | None = None
        self._payloads: list[bytes] = []
        self._bytes = 0

    @classmethod
    def of(cls, codec: Codec, parameters: str = "", config: FrameAssemblerConfig | None = None) -> FrameAssembler:
        """One for this codec, with our format parameters."""
        if codec.new_depacketizer is None:
            raise InvalidArgument(f"{codec.name} has no depacketizer")
        return cls(
            codec.new_depacketizer(parameters),
            is_frame_start=codec.is_frame_start,
            is_keyframe=codec.is_keyframe,
            config=config,
        )

    def receive(
        self, payload: bytes, *, sequence_number: int, timestamp: int, marker: bool
    ) -> list[Frame | BrokenFrame]:
        """Take the payload of the next packet; an empty one (padding) only counts in the sequence.

        Returns none, one, or two frames: the second where a frame without marker ends by the next one's beginning.
        """
        results: list[Frame | BrokenFrame] = []
        step = 1 if self._previous is None else (sequence_number - self._previous) % _SEQUENCE_NUMBERS
        if step == 0 or step > _SEQUENCE_NUMBERS // 2:
            self.stats.late_packets += 1
            return results
        is_first_of_all = self._previous is None
        self._previous = sequence_number
        is_gap = step > 1
        if is_gap and self._is_open:
            self._broken = self._broken or BrokenReason.PACKET_MISSING
        if not payload:
            self._on_empty(is_gap)
            return results
        if self._is_open and timestamp != self._timestamp:
            results.append(self._close())
        if not self._is_open:
            self._open(payload, timestamp, is_start_unsure=is_gap or is_first_of_all)
        self._add(payload)
        if marker:
            results.append(self._close())
        return results

    def reset(self) -> None:
        """Forget the frame that is open and the place in the sequence: the stream begins anew."""
        self._previous = self._timestamp = None
        self._is_open = False
        self._payloads, self._bytes = [], 0

    def _on_empty(self, is_gap: bool) -> None:
        self.stats.empty_packets += 1
        if is_gap and not self._is_open:
            # What was missing may have been the beginning of the next frame.
            self._timestamp = None

    def _open(self, payload: bytes, timestamp: int, *, is_start_unsure: bool) -> None:
        # Behind a marker the next packet begins a frame, unless it belongs to the frame that the marker ended.
        unsure = is_start_unsure or self._timestamp is None or timestamp == self._timestamp
        self._broken = BrokenReason.PACKET_MISSING if unsure and not self._is_frame_start(payload) else None
        self._timestamp = timestamp
        self._is_open = True

    def _add(self, payload: bytes) -> None:
        self._bytes += len(payload)
        if self._bytes > self._config.frame_bytes_max or len(self._payloads) >= self._config.packet_count_max:
            self._broken = self._broken or BrokenReason.TOO_LARGE
        if self._broken is None:
            self._payloads.append(payload)
        else:
            self._payloads = []

    def _close(self) -> Frame | BrokenFrame:
        timestamp, payloads, broken = self._timestamp or 0, self._payloads, self._broken
        self._payloads, self._bytes, self._is_open, self._broken = [], 0, False, None
        if broken is not None:
            return self._break(timestamp, broken)
        try:
            data = self._depacketizer.depacketize(payloads)
        except WireError as error:
            return self._break(timestamp, BrokenReason.MALFORMED, str(error))
        self.stats.frames += 1
        return Frame(timestamp, data, self._is_keyframe(data))

    def _break(self, timestamp: int, reason: BrokenReason, detail: str = "") -> BrokenFrame:
        self.stats.broken[reason] = self.stats.broken.get(reason, 0) + 1
        return BrokenFrame(timestamp, reason, detail)
