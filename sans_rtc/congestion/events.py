"""What a bandwidth estimator has to say."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs


class Cause(StrEnum):
    """Why the target is what it is now."""

    INCREASE = "increase"
    DELAY = "delay"
    LOSS = "loss"
    PROBE = "probe"
    REMB = "remb"
    TIMEOUT = "timeout"
    LIMITS = "limits"


@attrs.define(slots=True)
class TargetBitrate:
    """What the encoders together, retransmissions included, shall send from now on.

    bitrate_bps  bits a second, packets counted as they were given to `on_sent`
    cause        what moved it last
    """

    bitrate_bps: int
    cause: Cause


@attrs.define(slots=True)
class ProbeCluster:
    """Send a few packets at this rate, padded where media is short; the feedback on them tells what the path takes.

    probe_id     to be given back in `PacketResult.probe_id`; above zero
    bitrate_bps  the rate at which they go out
    size_bytes   at least this much
    packets_min  and at least so many packets
    """

    probe_id: int
    bitrate_bps: int
    size_bytes: int
    packets_min: int


EstimatorEvent: TypeAlias = TargetBitrate | ProbeCluster
