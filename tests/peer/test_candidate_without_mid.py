"""Candidates of peers that do not name their media section: a session here has one only."""

import pytest

from sans_rtc.datachannel import ChannelOptions

LINE = "candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host"


@pytest.mark.parametrize("mid", [None, ""], ids=["none", "empty"])
def test_candidate_without_a_mid_belongs_to_the_first_section(pair, mid):
    pair.peers[0].create_channel("test", ChannelOptions(), pair.now)
    pair.offer_and_answer()
    pair.peers[0].add_remote_candidate(LINE, mid, pair.now)
    assert LINE in pair.peers[0].remote_description.sdp
