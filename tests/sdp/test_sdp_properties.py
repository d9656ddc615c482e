"""Properties: what is written is read back, and no text whatever does more than raise `WireError`."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import WireError
from sans_rtc.sdp import (
    Attribute,
    Field,
    Lines,
    MediaDescription,
    SessionDescription,
    check_attributes,
    parse_description,
    serialize_description,
)
from sans_rtc.sdp.attributes import ATTRIBUTES

PROFILE = settings(max_examples=100, deadline=None)
TOKEN = st.from_regex(re.compile(r"[!#-'*+\-.0-9A-Z^-~]{1,8}"), fullmatch=True)
VALUE = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=20)
PORT = st.integers(0, 65535)
ATTRIBUTE = st.builds(Attribute, TOKEN, st.none() | VALUE)
MEDIA_FIELD = st.builds(Field, st.sampled_from("ikwxyABC"), VALUE)
SESSION_FIELD = st.builds(Field, st.sampled_from("iuepzkrwxy"), VALUE)
ORIGIN = st.builds(lambda number, version: Field("o", f"- {number} {version} IN IP4 0.0.0.0"), PORT, PORT)
MEDIA = st.builds(
    lambda kind, port, protocol, formats, items, count: MediaDescription(
        kind, port, "/".join(protocol), formats, Lines(items), count
    ),
    TOKEN,
    PORT,
    st.lists(TOKEN, min_size=1, max_size=3),
    st.lists(TOKEN, min_size=1, max_size=4),
    st.lists(ATTRIBUTE | MEDIA_FIELD, max_size=6),
    st.none() | PORT,
)
DESCRIPTION = st.builds(
    lambda origin, items, media: SessionDescription(Lines([Field("v", "0"), origin, *items]), media),
    ORIGIN,
    st.lists(ATTRIBUTE | SESSION_FIELD, max_size=6),
    st.lists(MEDIA, max_size=4),
)
LINE = st.one_of(
    st.text(max_size=30),
    st.builds("{}={}".format, st.sampled_from("vosiuepcbtrzkam"), VALUE),
    st.builds("a={}:{}".format, st.sampled_from(sorted(ATTRIBUTES)), VALUE),
    st.sampled_from(["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "m=audio 9 RTP/AVP 0", "", " "]),
)


@PROFILE
@given(DESCRIPTION)
def test_what_is_written_is_read_back(description):
    text = serialize_description(description)
    assert description == parse_description(text)
    assert text == serialize_description(parse_description(text))


@PROFILE
@given(st.text())
def test_any_text_is_parsed_or_raises_wire_error(text):
    try:
        description = parse_description(text)
    except WireError:
        return
    assert description == parse_description(serialize_description(description))


@PROFILE
@given(st.lists(LINE, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_any_lines_are_parsed_or_raise_wire_error(lines, end):
    try:
        description = parse_description("v=0\no=- 1 1 IN IP4 0.0.0.0\n" + end.join(lines))
        check_attributes(description)
    except WireError:
        return
    assert description == parse_description(serialize_description(description))


@PROFILE
@given(st.sampled_from(sorted(ATTRIBUTES)), st.text(max_size=40))
def test_any_value_is_parsed_or_raises_wire_error(name, value):
    spec = ATTRIBUTES[name]
    try:
        parsed = spec.parse(value)
    except WireError:
        return
    text = spec.serialize(parsed)
    assert parsed == spec.parse(text or "")
