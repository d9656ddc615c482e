"""Which pair is checked next, which is nominated, and which is selected (RFC 8445 sections 6.1.4, 7.2.2, 8.1).

    Waiting pairs --ordinary checks--> valid pairs --nomination--> the selected pair
                                           ^                             |
                                           +---- others, where it is silent, gone, or (renomination) worse

Once a pair is selected nothing else is checked, except where there is a reason to: the selected pair is silent
(`reopen`), the network has changed (`roam`), or both ends take renominations.
"""

from __future__ import annotations

import math

from sans_rtc.ice.checklist import Checklist
from sans_rtc.ice.client_side import CheckKind, ClientSide
from sans_rtc.ice.config import DEFAULT_CHECK_PACE_S
from sans_rtc.ice.consent import FACTOR_MAX
from sans_rtc.ice.context import AgentContext
from sans_rtc.ice.nomination import Nominator, best_valid, select
from sans_rtc.ice.pacer import Pacer
from sans_rtc.ice.pair import CandidatePair, PairState
from sans_rtc.ice.parameters import OPTION_RENOMINATION, Parameters
from sans_rtc.ice.renomination import Renominator
from sans_rtc.ice.role import Role

# Valid pairs that are kept alive beside the one in use.
KEPT_COUNT_MAX = 4


class Search:
    """The part of a session that decides.

    selected         the selected pair; None before nomination has succeeded, and where it is gone
    selected_at      when a pair was selected for the first time; inf before
    is_failed        no pair is left that could work (RFC 8445 section 6.1.2.1), or consent was lost
    is_consent_lost  ... the latter: only a restart helps (RFC 7675 section 5.1)
    is_retired       a newer generation does the searching
    has_lost_pair    the selected pair is gone with its socket, and no other has been selected yet
    is_reopened      the selected pair is silent
    is_roaming       the network has changed since: what is new is checked beside the selected pair
    is_renominating  both ends have signalled renomination
    has_all_candidates  the peer has said that no more will come
    """

    def __init__(self, context: AgentContext, checklist: Checklist, client: ClientSide) -> None:
        self.selected: CandidatePair | None = None
        self.selected_at = math.inf
        self.is_failed = False
        self.is_consent_lost = False
        self.is_retired = False
        self.has_lost_pair = False
        self.is_reopened = False
        self.is_roaming = False
        self.is_renominating = False
        self.has_all_candidates = False
        self.nominator = Nominator(context.config)
        self._context = context
        self._config = context.config
        self._checklist = checklist
        self._client = client
        self._renominator = Renominator(context.config.renomination_policy)
        self._nomination_count = 0
        self._pacer = Pacer(context.config.check_pace_s, context.config.triggered_burst_max)
        self._patient_until = math.inf
        self._has_remote = False

    # -- inputs ------------------------------------------------------------------------------------------------------

    def begin(self, local: Parameters, remote: Parameters, now: float) -> None:
        """Both ends' parameters are known: checks may begin, and RFC 8863's timer does."""
        self._has_remote = True
        # RFC 8445 section 14.2: "Both agents MUST use the higher value of the proposed values."
        self._pacer.interval_s = max(self._config.check_pace_s, remote.check_pace_s or DEFAULT_CHECK_PACE_S)
        self.is_renominating = OPTION_RENOMINATION in local.options and OPTION_RENOMINATION in remote.options
        self._be_patient(now)

    def trigger(self, pair: CandidatePair) -> None:
        """RFC 8445 section 7.3.1.4: check this pair soon; a check that is on its way is not repeated."""
        if pair.state is PairState.IN_PROGRESS:
            self._client.cancel(pair)
        if pair.state is not PairState.SUCCEEDED:
            pair.enter(PairState.WAITING)
        self._checklist.trigger(pair)

    def renominate_selected(self, now: float) -> None:
        """A NAT before us has given the selected pair another address: nominate it there."""
        if self.nominator.pair is None and self.selected is not None:
            self._start_nomination(self.selected, now)

    def forget(self, pair: CandidatePair, now: float) -> None:
        """A pair is gone with its socket; where it was the selected one, others are tried at once."""
        self._client.discard(pair)
        self.nominator.note_ended(pair)
        if pair is self.selected:
            self.selected = None
            self.has_lost_pair = self.is_roaming = True
            self._be_patient(now)
            self.reopen()

    def roam(self) -> None:
        """The network of either end has changed: check what is new, and what had failed before."""
        if self.is_retired or self._config.is_lite:
            return
        self.is_roaming = True
        for pair in self._checklist:
            if pair.state is PairState.FAILED and not pair.is_revoked:
                pair.enter(PairState.WAITING)

    def reopen(self) -> None:
        """The selected pair is silent or gone: try all others, the failed ones too: the network may have changed."""
        if self.is_reopened or self.is_failed or self.is_retired or self._config.is_lite:
            return
        self.is_reopened = True
        self.nominator.reset()
        for pair in self._checklist:
            if pair is self.selected or pair.is_revoked:
                continue
            if pair.state is PairState.FAILED:
                pair.enter(PairState.WAITING)
            elif pair.is_valid:
                self._checklist.trigger(pair)

    def close_reopened(self) -> None:
        """The selected pair has been heard of again."""
        if self.is_reopened and self.selected is not None:
            self._conclude()

    def revive(self, now: float) -> None:
        """A new candidate or a check of the peer: what had run out of pairs has one again, unless consent was lost."""
        if self.is_failed and not self.is_consent_lost:
            self.is_failed = False
            self._be_patient(now)

    def lose_consent(self) -> None:
        """The peer may not be sent to any more where it expects it: only a restart helps (RFC 7675 section 5.1)."""
        self.is_consent_lost = True
        self.give_up()

    def give_up(self) -> None:
        """Nothing is left, or nothing may be used any more."""
        self.is_failed = True
        self.selected = None
        self.is_reopened = self.has_lost_pair = False
        self.nominator.reset()
        self._client.discard_all()
        self._checklist.clear_triggered()

    def _be_patient(self, now: float) -> None:
        """RFC 8863 section 4: time for the peer's checks to make known what neither end has signalled."""
        self._patient_until = now + self._config.patience_effective_s

    # -- what follows ------------------------------------------------------------------------------------------------

    def proceed(self, *, is_waiting_for_names: bool, now: float) -> None:
        """Draw the consequences of whatever has happened: select, nominate, check, or give up."""
        self._follow_selection(now)
        if self._config.is_lite:
            return
        self._nominate(now)
        self._perform_checks(now)
        self._keep_up(now)
        if self.selected is None and self._is_exhausted(is_waiting_for_names) and self._patient_until <= now:
            self.give_up()

    def _follow_selection(self, now: float) -> None:
        selected = select(self._checklist, self.selected, now, self._config.disconnected_after_s)
        if selected is self.selected:
            return
        self.selected = selected
        if selected is not None:
            self.selected_at = min(self.selected_at, now)
            self._conclude()

    def _conclude(self) -> None:
        """RFC 8445 section 8.1.2: ordinary checks end; those on their way may still be answered.

        deviation: the other pairs are kept, unchecked, as something to fall back on when the selected one dies.
        """
        self.is_reopened = self.has_lost_pair = False
        self.nominator.reset()
        for pair in self._checklist:
            if pair.state is PairState.IN_PROGRESS and not pair.is_to_be_nominated:
                self._client.cancel(pair)
                pair.enter(PairState.WAITING)
        self._checklist.clear_triggered(lambda pair: pair.is_to_be_nominated)

    def _nominate(self, now: float) -> None:
        is_overdue = self.nominator.give_up_overdue(now)
        if self._context.roles.role is not Role.CONTROLLING or not self._is_searching:
            self.nominator.rest()
            self._renominate(now)
            return
        if is_overdue:
            self._check_valid_pairs(now)
        has_all = self.has_all_candidates or self._config.is_relay_only
        pair = self.nominator.choose(self._checklist, self.selected, now, has_all_candidates=has_all)
        if pair is not None:
            self._start_nomination(pair, now)

    def _renominate(self, now: float) -> None:
        """Move to a pair that has been better for a while, where both ends take renominations."""
        if not self._may_renominate or self.selected is None or self.nominator.pair is not None:
            self._renominator.rest()
            return
        pair = self._renominator.choose(self._checklist, self.selected, now)
        if pair is not None:
            self._renominator.note_moved(now)
            self._start_nomination(pair, now)

    def _start_nomination(self, pair: CandidatePair, now: float) -> None:
        self.nominator.note_started(pair, now)
        self._checklist.trigger(pair, is_urgent=True)

    def _check_valid_pairs(self, now: float) -> None:
        for pair in self._checklist.valid_pairs:
            if pair is not self.selected and not pair.is_alive(now, self._config.liveness_retry_s):
                self._checklist.trigger(pair)

    def _perform_checks(self, now: float) -> None:
        """RFC 8445 section 6.1.4.2: triggered checks first, then the best pair that waits; Ta apart."""
        while self._checklist.has_triggered and self._pacer.urgent_at <= now:
            pair = self._checklist.take_triggered()
            assert pair is not None
            self._check(pair, now)
        if self._is_open and self._pacer.ordinary_at <= now:
            pair = self._checklist.take_ordinary()
            if pair is not None:
                self._check(pair, now)

    def _check(self, pair: CandidatePair, now: float) -> None:
        self._pacer.note_sent(now)
        is_nomination = pair is self.nominator.pair and not self._client.has_nomination(pair)
        kind = CheckKind.NOMINATION if is_nomination else CheckKind.CONNECTIVITY
        value = None
        if is_nomination and self.is_renominating:
            self._nomination_count += 1
            value = self._nomination_count & 0xFFFFFF
        undecided_count = self._checklist.active_count
        if not self._client.start(pair, kind, now, undecided_count=undecided_count, nomination=value):
            return
        if pair.state is not PairState.SUCCEEDED:
            if pair.state is not PairState.IN_PROGRESS:
                pair.enter(PairState.WAITING)
            pair.enter(PairState.IN_PROGRESS)

    def _keep_up(self, now: float) -> None:
        """Check valid pairs that are not in use now and then.

        Before one is selected, so that the NATs on their ways stay open, and that the peer hears of it where one of
        ours has given a pair another address: there is nobody else to tell it. With renomination, to compare them.
        """
        for pair in self._kept_pairs:
            if self._kept_until(pair) <= now:
                pair.last_sent_at = now
                self._client.start(pair, CheckKind.CONSENT, now)

    # -- the pair in use ---------------------------------------------------------------------------------------------

    def carrier(self, current: CandidatePair | None, now: float) -> CandidatePair | None:
        """The pair that data travel on: the selected one, before that the best valid one (RFC 8445 section 12.1)."""
        if self.selected is not None:
            return self.selected
        return best_valid(self._checklist, current, now, self._config.disconnected_after_s)

    # -- reads -------------------------------------------------------------------------------------------------------

    def deadline(self, *, is_waiting_for_names: bool) -> float:
        """When proceed wants to run."""
        if not self._has_remote or self.is_failed or self._config.is_lite:
            return math.inf
        deadline = min(self.nominator.deadline, self._renominator.deadline)
        if self._checklist.has_triggered:
            deadline = min(deadline, self._pacer.urgent_at)
        elif self._is_open and self._checklist.has_ordinary:
            deadline = min(deadline, self._pacer.ordinary_at)
        if self.selected is None and self._is_exhausted(is_waiting_for_names):
            deadline = min(deadline, self._patient_until)
        return min((deadline, *map(self._kept_until, self._kept_pairs)))

    @property
    def has_prospects(self) -> bool:
        """True where a pair is valid, or may become so unless something changes."""
        return self._checklist.has_triggered or self._checklist.has_prospects

    @property
    def _is_searching(self) -> bool:
        return not self.is_retired and (self.selected is None or self.is_reopened)

    @property
    def _is_open(self) -> bool:
        """True where ordinary checks are made."""
        return self._is_searching or (not self.is_retired and (self.is_roaming or self.is_renominating))

    @property
    def _may_renominate(self) -> bool:
        is_ours = self._context.roles.role is Role.CONTROLLING and not self._is_searching
        return is_ours and self.is_renominating and not self.is_retired

    @property
    def _kept_pairs(self) -> list[CandidatePair]:
        if self.is_retired or not (self.selected is None or self.is_renominating):
            return []
        return [pair for pair in self._checklist.valid_pairs if pair is not self.selected][:KEPT_COUNT_MAX]

    def _kept_until(self, pair: CandidatePair) -> float:
        """When a pair is checked next. A little later than by consent, which watches one of them."""
        if self.selected is not None:
            return pair.last_sent_at + self._config.renomination_policy.check_interval_s
        return pair.last_sent_at + FACTOR_MAX * self._config.confirmation_interval_s

    def _is_exhausted(self, is_waiting_for_names: bool) -> bool:
        """True where no pair is valid, and none can become so unless the peer does something."""
        return not (is_waiting_for_names or self.has_prospects)
