"""One generation of ICE: from one exchange of credentials to the next (RFC 8445 sections 6 to 9).

It holds both ends' credentials, the pairs, our checks, and which pair is selected. After a restart two of them live
side by side: the new one checks, the old one carries the data.
"""

from __future__ import annotations

import math

from sans_rtc.ice.base import Base
from sans_rtc.ice.candidate import Candidate
from sans_rtc.ice.client_side import FORBIDDEN, CheckKind, CheckResult, ClientSide, Outcome
from sans_rtc.ice.config import DEFAULT_CHECK_PACE_S
from sans_rtc.ice.context import AgentContext
from sans_rtc.ice.early import EarlyRequests
from sans_rtc.ice.lite import accept_as_lite, select_without_checks
from sans_rtc.ice.nomination import Nominator, best_valid, select
from sans_rtc.ice.pacer import Pacer
from sans_rtc.ice.pair import CandidatePair, PairState
from sans_rtc.ice.pairing import Pairing
from sans_rtc.ice.parameters import Parameters
from sans_rtc.ice.priority import Foundations
from sans_rtc.ice.role import Role
from sans_rtc.ice.server_side import CheckRequest
from sans_rtc.ice.stats import DiscardReason
from sans_rtc.machine import Datagram, Path
from sans_rtc.stun.integrity import short_term_key
from sans_rtc.stun.wire import Message


class Session:
    """One ICE session.

    number           0 for the first generation, 1 after the first restart, ...
    local, remote    both ends' parameters; remote is None until they are signalled
    key              of our password, by which the peer's checks are authenticated
    pairing          candidates of both ends, and the checklist
    selected         the selected pair; None before nomination has succeeded
    selected_at      when a pair was selected for the first time; inf before
    is_failed        no pair is left that could work (RFC 8445 section 6.1.2.1), or consent was lost
    is_consent_lost  ... the latter: only a restart helps (RFC 7675 section 5.1)
    is_retired       a newer generation does the searching
    """

    def __init__(self, context: AgentContext, number: int, local: Parameters, foundations: Foundations) -> None:
        self.number = number
        self.local = local
        self.remote: Parameters | None = None
        self.key = short_term_key(local.pwd)
        self.pairing = Pairing(context, foundations)
        self.checklist = self.pairing.checklist
        self.remotes = self.pairing.remotes
        self.selected: CandidatePair | None = None
        self.selected_at = math.inf
        self.is_failed = False
        self.is_consent_lost = False
        self.is_retired = False
        self._context = context
        self._config = context.config
        self._client = ClientSide(context, local)
        self._nominator = Nominator(context.config)
        self._pacer = Pacer(context.config.check_pace_s, context.config.triggered_burst_max)
        self._early = EarlyRequests(context.config.early_request_count_max)
        self._patient_until = math.inf
        self._is_reopened = False

    # -- signalling --------------------------------------------------------------------------------------------------

    def set_remote(self, remote: Parameters, now: float) -> None:
        """The peer's credentials are known: checks may begin, and requests that came early get their due."""
        self.remote = remote
        self._client.set_remote(remote)
        # RFC 8445 section 14.2: "Both agents MUST use the higher value of the proposed values."
        self._pacer.interval_s = max(self._config.check_pace_s, remote.check_pace_s or DEFAULT_CHECK_PACE_S)
        self._patient_until = now + self._config.patience_effective_s
        self.pairing.drop_foreign(remote.ufrag)
        for request, base in self._early.take(remote.ufrag):
            self.on_request(request, base, now)

    def remove_base(self, base: Base) -> None:
        """A socket is gone, and with it every pair on it."""
        self._early.forget_base(base)
        for pair in self.pairing.remove_base(base):
            self._client.discard(pair)
            self._nominator.note_ended(pair)
            if pair is self.selected:
                self.selected = None
                self.reopen()

    def add_remote(self, candidate: Candidate, now: float) -> str | None:
        """Take a signalled candidate. Returns the name that has to be resolved first, None where there is none."""
        ufrag = candidate.extension("ufrag")
        if self.remote is not None and ufrag not in (None, self.remote.ufrag):
            # RFC 8838 section 9: delayed updates of a previous session are "recognized as such and ignored".
            self._context.stats.discard(DiscardReason.FOREIGN_GENERATION)
            return None
        if not self.remotes.admit(candidate):
            return None
        if candidate.is_named:
            self.remotes.add_named(candidate)
            return candidate.address.host
        remote = self.remotes.add(candidate)
        if remote is not None:
            self.pairing.add_remote(remote)
            self._revive(now)
        return None

    def resolve(self, name: str, hosts: tuple[str, ...], now: float) -> None:
        """The name of remote candidates stands for these hosts."""
        for remote in self.remotes.resolve(name, hosts):
            self.pairing.add_remote(remote)
            self._revive(now)

    # -- the peer's requests -----------------------------------------------------------------------------------------

    def on_request(self, request: CheckRequest, base: Base, now: float) -> bool:
        """The peer has checked a pair (RFC 8445 sections 7.3.1.3 to 7.3.1.5). True where its path is one to know."""
        if self.remote is None:
            is_kept = self._early.keep(request, base)
            if not is_kept:
                self._context.stats.discard(DiscardReason.EARLY_REQUESTS_FULL)
            return is_kept
        if request.remote_ufrag != self.remote.ufrag:
            self._context.stats.discard(DiscardReason.FOREIGN_GENERATION)
            return False
        pair = self.pairing.find_or_learn(request.path, base, request.priority)
        if pair is None:
            return False
        pair.statistics.checks_received += 1
        pair.last_request_at = now
        if self._config.is_lite:
            accept_as_lite(pair, request, now)
            self.is_failed &= not request.use_candidate
        elif not pair.is_revoked and not self.is_consent_lost:
            self._revive(now)
            self._accept(pair, request, now)
        return True

    def _accept(self, pair: CandidatePair, request: CheckRequest, now: float) -> None:
        """RFC 8445 sections 7.3.1.4, 7.3.1.5. A nominated pair that was not heard of lately is checked anew, not so the
        selected one, which consent watches: a check that times out would fail it before its time."""
        is_fresh = pair.is_valid and pair.is_alive(now, self._config.disconnected_after_s)
        is_nominated = request.use_candidate and self._context.roles.role is Role.CONTROLLED
        if is_nominated:
            pair.nomination = max(pair.nomination, request.nomination)
            pair.is_nominated |= is_fresh
            pair.is_to_be_nominated |= not is_fresh
        if not pair.is_valid or (is_nominated and not is_fresh and pair is not self.selected):
            self._trigger(pair)

    def _trigger(self, pair: CandidatePair) -> None:
        """RFC 8445 section 7.3.1.4: check this pair soon; a check that is on its way is not repeated."""
        if pair.state is PairState.IN_PROGRESS:
            self._client.cancel(pair)
        if pair.state is not PairState.SUCCEEDED:
            pair.enter(PairState.WAITING)
        self.checklist.trigger(pair)

    # -- responses ---------------------------------------------------------------------------------------------------

    def has_sent(self, transaction_id: bytes) -> bool:
        """True where one of our checks with this transaction id waits for its response."""
        return self._client.knows(transaction_id)

    def on_response(self, message: Message, datagram: Datagram, now: float) -> bool | None:
        """Take the response to a check that `has_sent` knows. True: a success; None: not authentic, so nothing."""
        result = self._client.receive(message, datagram, now)
        if result is None:
            return None
        self._on_result(result, now)
        return result.outcome is Outcome.SUCCEEDED

    def handle_timer(self, now: float) -> None:
        """Repeat checks, and take note of those that nobody has answered."""
        if self._client.deadline <= now:
            for result in self._client.handle_timer(now):
                self._on_result(result, now)

    def _on_result(self, result: CheckResult, now: float) -> None:
        check, outcome, pair = result.check, result.outcome, result.check.pair
        if self._context.trace is not None:
            self._context.record("check_ended", now, path=pair.path, kind=check.kind, outcome=outcome)
        if check.kind is CheckKind.NOMINATION:
            self._nominator.note_ended(pair)
        if pair not in self.checklist:
            return
        if outcome is Outcome.SUCCEEDED:
            self._on_success(result, now)
        elif outcome is Outcome.ROLE_CONFLICT and self._context.take_other_role(check.role):
            if check.kind is not CheckKind.CONSENT:
                self._trigger(pair)
        elif result.code == FORBIDDEN:
            self.expire(pair, now)  # RFC 7675 section 5.2: consent is revoked at once
        elif check.kind is CheckKind.CONSENT or check.is_cancelled:
            return  # its loss means nothing; consent expires by silence
        elif outcome is not Outcome.TIMED_OUT or pair.last_response_at < check.transaction.started_at:
            self._fail(pair)

    def _on_success(self, result: CheckResult, now: float) -> None:
        """RFC 8445 sections 7.2.5.3.1 to 7.2.5.3.4."""
        check, pair = result.check, result.check.pair
        assert result.mapped is not None
        known, pair.valid_local = pair.valid_local, self.pairing.local_of(pair, result.mapped, check.priority)
        if check.kind is not CheckKind.CONSENT:
            pair.enter(PairState.SUCCEEDED)
            self.checklist.unfreeze(pair.foundation)
        role = self._context.roles.role
        if check.kind is CheckKind.NOMINATION and role is Role.CONTROLLING:
            for other in self.checklist:
                other.is_nominated = False
            pair.is_nominated = True
        elif pair.is_to_be_nominated and role is Role.CONTROLLED:
            pair.is_nominated, pair.is_to_be_nominated = True, False
        elif check.kind is CheckKind.CONSENT and known is not None and known.address != pair.valid_local.address:
            self._on_rebinding(pair, now)

    def _on_rebinding(self, pair: CandidatePair, now: float) -> None:
        """A NAT before us has given the pair another address. To the peer that is another pair: nominate it there."""
        if self._context.roles.role is Role.CONTROLLING and pair is self.selected and self._nominator.pair is None:
            self._nominator.note_started(pair, now)
            self.checklist.trigger(pair, is_urgent=True)

    def on_role_changed(self) -> None:
        """The agent has another role: priorities depend on it, and what was being nominated is the peer's to decide."""
        self.checklist.reprioritise(self._context.roles.role)
        self._nominator.reset()

    def _fail(self, pair: CandidatePair) -> None:
        """RFC 8445 section 7.2.5.2.

        deviation: 7.2.5.3.4 fails the whole checklist where a nomination fails. Here the pair fails, and another valid
        one is nominated.
        """
        pair.enter(PairState.FAILED)
        pair.is_nominated = pair.is_to_be_nominated = False

    # -- what follows ------------------------------------------------------------------------------------------------

    def proceed(self, now: float) -> None:
        """Draw the consequences of whatever has happened: select, nominate, check, or give up."""
        if self.remote is None or self.is_failed:
            return
        if self._config.is_lite and self.remote.is_lite and self.selected is None:
            select_without_checks(self.checklist, now)
        self._follow_selection(now)
        if self._config.is_lite:
            return
        self._nominate(now)
        self._perform_checks(now)
        if self.selected is None and self._is_exhausted and self._patient_until <= now:
            self._give_up()

    def _follow_selection(self, now: float) -> None:
        selected = select(self.checklist, self.selected, now, self._config.disconnected_after_s)
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
        self._is_reopened = False
        self._nominator.reset()
        for pair in self.checklist:
            if pair.state is PairState.IN_PROGRESS and not pair.is_to_be_nominated:
                self._client.cancel(pair)
                pair.enter(PairState.WAITING)
        self.checklist.clear_triggered(lambda pair: pair.is_to_be_nominated)

    def _nominate(self, now: float) -> None:
        is_overdue = self._nominator.give_up_overdue(now)
        if self._context.roles.role is not Role.CONTROLLING or not self._is_searching:
            self._nominator.rest()
            return
        if is_overdue:
            self._check_valid_pairs(now)
        pair = self._nominator.choose(self.checklist, self.selected, now)
        if pair is not None:
            self._nominator.note_started(pair, now)
            self.checklist.trigger(pair, is_urgent=True)

    def _check_valid_pairs(self, now: float) -> None:
        for pair in self.checklist.valid_pairs:
            if pair is not self.selected and not pair.is_alive(now, self._config.liveness_retry_s):
                self.checklist.trigger(pair)

    def _perform_checks(self, now: float) -> None:
        """RFC 8445 section 6.1.4.2: triggered checks first, then the best pair that waits; Ta apart."""
        while self.checklist.has_triggered and self._pacer.urgent_at <= now:
            pair = self.checklist.take_triggered()
            assert pair is not None
            self._check(pair, now)
        if self._is_searching and self._pacer.ordinary_at <= now:
            pair = self.checklist.take_ordinary()
            if pair is not None:
                self._check(pair, now)

    def _check(self, pair: CandidatePair, now: float) -> None:
        self._pacer.note_sent(now)
        is_nomination = pair is self._nominator.pair and not self._client.has_nomination(pair)
        kind = CheckKind.NOMINATION if is_nomination else CheckKind.CONNECTIVITY
        if not self._client.start(pair, kind, now, undecided_count=self.checklist.active_count):
            return
        if pair.state is not PairState.SUCCEEDED:
            if pair.state is not PairState.IN_PROGRESS:
                pair.enter(PairState.WAITING)
            pair.enter(PairState.IN_PROGRESS)

    def _give_up(self) -> None:
        self.is_failed = True
        self.selected = None
        self._is_reopened = False
        self._nominator.reset()
        self._client.discard_all()
        self.checklist.clear_triggered()

    def _revive(self, now: float) -> None:
        """A new candidate or a check of the peer: what had run out of pairs has one again."""
        if self.is_failed and not self.is_consent_lost:
            self.is_failed = False
            self._patient_until = now + self._config.patience_effective_s

    # -- the pair in use ---------------------------------------------------------------------------------------------

    def carrier(self, current: CandidatePair | None, now: float) -> CandidatePair | None:
        """The pair that data travel on: the selected one, before that the best valid one (RFC 8445 section 12.1)."""
        if self.selected is not None:
            return self.selected
        return best_valid(self.checklist, current, now, self._config.disconnected_after_s)

    def check_consent(self, pair: CandidatePair, now: float) -> None:
        """Send one consent check; it is not repeated (RFC 7675 section 5.1)."""
        self._client.start(pair, CheckKind.CONSENT, now)

    def reopen(self) -> None:
        """The selected pair is silent: try all others, the failed ones too, for the network may have changed."""
        if self._is_reopened or self.is_failed or self.is_retired or self._config.is_lite:
            return
        self._is_reopened = True
        self._nominator.reset()
        for pair in self.checklist:
            if pair is self.selected or pair.is_revoked:
                continue
            if pair.state is PairState.FAILED:
                pair.enter(PairState.WAITING)
            elif pair.is_valid:
                self.checklist.trigger(pair)

    def close_reopened(self) -> None:
        """The selected pair has been heard of again."""
        if self._is_reopened and self.selected is not None:
            self._conclude()

    def expire(self, pair: CandidatePair, now: float) -> None:
        """Consent is lost: nothing is sent on this path with these credentials again (RFC 7675 sections 5.1, 5.2)."""
        self._fail(pair)
        pair.is_revoked = True
        self._client.discard(pair)
        self._nominator.note_ended(pair)
        if pair is self.selected:
            self.selected = None
            if not any(other.is_alive(now, self._config.disconnected_after_s) for other in self.checklist.valid_pairs):
                self.is_consent_lost = True
                self._give_up()

    # -- reads -------------------------------------------------------------------------------------------------------

    def knows(self, path: Path) -> bool:
        """True where a pair has this path, or a request that came early."""
        return self.checklist.find(path) is not None or self._early.knows(path)

    @property
    def deadline(self) -> float:
        """When handle_timer and proceed want to run."""
        deadline = self._client.deadline
        if self.remote is None or self.is_failed or self._config.is_lite:
            return deadline
        deadline = min(deadline, self._nominator.deadline)
        if self.checklist.has_triggered:
            deadline = min(deadline, self._pacer.urgent_at)
        elif self._is_searching and self.checklist.has_ordinary:
            deadline = min(deadline, self._pacer.ordinary_at)
        if self.selected is None and self._is_exhausted:
            deadline = min(deadline, self._patient_until)
        return deadline

    @property
    def _is_searching(self) -> bool:
        return not self.is_retired and (self.selected is None or self._is_reopened)

    @property
    def _is_exhausted(self) -> bool:
        """True where no pair is valid, and none can become so unless the peer does something."""
        return not (self.checklist.has_triggered or self.remotes.names or self.checklist.has_prospects)
