"""FlexFEC of RFC 8627 in descriptions, and two whole peers that have agreed on it."""

import attrs
import pytest

from sans_rtc.media import EncodingSettings, FrameReceived, OutgoingFrame
from sans_rtc.peer import PeerConfig
from sans_rtc.peer.media_config import MediaNegotiationConfig
from sans_rtc.peer.negotiation import Description
from sans_rtc.peer.transceivers import TransceiverOptions
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import SSRC, SSRC_GROUP
from sans_rtc.sdp.values import Direction
from sans_rtc.testing import LinkConditions

AUDIO, VIDEO = MediaKind
TRACK = TransceiverOptions(streams=("camera",), is_from_track=True)
FLEXFEC = ("flexfec",)
KEYFRAME = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\x68\x01" + bytes(3000)
DELTA = b"\x11\x00\x00" + bytes(3000)


def config(fec=FLEXFEC, **choices):
    return MediaNegotiationConfig(fec=fec, **choices)


@pytest.fixture
def new_pair(negotiation, transport):
    """Two ends, each with a video track and a configuration of its own."""

    def make(*configs, options=(TRACK, TRACK), kind=VIDEO):
        ends = [negotiation(1 + index, accepts_media=True, media=media) for index, media in enumerate(configs)]
        for end, its in zip(ends, options, strict=True):
            end.media.add_transceiver(kind, its)
        return ends

    return make


@pytest.fixture
def run(transport):
    """One exchange; the offer may be edited on its way. Returns offer and answer, parsed."""

    def exchange(offerer, answerer, edit=lambda text: text, names=("a", "b")):
        offer = offerer.create_offer(transport(names[0]))
        offerer.apply_local(offer)
        answerer.apply_remote(Description("offer", edit(offer.sdp)))
        answer = answerer.create_answer(transport(names[1]))
        answerer.apply_local(answer)
        offerer.apply_remote(answer)
        return offer, answer

    return exchange


def correction_of(end):
    section = end.media.sections[0]
    return section.send.fec, section.receive.fec


@pytest.mark.proves("RTP-USAGE-6.2-2-d7e9")
def test_it_is_off_unless_configured(new_pair, run):
    a, b = new_pair(MediaNegotiationConfig(), config())
    offer, answer = run(a, b)
    assert "flexfec" not in offer.sdp + answer.sdp
    assert "FEC-FR" not in offer.sdp + answer.sdp
    assert correction_of(a) == correction_of(b) == (None, ())


def test_offer_and_answer_tell_format_window_and_stream(new_pair, run):
    a, b = new_pair(config(), config())
    for description in run(a, b):
        (media,) = parse_description(description.sdp).media
        number = media.formats[-1]
        assert f"a=rtpmap:{number} flexfec/90000\r\n" in description.sdp
        assert f"a=fmtp:{number} repair-window=500000\r\n" in description.sdp
        groups = {group.semantics: group.ssrcs for group in media.lines.all(SSRC_GROUP)}
        assert groups.keys() == {"FID", "FEC-FR"}
        assert groups["FID"][0] == groups["FEC-FR"][0]
        told = {(line.ssrc, line.name) for line in media.lines.all(SSRC)}
        assert {(groups["FEC-FR"][1], "cname"), (groups["FEC-FR"][1], "msid")} <= told


def test_what_one_end_sends_is_what_the_other_takes(new_pair, run):
    a, b = new_pair(config(), config())
    run(a, b)
    for sender, receiver in ((a, b), (b, a)):
        sent, _ = correction_of(sender)
        _, taken = correction_of(receiver)
        assert taken == (sent,)
        assert (sent.name, sent.parameters) == ("flexfec", "repair-window=500000")
        (encoding,) = sender.media.sections[0].send.encodings
        (source,) = receiver.media.sections[0].receive.sources
        assert source.fec_ssrc == encoding.fec_ssrc != 0
        assert len({encoding.ssrc, encoding.rtx_ssrc, encoding.fec_ssrc}) == 3


def test_window_of_the_peer_is_kept_to_and_what_is_unknown_is_not_answered(new_pair, run):
    a, b = new_pair(config(), config())
    _, answer = run(a, b, lambda text: text.replace("repair-window=500000", "repair-window=200000; ToP=9"))
    assert correction_of(b)[0].parameters == "repair-window=200000; ToP=9"
    assert "repair-window=500000\r\n" in answer.sdp
    assert "ToP" not in answer.sdp


@pytest.mark.parametrize("configs", [(config(), MediaNegotiationConfig()), (MediaNegotiationConfig(), config())])
def test_it_takes_both_ends(new_pair, run, configs):
    a, b = new_pair(*configs)
    run(a, b)
    assert correction_of(a) == correction_of(b) == (None, ())


def test_draft_of_the_browsers_is_taken_and_never_sent(new_pair, run):
    a, b = new_pair(config(("flexfec-03",)), config(("flexfec-03",)))
    offer, _ = run(a, b)
    assert "FEC-FR" not in offer.sdp
    sent, taken = correction_of(a)
    assert (sent, [each.name for each in taken]) == (None, ["flexfec-03"])
    assert a.media.sections[0].send.encodings[0].fec_ssrc == 0


def test_who_does_not_send_names_no_stream_of_it(new_pair, run):
    receives = TransceiverOptions(direction=Direction.RECVONLY)
    a, b = new_pair(config(), config(), options=(receives, TRACK))
    offer, answer = run(a, b)
    assert "flexfec/90000" in offer.sdp
    assert "FEC-FR" not in offer.sdp
    assert "FEC-FR" in answer.sdp
    assert a.media.sections[0].send is None
    assert b.media.sections[0].send.fec is not None


def test_audio_has_none(new_pair, run):
    a, b = new_pair(config(), config(), kind=AUDIO)
    offer, _ = run(a, b)
    assert "flexfec" not in offer.sdp
    assert correction_of(a) == correction_of(b) == (None, ())


def test_it_works_without_rtx(new_pair, run):
    a, b = new_pair(config(rtx=False), config(rtx=False))
    offer, _ = run(a, b)
    groups = parse_description(offer.sdp).media[0].lines.all(SSRC_GROUP)
    assert [group.semantics for group in groups] == ["FEC-FR"]


def test_each_layer_of_a_simulcast_has_its_own(new_pair, run):
    layers = attrs.evolve(TRACK, encodings=(EncodingSettings(rid="q"), EncodingSettings(rid="h")))
    a, b = new_pair(config(), config(), options=(layers, TRACK))
    offer, _ = run(a, b)
    assert "a=ssrc:" not in offer.sdp  # layers go by their rid
    encodings = a.media.sections[0].send.encodings
    assert len({ssrc for each in encodings for ssrc in (each.ssrc, each.rtx_ssrc, each.fec_ssrc)}) == 6


def test_number_and_stream_stay_in_further_exchanges(new_pair, run):
    a, b = new_pair(config(), config())
    run(a, b)
    before = (correction_of(a), a.media.sections[0].send.encodings, b.media.sections[0].receive.sources)
    run(a, b)
    run(b, a, names=("b", "a"))
    assert (correction_of(a), a.media.sections[0].send.encodings, b.media.sections[0].receive.sources) == before


def test_ssrcs_of_ends_without_it_are_drawn_as_ever(new_pair, run):
    a, _ = new_pair(MediaNegotiationConfig(), MediaNegotiationConfig())
    b, _ = new_pair(config(), config())
    ours, theirs = [each.media.transceivers.of(1).association.encodings[0] for each in (a, b)]
    assert (ours.ssrc, ours.rtx_ssrc, ours.fec_ssrc) == (theirs.ssrc, theirs.rtx_ssrc, 0)
    assert theirs.fec_ssrc != 0


# -- two whole peers ---------------------------------------------------------------------------------------------------


def call(make_pair, seed, fec, *, has_nack=False, **options):
    """A call of video one way with 5 % of loss, and the part of its frames that arrive once the loss is known."""
    kind = MediaNegotiationConfig().video
    video = kind if has_nack else attrs.evolve(kind, feedback=tuple(each for each in kind.feedback if each != "nack"))
    settings = PeerConfig(media_negotiation=config(fec, video=video, rtx=has_nack))
    pair = make_pair(seed=seed, configs=(settings, settings))
    handle = pair.peers[0].add_transceiver("video", TransceiverOptions(**options), pair.now)
    pair.offer_and_answer()
    pair.link.run_until(lambda: all(str(peer.connection_state) == "connected" for peer in pair.peers), within_s=10)
    sent = []
    for index in range(240):
        data = (DELTA if index else KEYFRAME) + index.to_bytes(4, "big")
        for rid in [each.rid for each in options.get("encodings", ())] or [""]:
            pair.peers[0].send_frame(handle, OutgoingFrame(data, index * 3000, rid=rid), pair.now)
        sent.append(data)
        pair.link.run_for(1 / 30)
        if index == 0:
            pair.link.conditions = LinkConditions(loss=0.05, delay_s=0.02)
    pair.link.run_for(1.0)
    frames = [event.frame for event in pair.events(1, FrameReceived)]
    pair.check()
    return sent[60:], frames


def part(sent, frames):
    return len({frame.data for frame in frames} & set(sent)) / len(sent)


@pytest.mark.parametrize("seed", range(2))
def test_peers_repair_losses_without_asking_for_them(make_pair, seed):
    with_fec, without = part(*call(make_pair, seed, FLEXFEC)), part(*call(make_pair, seed, ()))
    assert without < 0.92
    assert with_fec > 0.94


def test_peers_repair_by_both_and_give_each_frame_once(make_pair):
    sent, frames = call(make_pair, 1, FLEXFEC, has_nack=True)
    data = [frame.data for frame in frames]
    assert len(data) == len(set(data))
    assert set(data) >= set(sent[:-1])


def test_layers_of_a_simulcast_are_repaired_each(make_pair):
    layers = (EncodingSettings(rid="q"), EncodingSettings(rid="h"))
    sent, frames = call(make_pair, 1, FLEXFEC, encodings=layers)
    for rid in "qh":
        assert part(sent, [frame for frame in frames if frame.rid == rid]) > 0.94
