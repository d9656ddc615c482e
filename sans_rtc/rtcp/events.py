"""What the scheduler of RTCP tells."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs

from sans_rtc.machine import Terminated


class ReportKind(StrEnum):
    """What is to be sent now.

    REGULAR  a full compound: SR or RR, SDES with CNAME, feedback that waits
    EARLY    feedback that waits, in a compound as small as is allowed, or reduced-size (RFC 5506)
    BYE      a compound with BYE, the last
    """

    REGULAR = "regular"
    EARLY = "early"
    BYE = "bye"


class FeedbackPlan(StrEnum):
    """What becomes of feedback (RFC 4585 section 3.5.2); the message itself is the caller's to keep.

    EARLY         goes in an early packet, maybe at once: `ReportDue(EARLY)`
    WITH_REGULAR  waits for the next regular time: `ReportDue` of either kind
    JOINED        goes with feedback that was planned before
    DROPPED       would come too late to be of use; forget it
    """

    EARLY = "early"
    WITH_REGULAR = "with-regular"
    JOINED = "joined"
    DROPPED = "dropped"


class TerminationReason(StrEnum):
    """Why the scheduler ended."""

    CLOSED = "closed"
    ABORTED = "aborted"


class DiscardReason(StrEnum):
    """What of a peer's was not taken."""

    MEMBER_TABLE_FULL = "member-table-full"


@attrs.define(slots=True)
class ReportDue:
    """Make and send RTCP now, then call `rtcp_sent` with its size."""

    kind: ReportKind


@attrs.define(slots=True)
class MembersTimedOut:
    """These sources have been silent for M intervals (RFC 3550 section 6.3.5)."""

    ssrcs: tuple[int, ...]


SchedulerEvent: TypeAlias = ReportDue | MembersTimedOut | Terminated


@attrs.define(slots=True)
class SchedulerStats:
    """Counters of a scheduler."""

    regular_count: int = 0
    early_count: int = 0
    reconsidered_count: int = 0
    feedback_dropped_count: int = 0
    timed_out_count: int = 0
    discards: dict[str, int] = attrs.field(factory=dict)
