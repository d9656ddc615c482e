"""Simulcast with rid, both ways (RFC 8853, RFC 8851, RFC 9429 section 3.7)."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.media.parameters import EncodingSettings
from sans_rtc.peer.negotiation import Description
from sans_rtc.peer.transceivers import TransceiverOptions
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import SIMULCAST, SSRC

VIDEO = MediaKind.VIDEO
LAYERS = tuple(EncodingSettings(rid=rid, scale_down_by=scale) for rid, scale in (("h", 1.0), ("m", 2.0), ("l", 4.0)))
TRACK = TransceiverOptions(streams=("camera",), is_from_track=True)
SIMULCAST_TRACK = TransceiverOptions(streams=("camera",), is_from_track=True, encodings=LAYERS)


@pytest.fixture
def sending(new_ends):
    """End `a` wants to send three layers."""
    ends = new_ends(accepts_media=True)
    ends.a.media.add_transceiver(VIDEO, SIMULCAST_TRACK)
    return ends


def rids(encodings):
    return [encoding.rid for encoding in encodings]


@pytest.mark.proves("JSEP-5.2.1-29-acc2", "JSEP-5.2.1-32-79f3", "JSEP-5.8.2-25-a135", "JSEP-5.8.2-26-2b0e")
def test_three_layers_are_sent_and_received(sending):
    offer, answer, changes = sending.run()
    assert "a=simulcast:send h;m;l\r\n" in offer.sdp
    assert "a=simulcast:recv h;m;l\r\n" in answer.sdp
    for line in ("a=rid:h send", "a=rid:m send", "a=rid:l send"):
        assert f"{line}\r\n" in offer.sdp
        assert f"{line.replace('send', 'recv')}\r\n" in answer.sdp
    sent, received = changes[3].sections[0].send, changes[2].sections[0].receive
    assert (rids(sent.encodings), received.rids) == (["h", "m", "l"], ("h", "m", "l"))
    assert [encoding.scale_down_by for encoding in sent.encodings] == [1.0, 2.0, 4.0]
    ssrcs = [ssrc for encoding in sent.encodings for ssrc in (encoding.ssrc, encoding.rtx_ssrc)]
    assert len(set(ssrcs)) == 6


def test_layers_go_by_rid_and_not_by_ssrc(sending):
    offer, _, changes = sending.run()
    assert not parse_description(offer.sdp).media[0].lines.has(SSRC)
    assert changes[2].sections[0].receive.sources == ()


@pytest.mark.proves("JSEP-5.2.2-18-b63b", "JSEP-5.2.2-19-471e")
def test_layers_stay_in_later_exchanges(sending):
    sending.run()
    before = sending.a.media.sections
    sending.run(is_from_a=False)
    sending.run()
    assert sending.a.media.sections == before


def test_peer_that_takes_one_stream_gets_the_first_layer_without_a_name(new_ends, negotiation):
    ends = new_ends(accepts_media=True)
    ends.a.media.add_transceiver(VIDEO, SIMULCAST_TRACK)
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    ends.b.apply_remote(offer)
    answer = ends.b.create_answer(ends.b_transport)
    plain = "".join(line for line in answer.sdp.splitlines(True) if not line.startswith(("a=rid", "a=simulcast")))
    (section,) = ends.a.apply_remote(Description("answer", plain)).sections
    assert rids(section.send.encodings) == [""]
    assert section.send.encodings[0].scale_down_by == 1.0
    assert rids(ends.a.media.infos()[0].encodings) == [""]
    assert "simulcast" not in ends.a.create_offer(ends.a_transport).sdp
    ends.a.media.set_encodings(1, [EncodingSettings(is_active=False)])
    assert not ends.a.media.sections[0].send.encodings[0].is_active


def test_peer_may_take_fewer_layers_and_begin_with_some_paused(sending, edit):
    offer = sending.a.create_offer(sending.a_transport)
    sending.a.apply_local(offer)
    sending.b.apply_remote(offer)
    answer = sending.b.create_answer(sending.b_transport)
    (section,) = sending.a.apply_remote(edit(answer, ("recv h;m;l", "recv ~h;l"))).sections
    assert [(encoding.rid, encoding.is_active) for encoding in section.send.encodings] == [("h", False), ("l", True)]
    assert "a=simulcast:send h;l\r\n" in sending.a.create_offer(sending.a_transport).sdp


def test_layers_come_through_a_peer_that_takes_nothing_for_a_while(sending):
    sending.b.apply_remote(sending.a.create_offer(sending.a_transport))
    (handle,) = [info.handle for info in sending.b.media.infos()]
    sending.b.apply_local(Description("rollback"))
    sending.a.apply_local(Description("offer"))
    sending.b.apply_remote(sending.a.local_description)
    (handle,) = [info.handle for info in sending.b.media.infos()]
    sending.b.media.set_direction(handle, "inactive")
    sending.a.apply_remote(sending.b.create_answer(sending.b_transport))
    sending.b.apply_local(Description("answer"))
    sending.b.media.set_direction(handle, "recvonly")
    sending.run(is_from_a=False)
    sending.run()
    assert rids(sending.a.media.sections[0].send.encodings) == ["h", "m", "l"]


def test_peer_without_the_rid_extension_gets_one_layer(sending, edit):
    offer = sending.a.create_offer(sending.a_transport)
    sending.a.apply_local(offer)
    sending.b.apply_remote(offer)
    answer = edit(sending.b.create_answer(sending.b_transport), ("sdes:rtp-stream-id", "sdes:other"))
    (section,) = sending.a.apply_remote(answer).sections
    assert rids(section.send.encodings) == [""]


def test_simulcast_may_be_declined(negotiation, sending):
    from sans_rtc.peer.media_config import MediaNegotiationConfig

    end = negotiation(2, accepts_media=True, media=MediaNegotiationConfig(takes_simulcast=False))
    end.apply_remote(sending.a.create_offer(sending.a_transport))
    answer = end.create_answer(sending.b_transport)
    assert "simulcast" not in answer.sdp
    assert end.apply_local(answer).sections[0].receive.rids == ()


def test_peer_that_asks_for_layers_gets_them_of_a_new_sender(sending, edit):
    """W3C WebRTC section 4.4.1.5: a sender without layers of its own takes those that a remote offer asks for."""
    sending.b.media.add_transceiver(VIDEO, TRACK)
    offer = sending.a.create_offer(sending.a_transport)
    asking = edit(
        offer,
        ("a=simulcast:send h;m;l", "a=simulcast:recv h;m;l"),
        ("a=rid:h send", "a=rid:h recv"),
        ("a=rid:m send", "a=rid:m recv"),
        ("a=rid:l send", "a=rid:l recv"),
    )
    sending.b.apply_remote(asking)
    answer = sending.b.create_answer(sending.b_transport)
    assert "a=simulcast:send h;m;l" in answer.sdp
    (section,) = sending.b.apply_local(answer).sections
    assert rids(section.send.encodings) == ["h", "m", "l"]


def test_layers_that_no_rid_line_tells_of_do_not_count(sending, edit):
    offer = edit(sending.a.create_offer(sending.a_transport), ("a=rid:m send\r\n", ""))
    sending.b.apply_remote(offer)
    answer = sending.b.create_answer(sending.b_transport)
    assert parse_description(answer.sdp).media[0].lines.first(SIMULCAST).receive[1][0].rid == "l"


def test_chromium_offer_of_three_layers_is_taken_whole(negotiation, transport, load):
    """The lines that Chromium adds for `sendEncodings` of three rids; it names no SSRC then."""
    offer = load("chromium_offer_av_dc")
    lines = [line for line in offer.sdp.split("\r\n") if not line.startswith("a=ssrc")]
    at = lines.index("a=rtpmap:120 ulpfec/90000") + 1
    lines[at:at] = ["a=rid:q send", "a=rid:h send", "a=rid:f send", "a=simulcast:send q;h;f"]
    end = negotiation(accepts_media=True)
    end.apply_remote(Description("offer", "\r\n".join(lines)))
    changes = end.apply_local(end.create_answer(transport()))
    assert changes.sections[1].receive.rids == ("q", "h", "f")


@pytest.mark.parametrize(
    "names",
    [["a", "a"], ["a", ""], ["a b", "c"], ["\r\n", "c"], ["x" * 256, "c"]],
    ids=["twice", "none", "space", "crlf", "long"],
)
def test_rids_are_checked(names):
    with pytest.raises(InvalidArgument):
        TransceiverOptions(encodings=tuple(EncodingSettings(rid=rid) for rid in names))


def test_encodings_are_bounded(sending):
    many = tuple(EncodingSettings(rid=str(number)) for number in range(9))
    with pytest.raises(InvalidArgument, match="8 encodings"):
        sending.a.media.add_transceiver(VIDEO, TransceiverOptions(encodings=many))
    with pytest.raises(InvalidArgument, match="no encoding"):
        sending.a.media.set_encodings(1, [EncodingSettings(rid="x")])
