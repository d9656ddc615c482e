"""Offers that are given up: what becomes of transceivers (RFC 9429 section 5.7), and glare."""

import pytest

from sans_rtc.peer.negotiation import Description, Side, SignalingState
from sans_rtc.peer.transceivers import TransceiverAction, TransceiverOptions
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.values import Direction

AUDIO, VIDEO = MediaKind
TRACK = TransceiverOptions(streams=("camera",), is_from_track=True)
ROLLBACK = Description("rollback")


@pytest.fixture
def fresh(new_ends):
    """Two ends that take media, and have exchanged nothing."""
    return new_ends(accepts_media=True)


@pytest.fixture
def calling(fresh):
    """Two ends that send each other audio."""
    fresh.a.media.add_transceiver(AUDIO, TRACK)
    fresh.b.media.add_transceiver(AUDIO, TRACK)
    fresh.run()
    return fresh


def mids(end):
    return [info.mid for info in end.media.infos()]


def offered(end, facts):
    offer = end.create_offer(facts)
    end.apply_local(offer)
    return offer


@pytest.mark.proves("JSEP-5.7-3-2e7c")
@pytest.mark.parametrize("side", list(Side))
def test_rollback_of_our_offer_takes_the_mid_and_keeps_the_transceiver(calling, side):
    handle = calling.a.media.add_transceiver(VIDEO)
    first = offered(calling.a, calling.a_transport)
    assert mids(calling.a) == ["0", "2"]
    apply = calling.a.apply_local if side is Side.LOCAL else calling.a.apply_remote
    changes = apply(ROLLBACK)
    assert (changes.transceivers, changes.sections) == ((), None)
    assert mids(calling.a) == ["0", None]
    assert calling.a.is_negotiation_needed
    again = offered(calling.a, calling.a_transport)
    assert [media.mid for media in parse_description(again.sdp).media] == ["0", "1", "2"]
    assert parse_description(first.sdp).media == parse_description(again.sdp).media
    assert calling.a.media.transceiver(handle).mid == "2"


@pytest.mark.proves("JSEP-5.7-4-e0e7")
def test_transceivers_that_the_offer_made_go_with_it(fresh):
    fresh.a.media.add_transceiver(VIDEO)
    added = fresh.b.apply_remote(offered(fresh.a, fresh.a_transport)).transceivers
    assert [change.action for change in added] == [TransceiverAction.ADDED, TransceiverAction.TRACK]
    removed = fresh.b.apply_remote(ROLLBACK).transceivers
    assert [(change.action, change.handle) for change in removed] == [(TransceiverAction.REMOVED, added[0].handle)]
    assert fresh.b.media.infos() == ()
    assert not fresh.b.is_negotiation_needed


@pytest.mark.proves("JSEP-5.7-5-aa95")
def test_transceiver_that_got_a_track_stays_without_a_section(fresh):
    fresh.a.media.add_transceiver(VIDEO)
    fresh.b.apply_remote(offered(fresh.a, fresh.a_transport))
    handle = fresh.b.media.add_transceiver(VIDEO, TRACK)
    changes = fresh.b.apply_remote(ROLLBACK)
    assert [change.action for change in changes.transceivers] == [TransceiverAction.TRACK_ENDED]
    assert mids(fresh.b) == [None]
    assert fresh.b.is_negotiation_needed
    offer = parse_description(fresh.b.create_offer(fresh.b_transport).sdp)
    assert [media.kind for media in offer.media] == ["video"]
    assert fresh.b.media.transceiver(handle).direction is Direction.SENDRECV


def test_transceiver_that_waited_for_the_offer_waits_again(fresh):
    handle = fresh.b.media.add_transceiver(VIDEO, TRACK)
    fresh.a.media.add_transceiver(VIDEO)
    fresh.b.apply_remote(offered(fresh.a, fresh.a_transport))
    assert fresh.b.media.transceiver(handle).mid == "0"
    fresh.b.apply_remote(ROLLBACK)
    assert fresh.b.media.transceiver(handle).mid is None
    fresh.run()
    assert fresh.b.media.transceiver(handle).mid == "0"


def test_rollback_of_a_provisional_answer_brings_the_sections_back(calling):
    calling.a.media.set_direction(1, Direction.INACTIVE)
    before = calling.a.media.sections
    calling.b.apply_remote(offered(calling.a, calling.a_transport))
    answer = calling.b.create_answer(calling.b_transport)
    provisional = calling.a.apply_remote(Description("pranswer", answer.sdp))
    (section,) = provisional.sections
    assert (section.send, section.receive) == (None, None)
    changes = calling.a.apply_local(ROLLBACK)
    assert changes.sections == before == calling.a.media.sections
    assert [change.action for change in changes.transceivers] == [
        TransceiverAction.TRACK,
        TransceiverAction.DIRECTION,
    ]


def test_provisional_answer_that_rejects_does_not_stop(calling, edit):
    calling.a.media.add_transceiver(VIDEO)
    calling.b.apply_remote(offered(calling.a, calling.a_transport))
    answer = calling.b.create_answer(calling.b_transport)
    rejecting = edit(answer, ("m=video 9", "m=video 0"), ("BUNDLE 0 1 2", "BUNDLE 0 1"))
    changes = calling.a.apply_remote(Description("pranswer", rejecting.sdp))
    assert (len(changes.sections), len(calling.a.media.infos())) == (1, 2)
    changes = calling.a.apply_remote(answer)
    assert len(changes.sections) == 2


def test_wishes_survive_a_rollback(calling):
    calling.a.media.set_direction(1, Direction.RECVONLY)
    offered(calling.a, calling.a_transport)
    calling.a.apply_local(ROLLBACK)
    assert calling.a.media.transceiver(1).direction is Direction.RECVONLY
    assert calling.a.is_negotiation_needed


def test_transceiver_stopped_while_its_first_offer_waits_goes_with_the_offer(calling):
    handle = calling.a.media.add_transceiver(VIDEO)
    offered(calling.a, calling.a_transport)
    calling.a.media.stop(handle)
    changes = calling.a.apply_local(ROLLBACK)
    assert [(change.action, change.handle) for change in changes.transceivers] == [(TransceiverAction.STOPPED, handle)]
    assert not calling.a.is_negotiation_needed


def test_numbers_of_an_offer_given_up_are_free_again(fresh, load):
    fresh.a.apply_remote(load("chromium_offer_av_dc"))
    fresh.a.apply_remote(ROLLBACK)
    fresh.a.media.add_transceiver(AUDIO)
    assert parse_description(fresh.a.create_offer(fresh.a_transport).sdp).media[0].formats[0] == "96"


def test_second_offer_in_place_of_the_first_makes_its_own_transceivers(fresh, load):
    first = fresh.a.apply_remote(load("chromium_offer_av_dc"))
    second = fresh.a.apply_remote(load("firefox_offer_av_dc"))
    assert [change.action for change in second.transceivers] == [
        *[TransceiverAction.REMOVED] * 2,
        *[TransceiverAction.ADDED, TransceiverAction.TRACK] * 2,
    ]
    assert {change.handle for change in first.transceivers}.isdisjoint(info.handle for info in fresh.a.media.infos())
    changes = fresh.a.apply_local(fresh.a.create_answer(fresh.a_transport))
    assert len(changes.sections) == 2


def test_offer_made_again_while_one_waits_keeps_its_mids(calling):
    calling.a.media.add_transceiver(VIDEO)
    offered(calling.a, calling.a_transport)
    calling.a.media.add_transceiver(AUDIO)
    offer = offered(calling.a, calling.a_transport)
    assert [(media.kind, media.mid) for media in parse_description(offer.sdp).media] == [
        ("audio", "0"),
        ("application", "1"),
        ("video", "2"),
        ("audio", "3"),
    ]
    assert calling.b.apply_remote(offer).rolled_back is None
    changes = calling.a.apply_remote(calling.b.create_answer(calling.b_transport))
    assert len(changes.sections) == 3


# -- glare (W3C perfect negotiation) ----------------------------------------------------------------------------------


def test_polite_end_gives_way_and_offers_its_track_afterwards(calling):
    polite, impolite = calling.a, calling.b
    handle = polite.media.add_transceiver(VIDEO)
    impolite.media.add_transceiver(VIDEO)
    offered(polite, calling.a_transport)
    changes = polite.apply_remote(offered(impolite, calling.b_transport))
    assert (changes.rolled_back, changes.state) == (Side.LOCAL, SignalingState.HAVE_REMOTE_OFFER)
    assert polite.media.transceiver(handle).mid is None
    answer = polite.create_answer(calling.a_transport)
    polite.apply_local(answer)
    impolite.apply_remote(answer)
    assert polite.is_negotiation_needed
    assert not impolite.is_negotiation_needed
    calling.run()
    assert [len(end.media.sections) for end in (polite, impolite)] == [3, 3]
    assert not polite.is_negotiation_needed
    assert not impolite.is_negotiation_needed


def test_glare_of_tracks_of_one_kind_takes_one_section_for_both(calling):
    ours = calling.a.media.add_transceiver(VIDEO, TRACK)
    calling.b.media.add_transceiver(VIDEO, TRACK)
    offered(calling.a, calling.a_transport)
    calling.a.apply_remote(offered(calling.b, calling.b_transport))
    assert calling.a.media.transceiver(ours).mid == "2"
    answer = calling.a.create_answer(calling.a_transport)
    calling.a.apply_local(answer)
    calling.b.apply_remote(answer)
    assert [info.current_direction for info in calling.b.media.infos()] == [Direction.SENDRECV] * 2
    assert not calling.a.is_negotiation_needed


def test_glare_with_an_offer_that_cannot_be_taken_changes_nothing(calling, edit):
    calling.a.media.add_transceiver(VIDEO)
    offered(calling.a, calling.a_transport)
    before = (calling.a.media.infos(), calling.a.local_description)
    offer = edit(offered(calling.b, calling.b_transport), ("a=rtpmap:96 opus", "a=rtpmap:256 opus"))
    with pytest.raises(ValueError, match="rtpmap"):
        calling.a.apply_remote(offer)
    assert (calling.a.media.infos(), calling.a.local_description) == before
