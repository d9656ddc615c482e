"""The marks by which a network may tell important packets from others: RFC 8837 section 5, table 1, as code points.

    UdpConfig(dscp=dscp_of(Flow.DATA, Priority.HIGH))        every datagram of the socket; ECN is another field

Data channels of one connection share one mark: they share one congestion window, which assumes that all its packets
meet the same queues. A network that honours marks is one whose owner has said so; others may drop what is marked.
"""

from __future__ import annotations

from enum import StrEnum

from sans_rtc.errors import InvalidArgument

DSCP_MAX = 63

LE = 1  # lower effort, RFC 8622
DF = 0  # default forwarding, RFC 2474
EF = 46  # expedited forwarding, RFC 3246
AF11, AF21, AF31, AF32, AF41, AF42 = 10, 18, 26, 28, 34, 36  # assured forwarding, RFC 2597


class Flow(StrEnum):
    """What is sent."""

    AUDIO = "audio"
    INTERACTIVE_VIDEO = "interactive-video"
    NON_INTERACTIVE_VIDEO = "non-interactive-video"
    DATA = "data"


class Priority(StrEnum):
    """How important it is to the application (RTCPriorityType of W3C)."""

    VERY_LOW = "very-low"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


# Where the RFC leaves a choice of two drop precedences, the one that is dropped later.
_MARKS: dict[Flow, dict[Priority, int]] = {
    Flow.AUDIO: {Priority.VERY_LOW: LE, Priority.LOW: DF, Priority.MEDIUM: EF, Priority.HIGH: EF},
    Flow.INTERACTIVE_VIDEO: {Priority.VERY_LOW: LE, Priority.LOW: DF, Priority.MEDIUM: AF42, Priority.HIGH: AF41},
    Flow.NON_INTERACTIVE_VIDEO: {Priority.VERY_LOW: LE, Priority.LOW: DF, Priority.MEDIUM: AF32, Priority.HIGH: AF31},
    Flow.DATA: {Priority.VERY_LOW: LE, Priority.LOW: DF, Priority.MEDIUM: AF11, Priority.HIGH: AF21},
}

# RFC 8831 section 6.4: the priorities of data channels that stand for the four.
CHANNEL_PRIORITIES = {Priority.VERY_LOW: 128, Priority.LOW: 256, Priority.MEDIUM: 512, Priority.HIGH: 1024}


def dscp_of(flow: Flow | str, priority: Priority | str) -> int:
    """The code point for a flow, 0 to 63. Errors: InvalidArgument for a flow or priority that is none."""
    try:
        return _MARKS[Flow(flow)][Priority(priority)]
    except ValueError as error:
        raise InvalidArgument(f"no mark for {flow!r} of priority {priority!r}: {error}") from None


def priority_of_channel(priority: int) -> Priority:
    """The nearest of the four at or below a data channel's priority number; very-low below all."""
    reached = [name for name, number in CHANNEL_PRIORITIES.items() if number <= priority]
    return reached[-1] if reached else Priority.VERY_LOW
