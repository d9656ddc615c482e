"""ICE restarts that signalling catches in the middle."""

import pytest

from sans_rtc.ice import CandidateType
from sans_rtc.peer import SignalingState
from tests.peer.conftest import Pair


@pytest.fixture
def connected():
    pair = Pair()
    pair.connect()
    pair.link.run_for(1.0)
    return pair


@pytest.mark.parametrize("maker", [0, 1])
def test_remote_offer_is_answered_though_a_restart_was_offered_and_never_set(connected, maker):
    peer = connected.peers[maker]
    peer.restart_ice(connected.now)
    peer.create_offer(connected.now)
    connected.offer_and_answer(first=1 - maker)
    assert [end.signaling_state for end in connected.peers] == [SignalingState.STABLE] * 2
    connected.link.run_for(5.0)
    connected.offer_and_answer(first=maker)  # the restart that is still wanted
    connected.link.run_for(5.0)
    generations = [end.explain().ice.selected.generation for end in connected.peers]
    assert generations[1 - maker] == 1 and generations[maker] >= 1
    assert [end.connection_state for end in connected.peers] == ["connected"] * 2


def test_end_of_candidates_of_the_old_generation_does_not_end_the_new_one(connected):
    """It arrives after our restart was offered and before the answer: the answer's candidates are taken."""
    offerer, answerer = connected.peers
    connected.trickles = False
    offerer.restart_ice(connected.now)
    offerer.set_local_description(None, connected.now)
    connected.link.flush()
    offerer.add_remote_candidate("", "0", connected.now)
    answerer.set_remote_description(offerer.local_description, connected.now)
    answerer.set_local_description(None, connected.now)
    connected.link.flush()
    offerer.set_remote_description(answerer.local_description, connected.now)
    connected.link.run_for(1.0)
    selected = offerer.explain().ice.selected
    assert (selected.generation, selected.remote.type) == (1, CandidateType.HOST)
    assert "remote_candidate_after_end" not in offerer.explain().discards.get("ICE", {})
