"""Directions and parameters of an answer (RFC 3264 section 6.1), for what is offered and what is wanted."""

import itertools

import pytest

from sans_rtc.peer.transceivers import TransceiverOptions
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import FMTP, ICE_UFRAG, RTPMAP
from sans_rtc.sdp.values import Direction

ALLOWED = {
    "sendrecv": {"sendrecv": "sendrecv", "sendonly": "sendonly", "recvonly": "recvonly", "inactive": "inactive"},
    "sendonly": {"sendrecv": "recvonly", "sendonly": "inactive", "recvonly": "recvonly", "inactive": "inactive"},
    "recvonly": {"sendrecv": "sendonly", "sendonly": "sendonly", "recvonly": "inactive", "inactive": "inactive"},
    "inactive": dict.fromkeys(("sendrecv", "sendonly", "recvonly", "inactive"), "inactive"),
}


@pytest.mark.proves("ICE-SDP-4.2.1.6-1-964b", "RFC3264-5.1-1-2251", "RFC3264-5.1-2-2ada", "RFC3264-5.1-3-6086")
@pytest.mark.proves("RFC3264-6.1-3-c7e4", "RFC3264-6.1-4-575c", "RFC3264-6.1-5-00b7", "RFC3264-6.1-9-8c7c")
@pytest.mark.proves("RFC3264-8.4-1-cb9a")
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


@pytest.mark.proves("RFC3264-6.1-16-db76")
def test_parameters_that_make_a_format_are_answered_as_they_were_offered(negotiation, transport, load):
    """RFC 3264 section 6.1, RFC 6184 section 8.2.2: profile and packetization mode; VP9 and AV1 have profiles too."""
    offer = parse_description(load("chromium_offer_av_dc").sdp).media[1]
    end = negotiation(accepts_media=True)
    end.apply_remote(load("chromium_offer_av_dc"))
    answer = parse_description(end.create_answer(transport()).sdp).media[1]
    offered, answered = ({line.format: line.values for line in media.lines.all(FMTP)} for media in (offer, answer))
    names = {line.payload_type: line.encoding for line in answer.lines.all(RTPMAP)}
    seen = set()
    for number, values in answered.items():
        for name in ("profile-level-id", "packetization-mode", "profile-id", "profile", "apt"):
            if name in offered[number]:
                seen.add((names[int(number)], name))
                assert values[name][:4] == offered[number][name][:4]
    assert seen >= {("H264", "packetization-mode"), ("H264", "profile-level-id"), ("VP9", "profile-id"), ("rtx", "apt")}
