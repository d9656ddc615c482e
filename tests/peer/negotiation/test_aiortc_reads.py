"""What is written here is read by aiortc 1.16, whose parser is not ours."""

import pytest

from sans_rtc.peer.negotiation import Description

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
