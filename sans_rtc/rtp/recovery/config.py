"""Bounds of the parts of loss recovery, checked when they are made."""

from __future__ import annotations

from typing import TypeVar

import attrs

from sans_rtc.errors import InvalidArgument

_Number = TypeVar("_Number", int, float)

# Half of the space of sequence numbers: beyond it the order of two numbers is unknown.
SEQUENCE_SPAN_MAX = 0x7FFF


def _is_positive(_: object, attribute: attrs.Attribute[_Number], value: _Number) -> None:
    if not value > 0:
        raise InvalidArgument(f"{attribute.name} must be positive, is {value}")


def _is_not_negative(_: object, attribute: attrs.Attribute[_Number], value: _Number) -> None:
    if not value >= 0:
        raise InvalidArgument(f"{attribute.name} must not be negative, is {value}")


def _is_span(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    if not 1 <= value <= SEQUENCE_SPAN_MAX:
        raise InvalidArgument(f"{attribute.name} is 1 to {SEQUENCE_SPAN_MAX}, not {value}")


@attrs.frozen(slots=True)
class ReceiveBufferConfig:
    """How a `ReceiveBuffer` waits, and what it holds.

    clock_rate_hz       units of the timestamp in a second: 90000 for video, 48000 for Opus
    delay_s_min, _max   bounds of the playout delay; both 0: every frame as soon as it is whole and its turn
    jitter_factor       multiples of the measured jitter that the delay covers
    give_up_after_s     how long a missing packet is waited for, from the first that came behind it
    start_wait_s        how long the beginning of the first frame is waited for: nobody knows to ask for it again
    packet_count_max    packets held, and numbers between the oldest and the newest; the oldest frames go first.
                        A video frame of 1 MB is about 900 packets
    byte_count_max      payload bytes held; the oldest frames go first
    jump_count_max      a number further than this from the newest is a fault, or with the one after it a new beginning
                        (RFC 3550 A.1: MAX_DROPOUT 3000)
    """

    clock_rate_hz: int = attrs.field(default=90_000, validator=_is_positive)
    delay_s_min: float = attrs.field(default=0.0, validator=_is_not_negative)
    delay_s_max: float = attrs.field(default=1.0, validator=_is_not_negative)
    jitter_factor: float = attrs.field(default=3.0, validator=_is_not_negative)
    give_up_after_s: float = attrs.field(default=0.5, validator=_is_not_negative)
    start_wait_s: float = attrs.field(default=0.1, validator=_is_not_negative)
    packet_count_max: int = attrs.field(default=2048, validator=_is_span)
    byte_count_max: int = attrs.field(default=4 << 20, validator=_is_positive)
    jump_count_max: int = attrs.field(default=3000, validator=_is_span)

    def __attrs_post_init__(self) -> None:
        if self.delay_s_min > self.delay_s_max:
            raise InvalidArgument(f"delay_s_min {self.delay_s_min} is above delay_s_max {self.delay_s_max}")


@attrs.frozen(slots=True)
class NackConfig:
    """When a missing packet is asked for, and when no more.

    reorder_wait_s       time a number may be missing before it is asked for: it may only have been overtaken
    reorder_count_max    numbers that may overtake it before it is asked for at once
    retry_rtt_factor     multiples of the round-trip time between two requests for the same number
    retry_s_min          and no less than this
    request_count_max    requests for the same number
    missing_count_max    numbers that are followed; beyond it the oldest are given up
    jump_count_max       a number further than this from the newest begins anew
    """

    reorder_wait_s: float = attrs.field(default=0.01, validator=_is_not_negative)
    reorder_count_max: int = attrs.field(default=8, validator=_is_positive)
    retry_rtt_factor: float = attrs.field(default=1.25, validator=_is_positive)
    retry_s_min: float = attrs.field(default=0.02, validator=_is_positive)
    request_count_max: int = attrs.field(default=10, validator=_is_positive)
    missing_count_max: int = attrs.field(default=1000, validator=_is_span)
    jump_count_max: int = attrs.field(default=3000, validator=_is_span)


@attrs.frozen(slots=True)
class KeyframeConfig:
    """How often a keyframe is asked for.

    interval_s_min    between any two requests
    rtt_factor        multiples of the round-trip time before a repetition: the first may just have been answered
                      (RFC 5104 3.5.1.1: two round trips)
    interval_s_max    the time between repetitions doubles up to this
    """

    interval_s_min: float = attrs.field(default=0.3, validator=_is_positive)
    rtt_factor: float = attrs.field(default=2.0, validator=_is_positive)
    interval_s_max: float = attrs.field(default=5.0, validator=_is_positive)


@attrs.frozen(slots=True)
class SendHistoryConfig:
    """What is kept to be sent again, and how much of it may be.

    packet_count_max    packets kept; the oldest go first
    byte_count_max      payload bytes kept; the oldest go first
    age_s_max           what is older is not sent again
    ratio_max           bytes sent again, as a part of the bytes sent
    burst_bytes_max     bytes that may be sent again at once, earned before
    repeat_rtt_factor   a packet is not sent twice within so many round-trip times: its request was on the way
    """

    packet_count_max: int = attrs.field(default=1024, validator=_is_span)
    byte_count_max: int = attrs.field(default=4 << 20, validator=_is_positive)
    age_s_max: float = attrs.field(default=3.0, validator=_is_positive)
    ratio_max: float = attrs.field(default=0.5, validator=_is_not_negative)
    burst_bytes_max: int = attrs.field(default=64_000, validator=_is_not_negative)
    repeat_rtt_factor: float = attrs.field(default=0.9, validator=_is_not_negative)


@attrs.frozen(slots=True)
class FecReceiverConfig:
    """What is kept to recover packets from.

    packet_count_max    media packets kept of each stream; the oldest go first
    stream_count_max    streams (SSRC); packets of further ones are not kept
    equation_count_max  repair packets kept whose lost packets are not found yet; the oldest go first
    unknown_count_max   packets that one repair packet may miss; 110 is all that a FlexFEC mask can name
    """

    packet_count_max: int = attrs.field(default=512, validator=_is_span)
    stream_count_max: int = attrs.field(default=8, validator=_is_positive)
    equation_count_max: int = attrs.field(default=48, validator=_is_positive)
    unknown_count_max: int = attrs.field(default=48, validator=_is_positive)
