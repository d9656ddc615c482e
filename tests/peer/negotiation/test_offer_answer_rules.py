"""The directions of an answer (RFC 3264 section 6.1), for each that is offered and each that is wanted."""

import itertools

import pytest

from sans_rtc.peer.transceivers import TransceiverOptions
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import ICE_UFRAG
from sans_rtc.sdp.values import Direction

ALLOWED = {
    "sendrecv": {"sendrecv": "sendrecv", "sendonly": "sendonly", "recvonly": "recvonly", "inactive": "inactive"},
    "sendonly": {"sendrecv": "recvonly", "sendonly": "inactive", "recvonly": "recvonly", "inactive": "inactive"},
    "recvonly": {"sendrecv": "sendonly", "sendonly": "sendonly", "recvonly": "inactive", "inactive": "inactive"},
    "inactive": dict.fromkeys(("sendrecv", "sendonly", "recvonly", "inactive"), "inactive"),
}


@pytest.mark.parametrize(("offered", "wanted"), list(itertools.product(ALLOWED, ALLOWED)))
def test_answer_has_the_direction_that_fits_the_offer_and_the_wish(new_ends, offered, wanted):
    ends = new_ends(accepts_media=True)
    ends.a.media.add_transceiver(MediaKind.AUDIO, TransceiverOptions(direction=Direction(offered)))
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    (media, _) = parse_description(offer.sdp).media
    assert (media.direction, media.port, media.lines.has(ICE_UFRAG)) == (offered, 9, True)
    ends.b.apply_remote(offer)
    ends.b.media.set_direction(1, Direction(wanted))
    (media, _) = parse_description(ends.b.create_answer(ends.b_transport).sdp).media
    assert (media.direction, media.port, media.connection is not None) == (ALLOWED[offered][wanted], 9, True)
