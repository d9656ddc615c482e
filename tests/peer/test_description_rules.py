"""What whole peers tell of ICE and DTLS by descriptions and candidates (RFC 9429, RFC 8839), and take of it."""

import re

import pytest

from sans_rtc.datachannel import ChannelOptions
from sans_rtc.dtls.messages import parse_client_hello
from sans_rtc.ice import IceConfig, parse_candidate
from sans_rtc.peer import Description, GatheringNeeded, LocalCandidate, PeerConfig
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import ICE_PWD, ICE_UFRAG


def media(description):
    return parse_description(description.sdp).media[0]


def credentials(peer):
    return tuple(media(peer.local_description).lines.first(spec) for spec in (ICE_UFRAG, ICE_PWD))


@pytest.mark.proves("JSEP-4.1.1-2-93e7")
def test_nothing_is_gathered_before_a_local_description_is_set(pair):
    peer = pair.peers[0]
    peer.create_channel("test", ChannelOptions(), pair.now)
    peer.create_offer(pair.now)
    assert not any(isinstance(event, GatheringNeeded) for event in peer.take_events())
    peer.set_local_description(None, pair.now)
    assert any(isinstance(event, GatheringNeeded) for event in peer.take_events())


@pytest.mark.proves("JSEP-3.5.2.1-2-e85e", "ICE-SDP-5.1-4-e439", "ICE-SDP-5.1-5-3cdb", "ICE-SDP-5.1-8-87d2")
def test_local_candidate_names_its_section_and_generation(pair):
    pair.connect()
    for end, peer in enumerate(pair.peers):
        told = pair.events(end, LocalCandidate)
        assert {(event.mid, event.mline_index) for event in told} == {("0", 0)}
        (line,) = [event.candidate for event in told if event.candidate]
        candidate = parse_candidate(line)
        assert candidate.extension("ufrag") == credentials(peer)[0]
        assert (candidate.component, candidate.related_address) == (1, None)
        assert re.fullmatch(r"[0-9.]+", candidate.address.host)


@pytest.mark.proves("JSEP-5.2.2-11-a9c4", "JSEP-5.2.3.1-1-4d4c", "ICE-SDP-4.4.1.1.1-2-1f54")
@pytest.mark.proves("ICE-SDP-4.4.1.2.1-1-51b7", "ICE-SDP-4.4.3.1-5-dc77", "ICE-SDP-5.4-4-3c94")
def test_credentials_stay_until_a_restart_and_then_both_change(pair):
    pair.connect()
    seen = [credentials(pair.peers[0])]
    states = [peer.ice_connection_state for peer in pair.peers]
    for first in (0, 1):
        pair.offer_and_answer(first=first)
        pair.link.run_for(1.0)
        seen.append(credentials(pair.peers[0]))
    assert len(set(seen)) == 1
    assert [peer.ice_connection_state for peer in pair.peers] == states
    pair.peers[0].restart_ice(pair.now)
    pair.offer_and_answer()
    after = credentials(pair.peers[0])
    assert after[0] != seen[0][0] and after[1] != seen[0][1]
    assert all(4 <= len(ufrag) <= 32 and 22 <= len(pwd) <= 256 for ufrag, pwd in (after, seen[0]))


@pytest.mark.proves("ICE-SDP-5.1-1-feb5", "ICE-SDP-5.1-11-278f", "ICE-SDP-5.1-3-03d6")
@pytest.mark.parametrize(
    "line",
    [
        "1 1 udp 2130706431 fe80:::1 5000 typ host",
        "1 1 udp 2130706431 192.0.2.256 5000 typ host",
        "1 1 udp 2130706431 a..b 5000 typ host",
        "1 1 udp 2130706431 192.0.2.1 5000 typ strange",
        "1 1 sctp 2130706431 192.0.2.1 5000 typ host",
    ],
    ids=["v6", "v4", "name", "type", "transport"],
)
def test_candidate_that_is_not_understood_is_left_out_and_the_others_count(pair, line):
    pair.trickles = False
    offerer, answerer = pair.peers
    offerer.create_channel("test", ChannelOptions(), pair.now)
    offerer.set_local_description(None, pair.now)
    pair.link.flush()
    sdp = offerer.local_description.sdp.replace("a=candidate:", f"a=candidate:{line}\r\na=candidate:", 1)
    sdp = sdp.replace("typ host", "typ host of-nobody x")  # and what extends one is nothing to stumble over
    answerer.set_remote_description(Description("offer", sdp), pair.now)
    answerer.set_local_description(None, pair.now)
    pair.link.flush()
    offerer.set_remote_description(answerer.local_description, pair.now)
    pair.link.run_until(lambda: pair.handle_at(1, "test") is not None, within_s=5)
    assert len(answerer.explain().ice.remote_candidates) == 1


# -- a=ice-pacing (RFC 8839 section 5.5) ------------------------------------------------------------------------------


def paced(pace_s, **ice):
    return PeerConfig(ice=IceConfig(check_pace_s=pace_s, **ice))


@pytest.mark.proves("ICE-SDP-5.5-1-2c18")
@pytest.mark.parametrize(("ours", "theirs"), [(0.2, 0.05), (0.05, 0.2), (0.2, 0.1)])
def test_both_ends_keep_the_slower_of_the_paces_that_they_propose(make_pair, ours, theirs):
    pair = make_pair(configs=(paced(ours), paced(theirs)))
    pair.connect()
    for peer, pace_s in zip(pair.peers, (ours, theirs), strict=True):
        line = f"a=ice-pacing:{round(pace_s * 1000)}\r\n"
        head = peer.local_description.sdp.partition("m=")[0]
        assert (line in head) is (pace_s != 0.05)
        agent = peer._transport.agent
        assert max(agent.remote_parameters.check_pace_s or 0.05, pace_s) == max(ours, theirs)


@pytest.mark.proves("ICE-SDP-4.3.1-4-cfa6", "ICE-SDP-4.3.2-4-89e6")
def test_lite_end_proposes_no_pace(make_pair):
    pair = make_pair(configs=(paced(0.2, is_lite=True), None))
    pair.connect()
    assert "ice-pacing" not in pair.peers[0].local_description.sdp


@pytest.mark.parametrize(("told", "kept_s"), [("0", None), ("4294967295", 60.0), ("70", 0.07)])
def test_any_pace_of_the_peer_is_taken_within_bounds(pair, told, kept_s):
    offerer, answerer = pair.peers
    offerer.create_channel("test", ChannelOptions(), pair.now)
    offerer.set_local_description(None, pair.now)
    sdp = offerer.local_description.sdp.replace("t=0 0\r\n", f"t=0 0\r\na=ice-pacing:{told}\r\n")
    answerer.set_remote_description(Description("offer", sdp), pair.now)
    answerer.set_local_description(None, pair.now)
    assert answerer._transport.agent.remote_parameters.check_pace_s == kept_s


@pytest.mark.proves("BUNDLE-11-3-0fd0", "BUNDLE-11-4-07ac")
def test_client_hello_of_a_session_of_data_alone_offers_srtp(pair):
    """RFC 9143 section 11: audio or video may come later, and the association is that of all."""
    pair.connect()
    sent = [datagram.data for end in (0, 1) for datagram in pair.link.sent[end]]
    hello = next(data for data in sent if data[0] == 22 and data[13] == 1)  # a handshake record, a ClientHello
    extensions = parse_client_hello(hello[25:]).extensions
    assert extensions.use_srtp is not None
