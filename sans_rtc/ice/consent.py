"""Is the peer still there, and does it still want our data? (RFC 7675, RFC 8445 section 11)

The pair that carries data is checked about once a second, and twice as often while no response comes. Only an
authenticated success response counts: neither payload nor the peer's own requests do, since both say nothing about
whether what we send arrives where it is wanted.

    last response ----- disconnected_after_s -----> SILENT ----- failed_after_s in all -----> EXPIRED
          ^                                            |
          +----------------- a response ---------------+

A suspicion (the network has changed, or the peer checks another pair) makes that 1 s instead of 3 s by default.

deviation: RFC 7675 section 5.1 checks every 4 to 6 s and not more often. That finds a peer gone after 9 s at best; here
it takes 3 s, as users expect of a connection state, for one small datagram a second. With liveness_interval_s None the
RFC's interval applies.
"""

from __future__ import annotations

import math
from enum import StrEnum

from sans_rtc.entropy import Entropy, draw_fraction
from sans_rtc.ice.config import IceConfig
from sans_rtc.ice.pair import CandidatePair


class Freshness(StrEnum):
    """What is known of the peer at the far end of the pair."""

    FRESH = "fresh"
    SILENT = "silent"
    EXPIRED = "expired"


# RFC 7675 section 5.1: "each interval MUST be randomized from between 0.8 and 1.2 times the basic period".
FACTOR_MIN, FACTOR_MAX = 0.8, 1.2
# A pair under suspicion is asked in so much shorter intervals, and has this share of the time to answer: by default
# four checks within a second. With 10 % loss each way all of them get lost once in 800 times.
SUSPICION_RETRY, SUSPICION_PATIENCE = 0.5, 1 / 3


class Consent:
    """Watches one pair at a time: the one that carries data.

    pair       None: nothing is watched
    is_silent  checked for long enough, and no response for disconnected_after_s
    """

    def __init__(self, config: IceConfig, entropy: Entropy) -> None:
        self.pair: CandidatePair | None = None
        self.is_silent = False
        self._entropy = entropy
        self._interval_s = config.confirmation_interval_s
        self._retry_s = min(config.liveness_retry_s, self._interval_s)
        self._expires_after_s = config.failed_after_s
        self._is_checking = not config.is_lite
        # A lite agent sends no checks. The peer's requests stand for responses, every 4 to 6 s by RFC 7675.
        self._silent_after_s = config.disconnected_after_s if self._is_checking else 2.5 * config.consent_interval_s
        self._check_at = math.inf
        self._seen_at = -math.inf
        self._unanswered_since = math.inf
        self._suspected_at = math.inf

    def watch(self, pair: CandidatePair | None, now: float) -> None:
        """Watch another pair from now on."""
        if pair is self.pair:
            return
        self.pair = pair
        self.is_silent = False
        self._check_at = math.inf
        self._suspected_at = math.inf
        if pair is not None:
            self._on_response(pair, max(pair.last_response_at, now - self._interval_s))
            if self._is_checking and now >= pair.last_response_at + self._silent_after_s:
                # It has been silent all the while: only a response makes it otherwise.
                self._unanswered_since = pair.last_response_at + FACTOR_MAX * self._interval_s
                self.is_silent = True

    def suspect(self, now: float) -> None:
        """Something says that the pair may have died: the network has changed, or the peer asks elsewhere.

        It is checked at once, twice as often as one that is silent, and counts as silent after a third of the time.
        Nothing but silence makes it so: whoever only wants us to leave it can cause a few checks.
        """
        pair = self.pair
        if pair is None or not self._is_checking:
            return
        self._suspected_at = min(self._suspected_at, now)
        self._check_at = min(self._check_at, max(now, pair.last_sent_at + SUSPICION_RETRY * self._retry_s))

    def update(self, now: float) -> Freshness:
        """Judge the pair, after anything that may have changed it or when time has passed."""
        pair = self.pair
        if pair is None:
            return Freshness.FRESH
        if pair.last_response_at > self._seen_at:
            self._on_response(pair, now)
        if now >= pair.last_response_at + self._expires_after_s:
            return Freshness.EXPIRED
        self.is_silent = now >= self._silent_at(pair)
        return Freshness.SILENT if self.is_silent else Freshness.FRESH

    def is_heard(self, pair: CandidatePair, now: float) -> bool:
        """True where a pair is not silent; of one that is not watched only its last response is known."""
        return not self.is_silent if pair is self.pair else now < pair.last_response_at + self._silent_after_s

    def is_check_due(self, now: float) -> bool:
        """True where a check of the pair is to be sent now."""
        return self._check_at <= now

    def note_sent(self, now: float) -> None:
        """A check has been sent; the next follows soon, unless a response puts it off."""
        self._unanswered_since = min(self._unanswered_since, now)
        self._arm(now, self._retry_s if self._suspected_at == math.inf else SUSPICION_RETRY * self._retry_s)

    def _on_response(self, pair: CandidatePair, at: float) -> None:
        self._seen_at = pair.last_response_at
        self._unanswered_since = self._suspected_at = math.inf
        if self._is_checking:
            self._arm(at, self._interval_s)

    def _arm(self, since: float, interval_s: float) -> None:
        factor = FACTOR_MIN + (FACTOR_MAX - FACTOR_MIN) * draw_fraction(self._entropy)
        self._check_at = since + interval_s * factor

    def _silent_at(self, pair: CandidatePair) -> float:
        """When the pair counts as silent.

        A program that has stood still for seconds has asked nothing meanwhile, so it has learned nothing: the time that
        belongs to waiting for answers begins with the first check that got none.
        """
        silent_at = pair.last_response_at + self._silent_after_s
        if not self._is_checking:
            return silent_at
        silent_at = max(silent_at, self._unanswered_since + (self._silent_after_s - FACTOR_MAX * self._interval_s))
        if self._suspected_at == math.inf:
            return silent_at
        wait_s = max(SUSPICION_PATIENCE * self._silent_after_s, 2.0 * (pair.rtt_s or 0.0))
        return min(silent_at, max(self._unanswered_since, self._suspected_at) + wait_s)

    @property
    def deadline(self) -> float:
        """When the pair has to be looked at again."""
        pair = self.pair
        if pair is None:
            return math.inf
        silent_at = math.inf if self.is_silent else self._silent_at(pair)
        return min(self._check_at, silent_at, pair.last_response_at + self._expires_after_s)
