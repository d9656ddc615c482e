"""The attribute table: each row parses what its RFC writes, gives it back, and refuses what it does not."""

import pytest

from sans_rtc.errors import Malformed, WireError
from sans_rtc.sdp import (
    ATTRIBUTES,
    Fingerprint,
    Group,
    Level,
    RtcpDestination,
    SctpMap,
    Setup,
    check_attributes,
    parse_description,
)
from sans_rtc.sdp.attributes import DIRECTIONS, FINGERPRINT, ICE_OPTIONS, ICE_UFRAG, MID, SETUP
from sans_rtc.sdp.rtp_values import (
    FormatParameters,
    HeaderExtension,
    MediaStreamId,
    Rid,
    RtcpFeedback,
    RtpMap,
    Simulcast,
    SimulcastStream,
    SourceAttribute,
    SourceGroup,
)
from sans_rtc.sdp.values import Connection, Direction

SHA256 = "sha-256 " + ":".join(f"{number:02X}" for number in range(0xA0, 0xC0))
UFRAG, PWD = "8hhY", "asd88fgpdd777uzjYhagZg"

GOOD = [
    ("group", "BUNDLE 0 1 2", Group("BUNDLE", ("0", "1", "2"))),
    ("group", "LS", Group("LS")),
    ("mid", "audio-1", "audio-1"),
    ("ice-ufrag", UFRAG, UFRAG),
    ("ice-ufrag", "a" * 256, "a" * 256),
    ("ice-pwd", PWD, PWD),
    ("ice-options", "trickle ice2", ("trickle", "ice2")),
    ("ice-options", "rtp+ecn", ("rtp+ecn",)),
    ("ice-pacing", "50", 50),
    ("candidate", "1 1 UDP 2130706431 203.0.113.141 8998 typ host", "1 1 UDP 2130706431 203.0.113.141 8998 typ host"),
    ("remote-candidates", "1 192.0.2.3 45664", "1 192.0.2.3 45664"),
    ("fingerprint", SHA256, Fingerprint("sha-256", bytes(range(0xA0, 0xC0)))),
    ("setup", "actpass", Setup.ACTPASS),
    ("setup", "holdconn", Setup.HOLDCONN),
    ("tls-id", "91bbf309c0990a6bec11e38ba2933cee", "91bbf309c0990a6bec11e38ba2933cee"),
    ("sctp-port", "5000", 5000),
    ("sctp-port", "0", 0),
    ("max-message-size", "0", 0),
    ("max-message-size", "18446744073709551615", (1 << 64) - 1),
    ("sctpmap", "5000 webrtc-datachannel 1024", SctpMap(5000, "webrtc-datachannel", 1024)),
    ("sctpmap", "5000 webrtc-datachannel", SctpMap(5000, "webrtc-datachannel")),
    ("identity", "eyJpZHAi=", "eyJpZHAi="),
    ("rtpmap", "111 opus/48000/2", RtpMap(111, "opus", 48000, "2")),
    ("rtpmap", "0 PCMU/8000", RtpMap(0, "PCMU", 8000)),
    ("fmtp", "111 minptime=10;useinbandfec=1", FormatParameters("111", "minptime=10;useinbandfec=1")),
    ("fmtp", "63 111/111", FormatParameters("63", "111/111")),
    ("ptime", "20", 20),
    ("maxptime", "120", 120),
    ("rtcp", "9 IN IP4 0.0.0.0", RtcpDestination(9, Connection("0.0.0.0"))),
    ("rtcp", "53020", RtcpDestination(53020)),
    ("rtcp-fb", "96 nack pli", RtcpFeedback(96, "nack", "pli")),
    ("rtcp-fb", "* transport-cc", RtcpFeedback(None, "transport-cc")),
    ("extmap", "4 urn:ietf:params:rtp-hdrext:sdes:mid", HeaderExtension(4, "urn:ietf:params:rtp-hdrext:sdes:mid")),
    ("extmap", "2/recvonly urn:x long", HeaderExtension(2, "urn:x", Direction.RECVONLY, "long")),
    ("ssrc", "811648562 cname:0if4Ct80YscGjNuk", SourceAttribute(811648562, "cname", "0if4Ct80YscGjNuk")),
    ("ssrc", "1 flag", SourceAttribute(1, "flag")),
    ("ssrc-group", "FID 970036682 1519806406", SourceGroup("FID", (970036682, 1519806406))),
    ("msid", "3014c0e1 344c8092", MediaStreamId("3014c0e1", "344c8092")),
    ("msid", "-", MediaStreamId("-")),
    ("rid", "1 send pt=97,98;max-width=1280", Rid("1", "send", ("97", "98"), (("max-width", "1280"),))),
    ("rid", "hi recv", Rid("hi", "recv")),
    (
        "simulcast",
        "send 1,~4;2 recv 6",
        Simulcast(
            ((SimulcastStream("1"), SimulcastStream("4", True)), (SimulcastStream("2"),)), ((SimulcastStream("6"),),)
        ),
    ),
    ("rtcp-xr", "rcvr-rtt=all", "rcvr-rtt=all"),
    ("simulcast", "recv 6;7", Simulcast((), ((SimulcastStream("6"),), (SimulcastStream("7"),)))),
]

FLAGS = [
    "bundle-only", "ice-lite", "ice-mismatch", "end-of-candidates", "sendrecv", "sendonly", "recvonly", "inactive",
    "rtcp-mux", "rtcp-mux-only", "rtcp-rsize", "extmap-allow-mixed",
]  # fmt: skip

BAD = [
    ("group", ""),
    ("group", "BUNDLE a,b"),
    ("mid", ""),
    ("mid", "a b"),
    ("mid", "a\u2028b"),
    ("ice-ufrag", "abc"),
    ("ice-ufrag", "a" * 257),
    ("ice-ufrag", "ab-cd"),
    ("ice-ufrag", "abcd\n"),
    ("ice-pwd", "a" * 21),
    ("ice-pwd", "a" * 257),
    ("ice-pwd", "a" * 21 + "é"),
    ("ice-options", ""),
    ("ice-options", "a,b"),
    ("ice-pacing", "x"),
    ("fingerprint", "sha-256"),
    ("fingerprint", "sha-256 A"),
    ("fingerprint", "sha-256 AB:C"),
    ("fingerprint", "sha-256 ABCD"),
    ("fingerprint", "sha-256 AB:"),
    ("fingerprint", "sha-256 AG:AB"),
    ("fingerprint", "sha,256 AB"),
    ("fingerprint", "sha-256 AB CD"),
    ("fingerprint", "sha-256 \u0661\u0661"),
    ("setup", ""),
    ("setup", "both"),
    ("tls-id", "short"),
    ("tls-id", "x" * 256),
    ("tls-id", "=" * 32),
    ("sctp-port", ""),
    ("sctp-port", "65536"),
    ("sctp-port", "5000x"),
    ("sctp-port", "+5000"),
    ("sctp-port", "5_000"),
    ("max-message-size", "-1"),
    ("max-message-size", "1e6"),
    ("max-message-size", "9" * 5000),
    ("sctpmap", "5000"),
    ("sctpmap", "x webrtc-datachannel"),
    ("sctpmap", "5000 webrtc-datachannel 65536"),
    ("rtpmap", "111"),
    ("rtpmap", "128 opus/48000"),
    ("rtpmap", "111 opus"),
    ("rtpmap", "111 opus/48000/"),
    ("fmtp", "111"),
    ("fmtp", "1[1 a=b"),
    ("ptime", "20.5"),
    ("rtcp", ""),
    ("rtcp", "9 IN IP4"),
    ("rtcp-fb", "96"),
    ("rtcp-fb", "x nack"),
    ("extmap", "0 urn:x"),
    ("extmap", "4352 urn:x"),
    ("extmap", "1"),
    ("extmap", "1/up urn:x"),
    ("ssrc", "x cname:y"),
    ("ssrc", "4294967296 cname:y"),
    ("ssrc", "1"),
    ("ssrc-group", ""),
    ("ssrc-group", "FID x"),
    ("msid", ""),
    ("msid", "a b c"),
    ("rid", "1"),
    ("rid", "é send"),
    ("rid", "1 sideways"),
    ("rid", "1 send pt=9[7"),
    ("rid", "1 send ;"),
    ("simulcast", "send"),
    ("simulcast", "send 1 send 2"),
    ("simulcast", "send 1 recv"),
    ("simulcast", "up 1"),
    ("simulcast", "send ;"),
]


@pytest.mark.proves("JSEP-5.8.2-6-0cdc", "JSEP-5.8.2-8-7dbe", "JSEP-5.8.2-13-fb6d", "JSEP-5.8.2-14-b605")
@pytest.mark.proves("JSEP-5.8.2-22-4630", "ICE-SDP-5.4-4-3c94")
@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_value_parses_and_comes_back(name, text, value):
    spec = ATTRIBUTES[name]
    assert spec.parse(text) == value
    assert spec.serialize(value) == text


@pytest.mark.parametrize(("name", "text", "value"), GOOD)
def test_value_may_have_spaces_around_it(name, text, value):
    assert ATTRIBUTES[name].parse(f" {text} ") == value


@pytest.mark.parametrize("name", FLAGS)
def test_flag_is_true_where_it_stands_and_has_no_colon(name):
    assert ATTRIBUTES[name].parse("") is True
    assert ATTRIBUTES[name].serialize(True) is None


@pytest.mark.parametrize(("name", "text"), BAD)
def test_malformed_value_is_refused(name, text):
    with pytest.raises(Malformed) as caught:
        ATTRIBUTES[name].parse(text)
    assert caught.value.field


def test_every_row_of_the_table_is_tried_here():
    assert {name for name, *_ in GOOD} | set(FLAGS) == set(ATTRIBUTES)
    unbreakable = {"candidate", "remote-candidates", "identity", "maxptime", "rtcp-xr"}
    assert {name for name, _ in BAD} | set(FLAGS) | unbreakable == set(ATTRIBUTES)


def test_inherited_attributes_may_stand_at_both_levels():
    for spec in ATTRIBUTES.values():
        assert not spec.is_inherited or spec.level is Level.BOTH, spec.name


def test_fingerprint_takes_lower_case_and_gives_upper_case():
    assert str(Fingerprint.parse("SHA-256 ab:cd")) == "sha-256 AB:CD"


def test_setup_and_options_are_read_in_either_case():
    assert SETUP.parse("ActPass") is Setup.ACTPASS
    assert ICE_OPTIONS.parse("Trickle") == ("trickle",)


def test_format_parameters_as_names_and_values():
    assert FormatParameters.parse("96 apt=97; x ;y=1=2").values == {"apt": "97", "x": "", "y": "1=2"}


# -- in a description ------------------------------------------------------------------------------------------------


def description(session=(), media=()):
    head = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", *session]
    return parse_description("\r\n".join([*head, "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *media]))


def test_session_value_holds_for_media_without_its_own():
    parsed = description([f"a=ice-ufrag:{UFRAG}", "a=fingerprint:sha-256 AB", "a=setup:active"])
    media = parsed.media[0]
    assert parsed.effective(media, ICE_UFRAG) == UFRAG
    assert parsed.effective(media, SETUP) is Setup.ACTIVE
    assert [str(fingerprint) for fingerprint in parsed.effective_all(media, FINGERPRINT)] == ["sha-256 AB"]


def test_media_value_hides_that_of_the_session():
    parsed = description(
        ["a=ice-ufrag:session", "a=fingerprint:sha-256 AB"], ["a=ice-ufrag:media", "a=fingerprint:sha-256 CD"]
    )
    media = parsed.media[0]
    assert parsed.effective(media, ICE_UFRAG) == "media"
    assert [str(fingerprint) for fingerprint in parsed.effective_all(media, FINGERPRINT)] == ["sha-256 CD"]


def test_mid_is_not_inherited():
    parsed = description(["a=mid:0"])
    assert parsed.effective(parsed.media[0], MID) is None


@pytest.mark.proves("JSEP-5.8.2-15-6d7e", "RFC4566-6-7-7540")
@pytest.mark.parametrize(("spec", "direction"), DIRECTIONS.items())
def test_direction_is_that_of_the_media_then_the_session_then_sendrecv(spec, direction):
    at_media = description(["a=inactive"], [f"a={spec.name}"])
    at_session = description([f"a={spec.name}"])
    assert at_media.effective_direction(at_media.media[0]) is direction
    assert at_session.effective_direction(at_session.media[0]) is direction
    bare = description()
    assert bare.effective_direction(bare.media[0]) is Direction.SENDRECV


def test_malformed_value_names_its_line():
    parsed = description((), ["a=mid:0", "a=sctp-port:x"])
    with pytest.raises(WireError, match="line 7") as caught:
        parsed.media[0].lines.first(ATTRIBUTES["sctp-port"])
    assert (caught.value.field, caught.value.offset) == ("sctp-port", 7)


def test_two_different_values_of_a_single_attribute_contradict():
    parsed = description((), ["a=ice-ufrag:abcd", "a=ice-ufrag:efgh"])
    with pytest.raises(Malformed, match="second, different") as caught:
        parsed.media[0].lines.first(ICE_UFRAG)
    assert caught.value.offset == 7


def test_the_same_value_twice_is_taken_once():
    parsed = description((), ["a=ice-ufrag:abcd", "a=ice-ufrag:abcd"])
    assert parsed.media[0].lines.first(ICE_UFRAG) == "abcd"


def test_attributes_of_real_programs_are_well_formed(vector):
    check_attributes(parse_description(vector))


@pytest.mark.parametrize("line", ["a=rtpmap:x", "a=sctp-port:x", "a=mid:0\r\na=mid:1"])
def test_strict_check_finds_what_is_malformed_and_unused(line):
    with pytest.raises(WireError):
        check_attributes(description((), [line]))
