"""What a machine shows of itself while a recording is replayed: windows, times, pairs, discards. Pure reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

# Points of a curve: more than a page has pixels are not seen.
SAMPLE_COUNT_MAX: Final = 1500
# Pairs and reasons that a page has room for; the first to come stay.
PAIR_COUNT_MAX: Final = 40
REASON_COUNT_MAX: Final = 40

Series = list[tuple[float, float]]
"""(seconds from the first call, value)."""


@attrs.define(slots=True)
class PairHistory:
    """A pair of ICE over time: (seconds, state) at each change; "selected" and "nominated" count as states."""

    label: str
    states: list[tuple[float, str]] = attrs.Factory(list)
    rtt_ms: Series = attrs.Factory(list)


@attrs.define(slots=True)
class Samples:
    """Everything that was read, over time.

    curves       by name: of `CURVES`
    pairs        by path and generation
    discards     by layer and reason, counted from the first call
    counters     of the association, as they were last
    explanation  the machine's own words at the end; empty where it has none
    likely_cause why it was not connected, or how it was, when it was last read before its end
    """

    curves: dict[str, Series] = attrs.Factory(dict)
    pairs: dict[str, PairHistory] = attrs.Factory(dict)
    discards: dict[str, Series] = attrs.Factory(dict)
    counters: dict[str, int] = attrs.Factory(dict)
    explanation: str = ""
    likely_cause: str = ""


class Sampler:
    """Reads a machine as often as it shows, and no more often."""

    def __init__(self, duration_s: float) -> None:
        self.samples = Samples()
        self._step_s = duration_s / SAMPLE_COUNT_MAX
        self._next_s = 0.0

    def read(self, machine: Any, at_s: float, *, is_last: bool = False) -> None:
        """Read the machine where it is time to."""
        if at_s < self._next_s and not is_last:
            return
        self._next_s = at_s + self._step_s
        explanation = machine.explain() if hasattr(machine, "explain") else None
        self._read_association(_association_of(machine), at_s)
        self._read_pairs(getattr(explanation, "ice", explanation), at_s)
        self._read_discards(machine, explanation, at_s)
        if explanation is not None and getattr(explanation, "terminated", None) is None:
            self.samples.likely_cause = str(getattr(explanation, "likely_cause", ""))
        if is_last and explanation is not None:
            self.samples.explanation = str(explanation)

    def _read_association(self, association: Any, at_s: float) -> None:
        if association is None:
            return
        state, stats = association.statistics, association.stats
        values = {
            "congestion_window": state.congestion_window_bytes,
            "flight": state.flight_bytes,
            "peer_window": state.peer_window_bytes,
            "round_trip_ms": state.srtt_s * 1000,
            "timeout_ms": state.rto_s * 1000,
            "retransmitted": stats.chunks_retransmitted,
        }
        for name, value in values.items():
            append_change(self.samples.curves.setdefault(name, []), at_s, value)
        names = ("chunks_sent", "chunks_retransmitted", "loss_events", "timeouts", "spurious_retransmissions",
                 "messages_sent", "messages_received", "messages_abandoned")  # fmt: skip
        self.samples.counters = {name: getattr(stats, name) for name in names}

    def _read_pairs(self, ice: Any, at_s: float) -> None:
        for pair in getattr(ice, "pairs", ()):
            key = f"{pair.generation} {pair.path}"
            history = self.samples.pairs.get(key)
            if history is None:
                if len(self.samples.pairs) >= PAIR_COUNT_MAX:
                    continue
                restarted = f", restart {pair.generation}" if pair.generation else ""
                label = f"{pair.local.type} {pair.path.local} to {pair.remote.type} {pair.path.remote}{restarted}"
                history = self.samples.pairs[key] = PairHistory(label)
            state = "selected" if pair.is_selected else "nominated" if pair.is_nominated else str(pair.state)
            if not history.states or history.states[-1][1] != state:
                history.states.append((at_s, state))
            if pair.rtt_s is not None:
                append_change(history.rtt_ms, at_s, pair.rtt_s * 1000)

    def _read_discards(self, machine: Any, explanation: Any, at_s: float) -> None:
        layers: Mapping[str, Mapping[str, int]] | None = getattr(explanation, "discards", None)
        if layers is None:
            stats = getattr(machine, "stats", getattr(explanation, "statistics", None))
            layers = {"": getattr(stats, "discards", {})}
        for layer, discards in layers.items():
            for reason, count in discards.items():
                name = f"{layer} {reason}".strip().replace("_", " ").replace("-", " ")
                if count and (name in self.samples.discards or len(self.samples.discards) < REASON_COUNT_MAX):
                    append_change(self.samples.discards.setdefault(name, [(0.0, 0.0)]), at_s, count)


def append_change(series: Series, at_s: float, value: float) -> None:
    """Append a point; of equal ones in a row the first and the last stay."""
    if len(series) > 1 and series[-1][1] == value == series[-2][1]:
        series[-1] = (at_s, value)
    else:
        series.append((at_s, float(value)))


def _association_of(machine: Any) -> Any:
    """The SCTP association of a peer, or the machine where it is one; None where there is none.

    A peer tells no more of it than `explain` does, and its counters are wanted here.
    """
    transport = getattr(machine, "_transport", None)
    found = machine if transport is None else getattr(getattr(transport, "data", None), "association", None)
    return found if hasattr(found, "statistics") and hasattr(found, "stats") else None
