"""Audio and video in a first exchange: between two ends of ours, and in answers to offers of browsers."""

import pytest

from sans_rtc.peer.negotiation import DataOutcome, Description, TransportAction
from sans_rtc.peer.transceivers import TransceiverAction, TransceiverOptions
from sans_rtc.rtp.extensions import Extension
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description, serialize_description
from sans_rtc.sdp.attributes import EXTMAP_ALLOW_MIXED
from sans_rtc.sdp.values import Direction

AUDIO, VIDEO = MediaKind
TRACK = TransceiverOptions(streams=("camera",), is_from_track=True)


@pytest.fixture
def media_ends(new_ends):
    """Two ends that take media; `a` wants data, and both have an audio and a video track."""
    ends = new_ends(accepts_media=True)
    for end in (ends.a, ends.b):
        for kind in MediaKind:
            end.media.add_transceiver(kind, TRACK)
    return ends


def names(codecs):
    return [codec.codec.name for codec in codecs]


@pytest.mark.proves("JSEP-5.3.1-6-dfca", "JSEP-5.9-2-8bd8", "JSEP-5.11-1-d95d")
def test_audio_video_and_data_are_agreed_on_by_both_ends(media_ends):
    _, answer, changes = media_ends.run()
    parsed = parse_description(answer.sdp)
    assert [(media.kind, media.port) for media in parsed.media] == [("audio", 9), ("video", 9), ("application", 9)]
    assert parsed.bundle_groups[0].mids == ("0", "1", "2")
    for end, change in ((media_ends.b, changes[2]), (media_ends.a, changes[3])):
        assert (change.data, change.dtls, change.sctp) == (DataOutcome.ACCEPTED, *[TransportAction.START] * 2)
        assert (change.transport.mid, change.transport.mline_index) == ("0", 0)
        assert [(each.mid, each.kind) for each in change.sections] == [("0", AUDIO), ("1", VIDEO)]
        assert [info.current_direction for info in end.media.infos()] == [Direction.SENDRECV] * 2
        assert change.sections == end.media.sections
        assert not end.is_negotiation_needed


@pytest.mark.proves("RFC3264-6.1-21-aa86", "RFC5576-6.1-1-96ae")
def test_what_one_end_sends_is_what_the_other_receives(media_ends):
    media_ends.run()
    for ours, theirs in zip(media_ends.a.media.sections, media_ends.b.media.sections, strict=True):
        for sender, receiver in ((ours, theirs), (theirs, ours)):
            sent = [(codec.payload_type, codec.codec.name, codec.rtx_payload_type) for codec in sender.send.codecs]
            taken = [(c.payload_type, c.codec.name, c.rtx_payload_type) for c in receiver.receive.codecs]
            assert sent == taken
            assert sender.send.extensions == receiver.receive.extensions
            (encoding,) = sender.send.encodings
            (source,) = receiver.receive.sources
            assert source.ssrc == encoding.ssrc
            assert source.rtx_ssrc == (encoding.rtx_ssrc if sender.kind is VIDEO else 0)
            assert source.cname == sender.send.cname


@pytest.mark.proves("RFC4566-5.14-3-a756")
def test_opus_and_vp8_are_preferred(media_ends):
    media_ends.run()
    audio, video = media_ends.a.media.sections
    assert names(audio.send.codecs)[:3] == ["opus", "red", "G722"]
    assert names(video.send.codecs)[:3] == ["VP8", "VP9", "H264"]
    assert audio.send.codecs[1].parameters == "96/96"
    assert video.send.codecs[0].feedback == {"goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"}


@pytest.mark.proves("JSEP-5.8.2-23-9347")
def test_offer_is_told_as_a_transceiver_added_and_a_track(new_ends):
    ends = new_ends(accepts_media=True)
    ends.a.media.add_transceiver(AUDIO, TRACK)
    _, _, changes = ends.run()
    told = [(change.action, change.kind, change.mid, change.streams) for change in changes[1].transceivers]
    assert told == [
        (TransceiverAction.ADDED, AUDIO, "0", ("camera",)),
        (TransceiverAction.TRACK, AUDIO, "0", ("camera",)),
    ]
    assert [change.action for change in changes[2].transceivers] == [TransceiverAction.DIRECTION]
    (section,) = changes[2].sections
    assert (section.send, section.receive is None) == (None, False)


def test_track_is_not_told_again_with_the_answer(media_ends):
    _, _, changes = media_ends.run()
    actions = [[change.action for change in each.transceivers] for each in changes]
    track, direction = TransceiverAction.TRACK, TransceiverAction.DIRECTION
    assert actions == [[], [track, track], [direction, direction], [track, direction, track, direction]]


# -- browsers ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def answered(negotiation, transport):
    """Answers an offer; with tracks of its own where asked for."""

    def answer(offer, *, has_tracks=True):
        end = negotiation(accepts_media=True)
        if has_tracks:
            for kind in MediaKind:
                end.media.add_transceiver(kind, TRACK)
        end.apply_remote(offer)
        text = end.create_answer(transport())
        return end, parse_description(text.sdp), end.apply_local(text)

    return answer


@pytest.mark.proves("JSEP-5.2.1-46-3d98", "RFC3264-6-3-f617")
@pytest.mark.parametrize("name", ["chromium_offer_av_dc", "firefox_offer_av_dc", "firefox_offer_max_bundle"])
def test_offers_of_browsers_are_taken_whole(answered, load, name):
    end, answer, changes = answered(load(name))
    assert [(media.port == 0, media.is_bundle_only) for media in answer.media] == [(False, False)] * 3
    assert answer.bundle_groups[0].mids == ("0", "1", "2")
    assert changes.rejected == ()
    assert (changes.data, changes.transport.mline_index) == (DataOutcome.ACCEPTED, 0)
    assert [section.kind for section in changes.sections] == [AUDIO, VIDEO]
    for section in changes.sections:
        assert (section.send is not None, section.receive is not None) == (True, True)
    assert not end.is_negotiation_needed


@pytest.mark.proves("JSEP-5.3.1-9-0e8a", "JSEP-5.3.1-16-30a5", "JSEP-5.8.2-10-0221", "JSEP-5.8.2-16-b074")
@pytest.mark.proves("JSEP-5.8.2-17-b2bf", "JSEP-5.8.2-21-265b", "JSEP-5.10-6-11a4", "JSEP-5.10-8-5e32")
@pytest.mark.proves("JSEP-5.8.1-9-7da6", "JSEP-5.8.2-31-7da6", "RFC3264-5.1-11-d298", "RFC3264-6.1-10-a47d")
@pytest.mark.proves("RFC3264-6.1-14-b28f", "RFC3264-6.1-15-2c95", "RFC3264-6.1-24-0512", "RFC3264-6.1-25-84c3")
def test_answer_to_chromium_has_its_numbers(answered, load):
    _, answer, changes = answered(load("chromium_offer_av_dc"))
    audio, video = changes.sections
    assert " ".join(answer.media[0].formats) == "111 63 9 0 8 13 110 126"
    assert " ".join(answer.media[1].formats) == "96 97 102 103 108 109 114 115 116 117 45 46 98 99"
    assert [(codec.payload_type, codec.codec.name) for codec in audio.send.codecs][:2] == [(111, "opus"), (63, "red")]
    assert [(codec.payload_type, codec.rtx_payload_type) for codec in video.receive.codecs] == [
        (96, 97),
        (102, 103),
        (108, 109),
        (114, 115),
        (116, 117),
        (45, 46),
        (98, 99),
    ]
    assert dict(video.send.extensions)[4] == Extension.MID
    (source,) = video.receive.sources
    assert (source.ssrc, source.rtx_ssrc, source.cname) == (970036682, 1519806406, "0if4Ct80YscGjNuk")
    assert (video.is_reduced_size, video.allows_mixed, video.wants_receiver_rtt) == (True, True, True)
    assert answer.lines.first(EXTMAP_ALLOW_MIXED)


def test_extension_that_firefox_only_receives_is_only_sent(answered, load):
    _, answer, changes = answered(load("firefox_offer_av_dc"))
    assert "a=extmap:2/sendonly urn:ietf:params:rtp-hdrext:csrc-audio-level" in serialize_description(answer)
    audio = changes.sections[0]
    assert Extension.CSRC_AUDIO_LEVEL in dict(audio.send.extensions).values()
    assert Extension.CSRC_AUDIO_LEVEL not in dict(audio.receive.extensions).values()


@pytest.mark.proves("JSEP-5.3.1-15-8e99", "RFC7587-3.3-2-51e8", "RTP-USAGE-10-5-3e31")
def test_fmtp_of_firefox_is_what_is_sent_by(answered, load):
    _, _, changes = answered(load("firefox_offer_av_dc"))
    audio, video = changes.sections
    assert audio.send.codecs[0].parameters == "maxplaybackrate=48000;stereo=1;useinbandfec=1"
    assert audio.receive.codecs[0].parameters == "minptime=10;useinbandfec=1"
    assert video.send.codecs[0].parameters == "max-fs=12288;max-fr=60"


@pytest.mark.parametrize("name", ["chromium_offer_av_dc", "firefox_offer_av_dc"])
def test_application_without_tracks_receives(answered, load, name):
    _, answer, changes = answered(load(name), has_tracks=False)
    assert [answer.effective_direction(media) for media in answer.media[:2]] == [Direction.RECVONLY] * 2
    assert [(section.send, section.receive is None) for section in changes.sections] == [(None, False)] * 2


def test_application_for_data_only_takes_what_a_track_waits_for(negotiation, transport, load):
    end = negotiation(accepts_media=False)
    end.media.add_transceiver(VIDEO, TRACK)
    end.apply_remote(load("chromium_offer_av_dc"))
    changes = end.apply_local(end.create_answer(transport()))
    assert [(section.mid, section.kind) for section in changes.sections] == [("1", VIDEO)]
    assert [(each.mid, each.reason) for each in changes.rejected] == [("0", "audio is not taken")]
    assert (changes.transport.mid, changes.data) == ("1", DataOutcome.ACCEPTED)


def test_transceiver_that_is_not_of_a_track_waits_for_no_offer(negotiation, load):
    end = negotiation(accepts_media=True)
    handle = end.media.add_transceiver(AUDIO)
    changes = end.apply_remote(load("chromium_offer_av_dc"))
    assert handle not in [change.handle for change in changes.transceivers]
    assert end.media.transceiver(handle).mid is None


def test_track_does_not_wait_for_an_offer_that_would_not_take_it(negotiation, load, edit):
    """RFC 9429 section 5.10: it takes over a section only where the peer wants to receive."""
    end = negotiation(accepts_media=True)
    handle = end.media.add_transceiver(AUDIO, TRACK)
    end.apply_remote(edit(load("chromium_offer_av_dc"), ("a=sendrecv", "a=sendonly")))
    assert end.media.transceiver(handle).mid is None
    assert len(end.media.infos()) == 3


def test_offer_of_audio_alone_needs_no_data(answered, load):
    offer = load("chromium_offer_av_dc")
    audio = Description("offer", offer.sdp[: offer.sdp.index("m=video")])
    _, answer, changes = answered(audio)
    assert [media.port for media in answer.media] == [9]
    assert (changes.data, changes.dtls, changes.sctp) == (None, TransportAction.START, TransportAction.UNCHANGED)
    assert (changes.transport.sctp_port, changes.transport.max_message_size) == (None, None)
