"""What applications have sent each other, and whether what arrives is what was promised.

A reliable channel delivers each message exactly once, in order where it is ordered; an unreliable one each at most
once, in order likewise; media frames arrive at most once and in order. Nothing arrives that was not sent.
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TypeAlias

import attrs

from sans_rtc.datachannel import ChannelOptions

Payload: TypeAlias = bytes | str


@attrs.define(slots=True)
class Promise:
    """One direction of a channel, or of a transceiver.

    is_ordered, is_reliable  what was promised
    sent, received           how many messages
    is_over                  nothing more is owed: the channel has been closed, or its end is gone
    """

    name: str
    is_ordered: bool = True
    is_reliable: bool = True
    sent: int = 0
    received: int = 0
    is_over: bool = False
    _waiting: deque[Payload] = attrs.Factory(deque)
    _counts: Counter[Payload] = attrs.Factory(Counter)

    def send(self, payload: Payload) -> None:
        """The application has sent this."""
        self.sent += 1
        if self.is_ordered:
            self._waiting.append(payload)
        else:
            self._counts[payload] += 1

    def receive(self, payload: Payload) -> None:
        """The other application has got this; AssertionError where it must not."""
        self.received += 1
        if not self.is_ordered:
            assert self._counts[payload] > 0, f"{self.name}: {_short(payload)} arrived twice, or was never sent"
            self._counts[payload] -= 1
            return
        while self._waiting:
            if self._waiting.popleft() == payload:
                return
            assert not self.is_reliable, f"{self.name}: {_short(payload)} is not the next message that was sent"
        raise AssertionError(f"{self.name}: {_short(payload)} arrived twice, or out of order, or was never sent")

    @property
    def is_kept(self) -> bool:
        """True where nothing is missing that must arrive."""
        return self.is_over or not self.is_reliable or self.received == self.sent

    @classmethod
    def of_channel(cls, name: str, options: ChannelOptions) -> Promise:
        """What a channel promises."""
        is_reliable = options.max_retransmits is None and options.lifetime_s is None
        return cls(name, options.ordered, is_reliable)


def _short(payload: Payload) -> str:
    return repr(payload if len(payload) <= 40 else payload[:40])
