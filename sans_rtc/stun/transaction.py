"""A request over UDP until its answer or its end: when to send it again, when to give up (RFC 8489 section 6.2.1).

With the defaults the request leaves at 0, 500, 1500, 3500, 7500, 15500 and 31500 ms, and fails at 39500 ms.
"""

from __future__ import annotations

import math

import attrs

from sans_rtc.validators import within

# Far beyond any use; keeps the arithmetic of `wait_after` finite: 4 ** 31 is below 2 ** 63.
REQUEST_COUNT_MAX = 32
BACKOFF_MAX = 4.0


@attrs.frozen(slots=True)
class RetransmissionSchedule:
    """When a request is sent again (RFC 8489 section 6.2.1).

    rto_s              seconds from the first request to the second
    request_count_max  Rc: how often the request is sent at most, the first time included
    last_wait_factor   Rm: after the last request, this many times rto_s are waited
    backoff            what each interval is multiplied by to get the next
    rto_s_max          no interval is longer; the last wait is not an interval
    """

    rto_s: float = attrs.field(default=0.5, validator=within(0.001, 600.0))
    request_count_max: int = attrs.field(default=7, validator=within(1, REQUEST_COUNT_MAX))
    last_wait_factor: float = attrs.field(default=16.0, validator=within(0.0, 1000.0))
    backoff: float = attrs.field(default=2.0, validator=within(1.0, BACKOFF_MAX))
    rto_s_max: float = attrs.field(default=math.inf, validator=within(0.001, math.inf))

    def wait_after(self, request_count: int) -> float:
        """Seconds to wait after the request has been sent this many times, before the next one or the end."""
        if request_count >= self.request_count_max:
            return self.rto_s * self.last_wait_factor
        return min(self.rto_s * self.backoff ** (request_count - 1), self.rto_s_max)


# RFC 8489 section 6.2.2: over TCP and TLS a request is sent once, and fails after Ti = 39.5 s.
RELIABLE_TRANSPORT = RetransmissionSchedule(rto_s=39.5, request_count_max=1, last_wait_factor=1.0)


class Transaction:
    """One request and the wait for its response.

    Made when the request is sent for the first time; the caller sends `request` then, and again whenever `poll` returns
    it. Ends with `complete` (the caller has taken a response) or by itself (`is_timed_out`).

    request        the whole message
    request_count  how often it has been sent
    started_at     when it was sent first
    """

    __slots__ = ("_deadline", "_schedule", "_sent_at", "is_timed_out", "request", "request_count", "started_at")

    def __init__(self, request: bytes, schedule: RetransmissionSchedule, now: float) -> None:
        self.request = request
        self.request_count = 1
        self.started_at = now
        self.is_timed_out = False
        self._schedule = schedule
        self._sent_at = now
        self._deadline = now + schedule.wait_after(1)

    def poll(self, now: float) -> bytes | None:
        """Do what is due: return the request where it is to be sent again, else None; may end by time-out.

        However late the call comes, the request is returned once, and the next wait counts from now: a caller that
        slept does not burst.
        """
        if now < self._deadline:
            return None
        if self.request_count >= self._schedule.request_count_max:
            self.is_timed_out = True
            self._deadline = math.inf
            return None
        self.request_count += 1
        self._sent_at = now
        self._deadline = now + self._schedule.wait_after(self.request_count)
        return self.request

    def complete(self, now: float) -> float | None:
        """Take the response: disarm, and return the round-trip time in seconds where it is certain.

        After a retransmission it is not: the response may be to either request (Karn's algorithm, RFC 8489
        section 6.2.1 through RFC 6298 section 3). Then the result is None.
        """
        self._deadline = math.inf
        return now - self._sent_at if self.request_count == 1 else None

    def cancel(self) -> None:
        """Send it no more; a response may still be taken."""
        self._deadline = math.inf

    @property
    def transaction_id(self) -> bytes:
        """The 12 bytes by which a response is known."""
        return self.request[8:20]

    @property
    def deadline(self) -> float:
        """When `poll` wants to be called, in seconds; math.inf once ended."""
        return self._deadline

    @property
    def is_pending(self) -> bool:
        """True until completed, cancelled or timed out."""
        return self._deadline < math.inf
