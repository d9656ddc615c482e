"""The generation that searches, and the one before it, which may still carry data (RFC 8445 sections 9, 12.1).

Which of their pairs carries data is decided here, and with it whose consent is watched.
"""

from __future__ import annotations

from collections.abc import Mapping

from sans_rtc.errors import InvalidState
from sans_rtc.ice.config import DEFAULT_CHECK_PACE_S
from sans_rtc.ice.consent import Consent, Freshness
from sans_rtc.ice.context import AgentContext
from sans_rtc.ice.events import ConnectionState
from sans_rtc.ice.pair import CandidatePair
from sans_rtc.ice.parameters import OPTION_ICE2, OPTION_RENOMINATION, Parameters, draw_parameters
from sans_rtc.ice.priority import Foundations
from sans_rtc.ice.server_side import SessionKey
from sans_rtc.ice.session import Session
from sans_rtc.machine import Path


class Generations:
    """One or two sessions, and the pair that carries data.

    current   the newest
    previous  the one before, until the current one has replaced it
    carrier   the pair that data travel on, and whose consent is watched; None: data cannot be sent
    """

    def __init__(self, context: AgentContext, foundations: Foundations) -> None:
        self._context = context
        self._foundations = foundations
        self._consent = Consent(context.config, context.entropy)
        self._number = -1
        self._has_begun = False
        self.current = self._new_session()
        self.previous: Session | None = None
        self.carrier: CandidatePair | None = None
        self._owner = self.current

    # -- restarts ----------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a new generation beside the one that carries data.

        Of the old ones the one with a selected pair stays.
        """
        old = self.current
        if self.previous is None or self.previous.selected is None or old.selected is not None:
            self.previous = old
        old.search.is_retired = True
        self.current = self._new_session()
        self._context.roles.switch_count = 0
        self._context.stats.restarts += 1

    def cancel(self) -> None:
        """Go back to the previous generation, where the peer has not taken up the new one."""
        if self.previous is None or self.current.remote is not None:
            raise InvalidState("no restart that could be cancelled")
        self.current, self.previous = self.previous, None
        self.current.search.is_retired = False

    def retire(self, now: float) -> bool:
        """Drop the previous generation once it is of no more use. True where it was dropped.

        That is when it has failed and the peer has taken up the current one, so that there is no way back to it; or
        when the current one has replaced it for so long that nothing of it can be on the way any more.
        """
        if self.previous is None:
            return False
        is_lost = self.previous.is_failed and self.current.remote is not None
        if not is_lost and now < self._retire_at:
            return False
        self.previous = None
        return True

    def _new_session(self) -> Session:
        config = self._context.config
        self._number += 1
        pace_s = None if config.check_pace_s == DEFAULT_CHECK_PACE_S or config.is_lite else config.check_pace_s
        options = (OPTION_ICE2, OPTION_RENOMINATION) if config.renomination else (OPTION_ICE2,)
        if self._number == 0 and config.local_ufrag is not None and config.local_pwd is not None:
            local = Parameters(config.local_ufrag, config.local_pwd, config.is_lite, pace_s, options)
        else:
            local = draw_parameters(self._context.entropy, is_lite=config.is_lite, check_pace_s=pace_s, options=options)
        return Session(self._context, self._number, local, self._foundations)

    # -- the network changes -----------------------------------------------------------------------------------------

    def roam(self, now: float) -> None:
        """The network may have changed: is the pair in use still alive, and what else would work?"""
        self.current.search.roam()
        self._consent.suspect(now)

    @property
    def is_stranded(self) -> bool:
        """True where the network has changed, and the present generation has nothing left that could become a path."""
        session, search = self.current, self.current.search
        if session.remote is None or not search.is_roaming or self.carrier is not None:
            return False
        return session.is_failed or not (search.has_prospects or session.remotes.names)

    # -- consequences ------------------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """Let every session do what is due."""
        for session in self.sessions:
            session.handle_timer(now)

    def proceed(self, now: float) -> None:
        """Draw the consequences of whatever has happened."""
        for session in self.sessions:
            session.proceed(now)
            if session.take_hint() and session is self._owner:
                self._consent.suspect(now)
        current = self.current
        self._has_begun |= current.is_failed or (current.remote is not None and len(current.remotes) > 0)
        self._follow_carrier(now)
        # Each turn fails one valid pair, of which there are at most as many as there are pairs.
        while self._consent.update(now) is Freshness.EXPIRED:
            assert self.carrier is not None
            self._context.record("consent_expired", now, path=self.carrier.path)
            self._owner.expire(self.carrier, now)
            self._owner.proceed(now)
            self._follow_carrier(now)
        if self.carrier is None:
            return
        if self._consent.is_silent:
            self._look_elsewhere(now)
        else:
            self._owner.search.close_reopened()
        if self._consent.is_check_due(now):
            self._owner.check_consent(self.carrier, now)
            self._consent.note_sent(now)

    def _follow_carrier(self, now: float) -> None:
        self.carrier, self._owner = self._choose(now)
        # Two lite agents have no means to learn whether the other is there.
        is_watched = not self._owner.is_checkless
        self._consent.watch(self.carrier if is_watched else None, now)

    def _choose(self, now: float) -> tuple[CandidatePair | None, Session]:
        """RFC 8445 section 12.1: the selected pair; during a restart the previous one; before that any valid pair."""
        current, previous = self.current, self.previous
        if current.selected is not None:
            return current.selected, current
        pair = current.search.carrier(self.carrier, now)
        if previous is None:
            return pair, current
        old = previous.selected
        if old is not None and (pair is None or self._consent.is_heard(old, now)):
            return old, previous
        return (pair, current) if pair is not None else (previous.search.carrier(self.carrier, now), previous)

    def _look_elsewhere(self, now: float) -> None:
        """The selected pair is silent: all others are tried."""
        if self.carrier is self._owner.selected:
            self._owner.search.reopen()
            self._owner.proceed(now)
            if self._owner.selected is not self.carrier:
                self._follow_carrier(now)

    # -- reads -------------------------------------------------------------------------------------------------------

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The current one, then the previous."""
        return (self.current,) if self.previous is None else (self.current, self.previous)

    @property
    def is_settled(self) -> bool:
        """True where the present generation has a pair, and nothing of the previous is of any use."""
        return self.previous is None and self.current.selected is not None

    @property
    def used_pairs(self) -> list[CandidatePair]:
        """The pairs that carry data, or are selected."""
        pairs = [self.carrier, *(session.selected for session in self.sessions)]
        return [pair for pair in pairs if pair is not None]

    @property
    def keys(self) -> Mapping[str, SessionKey]:
        """What proves a check, by our user name fragments."""
        return {
            session.local.ufrag: SessionKey(session.key, session.remote.ufrag if session.remote else None)
            for session in self.sessions
        }

    def of_local_ufrag(self, ufrag: str) -> Session:
        """The session whose fragment of ours this is; one of `keys`."""
        return next(session for session in self.sessions if session.local.ufrag == ufrag)

    def of_transaction(self, transaction_id: bytes) -> Session | None:
        """The session that has sent this check."""
        return next((session for session in self.sessions if session.has_sent(transaction_id)), None)

    def know(self, path: Path) -> bool:
        """True where the peer has proven this path in one of the sessions, or may yet."""
        return any(session.knows(path) for session in self.sessions)

    @property
    def selected_path(self) -> Path | None:
        """The path of the selected pair; during a restart that of the old one."""
        for session in self.sessions:
            if session.selected is not None:
                return session.selected.path
        return None

    def state(self, now: float, *, is_gathered: bool) -> ConnectionState:
        """The state of the whole (W3C WebRTC section 4.3.4, of one transport section 5.6.4)."""
        current = self.current
        if current.selected is not None:
            if self._consent.is_silent:
                return ConnectionState.DISCONNECTED
            is_complete = is_gathered and current.remotes.has_ended
            return ConnectionState.COMPLETED if is_complete else ConnectionState.CONNECTED
        # A restart of what works leaves it connected; of what had fallen silent it begins anew.
        is_carried = self.carrier is not None and self._owner is self.previous and self.carrier is self._owner.selected
        if is_carried and not self._consent.is_silent:
            return ConnectionState.CONNECTED
        if current.is_failed:
            return ConnectionState.FAILED
        if current.search.has_lost_pair:
            within_s = self._context.config.disconnected_after_s
            is_alive = self.carrier is not None and self.carrier.is_alive(now, within_s)
            return ConnectionState.CONNECTED if is_alive else ConnectionState.DISCONNECTED
        return ConnectionState.CHECKING if self._has_begun else ConnectionState.NEW

    @property
    def deadline(self) -> float:
        """When handle_timer and proceed want to run."""
        deadline = min(self._consent.deadline, *(session.deadline for session in self.sessions))
        return deadline if self.previous is None else min(deadline, self._retire_at)

    @property
    def _retire_at(self) -> float:
        return self.current.search.selected_at + self._context.config.previous_generation_s

    @property
    def carrier_path(self) -> Path | None:
        """Where data are sent; None where they cannot be."""
        return None if self.carrier is None else self.carrier.path
