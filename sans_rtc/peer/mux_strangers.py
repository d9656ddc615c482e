"""Who has knocked: requests with a fragment that is nobody's, told to the application within a rate.

Whoever can send a datagram can send these, from any source address. So nothing is kept of those beyond the rate, and of
those within it only for as long as their repetitions are to be told from new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sans_rtc.machine import Datagram, Path
from sans_rtc.outbox import Outbox
from sans_rtc.peer.mux_config import MuxConfig
from sans_rtc.peer.mux_events import UnknownUfrag
from sans_rtc.peer.mux_stats import DiscardReason
from sans_rtc.stun.integrity import is_fingerprint_valid


class Strangers:
    """The strangers that the application is still to hear of."""

    __slots__ = ("_by_host", "_config", "_discard", "_left", "_refilled_at", "_told", "_waiting")

    def __init__(self, config: MuxConfig, discard: Callable[[DiscardReason], None]) -> None:
        self._config = config
        self._discard = discard
        self._waiting: Outbox[UnknownUfrag] = Outbox()
        self._left = float(config.stranger_burst_max)
        self._refilled_at = 0.0
        self._told: dict[tuple[Path, str], float] = {}  # when, oldest first
        self._by_host: dict[str, int] = {}  # of those

    def offer(self, datagram: Datagram, local_ufrag: str, remote_ufrag: str, now: float) -> None:
        """Take a request with an unknown fragment: it is told, or counted and forgotten."""
        refusal = self._refusal(datagram, local_ufrag, now)
        if refusal is not None:
            self._discard(refusal)
            return
        self._left -= 1.0
        self._told[datagram.path, local_ufrag] = now
        host = datagram.path.remote.host
        self._by_host[host] = self._by_host.get(host, 0) + 1
        self._waiting.append(UnknownUfrag(local_ufrag, remote_ufrag, datagram.path, datagram))

    def take(self) -> Sequence[UnknownUfrag]:
        """Hand over those that wait to be told."""
        return self._waiting.take()

    @property
    def remembered_count(self) -> int:
        """Strangers that were told so lately that a repetition would be known."""
        return len(self._told)

    def _refusal(self, datagram: Datagram, local_ufrag: str, now: float) -> DiscardReason | None:
        config = self._config
        # RFC 8445 section 7.3: checks have one; it sorts out what only looks like STUN.
        if not is_fingerprint_valid(datagram.data):
            return DiscardReason.BAD_FINGERPRINT
        self._forget_old(now)
        if (datagram.path, local_ufrag) in self._told:
            return DiscardReason.STRANGER_REPEATED
        if self._by_host.get(datagram.path.remote.host, 0) >= config.strangers_per_host_max:
            return DiscardReason.STRANGER_HOST_LIMIT
        self._refill(now)
        if self._left < 1.0:
            return DiscardReason.STRANGER_RATE
        return DiscardReason.STRANGERS_WAITING if len(self._waiting) >= config.strangers_waiting_max else None

    def _refill(self, now: float) -> None:
        config = self._config
        gained = (now - self._refilled_at) * config.strangers_per_s_max
        limit = config.stranger_burst_max if config.strangers_per_s_max else 0
        self._left = min(limit, self._left + gained)
        self._refilled_at = now

    def _forget_old(self, now: float) -> None:
        """At most as many as the rate has let in, so the work is paid for by those that are told."""
        while self._told:
            oldest = next(iter(self._told))
            if self._told[oldest] + self._config.stranger_repeat_s > now:
                return
            del self._told[oldest]
            host = oldest[0].remote.host
            self._by_host[host] -= 1
            if not self._by_host[host]:
                del self._by_host[host]
