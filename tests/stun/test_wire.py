"""Messages as bytes: round trip, every field malformed in turn, limits."""

import struct

import pytest

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported
from sans_rtc.machine import Address
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    ErrorCode,
    Message,
    MessageClass,
    Method,
    error_response,
    new_request,
    parse_message,
    serialize_message,
    success_response,
    unknown_attributes_response,
)
from sans_rtc.stun.wire import ATTRIBUTE_COUNT_MAX, MESSAGE_BYTES_MAX
from sans_rtc.testing import SeededEntropy

A = AttributeType
KEY = b"0123456789abcdef"


def attribute(code, value, size=None):
    return struct.pack("!HH", code, len(value) if size is None else size) + value + bytes(-len(value) % 4)


# --- header


@pytest.mark.proves("RFC5389-6-1-3c75", "RFC5389-7.1-1-c030", "RFC5389-7.1-2-3edd")
@pytest.mark.parametrize(
    ("message_class", "method", "message_type"),
    [
        (MessageClass.REQUEST, Method.BINDING, 0x0001),
        (MessageClass.INDICATION, Method.BINDING, 0x0011),
        (MessageClass.SUCCESS_RESPONSE, Method.BINDING, 0x0101),
        (MessageClass.ERROR_RESPONSE, Method.BINDING, 0x0111),
        (MessageClass.REQUEST, Method.ALLOCATE, 0x0003),
        (MessageClass.INDICATION, Method.SEND, 0x0016),
        (MessageClass.INDICATION, Method.DATA, 0x0017),
        (MessageClass.ERROR_RESPONSE, Method.CHANNEL_BIND, 0x0119),
        (MessageClass.REQUEST, 0xFFF, 0x3EEF),
    ],
)
def test_message_type_interleaves_class_and_method(message_class, method, message_type):
    data = serialize_message(Message(message_class, method, bytes(12)))
    assert struct.unpack_from("!H", data)[0] == message_type
    parsed = parse_message(data)
    assert (parsed.message_class, parsed.method) == (message_class, method)


def test_every_method_and_class_survive_a_round_trip():
    for message_class in MessageClass:
        for method in range(0x1000):
            parsed = parse_message(serialize_message(Message(message_class, method, bytes(12))))
            assert parsed.message_class is message_class and parsed.method == method


@pytest.mark.parametrize("size", range(20))
def test_less_than_a_header_is_truncated(raw, size):
    with pytest.raises(Truncated):
        parse_message(raw()[:size])


@pytest.mark.proves("RFC5389-6-2-63e1")
@pytest.mark.parametrize("first", [0x40, 0x80, 0xC0])
def test_message_type_with_a_high_bit_is_malformed(raw, first):
    with pytest.raises(Malformed) as caught:
        parse_message(bytes([first]) + raw()[1:])
    assert caught.value.field == "message type"


@pytest.mark.proves("RFC5389-6-4-55c4")
def test_message_without_the_magic_cookie_is_unsupported(raw):
    with pytest.raises(Unsupported) as caught:
        parse_message(raw()[:4] + b"\x21\x12\xa4\x43" + raw()[8:])
    assert caught.value.field == "magic cookie"


@pytest.mark.proves("RFC5389-6-8-eef1")
@pytest.mark.parametrize("length", [0, 4, 7, 12, 65532])
def test_message_length_that_does_not_fit_is_malformed(raw, length):
    data = raw(attribute(A.PRIORITY, bytes(4)))
    with pytest.raises(Malformed) as caught:
        parse_message(data[:2] + length.to_bytes(2, "big") + data[4:])
    assert caught.value.field == "message length"


def test_message_length_that_is_no_multiple_of_four_is_malformed(raw):
    with pytest.raises(Malformed):
        parse_message(raw(b"\x80\x22\x00\x01a"))


# --- attributes


@pytest.mark.parametrize("size", [5, 8, 0xFFFF])
def test_attribute_beyond_the_message_is_truncated(raw, size):
    with pytest.raises(Truncated) as caught:
        parse_message(raw(attribute(A.SOFTWARE, b"abcd", size)))
    assert caught.value.field == "attribute length"


@pytest.mark.parametrize("code", [0x0002, 0x7FFF])
def test_unknown_required_attribute_is_listed_once_and_kept_raw(raw, code):
    message = parse_message(raw(attribute(code, b"abcde") * 2))
    assert message.unknown_required == (code,)
    assert message.attributes == [Attribute(code, b"abcde")] * 2


@pytest.mark.parametrize("code", [0x8FFF, 0xFFFF])
def test_unknown_optional_attribute_is_kept_raw_and_not_listed(raw, code):
    message = parse_message(raw(attribute(code, b"abc")))
    assert message.unknown_required == ()
    assert message.value(code) == b"abc"


@pytest.mark.proves("RFC5389-15-1-98d2", "RFC5389-15-2-993b", "RFC5389-15-3-6cb7")
def test_unknown_attributes_survive_a_round_trip(raw):
    data = raw(attribute(0x0FFF, b"abcde") + attribute(0x8FFF, b""))
    assert serialize_message(parse_message(data)) == data


def test_first_of_duplicated_attributes_counts(raw):
    data = raw(attribute(A.USERNAME, b"first") + attribute(A.USERNAME, b"second"))
    message = parse_message(data)
    assert message.value(A.USERNAME) == "first"
    assert message.values(A.USERNAME) == ["first", "second"]


def test_padding_is_ignored_whatever_it_holds(raw):
    message = parse_message(raw(b"\x00\x06\x00\x01a\xff\xff\xff"))
    assert message.value(A.USERNAME) == "a"


def test_absent_attribute_has_no_value(raw):
    assert parse_message(raw()).value(A.USERNAME) is None


@pytest.mark.proves("RFC5389-15.4-1-1df2")
def test_attributes_behind_message_integrity_are_ignored(request_of):
    data = serialize_message(request_of((A.USERNAME, "u")), key=KEY)
    extra = attribute(A.PRIORITY, bytes(4)) + attribute(0x0FFF, b"x") + attribute(A.USE_CANDIDATE, b"")
    data = data[:2] + (len(data) - 20 + len(extra)).to_bytes(2, "big") + data[4:] + extra
    message = parse_message(data)
    assert [a.type for a in message.attributes] == [A.USERNAME, A.MESSAGE_INTEGRITY]
    assert message.unknown_required == ()


def test_malformed_attribute_behind_message_integrity_is_ignored(request_of):
    data = serialize_message(request_of(), key=KEY)
    extra = attribute(A.PRIORITY, b"")
    data = data[:2] + (len(data) - 20 + len(extra)).to_bytes(2, "big") + data[4:] + extra
    assert parse_message(data).value(A.PRIORITY) is None


def test_second_integrity_attribute_of_the_older_kind_behind_the_newer_is_ignored(raw):
    data = raw(attribute(A.MESSAGE_INTEGRITY_SHA256, bytes(32)) + attribute(A.MESSAGE_INTEGRITY, bytes(20)))
    assert [a.type for a in parse_message(data).attributes] == [A.MESSAGE_INTEGRITY_SHA256]


@pytest.mark.proves("RFC5389-15.5-1-10e3")
@pytest.mark.parametrize("code", [A.SOFTWARE, A.MESSAGE_INTEGRITY, A.FINGERPRINT, 0x8FFF])
def test_anything_behind_fingerprint_is_malformed(raw, code):
    with pytest.raises(Malformed) as caught:
        parse_message(raw(attribute(A.FINGERPRINT, bytes(4)) + attribute(code, bytes(20))))
    assert caught.value.field == "FINGERPRINT"


# --- limits


def test_message_with_the_most_attributes_is_parsed(raw):
    assert len(parse_message(raw(attribute(0x8FFF, b"") * ATTRIBUTE_COUNT_MAX)).attributes) == ATTRIBUTE_COUNT_MAX


def test_message_with_more_attributes_is_malformed(raw):
    with pytest.raises(Malformed) as caught:
        parse_message(raw(attribute(0x8FFF, b"") * (ATTRIBUTE_COUNT_MAX + 1)))
    assert caught.value.field == "attributes"


def test_ignored_attributes_behind_integrity_count_too(raw):
    proof = attribute(A.MESSAGE_INTEGRITY, bytes(20))
    ignored = attribute(0x8FFF, b"") * (ATTRIBUTE_COUNT_MAX - 1)
    assert len(parse_message(raw(proof + ignored)).attributes) == 1
    with pytest.raises(Malformed):
        parse_message(raw(proof + ignored + attribute(0x8FFF, b"")))


def test_largest_message_is_parsed(raw):
    data = raw(attribute(A.DATA, bytes(65528)))
    assert len(data) == MESSAGE_BYTES_MAX
    assert parse_message(data).value(A.DATA) == bytes(65528)


def test_attributes_that_do_not_fit_are_refused(request_of):
    with pytest.raises(InvalidArgument):
        serialize_message(request_of((A.DATA, bytes(40000)), (A.PADDING, bytes(40000))))


def test_largest_payload_still_gets_both_integrity_attributes_and_fingerprint(request_of):
    from sans_rtc.stun import IntegrityAlgorithm

    data = serialize_message(
        request_of((A.DATA, bytes(65460))), key=KEY, algorithm=IntegrityAlgorithm.SHA1_AND_SHA256, fingerprint=True
    )
    assert len(data) == MESSAGE_BYTES_MAX


# --- local misuse


@pytest.mark.parametrize("size", [0, 11, 13, 16])
def test_transaction_id_of_another_size_is_refused(size):
    with pytest.raises(InvalidArgument):
        serialize_message(Message(MessageClass.REQUEST, Method.BINDING, bytes(size)))


@pytest.mark.parametrize("method", [-1, 0x1000])
def test_method_out_of_range_is_refused(method):
    with pytest.raises(InvalidArgument):
        serialize_message(Message(MessageClass.REQUEST, method, bytes(12)))


@pytest.mark.parametrize(("code", "value"), [(0x0FFF, "text"), (0x10000, b""), (-1, b""), (0x0FFF, bytes(0x10000))])
def test_unknown_attribute_needs_bytes_and_a_16_bit_type(request_of, code, value):
    with pytest.raises(InvalidArgument):
        serialize_message(request_of((code, value)))


def test_empty_key_is_refused(request_of):
    with pytest.raises(InvalidArgument):
        serialize_message(request_of(), key=b"")


# --- making requests and responses


@pytest.mark.proves("RFC5389-6-5-71d6")
def test_new_request_draws_its_transaction_id_from_the_entropy():
    assert new_request(Method.BINDING, SeededEntropy(5)).transaction_id == SeededEntropy(5)(12)
    assert new_request(Method.BINDING, SeededEntropy(5)).attributes == []


@pytest.mark.proves("RFC5389-6-7-40e6")
def test_success_response_carries_method_and_transaction_id(request_of):
    request = request_of(method=Method.REFRESH)
    response = success_response(request, [Attribute(A.LIFETIME, 600)])
    assert response.message_class is MessageClass.SUCCESS_RESPONSE
    assert (response.method, response.transaction_id) == (request.method, request.transaction_id)
    assert response.value(A.LIFETIME) == 600


@pytest.mark.proves("RFC5389-7.3.1.1-1-bb12", "RFC5389-7.3.1.1-2-9747")
def test_error_response_carries_code_and_the_registry_phrase(request_of):
    response = parse_message(serialize_message(error_response(request_of(), 487)))
    assert response.message_class is MessageClass.ERROR_RESPONSE
    assert response.value(A.ERROR_CODE) == ErrorCode(487, "Role Conflict")
    assert response.value(A.UNKNOWN_ATTRIBUTES) is None


def test_error_response_takes_a_phrase_of_ones_own(request_of):
    assert error_response(request_of(), 400, "no USERNAME").value(A.ERROR_CODE) == ErrorCode(400, "no USERNAME")


@pytest.mark.proves("RFC5389-7.3.1.1-3-0886", "RFC5389-15.6-10-9b1a")
def test_request_with_unknown_required_attributes_gets_420_with_their_list(raw):
    request = parse_message(raw(attribute(0x0FFF, b"") + attribute(0x0FFE, b"") + attribute(0x0FFF, b"")))
    response = parse_message(serialize_message(unknown_attributes_response(request)))
    assert response.value(A.ERROR_CODE) == ErrorCode(420, "Unknown Attribute")
    assert response.value(A.UNKNOWN_ATTRIBUTES) == (0x0FFF, 0x0FFE)


def test_request_that_is_understood_gets_no_420(raw):
    assert unknown_attributes_response(parse_message(raw(attribute(0x8FFF, b"")))) is None


def test_equal_messages_give_equal_bytes(request_of):
    first, second = (request_of((A.XOR_MAPPED_ADDRESS, Address("2001:db8::1", 9))) for _ in range(2))
    assert serialize_message(first, key=KEY, fingerprint=True) == serialize_message(second, key=KEY, fingerprint=True)
