"""Session descriptions of data and media sections, and candidate lines (RFC 8866, 9429, 8839, 8841)."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from sans_rtc.ice.candidate import Candidate, CandidateType, serialize_candidate
from sans_rtc.machine import Address
from sans_rtc.testing.strategies.nearly import U32, nearly_lines
from sans_rtc.testing.strategies.stun import addresses

_ICE_CHARACTERS = "ABCabc019+/"
_TOKENS = st.text("abcXYZ019-_", min_size=1, max_size=8)
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_CODECS = {
    "audio": ((111, "opus/48000/2"), (0, "PCMU/8000"), (9, "G722/8000"), (126, "telephone-event/8000")),
    "video": ((96, "VP8/90000"), (98, "VP9/90000"), (102, "H264/90000"), (45, "AV1/90000")),
}
_FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")
_EXTENSIONS = (
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
)


@st.composite
def ice_candidates(draw: DrawFn) -> Candidate:
    """`Candidate` of any type over UDP or TCP, with an IP address or a `.local` name, and unknown extensions."""
    kind, protocol = draw(st.sampled_from(CandidateType)), draw(st.sampled_from(("udp", "tcp")))
    address = draw(addresses())
    if kind is CandidateType.HOST and draw(st.integers(0, 3)) == 0:
        address = Address(draw(st.uuids()).hex + ".local", address.port)
    return Candidate(
        draw(st.text(_ICE_CHARACTERS, min_size=1, max_size=32)),
        draw(st.integers(1, 256)),
        protocol,
        draw(U32),
        address,
        kind,
        None if kind is CandidateType.HOST else draw(addresses()),
        draw(st.sampled_from(("active", "passive", "so"))) if protocol == "tcp" else None,
        tuple(draw(st.lists(st.tuples(_TOKENS.map(lambda name: "x-" + name), _TOKENS), max_size=2))),
    )


def candidate_lines() -> SearchStrategy[str]:
    """A candidate as it is signalled: `candidate:...`."""
    return ice_candidates().map(serialize_candidate)


def nearly_candidate_lines() -> SearchStrategy[str]:
    """A text that is nearly a candidate."""
    return nearly_lines(candidate_lines())


@st.composite
def _transport_lines(draw: DrawFn) -> list[str]:
    ufrag = draw(st.text(_ICE_CHARACTERS, min_size=4, max_size=12))
    pwd = draw(st.text(_ICE_CHARACTERS, min_size=22, max_size=30))
    digest = draw(st.binary(min_size=32, max_size=32)).hex(":").upper()
    lines = [f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{pwd}", f"a=fingerprint:sha-256 {digest}"]
    lines += [f"a=setup:{draw(st.sampled_from(('actpass', 'active', 'passive')))}"]
    lines += [f"a={line}" for line in draw(st.lists(candidate_lines(), max_size=2))]
    return lines + ["a=ice-options:trickle"] * draw(st.booleans()) + ["a=end-of-candidates"] * draw(st.booleans())


@st.composite
def _data_section(draw: DrawFn, mid: str) -> list[str]:
    port = draw(st.sampled_from((5000, 1, 65535)))
    size = draw(st.sampled_from((0, 1, 16_384, 65_536, 262_144, 1 << 30)))
    head = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", f"a=mid:{mid}"]
    return [*head, *draw(_transport_lines()), f"a=sctp-port:{port}", f"a=max-message-size:{size}"]


@st.composite
def _media_section(draw: DrawFn, mid: str) -> list[str]:
    kind = draw(st.sampled_from(sorted(_CODECS)))
    codecs = draw(st.lists(st.sampled_from(_CODECS[kind]), min_size=1, max_size=3, unique=True))
    formats = " ".join(str(number) for number, _ in codecs)
    lines = [f"m={kind} 9 UDP/TLS/RTP/SAVPF {formats}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}"]
    lines += [*draw(_transport_lines()), f"a={draw(st.sampled_from(_DIRECTIONS))}", "a=rtcp-mux"]
    for number, name in codecs:
        lines += [f"a=rtpmap:{number} {name}"]
        lines += [f"a=rtcp-fb:{number} {each}" for each in draw(st.lists(st.sampled_from(_FEEDBACK), max_size=2))]
    uris = draw(st.lists(st.sampled_from(_EXTENSIONS), max_size=3, unique=True))
    lines += [f"a=extmap:{number} {uri}" for number, uri in enumerate(uris, 1)]
    if draw(st.booleans()):
        lines += [f"a=ssrc:{draw(U32)} cname:{draw(_TOKENS)}", f"a=msid:{draw(_TOKENS)} {draw(_TOKENS)}"]
    return lines


@st.composite
def session_descriptions(draw: DrawFn, data: bool = True, media: bool = True) -> str:
    """The text of an offer or an answer: a bundle of up to four sections.

    data   with a section for data channels
    media  with up to three sections of audio and video
    """
    mids = [str(number) for number in range(draw(st.integers(1, 3)) if media else 0)]
    sections = [draw(_media_section(mid)) for mid in mids]
    if data:
        mids.append("d")
        sections.append(draw(_data_section("d")))
    origin = f"o={draw(_TOKENS)} {draw(st.integers(0, (1 << 62) - 1))} {draw(U32)} IN IP4 127.0.0.1"
    lines = ["v=0", origin, "s=-", "t=0 0", "a=group:BUNDLE " + " ".join(mids)]
    lines += ["a=msid-semantic: WMS *"] * draw(st.booleans()) + [f"a=x-{draw(_TOKENS)}"] * draw(st.booleans())
    return "\r\n".join([*lines, *(line for section in sections for line in section), ""])


def nearly_session_descriptions(data: bool = True, media: bool = True) -> SearchStrategy[str]:
    """A text that is nearly a description: lines doubled, moved, cut, left out, words out of their range."""
    return nearly_lines(session_descriptions(data, media))
