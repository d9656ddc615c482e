"""Sound and pictures of every foreign peer come back to it as they came: roles, codecs, SRTP profiles, losses."""

import pytest
from interop_peers.media_cases import CODECS, cases_in_tests

CASES = [(peer, case) for peer in CODECS for case in cases_in_tests(peer)]
IDS = [f"{peer}-{case.name}" for peer, case in CASES]


@pytest.mark.interop
@pytest.mark.parametrize(("name", "case"), CASES, ids=IDS)
def test_what_a_peer_sends_comes_back_to_it_and_is_decoded(media_outcomes, name, case):
    outcome = media_outcomes(name, case)
    if isinstance(outcome, Exception):
        raise outcome
    assert outcome.problems == [], outcome
