"""Feedback of the peer without a report before it (RFC 5506), as browsers send most of it."""

import pytest

from sans_rtc.media import KeyframeRequested
from sans_rtc.rtcp import PictureLossIndication
from sans_rtc.rtcp.wire import serialize_packet
from sans_rtc.srtp import SrtpSender


@pytest.mark.proves("RFC5506-5-1-1465", "RTP-USAGE-4.6-1-cbbf")
def test_feedback_that_begins_with_no_report_is_taken(pair, media):
    pair = pair()
    pair.play_video(3)
    peer = SrtpSender(media.PROFILE, media.KEY_B)
    pair.a.receive(peer.protect_rtcp(serialize_packet(PictureLossIndication(0xB5, 0xB1))), pair.now)
    assert [event.handle for event in pair.a.take_events() if isinstance(event, KeyframeRequested)] == [media.VIDEO]
    assert pair.a.stats.discards == {}
