"""What the parts of loss recovery count."""

from __future__ import annotations

from enum import StrEnum

import attrs


class DiscardReason(StrEnum):
    """Why a packet, or a number that was asked for, was put aside."""

    DUPLICATE = "duplicate"
    LATE = "late"
    OVERFLOW = "overflow"
    SEQUENCE_JUMP = "sequence_jump"
    INCOMPLETE_FRAME = "incomplete_frame"
    RESTART = "restart"
    UNKNOWN_PAYLOAD_TYPE = "unknown_payload_type"
    MALFORMED = "malformed"
    TOO_OLD = "too_old"
    TOO_MANY_STREAMS = "too_many_streams"
    TOO_MANY_LOST = "too_many_lost"
    INCONSISTENT = "inconsistent"
    NOT_HELD = "not_held"
    JUST_SENT = "just_sent"
    OVER_RATIO = "over_ratio"


@attrs.define(slots=True)
class _Discards:
    """discards  how many were put aside, by `DiscardReason`"""

    discards: dict[str, int] = attrs.field(factory=dict, kw_only=True)

    def discard(self, reason: DiscardReason, count: int = 1) -> None:
        """Count what is put aside."""
        self.discards[reason] = self.discards.get(reason, 0) + count


@attrs.define(slots=True)
class ReceiveBufferStats(_Discards):
    """Counters of a `ReceiveBuffer`.

    packets_received   all, duplicates and late ones included
    packets_recovered  of these, by retransmission or error correction
    packets_lost       given up; one that comes later is counted here and as late
    frames_delivered   taken by the caller
    frames_abandoned   begun, and given up for a missing packet
    frames_dropped     whole or begun, and dropped because the buffer was full
    frames_late        whole only after they were due
    """

    packets_received: int = 0
    packets_recovered: int = 0
    packets_lost: int = 0
    frames_delivered: int = 0
    frames_abandoned: int = 0
    frames_dropped: int = 0
    frames_late: int = 0


@attrs.define(slots=True)
class NackStats(_Discards):
    """Counters of a `NackGenerator`.

    numbers_missed     numbers that something overtook
    requests           numbers asked for, repetitions included
    numbers_recovered  numbers that came after they had been asked for
    numbers_reordered  numbers that came before
    numbers_given_up   numbers that are no longer asked for
    """

    numbers_missed: int = 0
    requests: int = 0
    numbers_recovered: int = 0
    numbers_reordered: int = 0
    numbers_given_up: int = 0


@attrs.define(slots=True)
class SendHistoryStats(_Discards):
    """Counters of a `SendHistory`: what was sent, asked for, and sent again."""

    packets_sent: int = 0
    bytes_sent: int = 0
    numbers_requested: int = 0
    packets_resent: int = 0
    bytes_resent: int = 0


@attrs.define(slots=True)
class RtxStats(_Discards):
    """Counters of an `RtxReceiver`: packets restored, and those that carried only padding."""

    packets_restored: int = 0
    packets_empty: int = 0


@attrs.define(slots=True)
class FecStats(_Discards):
    """Counters of a receiver of error correction: media and repair packets taken, packets recovered."""

    media_packets: int = 0
    repair_packets: int = 0
    packets_recovered: int = 0
