"""One generation of ICE: from one exchange of credentials to the next (RFC 8445 sections 6 to 9).

It holds both ends' credentials, the pairs, our checks, and which pair is selected. After a restart two of them live
side by side: the new one checks, the old one carries the data.
"""

from __future__ import annotations

from sans_rtc.ice.base import Base, GatheredCandidate
from sans_rtc.ice.candidate import Candidate
from sans_rtc.ice.client_side import FORBIDDEN, CheckKind, CheckResult, ClientSide, Outcome
from sans_rtc.ice.context import AgentContext
from sans_rtc.ice.early import EarlyRequests
from sans_rtc.ice.lite import accept_as_lite, select_without_checks
from sans_rtc.ice.nominations import Nominations
from sans_rtc.ice.pair import CandidatePair, PairState
from sans_rtc.ice.pairing import Pairing
from sans_rtc.ice.parameters import OPTION_ICE2, OPTION_RENOMINATION, Parameters
from sans_rtc.ice.priority import Foundations
from sans_rtc.ice.role import Role
from sans_rtc.ice.search import Search
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
    search           what is checked, nominated and selected
    """

    def __init__(self, context: AgentContext, number: int, local: Parameters, foundations: Foundations) -> None:
        self.number = number
        self.local = local
        self.remote: Parameters | None = None
        self.key = short_term_key(local.pwd)
        self.pairing = Pairing(context, foundations)
        self.checklist = self.pairing.checklist
        self.remotes = self.pairing.remotes
        self._context = context
        self._config = context.config
        self._client = ClientSide(context, local)
        self.search = Search(context, self.checklist, self._client)
        self._nominations = Nominations()
        self._early = EarlyRequests(context.config.early_request_count_max)
        self._is_hinted = False

    # -- signalling --------------------------------------------------------------------------------------------------

    def set_remote(self, remote: Parameters, now: float) -> None:
        """The peer's credentials are known: checks may begin, and requests that came early get their due."""
        self.remote = remote
        self._client.set_remote(remote)
        self._nominations.is_last_wins = OPTION_ICE2 in remote.options or OPTION_RENOMINATION in remote.options
        self.search.begin(self.local, remote, now)
        self.pairing.drop_foreign(remote.ufrag)
        for request, base in self._early.take(remote.ufrag):
            self.on_request(request, base, now)

    def add_local(self, gathered: GatheredCandidate) -> None:
        """A candidate that the peer has been told of."""
        self.pairing.add_local(gathered)

    def remove_base(self, base: Base, now: float) -> None:
        """A socket is gone, and with it every pair on it."""
        self._early.forget_base(base)
        for pair in self.pairing.remove_base(base):
            self.search.forget(pair, now)

    def break_path(self, path: Path, now: float) -> None:
        """What carried a pair has ended: it has failed, and no time-out is waited for.

        A connection that the peer has opened does not come back: another one makes another pair.
        """
        pair = self.checklist.find(path)
        if pair is None:
            return
        self._fail(pair)
        if pair.local.base.protocol == "tcp" and not pair.local.base.is_active:
            self.pairing.drop(pair)
        self.search.forget(pair, now)

    def add_remote(self, candidate: Candidate, now: float) -> str | None:
        """Take a signalled candidate. Returns the name that has to be resolved first, None where there is none."""
        ufrag = candidate.extension("ufrag")
        if self.remote is not None and ufrag not in (None, self.remote.ufrag):
            # RFC 8838 section 9: delayed updates of a previous session are "recognized as such and ignored".
            self._context.stats.discard(DiscardReason.FOREIGN_GENERATION)
            return None
        is_late = self.remotes.has_ended and self.search.selected_at <= now
        if not self.remotes.admit(candidate, is_late=is_late):
            return None
        if is_late:
            self.search.roam()
        if candidate.is_named:
            self.remotes.add_named(candidate)
            return candidate.address.host
        remote = self.remotes.add(candidate)
        if remote is not None:
            self.pairing.add_remote(remote)
            self.search.revive(now)
        return None

    def resolve(self, name: str, hosts: tuple[str, ...], now: float) -> None:
        """The name of remote candidates stands for these hosts."""
        for remote in self.remotes.resolve(name, hosts):
            self.pairing.add_remote(remote)
            self.search.revive(now)

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
        pair.remote.network_cost = request.network_cost or pair.remote.network_cost
        if self._config.is_lite:
            accept_as_lite(pair, request, self._nominations, now)
            self.search.is_failed &= not request.use_candidate
        elif pair.is_revoked:
            self._on_revoked(request)
        elif not self.search.is_consent_lost:
            self._is_hinted |= self.selected is not None and pair is not self.selected
            self.search.revive(now)
            self._accept(pair, request, now)
        return True

    def _on_revoked(self, request: CheckRequest) -> None:
        """The peer nominates a pair that nothing may be sent on any more: it has settled, and only a restart helps."""
        is_nominated = request.use_candidate and self._context.roles.role is Role.CONTROLLED
        if is_nominated and self.selected is None:
            self.search.lose_consent()

    def _accept(self, pair: CandidatePair, request: CheckRequest, now: float) -> None:
        """RFC 8445 sections 7.3.1.4, 7.3.1.5. A nominated pair that was not heard of lately is checked anew, not so the
        selected one, which consent watches: a check that times out would fail it before its time."""
        is_fresh = pair.is_valid and pair.is_alive(now, self._config.disconnected_after_s)
        is_nominated = request.use_candidate and self._context.roles.role is Role.CONTROLLED
        if is_nominated:
            pair.nomination = max(pair.nomination, self._nominations.note(request))
            pair.is_nominated |= is_fresh
            pair.is_to_be_nominated |= not is_fresh
        if not pair.is_valid or (is_nominated and not is_fresh and pair is not self.selected):
            self.search.trigger(pair)

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
            self.search.nominator.note_ended(pair)
        if pair not in self.checklist:
            return
        if outcome is Outcome.SUCCEEDED:
            self._on_success(result, now)
        elif outcome is Outcome.ROLE_CONFLICT and self._context.take_other_role(check.role):
            if check.kind is not CheckKind.CONSENT:
                self.search.trigger(pair)
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
        elif known is not None and known.address != pair.valid_local.address:
            self._on_rebinding(pair, now)

    def _on_rebinding(self, pair: CandidatePair, now: float) -> None:
        """A NAT before us has given the pair another address. To the peer that is another pair: nominate it there."""
        if self._context.roles.role is Role.CONTROLLING and pair is self.selected:
            self.search.renominate_selected(now)

    def on_role_changed(self) -> None:
        """The agent has another role: priorities depend on it, and what was being nominated is the peer's to decide."""
        self.checklist.reprioritise(self._context.roles.role)
        self.search.nominator.reset()

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
        if self.is_checkless and self.selected is None:
            select_without_checks(self.checklist, now)
        self.search.has_all_candidates = self.remotes.has_ended
        self.search.proceed(is_waiting_for_names=bool(self.remotes.names), now=now)

    def check_consent(self, pair: CandidatePair, now: float) -> None:
        """Send one consent check; it is not repeated (RFC 7675 section 5.1)."""
        self._client.start(pair, CheckKind.CONSENT, now)

    def expire(self, pair: CandidatePair, now: float) -> None:
        """Consent is lost: nothing is sent on this path with these credentials again (RFC 7675 sections 5.1, 5.2)."""
        is_awaited = pair.is_to_be_nominated and self.selected is None
        self._fail(pair)
        pair.is_revoked = True
        self._client.discard(pair)
        search = self.search
        search.nominator.note_ended(pair)
        if pair is self.selected:
            search.selected = None
            if not any(other.is_alive(now, self._config.disconnected_after_s) for other in self.checklist.valid_pairs):
                search.lose_consent()
        elif is_awaited and self._context.roles.role is Role.CONTROLLED:
            search.lose_consent()  # the peer has settled on it

    # -- reads -------------------------------------------------------------------------------------------------------

    def take_hint(self) -> bool:
        """True where the peer has checked another pair than the selected one since the last call."""
        is_hinted, self._is_hinted = self._is_hinted, False
        return is_hinted

    def knows(self, path: Path) -> bool:
        """True where a pair has this path, or a request that came early."""
        return self.checklist.find(path) is not None or self._early.knows(path)

    def wants(self, path: Path) -> bool:
        """True where a pair that has not failed has this path, or a request that came early."""
        pair = self.checklist.find(path)
        return self._early.knows(path) if pair is None else pair.state is not PairState.FAILED

    @property
    def is_checkless(self) -> bool:
        """True where both ends are lite: neither sends a check (RFC 8445 section 6.1.1)."""
        return self._config.is_lite and self.remote is not None and self.remote.is_lite

    @property
    def selected(self) -> CandidatePair | None:
        """The selected pair."""
        return self.search.selected

    @property
    def is_failed(self) -> bool:
        """True where no pair is left that could work, or consent was lost."""
        return self.search.is_failed

    @property
    def is_consent_lost(self) -> bool:
        """True where only a restart helps."""
        return self.search.is_consent_lost

    @property
    def deadline(self) -> float:
        """When handle_timer and proceed want to run."""
        return min(self._client.deadline, self.search.deadline(is_waiting_for_names=bool(self.remotes.names)))
