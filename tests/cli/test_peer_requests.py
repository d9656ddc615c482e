"""What a script may tell the peer, and what it is told when it errs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sans_rtc_demo.jsonl import LineTooLong
from sans_rtc_demo.peer_requests import REPORTS, REQUESTS, BadRequest, parse_request


def parse(**message):
    return parse_request(json.dumps(message).encode())


def refusal(line):
    with pytest.raises(BadRequest) as caught:
        parse_request(line)
    return str(caught.value)


def test_a_request_has_every_field_of_its_type():
    request = parse(type="create-channel", label="data", ordered=False)
    assert request.kind == "create-channel"
    assert set(request.fields) == set(REQUESTS["create-channel"])
    assert request.fields["ordered"] is False
    assert request.fields["max_retransmits"] is None


def test_a_candidate_of_null_ends_the_candidates():
    assert parse(type="candidate", candidate=None).fields["candidate"] is None


def test_fields_of_later_versions_are_ignored():
    assert parse(type="offer", sdp="v=0", version=2).fields == {"sdp": "v=0"}


@pytest.mark.parametrize("kind", sorted(REPORTS))
def test_what_another_peer_says_of_itself_is_left_out(kind):
    assert parse(type=kind, message="whatever") is None


def test_an_explanation_is_not_taken_for_the_request_of_one():
    assert parse(type="explain", text="all is well", likely_cause="") is None
    assert parse(type="explain").kind == "explain"


@pytest.mark.parametrize("payload", ["", "hé", "x" * 1000])
def test_text_is_sent_as_text(payload):
    assert parse(type="send", label="a", text=payload).payload() == payload


@pytest.mark.parametrize(("encoded", "payload"), [("", b""), ("AAE=", b"\x00\x01")])
def test_base64_is_sent_as_bytes(encoded, payload):
    assert parse(type="send", label="a", base64=encoded).payload() == payload


@pytest.mark.parametrize(
    "fields", [{}, {"text": "a", "base64": "YQ=="}, {"base64": "YQ"}, {"base64": "Y Q=="}, {"text": "\ud800"}]
)
def test_a_payload_that_is_none_or_two_or_broken_is_refused(fields):
    with pytest.raises(BadRequest):
        parse(type="send", label="a", **fields).payload()


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"hello", "not JSON"),
        (b'{"type": "offer"', "not JSON"),
        (b"\xff\xfe\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b"{}", "unknown type None"),
        (b'{"type": "ofer"}', "unknown type 'ofer'"),
        (b'{"type": ["offer"]}', "unknown type"),
        (b'{"type": "offer"}', '"sdp" is missing'),
        (b'{"type": "offer", "sdp": 7}', '"sdp" must be text, not 7'),
        (b'{"type": "send", "text": "a"}', '"label" is missing'),
        (b'{"type": "candidate", "candidate": "a", "sdpMLineIndex": true}', "whole number or null, not True"),
        (b'{"type": "create-channel", "label": "a", "ordered": "yes"}', "true or false or null, not 'yes'"),
        (LineTooLong(), "longer than 1048576 bytes"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_a_sentence(line, says):
    assert says in refusal(line)


def test_a_refusal_never_repeats_a_whole_line():
    assert len(refusal(b"x" * 100_000)) < 200
    assert len(refusal(json.dumps({"type": "t" * 100_000}).encode())) < 300


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused(line):
    try:
        parse_request(line)
    except BadRequest:
        pass


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.sampled_from(sorted(REQUESTS)), st.data())
def test_any_values_are_taken_with_the_types_of_the_table_or_refused(kind, data):
    message = {field: data.draw(json_values) for field in REQUESTS[kind]}
    try:
        request = parse(type=kind, **message)
    except BadRequest:
        return
    assert request is not None
    assert all(type(request.fields[field]) in types for field, types in REQUESTS[kind].items())
