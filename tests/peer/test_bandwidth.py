"""What the peer says it wants to get (`b=` lines) bounds what is sent (RFC 3264 section 5.1, RFC 8834 section 7.1)."""

import re

import pytest

from sans_rtc.media import SenderBitrateChanged
from sans_rtc.peer import Description
from tests.peer.test_media import add, frames, play

UNBOUNDED_BPS = 1_000_000


def with_line(line, *, of="video"):
    """Puts a line behind the `c=` line of the section of a kind, or where `of` is empty at the end of the session's."""
    place = rf"(m={of} .*?\r\nc=.*?\r\n)" if of else r"^(.*?\r\n)(?=m=)"

    def alter(description):
        altered, count = re.subn(place, rf"\g<1>{line}\r\n", description.sdp, count=1, flags=re.DOTALL)
        assert count == 1
        return Description(description.type, altered)

    return alter


def call(make_pair, altered):
    """Audio and video that one end sends, and an answer that was altered; handles at the sender, by kind."""
    pair = make_pair()
    mine = {kind: add(pair.peers[0], kind, pair.now) for kind in ("audio", "video")}
    pair.offer_and_answer(altered=altered)
    pair.link.run_until(lambda: all(str(peer.connection_state) == "connected" for peer in pair.peers), within_s=10)
    return pair, mine


def shares(pair, handle, end=0):
    return [event.bitrate_bps for event in pair.events(end, SenderBitrateChanged) if event.handle == handle]


@pytest.mark.proves("RTP-USAGE-7.1-3-4c76", "RFC3264-7-3-3ce6")
@pytest.mark.parametrize(
    ("line", "bound_bps"), [("b=AS:300", 300_000), ("b=TIAS:250500", 250_500), ("b=tias:9000\r\nb=AS:10", 9000)]
)
def test_bandwidth_of_a_section_bounds_its_encodings(make_pair, line, bound_bps):
    pair, mine = call(make_pair, with_line(line))
    play(pair, 0, mine, seconds=4)
    # a change of less than 1 % is not told
    assert 0.98 * bound_bps < max(shares(pair, mine["video"])) <= bound_bps
    assert max(shares(pair, mine["audio"])) > 0


@pytest.mark.proves("RFC3264-6.1-23-c6e8")
def test_bandwidth_in_an_offer_bounds_what_the_answerer_sends(make_pair):
    pair = make_pair()
    offerer, answerer = pair.peers
    add(offerer, "video", pair.now)
    offerer.set_local_description(None, pair.now)
    pair.link.flush()
    answerer.set_remote_description(with_line("b=AS:100")(offerer.local_description), pair.now)
    (info,) = answerer.transceivers()
    answerer.set_direction(info.handle, "sendrecv", pair.now)
    answerer.set_local_description(None, pair.now)
    pair.link.flush()
    offerer.set_remote_description(answerer.local_description, pair.now)
    pair.link.run_until(lambda: all(str(peer.connection_state) == "connected" for peer in pair.peers), within_s=10)
    play(pair, 1, {"video": info.handle}, seconds=4)
    assert 98_000 < max(shares(pair, info.handle, end=1)) <= 100_000


def test_bandwidth_of_the_session_bounds_each_section(make_pair):
    pair, mine = call(make_pair, with_line("b=CT:20", of=""))
    play(pair, 0, mine, seconds=4)
    assert max(shares(pair, mine["video"])) == max(shares(pair, mine["audio"])) == 20_000


def test_bandwidth_of_a_kind_that_nobody_knows_bounds_nothing(make_pair):
    pair, mine = call(make_pair, with_line("b=X-YZ:1"))
    play(pair, 0, mine, seconds=4)
    assert max(shares(pair, mine["video"])) > UNBOUNDED_BPS


def test_bandwidth_of_zero_lets_nothing_be_sent(make_pair):
    pair, mine = call(make_pair, with_line("b=AS:0"))
    sent = play(pair, 0, mine)
    handles = {str(info.kind): info.handle for info in pair.peers[1].transceivers()}
    assert frames(pair, 1, handles["video"]) == []
    assert frames(pair, 1, handles["audio"]) == sent["audio"]


def test_later_description_lifts_the_bound(make_pair):
    pair, mine = call(make_pair, with_line("b=AS:0"))
    pair.offer_and_answer(altered=with_line("b=AS:400"))
    play(pair, 0, mine, seconds=4)
    assert 390_000 < max(shares(pair, mine["video"])) <= 400_000
    pair.offer_and_answer()
    play(pair, 0, mine, seconds=4)
    assert max(shares(pair, mine["video"])) > UNBOUNDED_BPS
