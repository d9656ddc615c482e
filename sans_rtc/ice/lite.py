"""What an agent does that sends no checks: it takes the peer's word (RFC 8445 sections 7.3.2, 8.2)."""

from __future__ import annotations

from sans_rtc.ice.checklist import Checklist
from sans_rtc.ice.nominations import Nominations
from sans_rtc.ice.pair import CandidatePair, PairState
from sans_rtc.ice.server_side import CheckRequest


def accept_as_lite(pair: CandidatePair, request: CheckRequest, nominations: Nominations, now: float) -> None:
    """The peer has checked a pair. One that it nominates is valid; its requests stand for responses to ours."""
    pair.note_response(now, None)
    if request.use_candidate:
        pair.nomination = max(pair.nomination, nominations.note(request))
        _make_valid(pair)


def select_without_checks(checklist: Checklist, now: float) -> None:
    """Between two lite agents the best pair is taken as it is."""
    best = next(iter(checklist), None)
    if best is not None:
        best.note_response(now, None)
        _make_valid(best)


def _make_valid(pair: CandidatePair) -> None:
    if pair.state is PairState.FROZEN:
        pair.enter(PairState.WAITING)
    pair.enter(PairState.SUCCEEDED)
    pair.valid_local = pair.local.candidate
    pair.is_nominated = True
