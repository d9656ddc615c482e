"""Which missing numbers to ask for, and when (generic NACK, RFC 4585 section 6.2.1).

A number is missing once a later one has come. It is asked for when it can no longer be only overtaken, then again each
time an answer would have had the time to come, and after so many requests given up: then a keyframe is needed.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.recovery.config import NackConfig
from sans_rtc.rtp.recovery.stats import DiscardReason, NackStats

_MASK = 0xFFFF
_HALF = 0x8000


@attrs.define(slots=True)
class _Missing:
    """request_at  when it is asked for next, or after the last request: given up"""

    request_at: float
    request_count: int = 0


class NackGenerator:
    """Follows the numbers of one stream; a transform with a deadline.

    Tell it every number that comes, however it comes; call `take_requests(now)` at `deadline`.
    """

    __slots__ = (
        "_config",
        "_deadline",
        "_given_up",
        "_highest",
        "_missing",
        "_needs_keyframe",
        "_overtaken",
        "_restart_at",
        "_rtt_s",
        "stats",
    )

    def __init__(self, config: NackConfig, *, rtt_s: float = 0.1) -> None:
        self._config = config
        self._highest: int | None = None
        self._missing: dict[int, _Missing] = {}  # ascending, for they are noticed in order
        self._overtaken: deque[int] = deque()  # those that fewer than the tolerance have overtaken, ascending
        self._restart_at = -1
        self._given_up: list[int] = []
        self._deadline = math.inf
        self._needs_keyframe = False
        self.stats = NackStats()
        self.set_rtt(rtt_s)

    # inputs

    def set_rtt(self, rtt_s: float) -> None:
        """Tell the round-trip time, as it is measured; holds for what is asked for from now on.

        Errors   InvalidArgument where it is negative or not finite
        """
        if not 0.0 <= rtt_s < math.inf:
            raise InvalidArgument(f"a round-trip time is finite and not negative: {rtt_s}")
        self._rtt_s = rtt_s

    def receive(self, sequence_number: int, now: float) -> None:
        """Take the number of a packet that has come: of media, padding or repair; sent again or recovered too."""
        highest = self._highest
        if highest is None:
            self._highest = sequence_number
            return
        difference = (sequence_number - highest) & _MASK
        if difference >= _HALF:
            difference -= 0x10000
        if abs(difference) > self._config.jump_count_max:
            self._on_jump(sequence_number)
        elif difference > 0:
            self._highest = number = highest + difference
            if difference > 1:
                self._miss(highest + 1, number, now)
            if self._overtaken:
                self._hasten(number, now)
        else:
            self._on_earlier(highest + difference)

    def awaits(self, sequence_number: int) -> bool:
        """Whether this is the number behind the highest, and it says nothing about those that are missing."""
        return self._highest is not None and not self._overtaken and sequence_number == (self._highest + 1) & _MASK

    def receive_run(self, count: int) -> None:
        """As `receive` of each of so many numbers in a row, from one on that `awaits` lets in."""
        assert self._highest is not None
        self._highest += count

    def forget_before(self, sequence_number: int) -> None:
        """A keyframe begins here: what is missing before it is no longer needed."""
        if self._highest is None or not self._missing:
            return
        difference = (sequence_number - self._highest) & _MASK
        number = self._highest + (difference if difference < _HALF else difference - 0x10000)
        for old in [missing for missing in self._missing if missing < number]:
            del self._missing[old]

    def _on_earlier(self, number: int) -> None:
        missing = self._missing.pop(number, None)
        if missing is None:
            self.stats.discard(DiscardReason.DUPLICATE)
        elif missing.request_count:
            self.stats.numbers_recovered += 1
        else:
            self.stats.numbers_reordered += 1

    def _miss(self, first: int, end: int, now: float) -> None:
        self.stats.numbers_missed += end - first
        request_at = now + self._config.reorder_wait_s
        # More than are followed would push each other out: of those only the last are taken on.
        start = max(first, end - self._config.missing_count_max)
        self._give_up(range(first, start))
        excess = len(self._missing) + (end - start) - self._config.missing_count_max
        if excess > 0:
            self._give_up(list(self._missing)[:excess])
        for number in range(start, end):
            self._missing[number] = _Missing(request_at)
        self._overtaken.extend(range(start, end))
        self._deadline = min(self._deadline, request_at)

    def _hasten(self, highest: int, now: float) -> None:
        """What as many as the tolerance have overtaken is lost, not late."""
        overtaken = self._overtaken
        while overtaken and overtaken[0] <= highest - self._config.reorder_count_max:
            missing = self._missing.get(overtaken.popleft())
            if missing is not None and not missing.request_count and missing.request_at > now:
                missing.request_at = now
                self._deadline = min(self._deadline, now)

    def _on_jump(self, sequence_number: int) -> None:
        """One packet from far away is a fault, a second in a row the beginning of other numbers (RFC 3550 A.1)."""
        self.stats.discard(DiscardReason.SEQUENCE_JUMP)
        if sequence_number != self._restart_at:
            self._restart_at = (sequence_number + 1) & _MASK
            return
        self._give_up(list(self._missing))
        self._overtaken.clear()
        self._needs_keyframe = True
        self._restart_at = -1
        self._highest = sequence_number

    def _give_up(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._missing.pop(number, None)
        if numbers:
            self._given_up += [number & _MASK for number in numbers[-self._config.missing_count_max :]]
            del self._given_up[: -self._config.missing_count_max]
            self.stats.numbers_given_up += len(numbers)
            self._needs_keyframe = True

    # outputs

    def take_requests(self, now: float) -> Sequence[int]:
        """Hand over the numbers to ask for now, in order; 16 bits each. Gives up what has been asked for too often."""
        if self._deadline > now:
            return ()
        config = self._config
        due = [(number, missing) for number, missing in self._missing.items() if missing.request_at <= now]
        self._give_up([number for number, missing in due if missing.request_count >= config.request_count_max])
        requests = []
        next_at = now + max(config.retry_s_min, config.retry_rtt_factor * self._rtt_s)
        for number, missing in due:
            if missing.request_count < config.request_count_max:
                missing.request_count += 1
                missing.request_at = next_at
                requests.append(number & _MASK)
        self.stats.requests += len(requests)
        self._deadline = min([missing.request_at for missing in self._missing.values()], default=math.inf)
        return requests

    def take_given_up(self) -> Sequence[int]:
        """Hand over the numbers that are asked for no more: `ReceiveBuffer.give_up` need not wait for them."""
        given_up, self._given_up = self._given_up, []
        return given_up

    def take_keyframe_needed(self) -> bool:
        """True once after a number has been given up: only a keyframe helps."""
        needed, self._needs_keyframe = self._needs_keyframe, False
        return needed

    # reads

    @property
    def deadline(self) -> float:
        """When `take_requests` may have something to say."""
        return self._deadline if self._missing else math.inf

    @property
    def missing_count(self) -> int:
        """Numbers that are followed."""
        return len(self._missing)
