"""Exchanges after the first: what is added, removed, turned and stopped (RFC 9429 sections 5.2.2 and 5.3.2)."""

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.media.parameters import EncodingSettings
from sans_rtc.peer.negotiation import DataOutcome, TransportAction
from sans_rtc.peer.transceivers import TransceiverAction, TransceiverOptions
from sans_rtc.rtp.payload.codecs import codecs_named
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.values import Direction

AUDIO, VIDEO = MediaKind
SENDRECV, SENDONLY, RECVONLY, INACTIVE = Direction
TRACK = TransceiverOptions(streams=("camera",), is_from_track=True)
UNCHANGED, START, _, STOP = TransportAction


def sections(description):
    return [(media.kind, media.mid, media.port) for media in parse_description(description.sdp).media]


def direction_of(end, handle):
    return end.media.transceiver(handle).current_direction


def is_quiet(ends):
    return not ends.a.is_negotiation_needed and not ends.b.is_negotiation_needed


@pytest.fixture
def calling(new_ends):
    """Two ends that send each other audio; `a` has offered it."""
    ends = new_ends(accepts_media=True)
    ends.a.media.add_transceiver(AUDIO, TRACK)
    ends.b.media.add_transceiver(AUDIO, TRACK)
    ends.run()
    return ends


# -- adding -----------------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC3264-8.1-1-fb46")
@pytest.mark.parametrize("is_from_a", [True, False])
def test_video_is_added_behind_what_there_is(calling, is_from_a):
    adder = calling.a if is_from_a else calling.b
    handle = adder.media.add_transceiver(VIDEO, TRACK)
    assert adder.is_negotiation_needed
    offer, answer, changes = calling.run(is_from_a=is_from_a)
    assert [kind for kind, _, port in sections(answer) if port] == ["audio", "application", "video"]
    assert len({mid for _, mid, _ in sections(offer)}) == 3
    assert direction_of(adder, handle) is SENDONLY
    assert (changes[2].dtls, changes[2].sctp, changes[2].transport.mid) == (UNCHANGED, UNCHANGED, "0")
    assert is_quiet(calling)


def test_what_goes_on_keeps_its_ssrcs_numbers_and_section(calling):
    before = calling.a.media.sections
    calling.a.media.add_transceiver(VIDEO, TRACK)
    calling.run()
    calling.run(is_from_a=False)
    assert calling.a.media.sections[:1] == before


def test_data_are_added_to_media(new_ends):
    ends = new_ends(accepts_media=True, wants_data=False)
    ends.a.media.add_transceiver(AUDIO, TRACK)
    _, _, changes = ends.run()
    assert (changes[3].dtls, changes[3].sctp, changes[3].transport.sctp_port) == (START, UNCHANGED, None)
    ends.b.request_data()
    assert ends.b.is_negotiation_needed
    offer, _, changes = ends.run(is_from_a=False)
    assert sections(offer) == [("audio", "0", 9), ("application", "1", 9)]
    assert (changes[3].dtls, changes[3].sctp, changes[3].data) == (UNCHANGED, START, DataOutcome.ACCEPTED)
    assert (changes[3].transport.sctp_port, changes[3].transport.mid) == (5000, "0")


def test_data_that_the_peer_takes_away_leave_media_alone(calling, edit):
    offer = calling.a.create_offer(calling.a_transport)
    gone = edit(offer, ("m=application 9", "m=application 0"), ("BUNDLE 0 1", "BUNDLE 0"))
    calling.b.apply_remote(gone)
    changes = calling.b.apply_local(calling.b.create_answer(calling.b_transport))
    assert (changes.data, changes.dtls, changes.sctp) == (DataOutcome.REMOVED, UNCHANGED, STOP)
    assert len(changes.sections) == 1


def test_track_added_while_an_offer_waits_takes_its_transceiver(calling):
    calling.a.media.add_transceiver(VIDEO, TRACK)
    offer = calling.a.create_offer(calling.a_transport)
    calling.a.apply_local(offer)
    (added,) = [c.handle for c in calling.b.apply_remote(offer).transceivers if c.action is TransceiverAction.ADDED]
    assert calling.b.media.add_transceiver(VIDEO, TRACK) == added
    changes = calling.a.apply_remote(calling.b.create_answer(calling.b_transport))
    assert changes.sections[1].receive is not None


def test_track_added_later_turns_the_transceiver_that_the_peer_has_made(calling):
    calling.a.media.add_transceiver(VIDEO, TRACK)
    calling.run()
    handle = calling.b.media.add_transceiver(VIDEO, TRACK)
    assert (len(calling.b.media.infos()), calling.b.is_negotiation_needed) == (2, True)
    calling.run(is_from_a=False)
    assert direction_of(calling.b, handle) is SENDRECV
    assert is_quiet(calling)


# -- directions -------------------------------------------------------------------------------------------------------


@pytest.mark.proves("ICE-SDP-4.4.1.1.1-1-39d3")
@pytest.mark.parametrize("is_from_a", [True, False])
@pytest.mark.parametrize(
    ("wanted", "agreed"),
    [(SENDONLY, SENDONLY), (RECVONLY, RECVONLY), (INACTIVE, INACTIVE), (SENDRECV, SENDRECV)],
)
def test_direction_is_agreed_on_and_mirrored(calling, is_from_a, wanted, agreed):
    turning, other = (calling.a, calling.b) if is_from_a else (calling.b, calling.a)
    (handle,) = [info.handle for info in turning.media.infos()]
    turning.media.set_direction(handle, wanted)
    assert turning.is_negotiation_needed is (wanted is not SENDRECV)
    calling.run(is_from_a=is_from_a)
    mirrored = {SENDONLY: RECVONLY, RECVONLY: SENDONLY}.get(agreed, agreed)
    assert direction_of(turning, handle) is agreed
    assert [info.current_direction for info in other.media.infos()] == [mirrored]
    section = turning.media.sections[0]
    assert (section.send is not None, section.receive is not None) == ("send" in agreed, agreed in (SENDRECV, RECVONLY))
    assert is_quiet(calling)


def test_direction_in_an_answer_is_what_both_want(calling):
    (ours,) = [info.handle for info in calling.a.media.infos()]
    (theirs,) = [info.handle for info in calling.b.media.infos()]
    calling.a.media.set_direction(ours, SENDONLY)
    calling.b.media.set_direction(theirs, SENDONLY)
    calling.run()
    assert (direction_of(calling.a, ours), direction_of(calling.b, theirs)) == (INACTIVE, INACTIVE)


def test_peer_that_stops_and_begins_to_send_is_told(calling):
    (handle,) = [info.handle for info in calling.a.media.infos()]
    seen = []
    for direction in (RECVONLY, SENDRECV):
        calling.a.media.set_direction(handle, direction)
        _, _, changes = calling.run()
        seen.append([change.action for change in changes[1].transceivers])
    assert seen == [[TransceiverAction.TRACK_ENDED], [TransceiverAction.TRACK]]


def test_setting_the_direction_changes_nothing_in_force(calling):
    before = calling.a.media.sections
    calling.a.media.set_direction(1, INACTIVE)
    assert calling.a.media.sections == before


# -- streams and settings ---------------------------------------------------------------------------------------------


def test_other_streams_need_an_exchange_and_are_told_as_a_track(calling):
    calling.a.media.set_streams(1, ["screen", "slides"])
    assert calling.a.is_negotiation_needed
    offer, _, changes = calling.run()
    assert "a=msid:screen " in offer.sdp and "a=msid:slides " in offer.sdp
    assert [(change.action, change.streams) for change in changes[1].transceivers] == [
        (TransceiverAction.TRACK, ("screen", "slides"))
    ]
    assert is_quiet(calling)


def test_settings_of_encodings_need_no_exchange_and_stay(calling):
    calling.a.media.set_encodings(1, [EncodingSettings(is_active=False, max_bitrate_bps=20_000)])
    assert not calling.a.is_negotiation_needed
    for _ in range(2):
        (encoding,) = calling.a.media.sections[0].send.encodings
        assert (encoding.is_active, encoding.max_bitrate_bps) == (False, 20_000)
        calling.run()


# -- stopping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_from_a", [True, False])
def test_stopped_transceiver_is_out_of_force_at_once_and_out_of_the_session_after_an_exchange(calling, is_from_a):
    stopping, other = (calling.a, calling.b) if is_from_a else (calling.b, calling.a)
    assert stopping.media.stop(1) == ()
    assert (stopping.media.sections, stopping.is_negotiation_needed) == ((), True)
    offer, answer, changes = calling.run(is_from_a=is_from_a)
    assert [port for _, _, port in sections(offer)] == [0, 9]
    assert [port for _, _, port in sections(answer)] == [0, 9]
    assert parse_description(answer.sdp).bundle_groups[0].mids == ("1",)
    for change in changes[2:]:
        assert [each.action for each in change.transceivers] == [TransceiverAction.STOPPED]
        assert (change.sections, change.dtls, change.transport.mid) == ((), UNCHANGED, "1")
    assert (stopping.media.infos(), other.media.infos()) == ((), ())
    assert is_quiet(calling)
    with pytest.raises(InvalidState, match="is stopped"):
        stopping.media.set_direction(1, SENDRECV)


def test_transceiver_that_nobody_knows_of_is_gone_at_once(calling):
    handle = calling.a.media.add_transceiver(VIDEO)
    assert [change.action for change in calling.a.media.stop(handle)] == [TransceiverAction.STOPPED]
    assert is_quiet(calling)
    with pytest.raises(InvalidState):
        calling.a.media.transceiver(handle)


@pytest.mark.proves("JSEP-5.2.1-24-e347", "JSEP-5.2.2-31-f513", "BUNDLE-7.5-1-ba68", "BUNDLE-15.2-1-9b1e")
@pytest.mark.proves("BUNDLE-17-1-9773")
def test_section_of_a_stopped_transceiver_is_used_again_for_its_kind_under_another_mid(calling):
    calling.a.media.stop(1)
    calling.run()
    calling.b.media.add_transceiver(VIDEO)
    calling.b.media.add_transceiver(AUDIO)
    offer, _, changes = calling.run(is_from_a=False)
    assert sections(offer) == [("audio", "3", 9), ("application", "1", 9), ("video", "2", 9)]
    assert parse_description(offer.sdp).bundle_groups[0].mids == ("1", "3", "2")
    assert (changes[2].transport.mid, changes[2].dtls) == ("1", UNCHANGED)
    assert [section.mid for section in calling.a.media.sections] == ["3", "2"]
    assert is_quiet(calling)


@pytest.mark.proves("RFC3264-6-6-cca4")
def test_section_that_the_peer_rejects_stops_its_transceiver(calling, edit):
    calling.a.media.add_transceiver(VIDEO, TRACK)
    offer = calling.a.create_offer(calling.a_transport)
    calling.a.apply_local(offer)
    calling.b.apply_remote(offer)
    answer = edit(
        calling.b.create_answer(calling.b_transport), ("m=video 9", "m=video 0"), ("BUNDLE 0 1 2", "BUNDLE 0 1")
    )
    changes = calling.a.apply_remote(answer)
    assert [change.action for change in changes.transceivers] == [TransceiverAction.STOPPED]
    assert [section.reason for section in changes.rejected] == ["the peer rejected it"]
    assert len(calling.a.media.infos()) == 1
    assert not calling.a.is_negotiation_needed


def test_all_stopped_ends_the_transport(new_ends):
    ends = new_ends(accepts_media=True, wants_data=False)
    ends.a.media.add_transceiver(AUDIO)
    ends.run()
    ends.a.media.stop(1)
    _, _, changes = ends.run()
    for change in changes[2:]:
        assert (change.dtls, change.transport, change.sections) == (STOP, None, ())
    assert is_quiet(ends)


@pytest.mark.proves("JSEP-5.3.1-5-ec08")
def test_transceiver_stopped_before_the_answer_is_rejected_in_it(calling):
    calling.a.media.add_transceiver(VIDEO, TRACK)
    offer = calling.a.create_offer(calling.a_transport)
    calling.a.apply_local(offer)
    (added,) = [c.handle for c in calling.b.apply_remote(offer).transceivers if c.action is TransceiverAction.ADDED]
    calling.b.media.stop(added)
    answer = calling.b.create_answer(calling.b_transport)
    assert [port for _, _, port in sections(answer)] == [9, 9, 0]
    changes = calling.b.apply_local(answer)
    assert [(each.mline_index, each.reason) for each in changes.rejected] == [(2, "not wanted")]
    assert [change.action for change in calling.a.apply_remote(answer).transceivers] == [TransceiverAction.STOPPED]
    assert is_quiet(calling)


# -- codec preferences ------------------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.2.1-19-6b4a", "RFC3264-5.1-10-5ac8")
def test_preferences_order_and_limit_an_offer(new_ends):
    ends = new_ends(accepts_media=True)
    handle = ends.a.media.add_transceiver(VIDEO, TRACK)
    ends.a.media.set_codec_preferences(handle, [*codecs_named("AV1"), *codecs_named("VP8")])
    ends.run()
    (section,) = ends.a.media.sections
    assert [(codec.codec.name, codec.rtx_payload_type is None) for codec in section.send.codecs] == [
        ("AV1", False),
        ("VP8", False),
    ]


@pytest.mark.proves("JSEP-5.3.1-8-6d6a", "RFC3264-6.1-12-7636")
def test_preferences_order_and_limit_an_answer(negotiation, transport, load):
    end = negotiation(accepts_media=True)
    handle = end.media.add_transceiver(VIDEO, TRACK)
    end.media.set_codec_preferences(handle, [*codecs_named("VP9"), *codecs_named("VP8")])
    end.apply_remote(load("chromium_offer_av_dc"))
    changes = end.apply_local(end.create_answer(transport()))
    assert parse_description(end.local_description.sdp).media[1].formats == ["98", "99", "96", "97"]
    assert [codec.codec.name for codec in changes.sections[1].send.codecs] == ["VP9", "VP8"]


@pytest.mark.proves("JSEP-5.3.1-5-ec08", "JSEP-5.3.1-11-677c", "RFC3264-6.1-6-d56c", "RFC3264-6.1-7-f233")
@pytest.mark.proves("RFC3264-6.1-8-4cf7", "RFC3264-6.1-18-537b")
def test_preferences_that_the_peer_does_not_have_reject_the_section(negotiation, transport, load):
    end = negotiation(accepts_media=True)
    handle = end.media.add_transceiver(VIDEO, TRACK)
    end.media.set_codec_preferences(handle, codecs_named("H265"))
    end.apply_remote(load("chromium_offer_av_dc"))
    changes = end.apply_local(end.create_answer(transport()))
    assert [(each.mid, each.reason) for each in changes.rejected] == [("1", "no format is in common")]
    assert [section.mid for section in changes.sections] == ["0"]


def test_preferences_of_what_is_not_configured_are_refused(calling):
    for codecs in (codecs_named("VP8"), codecs_named("L16")):
        with pytest.raises(InvalidArgument):
            calling.a.media.set_codec_preferences(1, codecs)


@pytest.mark.proves("JSEP-5.2.2-20-6669", "RFC3264-8.3.2-3-427e", "RFC3264-8.3.2-4-eb43")
def test_preferences_can_be_taken_back(calling):
    before = calling.a.media.sections
    calling.a.media.set_codec_preferences(1, codecs_named("PCMU"))
    calling.run()
    assert len(calling.a.media.sections[0].send.codecs) == 1
    calling.a.media.set_codec_preferences(1, [])
    calling.run()
    assert {c.payload_type for c in calling.a.media.sections[0].send.codecs} == {
        c.payload_type for c in before[0].send.codecs
    }


# -- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.2.2-22-d42a", "RFC3264-8.3.2-1-2ef8", "RFC3264-8.3.2-2-99e9")
def test_answerer_offers_later_with_the_numbers_of_the_peer(negotiation, transport, load):
    end = negotiation(accepts_media=True)
    end.apply_remote(load("chromium_offer_av_dc"))
    end.apply_local(end.create_answer(transport()))
    answer = parse_description(end.local_description.sdp)
    end.media.add_transceiver(VIDEO)
    offer = parse_description(end.create_offer(transport()).sdp)
    for before, after in zip(answer.media[:2], offer.media[:2], strict=True):
        assert after.formats[: len(before.formats)] == before.formats
    meanings = {}
    for media in (offer.media[0], offer.media[1], offer.media[3]):
        for line in media.lines.attributes("rtpmap"):
            number, _, meaning = line.value.partition(" ")
            assert meanings.setdefault(number, meaning) == meaning
    assert offer.media[3].formats[:2] == ["96", "97"]
    ids = [{line.value for line in media.lines.attributes("extmap")} for media in offer.media]
    assert ids[1] <= ids[3]


@pytest.mark.proves("JSEP-5.2.2-21-61e8", "RFC3264-6.1-13-91b3", "RFC3264-7-1-2578")
def test_offer_follows_the_order_of_the_last_answer(calling, edit):
    offer = calling.a.create_offer(calling.a_transport)
    calling.a.apply_local(offer)
    calling.b.apply_remote(offer)
    answer = calling.b.create_answer(calling.b_transport)
    calling.a.apply_remote(edit(answer, ("SAVPF 96 97 9 0", "SAVPF 0 96 97 9")))
    assert [codec.codec.name for codec in calling.a.media.sections[0].send.codecs][:2] == ["PCMU", "opus"]
    again = parse_description(calling.a.create_offer(calling.a_transport).sdp)
    assert again.media[0].formats[:4] == ["0", "96", "97", "9"]


@pytest.mark.proves("RFC3264-5.1-8-d3f7")
def test_peer_that_numbers_for_itself_gets_its_own_numbers(calling, edit):
    """RFC 3264 section 6.1: the answerer may receive a format under another number than the offerer."""
    offer = calling.a.create_offer(calling.a_transport)
    calling.a.apply_local(offer)
    calling.b.apply_remote(offer)
    answer = calling.b.create_answer(calling.b_transport)
    renumbered = edit(
        answer,
        ("SAVPF 96 97 ", "SAVPF 120 "),
        (":96 ", ":120 "),
        ("a=rtpmap:97", "a=x-rtpmap:97"),
        ("a=fmtp:97", "a=x-fmtp:97"),
    )
    changes = calling.a.apply_remote(renumbered)
    section = changes.sections[0]
    assert (section.send.codecs[0].payload_type, section.receive.codecs[0].payload_type) == (120, 96)
