"""One direction of a link in virtual time: when what is sent now arrives, if it does.

`Link` has two of these, and so has each cable of a `Network`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.testing.entropy import SeededEntropy


def _is_fraction(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise InvalidArgument(f"{attribute.name} is a probability, 0 to 1, not {value}")


def _is_not_negative(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if value < 0.0:
        raise InvalidArgument(f"{attribute.name} must not be negative, is {value}")


@attrs.frozen(slots=True)
class GilbertElliott:
    """Loss in bursts: a link is good or bad, and each datagram may find that this has changed.

    E. N. Gilbert (1960) and E. O. Elliott (1963), "Capacity of a burst-noise channel" and its generalisation.

    to_bad, to_good      probability that a datagram finds a good link bad, a bad one good; bursts are 1 / to_good long
    loss_good, loss_bad  probability that it is lost in either state
    """

    to_bad: float = attrs.field(default=0.01, validator=_is_fraction)
    to_good: float = attrs.field(default=0.2, validator=_is_fraction)
    loss_good: float = attrs.field(default=0.0, validator=_is_fraction)
    loss_bad: float = attrs.field(default=1.0, validator=_is_fraction)

    @property
    def loss(self) -> float:
        """The part of all datagrams that is lost in the long run."""
        changes = self.to_bad + self.to_good
        bad = self.to_bad / changes if changes else 0.0
        return bad * self.loss_bad + (1.0 - bad) * self.loss_good


@attrs.frozen(slots=True)
class LinkConditions:
    """How a link treats datagrams; probabilities are 0 to 1 and independent for each datagram.

    delay_s      every datagram's time on the way
    jitter_s     up to this much more, uniform; a datagram does not overtake another by jitter alone
    reordering   probability that a datagram is held back for `reordering_s` more, so that others overtake it
    duplication  probability that it arrives twice
    burst_loss   loss in bursts, on top of `loss`; None: none
    corruption   probability that one of its bits is flipped
    truncation   probability that it arrives cut, to any length from nothing up
    bytes_max    a longer datagram vanishes (a black hole); `Cable.mtu_bytes` says the same in IP packets
    rate_bytes_s bytes per second the link carries; math.inf: no queue
    queue_bytes  bytes that may wait for the link; what comes beyond is dropped. What waits when the rate changes goes
                 as it would have gone before
    """

    delay_s: float = attrs.field(default=0.01, validator=_is_not_negative)
    jitter_s: float = attrs.field(default=0.0, validator=_is_not_negative)
    loss: float = attrs.field(default=0.0, validator=_is_fraction)
    duplication: float = attrs.field(default=0.0, validator=_is_fraction)
    reordering: float = attrs.field(default=0.0, validator=_is_fraction)
    reordering_s: float = attrs.field(default=0.02, validator=_is_not_negative)
    corruption: float = attrs.field(default=0.0, validator=_is_fraction)
    rate_bytes_s: float = math.inf
    queue_bytes: int = 1 << 30
    burst_loss: GilbertElliott | None = None
    truncation: float = attrs.field(default=0.0, validator=_is_fraction)
    bytes_max: float = attrs.field(default=math.inf, validator=_is_not_negative)


NO_CONDITIONS = LinkConditions(delay_s=0.0)


class Lane:
    """One direction of a link: what is on the way, and how long the link is busy with it."""

    __slots__ = ("_drain_bytes_s", "_free_at", "_is_bad", "_last_arrival")

    def __init__(self) -> None:
        self._is_bad = False
        self._free_at = 0.0
        self._drain_bytes_s = math.inf  # of what waits, on the average: the rate may have changed since
        self._last_arrival = 0.0

    def arrivals(
        self, size_bytes: int, conditions: LinkConditions, chance: SeededEntropy, now: float
    ) -> Iterator[float]:
        """Yield when each copy of a datagram that is sent now arrives: none where it is lost, two where doubled."""
        if size_bytes > conditions.bytes_max or self._is_lost(conditions, chance):
            return
        if not self._takes(size_bytes, conditions, now):
            return
        copies = 2 if conditions.duplication and chance.fraction() < conditions.duplication else 1
        for _ in range(copies):
            arrival = self._free_at + conditions.delay_s
            if conditions.jitter_s:
                arrival += conditions.jitter_s * chance.fraction()
            if conditions.reordering and chance.fraction() < conditions.reordering:
                arrival += conditions.reordering_s
            else:
                arrival = self._last_arrival = max(arrival, self._last_arrival)
            yield arrival

    def _takes(self, size_bytes: int, conditions: LinkConditions, now: float) -> bool:
        """Put a datagram behind what waits; False where there is no room."""
        rate, start = conditions.rate_bytes_s, max(now, self._free_at)
        waiting_bytes = (start - now) * self._drain_bytes_s if start > now else 0.0
        if waiting_bytes > conditions.queue_bytes:
            return False
        self._free_at = start + size_bytes / rate
        if waiting_bytes and rate != self._drain_bytes_s:
            rate = (waiting_bytes + size_bytes) / (self._free_at - now)
        self._drain_bytes_s = rate
        return True

    def _is_lost(self, conditions: LinkConditions, chance: SeededEntropy) -> bool:
        burst = conditions.burst_loss
        if burst is not None:
            if chance.fraction() < (burst.to_good if self._is_bad else burst.to_bad):
                self._is_bad = not self._is_bad
            if chance.fraction() < (burst.loss_bad if self._is_bad else burst.loss_good):
                return True
        return conditions.loss > 0.0 and chance.fraction() < conditions.loss


def damaged(data: bytes, conditions: LinkConditions, chance: SeededEntropy) -> bytes:
    """What a datagram is on arrival: itself, or cut, or with a bit flipped, where the conditions say so."""
    if conditions.truncation and chance.fraction() < conditions.truncation:
        data = data[: chance.below(len(data) + 1)]
    if not conditions.corruption or not data or chance.fraction() >= conditions.corruption:
        return data
    flipped = bytearray(data)
    flipped[chance.below(len(data))] ^= 1 << chance.below(8)
    return bytes(flipped)


@attrs.define(slots=True, eq=False)
class Cable:
    """What joins a host or a gateway to a realm of a `Network`; may be changed at any time.

    conditions  hold each way
    mtu_bytes   a larger IP packet vanishes (a black hole)
    is_up       nothing passes a cable that is down
    """

    conditions: LinkConditions = NO_CONDITIONS
    mtu_bytes: int = 1500
    is_up: bool = True
    up: Lane = attrs.Factory(Lane)
    down: Lane = attrs.Factory(Lane)
