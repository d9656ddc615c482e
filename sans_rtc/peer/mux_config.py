"""What can be chosen about many peers on one socket: bounds, and how many strangers an application hears of."""

from __future__ import annotations

from typing import Any

import attrs

from sans_rtc.errors import InvalidArgument


def _positive(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if value <= 0:
        raise InvalidArgument(f"{attribute.name} must be above 0, is {value}")


def _not_negative(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
    if value < 0:
        raise InvalidArgument(f"{attribute.name} must not be negative, is {value}")


@attrs.frozen(slots=True, kw_only=True)
class MuxConfig:
    """The configuration of a router; what comes beyond a bound is left out and counted, except where a call raises.

    peer_count_max           `add` raises LimitExceeded
    transaction_count_max    requests of ours that wait for an answer from a path that is nobody's yet; the oldest go
    strangers_per_s_max      requests with an unknown fragment that are told; 0 for none
    stranger_burst_max       of those at once
    strangers_per_host_max   of one remote host within `stranger_repeat_s`, so that one does not use up the rate of all
    stranger_repeat_s        the same fragment from the same path is told once in so many seconds
    strangers_waiting_max    told and not taken yet
    visitor_count_max        TCP connections of others whose first frame has not said yet whose they are; one more is
                             closed at once
    visitors_per_host_max    of those of one remote host
    visitor_wait_s           after which they are closed
    """

    peer_count_max: int = attrs.field(default=65_536, validator=_positive)
    transaction_count_max: int = attrs.field(default=16_384, validator=_positive)
    strangers_per_s_max: float = attrs.field(default=50.0, validator=_not_negative)
    stranger_burst_max: int = attrs.field(default=100, validator=_positive)
    strangers_per_host_max: int = attrs.field(default=20, validator=_positive)
    stranger_repeat_s: float = attrs.field(default=5.0, validator=_positive)
    strangers_waiting_max: int = attrs.field(default=256, validator=_positive)
    visitor_count_max: int = attrs.field(default=256, validator=_positive)
    visitors_per_host_max: int = attrs.field(default=16, validator=_positive)
    visitor_wait_s: float = attrs.field(default=10.0, validator=_positive)
