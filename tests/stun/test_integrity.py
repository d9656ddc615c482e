"""MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT: what proves a message and what must not."""

import hashlib
import hmac
import struct
import zlib

import pytest

from sans_rtc.stun import (
    AttributeType,
    IntegrityAlgorithm,
    has_integrity,
    is_fingerprint_valid,
    is_integrity_valid,
    parse_message,
    serialize_message,
)

A = AttributeType
KEY = b"the key of this test"
OTHER_KEY = b"another key"


def with_length(data, more=0):
    return data[:2] + (len(data) - 20 + more).to_bytes(2, "big") + data[4:]


def append(data, code, value):
    return with_length(data + struct.pack("!HH", code, len(value)) + value)


@pytest.fixture
def bare(request_of):
    return serialize_message(request_of((A.USERNAME, "user")))


def append_sha256(data, key, size):
    """MESSAGE-INTEGRITY-SHA256 cut to `size`, by the words of RFC 8489 section 14.6."""
    digest = hmac.new(key, with_length(data, size + 4), hashlib.sha256).digest()
    return append(data, A.MESSAGE_INTEGRITY_SHA256, digest[:size])


def append_sha1(data, key):
    return append(data, A.MESSAGE_INTEGRITY, hmac.new(key, with_length(data, 24), hashlib.sha1).digest())


@pytest.mark.parametrize("algorithm", IntegrityAlgorithm)
@pytest.mark.parametrize("fingerprint", [False, True])
def test_own_message_is_valid_with_its_key_only(request_of, algorithm, fingerprint):
    data = serialize_message(request_of((A.USERNAME, "u")), key=KEY, algorithm=algorithm, fingerprint=fingerprint)
    assert has_integrity(data)
    assert is_integrity_valid(data, KEY)
    assert not is_integrity_valid(data, OTHER_KEY)
    assert not is_integrity_valid(data, b"")
    assert is_fingerprint_valid(data) is fingerprint


@pytest.mark.proves("RFC5389-6-4-55c4", "RFC5389-15.4-2-6c98", "RFC5389-15.4-3-98c9", "RFC5389-15.5-1-10e3")
def test_sha1_is_computed_with_the_length_up_to_itself(request_of, bare):
    data = serialize_message(request_of((A.USERNAME, "user")), key=KEY, fingerprint=True)
    assert data[:-8] == with_length(append_sha1(bare, KEY), 8)


def test_both_attributes_stand_in_the_order_of_the_rfc(request_of, bare):
    data = serialize_message(request_of((A.USERNAME, "user")), key=KEY, algorithm=IntegrityAlgorithm.SHA1_AND_SHA256)
    assert data == append_sha256(append_sha1(bare, KEY), KEY, 32)


def test_message_without_integrity_is_never_valid(bare):
    assert not has_integrity(bare)
    assert not is_integrity_valid(bare, KEY)


def test_stronger_attribute_decides_even_where_the_weaker_is_valid(bare):
    good_weak = append_sha1(bare, KEY)
    assert is_integrity_valid(good_weak, KEY)
    assert not is_integrity_valid(append_sha256(good_weak, OTHER_KEY, 32), KEY)


def test_stronger_attribute_decides_even_where_the_weaker_is_not_valid(bare):
    assert is_integrity_valid(append_sha256(append_sha1(bare, OTHER_KEY), KEY, 32), KEY)


@pytest.mark.parametrize("size", [16, 20, 24, 28])
def test_truncated_sha256_is_valid_only_where_the_usage_allows_it(bare, size):
    data = append_sha256(bare, KEY, size)
    assert not is_integrity_valid(data, KEY)
    assert is_integrity_valid(data, KEY, sha256_bytes_min=16)
    assert is_integrity_valid(data, KEY, sha256_bytes_min=size)
    assert not is_integrity_valid(data, KEY, sha256_bytes_min=size + 4)
    assert not is_integrity_valid(data, OTHER_KEY, sha256_bytes_min=16)


@pytest.mark.parametrize("size", [0, 1, 4, 12, 15])
def test_sha256_below_16_bytes_is_never_valid(bare, size):
    digest = hmac.new(KEY, with_length(bare, size + 4), hashlib.sha256).digest()
    data = append(bare, A.MESSAGE_INTEGRITY_SHA256, digest[:size] + bytes(-size % 4))
    assert not is_integrity_valid(data, KEY, sha256_bytes_min=0)


@pytest.mark.parametrize("counted", ["padding counted", "padding not counted"])
@pytest.mark.parametrize("size", [17, 18, 30, 31])
def test_sha256_that_is_no_multiple_of_four_is_never_valid(bare, size, counted):
    padded = size + -size % 4
    length = padded if counted == "padding counted" else size
    digest = hmac.new(KEY, with_length(bare, length + 4), hashlib.sha256).digest()
    data = with_length(
        bare + struct.pack("!HH", A.MESSAGE_INTEGRITY_SHA256, size) + digest[:size] + bytes(padded - size)
    )
    assert not is_integrity_valid(data, KEY, sha256_bytes_min=16)


def test_sha256_of_36_bytes_is_never_valid(bare):
    digest = hmac.new(KEY, with_length(bare, 40), hashlib.sha256).digest()
    assert not is_integrity_valid(append(bare, A.MESSAGE_INTEGRITY_SHA256, digest + bytes(4)), KEY)


@pytest.mark.parametrize("size", [0, 16, 24])
def test_sha1_of_another_size_is_never_valid(bare, size):
    digest = hmac.new(KEY, with_length(bare, size + 4), hashlib.sha1).digest() + bytes(4)
    assert not is_integrity_valid(append(bare, A.MESSAGE_INTEGRITY, digest[:size]), KEY)


def test_first_of_two_integrity_attributes_counts(bare):
    data = append_sha1(append(bare, A.MESSAGE_INTEGRITY, bytes(20)), KEY)
    assert not is_integrity_valid(data, KEY)


def test_what_an_attacker_appends_behind_integrity_changes_neither_validity_nor_meaning(bare):
    signed = append_sha1(bare, KEY)
    data = append(signed, A.USE_CANDIDATE, b"")
    assert is_integrity_valid(data, KEY)
    assert parse_message(data).value(A.USE_CANDIDATE) is None


def test_integrity_inside_the_value_of_another_attribute_does_not_count(bare):
    hidden = append_sha1(bare, KEY)[len(bare) :]
    data = append(bare, A.PADDING, hidden)
    assert not has_integrity(data)
    assert not is_integrity_valid(data, KEY)


@pytest.mark.parametrize("data", [b"", b"\0", bytes(19), bytes(20), bytes(24), b"\0\1\0\4" + bytes(16), b"\xff" * 64])
def test_bytes_that_are_no_message_are_not_valid_and_raise_nothing(data):
    assert not has_integrity(data)
    assert not is_integrity_valid(data, KEY)
    assert not is_fingerprint_valid(data)


def test_every_truncation_is_not_valid(request_of):
    data = serialize_message(request_of((A.USERNAME, "user")), key=KEY, fingerprint=True)
    for size in range(len(data)):
        assert not is_integrity_valid(data[:size], KEY)
        assert not is_fingerprint_valid(data[:size])


# --- FINGERPRINT


def test_fingerprint_is_crc32_of_what_stands_before_it_xored(bare):
    from sans_rtc.stun.integrity import append_fingerprint

    data = append_fingerprint(bare)
    crc = zlib.crc32(with_length(bare, 8)) ^ 0x5354554E
    assert data == append(bare, A.FINGERPRINT, crc.to_bytes(4, "big"))


def test_fingerprint_finds_every_single_bit_error(request_of):
    data = serialize_message(request_of((A.USERNAME, "user")), fingerprint=True)
    for bit in range(len(data) * 8):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not is_fingerprint_valid(bytes(damaged)), bit


def test_fingerprint_that_is_not_last_is_not_valid(bare):
    from sans_rtc.stun.integrity import append_fingerprint

    assert not is_fingerprint_valid(append(append_fingerprint(bare), A.SOFTWARE, b"x\0\0\0"))
