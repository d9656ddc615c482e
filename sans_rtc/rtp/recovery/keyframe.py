"""Asking for a keyframe until one comes: PLI (RFC 4585 6.3.1) after loss, FIR (RFC 5104 4.3.1) for a new viewer."""

from __future__ import annotations

import math
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.recovery.config import KeyframeConfig


class KeyframeRequestKind(StrEnum):
    """The message that asks. FIR is no reaction to loss: "it is RECOMMENDED to use PLI" (RFC 5104 4.3.1.2)."""

    PLI = "pli"
    FIR = "fir"


@attrs.define(slots=True)
class KeyframeRequest:
    """A message to be sent now.

    command_number  of a FIR, 0 to 255: a repetition has the same, a new command the next (RFC 5104 4.3.1.1)
    """

    kind: KeyframeRequestKind
    command_number: int


class KeyframeRequester:
    """Asks for a keyframe of one stream; a transform with a deadline.

    Requests are at least `interval_s_min` apart, whatever is asked of it; repeated, twice as long apart each time,
    until `on_keyframe`.
    request_count  messages handed over
    """

    __slots__ = (
        "_command_number",
        "_config",
        "_interval_s",
        "_kind",
        "_next_at",
        "_requested_at",
        "_rtt_s",
        "request_count",
    )

    def __init__(self, config: KeyframeConfig, *, rtt_s: float = 0.1) -> None:
        self._config = config
        self._kind: KeyframeRequestKind | None = None
        self._command_number = 255  # the first command is 0; the initial value is arbitrary
        self._requested_at = -math.inf
        self._next_at = math.inf
        self._interval_s = 0.0
        self.request_count = 0
        self.set_rtt(rtt_s)

    def set_rtt(self, rtt_s: float) -> None:
        """Tell the round-trip time. Errors: InvalidArgument where it is negative or not finite."""
        if not 0.0 <= rtt_s < math.inf:
            raise InvalidArgument(f"a round-trip time is finite and not negative: {rtt_s}")
        self._rtt_s = rtt_s

    def request(self, kind: KeyframeRequestKind, now: float) -> None:
        """Want a keyframe. While one is wanted already this changes nothing, but that a FIR replaces a PLI."""
        if self._kind is None:
            self._next_at = max(now, self._requested_at + self._config.interval_s_min)
            self._interval_s = max(self._config.interval_s_min, self._config.rtt_factor * self._rtt_s)
        if kind is KeyframeRequestKind.FIR and self._kind is not KeyframeRequestKind.FIR:
            self._command_number = (self._command_number + 1) & 0xFF
        if self._kind is None or kind is KeyframeRequestKind.FIR:
            self._kind = kind

    def on_keyframe(self) -> None:
        """A whole keyframe has come, or one has begun to: "the repetition of the FIR must stop" (RFC 5104 3.5.1.1)."""
        self._kind = None
        self._next_at = math.inf

    def take_request(self, now: float) -> KeyframeRequest | None:
        """Hand over the message that is to be sent now, if any."""
        if self._kind is None or self._next_at > now:
            return None
        self._requested_at = now
        self._next_at = now + self._interval_s
        self._interval_s = max(self._interval_s, min(2 * self._interval_s, self._config.interval_s_max))
        self.request_count += 1
        return KeyframeRequest(self._kind, self._command_number if self._kind is KeyframeRequestKind.FIR else 0)

    @property
    def is_waiting(self) -> bool:
        """True while a keyframe is wanted."""
        return self._kind is not None

    @property
    def deadline(self) -> float:
        """When `take_request` has something to say."""
        return self._next_at
