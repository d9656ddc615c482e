"""Parsing: tolerant in form, strict in substance, and every error names its line."""

import pytest

from sans_rtc.errors import Malformed, Truncated, Unsupported, WireError
from sans_rtc.sdp import Connection, parse_description, serialize_description


def text(lines, end="\r\n"):
    return end.join([*lines, ""])


def replaced(lines, old, new):
    assert old in lines
    return text([new if line == old else line for line in lines])


# -- vectors ---------------------------------------------------------------------------------------------------------


def test_description_of_real_program_comes_out_byte_for_byte(vector):
    assert vector == serialize_description(parse_description(vector))


@pytest.mark.proves("JSEP-5.8.1-10-ed05", "JSEP-5.8.2-32-ed05", "RFC4566-5-5-afaa", "RFC4566-5.13-3-103b")
def test_unknown_attributes_and_lines_keep_their_place(small):
    lines = [
        *small[:7],
        "a=x-future:1 2:3",
        "y=of a letter that nobody knows",
        *small[7:],
        "a=flag",
        "z9=" * 0 + "k=prompt",
    ]
    assert text(lines) == serialize_description(parse_description(text(lines)))


# -- tolerance -------------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC4566-5-6-d7a5")
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r\r\n"])
def test_line_ends_may_be_lf_or_crlf(small, end):
    assert parse_description(text(small)) == parse_description(text(small, end))


def test_last_line_end_may_be_missing(small):
    assert parse_description(text(small)) == parse_description("\n".join(small))


@pytest.mark.parametrize("empty", ["", "   ", "\t"])
def test_empty_lines_are_ignored(small, empty):
    spread = [line for pair in zip(small, [empty] * len(small), strict=True) for line in pair]
    assert parse_description(text(small)) == parse_description(text([empty, *spread, empty]))


@pytest.mark.parametrize("name", ["s=", "s= ", "s=-", None])
def test_session_name_may_be_empty_or_absent(small, name):
    lines = [name if line == "s=-" else line for line in small]
    description = parse_description(text([line for line in lines if line is not None]))
    assert description.session_name == "-"


def test_session_name_may_be_anything(small):
    assert parse_description(replaced(small, "s=-", "s=x")).session_name == "x"


def test_trailing_spaces_do_not_change_what_a_line_says(small):
    description = parse_description(text([line + "  " for line in small]))
    media = description.media[0]
    assert (media.mid, media.kind, media.formats) == ("0", "application", ["webrtc-datachannel"])
    assert description.origin.session_version == 2
    assert description.bundle_groups[0].mids == ("0",)
    assert description.is_ice_lite


def test_several_spaces_separate_as_one(small):
    line = "m=application  9   UDP/DTLS/SCTP webrtc-datachannel"
    assert parse_description(replaced(small, small[8], line)).media[0].protocol == "UDP/DTLS/SCTP"


def test_attribute_names_are_found_in_either_case(small):
    description = parse_description(replaced(small, "a=mid:0", "a=MID:0"))
    assert description.media[0].mid == "0"
    assert "a=MID:0" in serialize_description(description)


def test_lines_of_a_section_may_come_in_any_order(small):
    shuffled = [small[0], *small[6:8], *small[1:6], *small[8:]]
    assert parse_description(text(shuffled)).origin == parse_description(text(small)).origin


def test_multi_line_separator_of_unicode_is_no_line_end(small):
    description = parse_description(text([*small, "a=x:one\u2028m=audio\x0b9\x85"]))
    assert len(description.media) == 1


def test_port_may_have_a_count(small):
    line = "m=audio 49170/2 RTP/AVP 31"
    media = parse_description(replaced(small, small[8], line)).media[0]
    assert (media.port, media.port_count) == (49170, 2)


def test_media_section_has_its_own_connection_before_that_of_the_session(small):
    description = parse_description(text(small))
    assert description.effective_connection(description.media[0]) == Connection("::", "IP6")
    bare = parse_description(text([line for line in small if line != "c=IN IP6 ::"]))
    assert bare.effective_connection(bare.media[0]) == Connection("203.0.113.1")


# -- malformed, line by line -----------------------------------------------------------------------------------------


MALFORMED = [
    ("v=0", "v=1", Unsupported, "v="),
    ("v=0", "v=", Unsupported, "v="),
    ("v=0", "s=-", Malformed, "v="),
    ("o=- 4611686018427387 2 IN IP4 127.0.0.1", "o=- 1 2 IN IP4", Malformed, "o="),
    ("o=- 4611686018427387 2 IN IP4 127.0.0.1", "o=- 1 2 IN IP4 127.0.0.1 7", Malformed, "o="),
    ("o=- 4611686018427387 2 IN IP4 127.0.0.1", "o=- x 2 IN IP4 127.0.0.1", Malformed, "o= session id"),
    ("o=- 4611686018427387 2 IN IP4 127.0.0.1", "o=- 1 -2 IN IP4 127.0.0.1", Malformed, "o= session version"),
    ("o=- 4611686018427387 2 IN IP4 127.0.0.1", "o=- 1 ٢ IN IP4 127.0.0.1", Malformed, "o= session version"),
    ("o=- 4611686018427387 2 IN IP4 127.0.0.1", "o=- 1 2 I[N IP4 127.0.0.1", Malformed, "o= network type"),
    ("o=- 4611686018427387 2 IN IP4 127.0.0.1", f"o=- {'9' * 5000} 2 IN IP4 127.0.0.1", Malformed, "o= session id"),
    ("o=- 4611686018427387 2 IN IP4 127.0.0.1", f"o=- {1 << 64} 2 IN IP4 127.0.0.1", Malformed, "o= session id"),
    ("c=IN IP4 203.0.113.1", "c=IN IP4", Malformed, "c="),
    ("c=IN IP4 203.0.113.1", "c=IN I,P4 203.0.113.1", Malformed, "c= address type"),
    ("b=AS:512", "b=AS", Malformed, "b="),
    ("b=AS:512", "b=A S:512", Malformed, "b= type"),
    ("b=AS:512", "b=AS:", Malformed, "b= value"),
    ("t=0 0", "t=0", Malformed, "t="),
    ("t=0 0", "t=0 x", Malformed, "t= stop"),
    ("a=group:BUNDLE 0", "a=", Malformed, "a="),
    ("a=group:BUNDLE 0", "a=:BUNDLE 0", Malformed, "a="),
    ("a=group:BUNDLE 0", "a=gro up:BUNDLE 0", Malformed, "a="),
    ("a=group:BUNDLE 0", "a =group:BUNDLE 0", Malformed, "line"),
    ("a=group:BUNDLE 0", "group:BUNDLE 0", Malformed, "line"),
    ("a=group:BUNDLE 0", " a=group:BUNDLE 0", Malformed, "line"),
    ("a=group:BUNDLE 0", "=", Malformed, "line"),
    ("a=group:BUNDLE 0", "a", Malformed, "line"),
    ("a=group:BUNDLE 0", "1=2", Malformed, "line"),
    ("a=group:BUNDLE 0", "é=2", Malformed, "line"),
    ("a=group:BUNDLE 0", "a=x:a\0b", Malformed, "line"),
    ("a=group:BUNDLE 0", "a=x:a\rm=audio", Malformed, "line"),
    ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=application 9 UDP/DTLS/SCTP", Malformed, "m="),
    ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=application 65536 UDP/DTLS/SCTP w", Malformed, "m= port"),
    ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=application -1 UDP/DTLS/SCTP w", Malformed, "m= port"),
    ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=application ² UDP/DTLS/SCTP w", Malformed, "m= port"),
    (
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "m=application 9/x UDP/DTLS/SCTP w",
        Malformed,
        "m= number of ports",
    ),
    ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=appli:cation 9 UDP/DTLS/SCTP w", Malformed, "m= media"),
    ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=application 9 UDP//SCTP w", Malformed, "m= protocol"),
    ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=application 9 UDP/ w", Malformed, "m= protocol"),
    ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=application 9 UDP/DTLS/SCTP a,b", Malformed, "m= format"),
    ("c=IN IP6 ::", "c=IN ::", Malformed, "c="),
    ("c=IN IP6 ::", "o=- 1 2 IN IP4 127.0.0.1", Malformed, "o="),
    ("c=IN IP6 ::", "v=0", Malformed, "v="),
    ("c=IN IP6 ::", "s=-", Malformed, "s="),
    ("c=IN IP6 ::", "t=0 0", Malformed, "t="),
    *[("c=IN IP6 ::", f"{letter}=x", Malformed, f"{letter}=") for letter in "uepz"],
    ("b=AS:512", "o=- 1 2 IN IP4 127.0.0.1", Malformed, "o="),
    ("b=AS:512", "v=0", Malformed, "v="),
    ("b=AS:512", "s=again", Malformed, "s="),
]


@pytest.mark.proves("JSEP-5.8.1-3-74d5", "JSEP-5.8.1-5-0fff", "JSEP-5.8.1-6-df11", "JSEP-5.8.1-7-91a0")
@pytest.mark.proves("JSEP-5.8.2-2-e5fc", "JSEP-5.8.2-3-9eb7", "JSEP-5.8.2-4-7d45", "JSEP-5.8.2-5-91a0")
@pytest.mark.proves("RFC3264-5-4-311e", "RFC4566-5-1-aa5c", "RFC4566-5-2-c1c7", "RFC4566-5.2-1-6e59")
@pytest.mark.proves("RFC4566-5.3-1-1d63", "RFC4566-5.5-1-6262", "RFC4566-5.6-2-282c", "RFC4566-5.8-4-c414")
@pytest.mark.proves("RFC4566-5.13-1-36c2", "RFC4566-6-13-0a72")
@pytest.mark.parametrize(("line", "broken", "kind", "field"), MALFORMED)
def test_malformed_line_is_refused_with_its_number(small, line, broken, kind, field):
    number = small.index(line) + 1
    with pytest.raises(WireError) as caught:
        parse_description(replaced(small, line, broken))
    assert (type(caught.value), caught.value.field, caught.value.offset) == (kind, field, number)


@pytest.mark.parametrize("nothing", ["", "\r\n", "\n\n  \n"])
def test_nothing_is_no_description(nothing):
    with pytest.raises(Truncated):
        parse_description(nothing)


def test_description_without_origin_is_cut_off(small):
    with pytest.raises(Truncated, match="o="):
        parse_description(text([line for line in small if not line.startswith("o=")]))


def test_error_message_shows_the_start_of_a_long_line(small):
    with pytest.raises(Malformed) as caught:
        parse_description(replaced(small, "a=mid:0", "a=" + "[" * 5000))
    assert len(str(caught.value)) < 200
