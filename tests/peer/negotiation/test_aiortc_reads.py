"""What is written here is read by aiortc 1.16, whose parser is not ours."""

import asyncio

import pytest

from sans_rtc.peer.negotiation import DataOutcome, Description
from sans_rtc.peer.transceivers import TransceiverOptions
from sans_rtc.rtp.payload.interface import MediaKind

aiortc = pytest.importorskip("aiortc")
aiortc_sdp = pytest.importorskip("aiortc.sdp")
CANDIDATE = "candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host"


def check(description, *, index, role, mid):
    parsed = aiortc_sdp.SessionDescription.parse(description.sdp)
    media = parsed.media[index]
    assert (media.kind, media.profile, media.fmt) == ("application", "UDP/DTLS/SCTP", ["webrtc-datachannel"])
    assert (media.rtp.muxId, media.sctp_port, media.sctpCapabilities.maxMessageSize) == (mid, 5000, 262144)
    assert media.dtls.role == role
    assert [fingerprint.algorithm for fingerprint in media.dtls.fingerprints] == ["sha-256"]
    assert len(media.ice.password) == 24
    assert [group.items for group in parsed.group] == [[mid]]
    return parsed


@pytest.mark.parametrize("with_candidates", [True, False])
def test_aiortc_reads_our_offer_and_answer(ends, transport, with_candidates):
    if with_candidates:
        ends.a_transport = transport("a", candidates=[CANDIDATE], end_of_candidates=True)
    offer, answer, _ = ends.run()
    found = check(offer, index=0, role="auto", mid="0").media[0]
    check(answer, index=0, role="client", mid="0")
    assert len(found.ice_candidates) == with_candidates
    assert found.ice_candidates_complete is with_candidates


@pytest.mark.parametrize("name", ["chromium_offer_av_dc", "firefox_offer_av_dc"])
def test_aiortc_reads_our_answer_to_a_browser(negotiation, transport, load, name):
    end = negotiation()
    end.apply_remote(load(name))
    parsed = check(end.create_answer(transport()), index=2, role="client", mid="2")
    assert [media.port for media in parsed.media] == [0, 0, 9]


def test_aiortc_reads_our_local_description_with_candidates(connected):
    connected.a.add_local_candidate(CANDIDATE)
    parsed = aiortc_sdp.SessionDescription.parse(connected.a.local_description.sdp)
    assert (parsed.media[0].host, parsed.media[0].port) == ("192.0.2.1", 50000)


def test_we_read_what_aiortc_writes_of_our_offer(ends):
    offer = ends.a.create_offer(ends.a_transport)
    rewritten = str(aiortc_sdp.SessionDescription.parse(offer.sdp))
    ends.b.apply_remote(Description("offer", rewritten))
    assert ends.b.apply_local(ends.b.create_answer(ends.b_transport)).transport.ice_ufrag == "a000"


# -- audio and video --------------------------------------------------------------------------------------------------


def exchange(ours, facts, *, is_ours_offering):
    """An exchange with a whole connection of aiortc, which gathers on the interfaces there are; its transceivers."""

    async def run():
        theirs = aiortc.RTCPeerConnection()
        try:
            if is_ours_offering:
                offer = ours.create_offer(facts)
                ours.apply_local(offer)
                await theirs.setRemoteDescription(aiortc.RTCSessionDescription(offer.sdp, "offer"))
                for transceiver in theirs.getTransceivers():
                    transceiver.direction = "sendrecv"
                await theirs.setLocalDescription(await theirs.createAnswer())
                changes = ours.apply_remote(Description("answer", theirs.localDescription.sdp))
            else:
                for kind in ("audio", "video"):
                    theirs.addTransceiver(kind)
                theirs.createDataChannel("test")
                await theirs.setLocalDescription(await theirs.createOffer())
                ours.apply_remote(Description("offer", theirs.localDescription.sdp))
                answer = ours.create_answer(facts)
                changes = ours.apply_local(answer)
                await theirs.setRemoteDescription(aiortc.RTCSessionDescription(answer.sdp, "answer"))
            return changes, [(each.kind, each.currentDirection, each.mid) for each in theirs.getTransceivers()]
        finally:
            await theirs.close()

    return asyncio.run(run())


@pytest.mark.parametrize("is_ours_offering", [True, False])
def test_aiortc_agrees_on_audio_video_and_data(negotiation, transport, is_ours_offering):
    ours = negotiation(accepts_media=True, wants_data=is_ours_offering)
    for kind in MediaKind:
        ours.media.add_transceiver(kind, TransceiverOptions(streams=("camera",), is_from_track=True))
    changes, theirs = exchange(ours, transport(), is_ours_offering=is_ours_offering)
    assert theirs == [("audio", "sendrecv", "0"), ("video", "sendrecv", "1")]
    audio, video = changes.sections
    assert [codec.codec.name for codec in audio.send.codecs] == ["opus", "G722", "PCMU", "PCMA"]
    assert [codec.codec.name for codec in video.send.codecs] == ["VP8", "H264", "H264"]
    assert all(codec.rtx_payload_type is not None for codec in video.send.codecs)
    assert video.send.codecs[0].feedback == {"nack", "nack pli", "goog-remb"}
    assert [source.rtx_ssrc != 0 for source in (*audio.receive.sources, *video.receive.sources)] == [False, True]
    assert (changes.data, changes.transport.mid, ours.is_negotiation_needed) == (DataOutcome.ACCEPTED, "0", False)
