"""What the estimator counts, and how it stands."""

from __future__ import annotations

from enum import StrEnum

import attrs

from sans_rtc.congestion.trendline import Usage


class EstimatorDiscardReason(StrEnum):
    """Why something the peer said was not used."""

    INVALID_REMB = "invalid-remb"


def _no_discards() -> dict[str, int]:
    return dict.fromkeys(EstimatorDiscardReason, 0)


@attrs.define(slots=True)
class EstimatorStats:
    """Counters that only grow; discards by `EstimatorDiscardReason`."""

    discards: dict[str, int] = attrs.field(factory=_no_discards)
    feedbacks: int = 0
    overuses: int = 0
    delay_cuts: int = 0
    loss_cuts: int = 0
    drains: int = 0
    timeouts: int = 0
    ce_marks: int = 0
    probes_asked: int = 0
    probe_results: int = 0


@attrs.define(slots=True)
class Statistics:
    """A snapshot. Rates in bits a second; math.inf: does not bound; None: not known yet."""

    target_bps: int
    delay_bps: float
    drain_bps: float
    loss_bps: float
    remb_bps: float
    arrival_bps: float | None
    capacity_bps: float | None
    usage: Usage
    trend_ms: float
    threshold_ms: float
    loss: float
    inherent_loss: float
    rtt_s: float
    queue_s: float
    is_application_limited: bool
