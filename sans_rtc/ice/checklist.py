"""The checklist: pairs in order of priority, freezing, pruning, the cap, and the queue of triggered checks.

One component and one data stream, so there is one checklist (RFC 8445 section 6.1.2).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from sans_rtc.ice.pair import CandidatePair, PairState
from sans_rtc.ice.role import Role
from sans_rtc.machine import Path

_UNTRIED = (PairState.FROZEN, PairState.WAITING)
_ACTIVE = (PairState.WAITING, PairState.IN_PROGRESS)


class Checklist:
    """The pairs of one generation, best first."""

    __slots__ = ("_by_path", "_count_max", "_pairs", "_triggered")

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._pairs: list[CandidatePair] = []
        self._by_path: dict[Path, CandidatePair] = {}
        self._triggered: deque[CandidatePair] = deque()

    # -- the pairs ---------------------------------------------------------------------------------------------------

    def __iter__(self) -> Iterator[CandidatePair]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, pair: CandidatePair) -> bool:
        return self._by_path.get(pair.path) is pair

    def find(self, path: Path) -> CandidatePair | None:
        """The pair whose datagrams travel on this path: base and remote address say which (6.1.2.4)."""
        return self._by_path.get(path)

    def add(self, pair: CandidatePair, role: Role) -> bool:
        """Take a new pair, Frozen or Waiting by its foundation; False where it is redundant or there is no room.

        Redundant: same base and same remote candidate as another (6.1.2.4). The one with the higher priority stays; one
        that has been checked stays in any case (RFC 8838 section 10).
        """
        pair.reprioritise(role)
        other = self._by_path.get(pair.path)
        if other is not None:
            if other.state in _UNTRIED and other.priority < pair.priority:
                other.local, other.remote = pair.local, pair.remote
                self.reprioritise(role)
            return False
        if len(self._pairs) >= self._count_max and not self._make_room(pair):
            return False
        if self._is_open(pair):
            pair.enter(PairState.WAITING)
        self._pairs.append(pair)
        self._by_path[pair.path] = pair
        self._sort()
        return True

    def remove_where(self, is_gone: Callable[[CandidatePair], bool]) -> list[CandidatePair]:
        """Take out every such pair, and return them."""
        gone = [pair for pair in self._pairs if is_gone(pair)]
        for pair in gone:
            self._remove(pair)
        return gone

    def reprioritise(self, role: Role) -> None:
        """Recompute all priorities, after a change of role or of a candidate (7.2.5.1)."""
        for pair in self._pairs:
            pair.reprioritise(role)
        self._sort()

    def _sort(self) -> None:
        self._pairs.sort(key=lambda pair: -pair.priority)  # stable: equal priorities stay in order of arrival

    def _make_room(self, pair: CandidatePair) -> bool:
        """RFC 8838 section 10: discard a Failed pair, else one of lower priority that has not been tried."""
        for victim in reversed(self._pairs):
            if victim.state is PairState.FAILED and not victim.is_revoked:
                self._remove(victim)
                return True
        for victim in reversed(self._pairs):
            if victim.state in _UNTRIED and victim.priority < pair.priority and victim not in self._triggered:
                self._remove(victim)
                return True
        return False

    def _remove(self, pair: CandidatePair) -> None:
        self._pairs.remove(pair)
        del self._by_path[pair.path]
        if pair in self._triggered:
            self._triggered.remove(pair)

    # -- freezing ----------------------------------------------------------------------------------------------------

    def _is_open(self, pair: CandidatePair) -> bool:
        """True where a new pair starts as Waiting (RFC 8838 section 12).

        It is the topmost of its foundation (rule 1), or a pair of its foundation has succeeded (rule 2).
        """
        same = [other for other in self._pairs if other.foundation == pair.foundation]
        if all(other.priority < pair.priority for other in same):
            return True
        return any(other.state is PairState.SUCCEEDED for other in same)

    def unfreeze(self, foundation: tuple[str, str]) -> None:
        """A pair of this foundation has succeeded: its other pairs may be checked (7.2.5.3.3)."""
        for pair in self._pairs:
            if pair.state is PairState.FROZEN and pair.foundation == foundation:
                pair.enter(PairState.WAITING)

    def _thaw(self) -> None:
        """6.1.4.2 step 2: no pair is Waiting; open one pair of each foundation that is not being checked."""
        busy = {pair.foundation for pair in self._pairs if pair.state is PairState.IN_PROGRESS}
        for pair in self._pairs:
            if pair.state is PairState.FROZEN and pair.foundation not in busy:
                busy.add(pair.foundation)
                pair.enter(PairState.WAITING)

    # -- what to check next ------------------------------------------------------------------------------------------

    def trigger(self, pair: CandidatePair, *, is_urgent: bool = False) -> None:
        """Enqueue a check of this pair; one that is enqueued already keeps its place (6.1.4.1, 7.3.1.4)."""
        if pair in self._triggered:
            return
        if is_urgent:
            self._triggered.appendleft(pair)
        else:
            self._triggered.append(pair)

    def take_triggered(self) -> CandidatePair | None:
        """Take the pair whose triggered check is next."""
        return self._triggered.popleft() if self._triggered else None

    def take_ordinary(self) -> CandidatePair | None:
        """The pair whose ordinary check is next (6.1.4.2 steps 2 and 3)."""
        pair = self._first_waiting()
        if pair is None:
            self._thaw()
            pair = self._first_waiting()
        return pair

    def clear_triggered(self, is_kept: Callable[[CandidatePair], bool] = lambda pair: False) -> None:
        """Forget the triggered checks, but for these."""
        self._triggered = deque(pair for pair in self._triggered if is_kept(pair))

    def _first_waiting(self) -> CandidatePair | None:
        for pair in self._pairs:
            if pair.state is PairState.WAITING and pair not in self._triggered:
                return pair
        return None

    # -- reads -------------------------------------------------------------------------------------------------------

    @property
    def has_triggered(self) -> bool:
        """True where a triggered check waits."""
        return bool(self._triggered)

    @property
    def has_ordinary(self) -> bool:
        """True where `take_ordinary` would return a pair."""
        if self._first_waiting() is not None:
            return True
        busy = {pair.foundation for pair in self._pairs if pair.state is PairState.IN_PROGRESS}
        return any(pair.state is PairState.FROZEN and pair.foundation not in busy for pair in self._pairs)

    @property
    def has_prospects(self) -> bool:
        """True where a pair is valid, or may become so without the peer's help."""
        return any(pair.state is not PairState.FAILED for pair in self._pairs)

    @property
    def active_count(self) -> int:
        """Pairs that are Waiting or In-Progress, for the RTO (14.3)."""
        return sum(pair.state in _ACTIVE for pair in self._pairs)

    @property
    def valid_pairs(self) -> list[CandidatePair]:
        """The valid list, best first."""
        return [pair for pair in self._pairs if pair.is_valid]
