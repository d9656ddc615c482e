"""What sections of audio and video say: streams, SSRCs, header extensions, feedback; and what is malformed."""

import attrs
import pytest

from sans_rtc.errors import InvalidArgument, LimitExceeded, WireError
from sans_rtc.peer.media_config import AUDIO_CODECS, CodecChoice, KindConfig, MediaNegotiationConfig
from sans_rtc.peer.negotiation import Description
from sans_rtc.peer.transceivers import TransceiverAction, TransceiverOptions
from sans_rtc.rtp.extensions import Extension
from sans_rtc.rtp.payload.codecs import codecs_named
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import EXTMAP, MSID, SSRC, SSRC_GROUP
from sans_rtc.sdp.values import Direction

AUDIO, VIDEO = MediaKind
TRACK = TransceiverOptions(streams=("camera",), is_from_track=True)


def config(**choices):
    return MediaNegotiationConfig(**choices)


@pytest.fixture
def offer_of(negotiation, transport):
    """The offer of an end with one transceiver of a kind."""

    def make(kind=VIDEO, options=TRACK, **choices):
        end = negotiation(accepts_media=True, media=config(**choices))
        end.media.add_transceiver(kind, options)
        return end.create_offer(transport())

    return make


@pytest.fixture
def answer_to(negotiation, transport):
    """What an end with both tracks answers to an offer: its sections of the answer, and what has changed."""

    def answer(offer, *, tracks=(AUDIO, VIDEO), **choices):
        end = negotiation(2, accepts_media=True, media=config(**choices))
        for kind in tracks:
            end.media.add_transceiver(kind, TRACK)
        added = end.apply_remote(offer).transceivers
        text = end.create_answer(transport("b"))
        return parse_description(text.sdp).media, end.apply_local(text), added

    return answer


# -- streams and SSRCs (RFC 8830, RFC 5576) ---------------------------------------------------------------------------


@pytest.mark.proves("MSID-2-1-c315", "RFC5576-4.1-1-cbfd", "RFC5576-4.2-2-d5db", "RFC5576-4.2-3-bbef")
@pytest.mark.proves("RFC5576-6.1-3-68fa", "RFC5576-4.1-2-efa5")
def test_sender_tells_its_streams_and_ssrcs(offer_of):
    media = parse_description(offer_of(options=attrs.evolve(TRACK, streams=("camera", "all"))).sdp).media[0]
    msids = media.lines.all(MSID)
    assert [msid.stream_id for msid in msids] == ["camera", "all"]
    assert len({msid.track_id for msid in msids}) == 1
    (group,) = media.lines.all(SSRC_GROUP)
    assert (group.semantics, len(set(group.ssrcs))) == ("FID", 2)
    told = {(line.ssrc, line.name) for line in media.lines.all(SSRC)}
    assert told == {(ssrc, name) for ssrc in group.ssrcs for name in ("cname", "msid")}


@pytest.mark.parametrize("direction", [Direction.RECVONLY, Direction.INACTIVE])
def test_who_does_not_send_tells_neither(offer_of, direction):
    media = parse_description(offer_of(options=TransceiverOptions(direction=direction)).sdp).media[0]
    assert not any(media.lines.has(spec) for spec in (MSID, SSRC, SSRC_GROUP))


def test_track_of_no_stream_says_so(offer_of, answer_to):
    offer = offer_of(options=TransceiverOptions())
    assert "a=msid:- " in offer.sdp
    _, _, added = answer_to(offer, tracks=())
    assert [change.streams for change in added] == [(), ()]


def test_streams_of_before_rfc_8830_are_read_of_the_ssrc_lines(offer_of, answer_to):
    old = "".join(line for line in offer_of().sdp.splitlines(True) if not line.startswith("a=msid"))
    _, _, added = answer_to(Description("offer", old), tracks=())
    assert added[0].streams == ("camera",)


@pytest.mark.proves(
    "RFC3550-5.1-8-716b", "RFC3550-6.5.1-2-a333", "RFC3550-6.5.1-5-c9d0", "RTP-USAGE-4.9-1-2245", "RTP-USAGE-4.9-3-590a"
)
def test_cname_and_ids_come_from_entropy_and_differ(negotiation, transport):
    def offer(seed, **choices):
        end = negotiation(seed, accepts_media=True, media=config(**choices))
        end.media.add_transceiver(AUDIO, TRACK)
        return end.create_offer(transport()).sdp

    assert offer(1) == offer(1)
    assert set(offer(1).splitlines()).isdisjoint(line for line in offer(2).splitlines() if line.startswith("a=ssrc"))
    assert " cname:me\r\n" in offer(1, cname="me")


def test_more_streams_than_configured_are_not_noted(offer_of, answer_to, edit):
    offer = offer_of(AUDIO)
    many = "".join(f"a=ssrc:{number} cname:x\r\n" for number in range(1, 101))
    _, changes, _ = answer_to(Description("offer", offer.sdp + many), source_count_max=10)
    assert len(changes.sections[0].receive.sources) == 10


def test_forward_error_correction_stream_is_named_with_its_source(offer_of, answer_to):
    offer = offer_of(AUDIO)
    lines = "a=ssrc-group:FEC-FR 7 8\r\na=ssrc:7 cname:x\r\na=ssrc:8 cname:x\r\n"
    _, changes, _ = answer_to(Description("offer", offer.sdp + lines))
    assert [(each.ssrc, each.fec_ssrc) for each in changes.sections[0].receive.sources][-1] == (7, 8)


# -- header extensions (RFC 8285) -------------------------------------------------------------------------------------


@pytest.mark.proves("BUNDLE-12-1-65f8")
def test_extensions_are_numbered_once_for_all_sections_in_the_one_byte_range(negotiation, transport):
    end = negotiation(accepts_media=True)
    for kind in (AUDIO, VIDEO, AUDIO):
        end.media.add_transceiver(kind)
    ids = {}
    for media in parse_description(end.create_offer(transport()).sdp).media:
        for extension in media.lines.all(EXTMAP):
            assert ids.setdefault(extension.id, extension.uri) == extension.uri
    assert sorted(ids) == list(range(1, 15))


@pytest.mark.proves("JSEP-5.2.2-23-dd98")
@pytest.mark.proves("RTP-USAGE-10-6-8f51")
def test_extension_that_the_answer_lacks_is_neither_sent_nor_offered_again(new_ends, edit):
    ends = new_ends(accepts_media=True)
    ends.a.media.add_transceiver(AUDIO, TRACK)
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    ends.b.apply_remote(offer)
    answer = edit(ends.b.create_answer(ends.b_transport), (f"a=extmap:2 {Extension.ABS_SEND_TIME}\r\n", ""))
    (section,) = ends.a.apply_remote(answer).sections
    assert Extension.ABS_SEND_TIME not in dict(section.send.extensions).values()
    assert Extension.ABS_SEND_TIME not in ends.a.create_offer(ends.a_transport).sdp


@pytest.mark.parametrize(
    ("direction", "is_sent", "is_received"),
    [
        ("", True, True),
        ("/sendrecv", True, True),
        ("/sendonly", False, True),
        ("/recvonly", True, False),
        ("/inactive", False, False),
    ],
)
def test_extension_goes_the_ways_that_the_offer_says(offer_of, answer_to, edit, direction, is_sent, is_received):
    offer = edit(
        offer_of(AUDIO), (f"a=extmap:2 {Extension.ABS_SEND_TIME}", f"a=extmap:2{direction} {Extension.ABS_SEND_TIME}")
    )
    _, changes, _ = answer_to(offer)
    (section,) = changes.sections
    assert (2 in dict(section.send.extensions), 2 in dict(section.receive.extensions)) == (is_sent, is_received)


def test_ids_of_another_extension_and_past_the_wire_are_left_out(offer_of, answer_to, edit):
    offer = edit(
        offer_of(AUDIO),
        (f"a=extmap:2 {Extension.ABS_SEND_TIME}", f"a=extmap:1 {Extension.ABS_SEND_TIME}"),
        (f"a=extmap:4 {Extension.MID}", f"a=extmap:4096 {Extension.MID}"),
    )
    media, _, _ = answer_to(offer)
    assert sorted(extension.id for extension in media[0].lines.all(EXTMAP)) == [1, 3, 5]


@pytest.mark.parametrize(
    "choices", [{"mixed_extensions": False}, {"reduced_size_rtcp": False}, {"receiver_rtt": False}]
)
@pytest.mark.proves("RTP-USAGE-4.6-2-81e1")
def test_what_one_end_does_not_want_is_not_agreed_on(offer_of, answer_to, choices):
    for offering, answering in ((choices, {}), ({}, choices)):
        _, changes, _ = answer_to(offer_of(**offering), **answering)
        (section,) = changes.sections
        agreed = (section.allows_mixed, section.is_reduced_size, section.wants_receiver_rtt)
        assert sum(agreed) == 2


# -- formats ----------------------------------------------------------------------------------------------------------


def test_session_without_retransmission_formats_has_no_ssrc_for_them(offer_of, answer_to):
    media, changes, _ = answer_to(offer_of(), rtx=False)
    assert not media[0].lines.has(SSRC_GROUP)
    assert all(codec.rtx_payload_type is None for codec in changes.sections[0].send.codecs)


@pytest.mark.proves("JSEP-5.3.1-18-8c76", "JSEP-5.8.2-18-9ac8")
@pytest.mark.proves("RFC4585-4.2-3-29a2", "RFC4585-4.2-6-468e")
def test_feedback_is_what_both_have(offer_of, answer_to, edit):
    offer = edit(
        offer_of(), ("a=rtcp-fb:96 nack pli\r\n", ""), ("a=rtcp-fb:96 goog-remb\r\n", "a=rtcp-fb:96 x-y z\r\n")
    )
    _, changes, _ = answer_to(offer)
    assert changes.sections[0].send.codecs[0].feedback == {"transport-cc", "ccm fir", "nack"}


def test_feedback_for_all_formats_counts_for_each(offer_of, answer_to):
    offer = offer_of()
    plain = "".join(line for line in offer.sdp.splitlines(True) if not line.startswith("a=rtcp-fb"))
    _, changes, _ = answer_to(Description("offer", plain + "a=rtcp-fb:* nack\r\n"))
    assert {codec.feedback for codec in changes.sections[0].send.codecs} == {frozenset({"nack"})}


def test_error_correction_is_taken_where_it_is_configured(load, answer_to):
    offer = load("chromium_offer_av_dc")
    _, changes, _ = answer_to(offer)
    assert changes.sections[1].receive.fec == ()
    media, changes, _ = answer_to(offer, fec=("red", "ulpfec"))
    assert [(fec.payload_type, fec.name) for fec in changes.sections[1].receive.fec] == [(118, "red"), (120, "ulpfec")]
    assert media[1].formats[-3:] == ["118", "119", "120"]


@pytest.mark.proves("JSEP-5.3.1-15-8e99")
def test_error_correction_is_offered_and_agreed_on(offer_of, answer_to):
    fec = ("red", "ulpfec", "flexfec-03")
    _, changes, _ = answer_to(offer_of(fec=fec), fec=fec)
    assert [each.name for each in changes.sections[0].receive.fec] == list(fec)


def test_red_needs_the_format_that_it_carries(load, answer_to, edit):
    offer = edit(load("chromium_offer_av_dc"), ("a=fmtp:63 111/111", "a=fmtp:63 111/112"))
    media, _, _ = answer_to(offer)
    assert "63" not in media[0].formats


def test_static_payload_type_needs_no_rtpmap(load, answer_to, edit):
    offer = edit(load("chromium_offer_av_dc"), ("a=rtpmap:0 PCMU/8000\r\n", ""))
    media, _, _ = answer_to(offer)
    assert "0" in media[0].formats


def test_configured_codecs_are_the_ones_offered(offer_of):
    audio = KindConfig(codecs=codecs_named("PCMU"), extensions=(), feedback=())
    media = parse_description(offer_of(AUDIO, audio=audio).sdp).media[0]
    assert (media.formats, media.lines.all(EXTMAP)) == (["0"], [])


@pytest.mark.proves("RFC7587-7-2-91ef")
def test_parameters_of_a_configured_codec_may_be_other_ones(offer_of, answer_to):
    stereo = CodecChoice("opus", 48_000, 2, "stereo=1;useinbandfec=1")
    audio = KindConfig(codecs=[stereo], extensions=(), feedback=())
    offer = offer_of(AUDIO, audio=audio)
    assert "a=fmtp:96 stereo=1;useinbandfec=1\r\n" in offer.sdp
    _, changes, _ = answer_to(offer)
    assert changes.sections[0].send.codecs[0].parameters == "stereo=1;useinbandfec=1"


# -- bounds and misuse ------------------------------------------------------------------------------------------------


def test_transceivers_are_bounded(negotiation):
    end = negotiation(accepts_media=True, media=config(transceiver_count_max=2))
    for _ in range(2):
        end.media.add_transceiver(AUDIO)
    with pytest.raises(LimitExceeded):
        end.media.add_transceiver(AUDIO)
    assert len(end.media.infos()) == 2


@pytest.mark.parametrize("streams", [("a b",), ("",), ("x" * 65,), ("-",), ("a\r\nm=x",)])
def test_names_of_streams_are_checked(streams):
    with pytest.raises(InvalidArgument):
        TransceiverOptions(streams=streams)


@pytest.mark.parametrize(
    "choices",
    [
        {"fec": ("magic",)},
        {"cname": "two words"},
        {"cname": "x" * 256},
        {"transceiver_count_max": -1},
        {"audio": KindConfig(codecs=codecs_named("VP8"), extensions=(), feedback=())},
        {"audio": KindConfig(codecs=[CodecChoice("nothing", 8000)], extensions=(), feedback=())},
    ],
    ids=["fec", "cname", "long", "count", "kind", "unknown"],
)
def test_configuration_is_checked(choices):
    with pytest.raises(InvalidArgument):
        config(**choices)


def test_transceiver_that_never_was_is_told_from_one_that_has_ended(negotiation):
    end = negotiation(accepts_media=True)
    with pytest.raises(InvalidArgument, match="no transceiver 7"):
        end.media.set_direction(7, Direction.INACTIVE)


def test_choices_are_plain_data():
    assert all(isinstance(choice, CodecChoice) for choice in AUDIO_CODECS)


# -- malformed --------------------------------------------------------------------------------------------------------


BROKEN = [
    ("a=rtpmap:96 VP8/90000", "a=rtpmap:256 VP8/90000"),
    ("a=rtpmap:96 VP8/90000", "a=rtpmap:96 VP8/x"),
    ("a=rtpmap:96 VP8/90000", "a=rtpmap:96"),
    ("a=fmtp:97 apt=96", "a=fmtp:97"),
    ("a=rtcp-fb:96 nack\r\n", "a=rtcp-fb:x nack\r\n"),
    ("a=extmap:9 ", "a=extmap:0 "),
    ("a=extmap:9 ", "a=extmap:x "),
    ("a=extmap:9 ", "a=extmap:9/sideways "),
    ("SAVPF 96 97", "SAVPF 296 97"),
    ("SAVPF 96 97", "SAVPF x 97"),
    ("a=ssrc-group:FID ", "a=ssrc-group:FID x "),
    ("a=msid:camera ", "a=msid:c\"a "),
    ("a=mid:0", "a=mid:0\r\na=mid:1"),
    ("a=mid:0", "a=mid:0\r\na=simulcast:send"),
    ("a=mid:0", "a=mid:0\r\na=simulcast:send 1\r\na=rid:1 up"),
    ("a=ice-ufrag:a000\r\n", ""),
    ("a=fingerprint:", "a=x-fingerprint:"),
]  # fmt: skip


@pytest.mark.proves("JSEP-5.1.2-6-7f8d", "JSEP-5.8.2-11-d14f", "JSEP-5.8.2-12-e65e", "JSEP-5.10-4-8bd8")
@pytest.mark.proves("RFC4566-8.2.3-1-065a")
@pytest.mark.parametrize(("old", "new"), BROKEN, ids=range(len(BROKEN)))
def test_broken_section_is_refused_and_nothing_changes(offer_of, negotiation, snapshot, edit, old, new):
    end = negotiation(2, accepts_media=True)
    end.media.add_transceiver(VIDEO, TRACK)
    before = (snapshot(end), end.media.infos())
    with pytest.raises((WireError, InvalidArgument)):
        end.apply_remote(edit(offer_of(), (old, new)))
    assert before == (snapshot(end), end.media.infos())


TOLERATED = [
    ("a=fmtp:97 apt=96", "a=fmtp:97 apt=55"),
    ("a=fmtp:97 apt=96", "a=fmtp:97 apt=97"),
    ("a=fmtp:97 apt=96", "a=fmtp:97 apt=x"),
    ("a=fmtp:97 apt=96\r\n", ""),
    ("SAVPF 96 97", "SAVPF 96 96 97"),
    ("SAVPF 96 97", "SAVPF 96 1 97"),
    ("profile-level-id=42e01f", "profile-level-id=zz"),
    ("a=rtcp-xr:rcvr-rtt=all", "a=rtcp-xr:nonsense"),
    ("a=mid:0", "a=mid:0\r\na=ssrc-group:SIM 1 2 3\r\na=ssrc-group:FID 1"),
    ("a=mid:0", "a=mid:0\r\na=simulcast:send 1;~2,3"),
    ("a=sendrecv\r\n", ""),
]


@pytest.mark.parametrize(("old", "new"), TOLERATED, ids=range(len(TOLERATED)))
def test_odd_section_is_taken_without_what_is_odd(offer_of, answer_to, edit, old, new):
    _, changes, _ = answer_to(edit(offer_of(), (old, new)))
    assert changes.sections[0].receive.codecs[0].codec.name == "VP8"


def test_answer_without_a_format_of_ours_lets_nothing_flow(new_ends, edit):
    ends = new_ends(accepts_media=True)
    ends.a.media.add_transceiver(AUDIO, attrs.evolve(TRACK))
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    ends.b.apply_remote(offer)
    answer = ends.b.create_answer(ends.b_transport)
    at, end = answer.sdp.index("m=audio"), answer.sdp.index("\r\n", answer.sdp.index("m=audio"))
    strange = answer.sdp[:at] + "m=audio 9 UDP/TLS/RTP/SAVPF 55" + answer.sdp[end:]
    (section,) = ends.a.apply_remote(Description("answer", strange)).sections
    assert (section.send, section.receive) == (None, None)


def test_track_that_ends_and_goes_on_is_told(new_ends):
    ends = new_ends(accepts_media=True)
    handle = ends.a.media.add_transceiver(AUDIO, TRACK)
    ends.run()
    ends.a.media.set_direction(handle, Direction.INACTIVE)
    _, _, changes = ends.run()
    assert [change.action for change in changes[1].transceivers] == [TransceiverAction.TRACK_ENDED]
