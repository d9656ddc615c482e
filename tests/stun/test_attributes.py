"""The table of attributes, and each attribute's value by the layout of its RFC."""

import struct

import pytest

from sans_rtc.errors import InvalidArgument, Malformed
from sans_rtc.machine import Address
from sans_rtc.stun import AddressErrorCode, AttributeType, ErrorCode, Icmp, PasswordAlgorithmEntry
from sans_rtc.stun.attributes import ROWS, TABLE, attribute_name, is_comprehension_required
from sans_rtc.stun.values import host_bytes, host_text
from sans_rtc.stun.wire import parse_message, serialize_message

A = AttributeType
COOKIE_AND_ID = bytes.fromhex("2112a442") + bytes(range(12))


def parse(code, value):
    return ROWS[code].layout.parse(value, COOKIE_AND_ID)


def serialize(code, value):
    return ROWS[code].layout.serialize(value, COOKIE_AND_ID)


# --- the table itself


def test_every_attribute_type_has_exactly_one_row():
    assert sorted(row.type for row in TABLE) == sorted(AttributeType)
    assert len(ROWS) == len(TABLE) == len(AttributeType)


def test_rows_name_their_source_and_sane_sizes():
    for row in TABLE:
        assert row.section.startswith(("RFC ", "draft-", "libwebrtc"))
        assert 0 <= row.size_min <= row.size_max <= 65528
        assert row.name == row.type.name.replace("_", "-")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        # IANA registry "STUN Attributes": RFC 8489 section 18.3, RFC 8656 section 18, RFC 8445 section 20.3
        ("MAPPED-ADDRESS", 0x0001),
        ("USERNAME", 0x0006),
        ("MESSAGE-INTEGRITY", 0x0008),
        ("ERROR-CODE", 0x0009),
        ("UNKNOWN-ATTRIBUTES", 0x000A),
        ("CHANNEL-NUMBER", 0x000C),
        ("LIFETIME", 0x000D),
        ("XOR-PEER-ADDRESS", 0x0012),
        ("DATA", 0x0013),
        ("REALM", 0x0014),
        ("NONCE", 0x0015),
        ("XOR-RELAYED-ADDRESS", 0x0016),
        ("REQUESTED-ADDRESS-FAMILY", 0x0017),
        ("EVEN-PORT", 0x0018),
        ("REQUESTED-TRANSPORT", 0x0019),
        ("DONT-FRAGMENT", 0x001A),
        ("MESSAGE-INTEGRITY-SHA256", 0x001C),
        ("PASSWORD-ALGORITHM", 0x001D),
        ("USERHASH", 0x001E),
        ("XOR-MAPPED-ADDRESS", 0x0020),
        ("RESERVATION-TOKEN", 0x0022),
        ("PRIORITY", 0x0024),
        ("USE-CANDIDATE", 0x0025),
        ("CONNECTION-ID", 0x002A),
        ("ADDITIONAL-ADDRESS-FAMILY", 0x8000),
        ("ADDRESS-ERROR-CODE", 0x8001),
        ("PASSWORD-ALGORITHMS", 0x8002),
        ("ALTERNATE-DOMAIN", 0x8003),
        ("ICMP", 0x8004),
        ("SOFTWARE", 0x8022),
        ("ALTERNATE-SERVER", 0x8023),
        ("FINGERPRINT", 0x8028),
        ("ICE-CONTROLLED", 0x8029),
        ("ICE-CONTROLLING", 0x802A),
        ("RESPONSE-ORIGIN", 0x802B),
        ("OTHER-ADDRESS", 0x802C),
        ("NOMINATION", 0xC001),
        ("GOOG-NETWORK-INFO", 0xC057),
        ("META-DTLS-IN-STUN", 0xC070),
        ("META-DTLS-IN-STUN-ACK", 0xC071),
    ],
)
def test_attribute_has_its_registered_code(name, code):
    assert attribute_name(code) == name


def test_attribute_without_a_row_is_named_by_its_number():
    assert attribute_name(0x0FFF) == "0x0FFF"


@pytest.mark.parametrize(("code", "expected"), [(0, True), (0x7FFF, True), (0x8000, False), (0xFFFF, False)])
def test_comprehension_is_required_below_0x8000(code, expected):
    assert is_comprehension_required(code) is expected


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_value_shorter_or_longer_than_its_row_allows_is_malformed(raw, row):
    for size in (row.size_min - 1, row.size_max + 1):
        if not 0 <= size <= 65528:
            continue
        data = struct.pack("!HH", row.type, size) + bytes(size + -size % 4)
        with pytest.raises(Malformed) as caught:
            parse_message(raw(data))
        assert caught.value.field == row.name


# --- addresses


@pytest.mark.proves("RFC5389-15.1-1-9915", "RFC5389-15.1-2-d2fc", "RFC5389-15.1-3-00d6")
@pytest.mark.parametrize(
    ("address", "plain"),
    [
        (Address("192.0.2.1", 32853), "00018055c0000201"),
        (Address("0.0.0.0", 0), "0001000000000000"),
        (Address("255.255.255.255", 65535), "0001ffffffffffff"),
        (Address("2001:db8::1", 1), "00020001" + "20010db8000000000000000000000001"),
        (Address("::", 0), "00020000" + "00" * 16),
        (Address("::ffff:192.0.2.1", 7), "00020007" + "00" * 10 + "ffffc0000201"),
    ],
)
def test_plain_address_is_laid_out_as_in_14_1(address, plain):
    assert parse(A.MAPPED_ADDRESS, bytes.fromhex(plain)) == address
    assert serialize(A.MAPPED_ADDRESS, address).hex() == plain


@pytest.mark.parametrize(
    ("address", "xored"),
    [
        (Address("192.0.2.1", 32853), "0001a147e112a643"),
        (Address("2001:db8::1", 1), "00022113" + "0113a9fa000102030405060708090a0a"),
    ],
)
def test_xor_address_is_masked_with_cookie_and_transaction_id(address, xored):
    assert parse(A.XOR_MAPPED_ADDRESS, bytes.fromhex(xored)) == address
    assert serialize(A.XOR_MAPPED_ADDRESS, address).hex() == xored


@pytest.mark.proves("RFC5389-15.1-1-9915", "RFC5389-15.1-2-d2fc")
@pytest.mark.parametrize("code", [A.MAPPED_ADDRESS, A.XOR_MAPPED_ADDRESS])
@pytest.mark.parametrize(
    "value",
    [
        "0000" + "00" * 6,
        "0002" + "00" * 6,
        "0003" + "00" * 6,
        "0001" + "00" * 18,
        "0003" + "00" * 18,
        "0001" + "00" * 10,
        "0002" + "00" * 15,
    ],
)
def test_address_of_another_family_or_size_is_malformed(code, value):
    with pytest.raises(Malformed):
        parse(code, bytes.fromhex(value))


@pytest.mark.proves("RFC5389-15.1-3-00d6")
def test_first_byte_of_an_address_is_ignored():
    assert parse(A.MAPPED_ADDRESS, bytes.fromhex("ff010001c0000201")) == Address("192.0.2.1", 1)


@pytest.mark.parametrize(
    "value",
    [None, "192.0.2.1", ("192.0.2.1",), ("host.local", 1), ("192.0.2.1", 65536), ("192.0.2.1", -1), (1, 1), ("", 1)],
)
def test_what_is_no_address_is_refused(value):
    for code in (A.MAPPED_ADDRESS, A.XOR_MAPPED_ADDRESS):
        with pytest.raises(InvalidArgument):
            serialize(code, value)


def test_zone_of_an_address_stays_at_home():
    assert host_text(host_bytes("fe80::1%eth0")) == "fe80::1"


# --- text and bytes


@pytest.mark.proves("RFC5389-15.3-1-ae8c")
@pytest.mark.parametrize("code", [A.USERNAME, A.REALM])
def test_text_that_authenticates_must_be_utf8(code):
    with pytest.raises(Malformed):
        parse(code, b"\xff\xfe")


@pytest.mark.parametrize("value", [b"\xff", b"ok\xc3"])
def test_text_for_people_may_be_broken(value):
    assert "\ufffd" in parse(A.SOFTWARE, value)
    assert "\ufffd" in parse(A.ERROR_CODE, b"\0\0\4\1" + value).reason


@pytest.mark.proves("RFC5389-15.3-1-ae8c")
def test_username_has_fewer_than_509_bytes():
    assert len(serialize(A.USERNAME, "é" * 254)) == 508
    with pytest.raises(InvalidArgument):
        serialize(A.USERNAME, "é" * 254 + "a")


@pytest.mark.proves("RFC5389-15.7-1-2079", "RFC5389-15.10-2-f287")
@pytest.mark.parametrize("code", [A.REALM, A.SOFTWARE, A.ALTERNATE_DOMAIN])
def test_text_has_fewer_than_128_characters(code):
    assert serialize(code, "x" * 127) == b"x" * 127
    with pytest.raises(InvalidArgument):
        serialize(code, "x" * 128)


@pytest.mark.parametrize("code", [A.USERNAME, A.REALM])
@pytest.mark.parametrize("value", [None, b"bytes", 1, "\ud800"])
def test_what_is_no_text_is_refused(code, value):
    with pytest.raises(InvalidArgument):
        serialize(code, value)


@pytest.mark.parametrize("value", [None, "text", 1])
def test_what_is_no_bytes_is_refused(value):
    with pytest.raises(InvalidArgument):
        serialize(A.NONCE, value)


@pytest.mark.parametrize("code", [A.USERHASH, A.RESERVATION_TOKEN])
def test_bytes_of_another_size_than_the_row_says_are_refused(request_of, code):
    with pytest.raises(InvalidArgument):
        serialize_message(request_of((code, bytes(7))))


@pytest.mark.parametrize("value", [False, None, b""])
def test_flag_is_present_or_absent(value):
    assert parse(A.USE_CANDIDATE, b"") is True
    assert serialize(A.USE_CANDIDATE, True) == b""
    with pytest.raises(InvalidArgument):
        serialize(A.USE_CANDIDATE, value)


# --- numbers


@pytest.mark.proves("RFC8656-18.1-1-13b3", "RFC8656-18.6-1-8817", "RFC8656-18.8-1-11f5")
@pytest.mark.parametrize(
    ("code", "value", "data"),
    [
        (A.PRIORITY, 0x6E0001FF, "6e0001ff"),
        (A.LIFETIME, 600, "00000258"),
        (A.ICE_CONTROLLING, 0x932FF9B151263B36, "932ff9b151263b36"),
        (A.ICE_CONTROLLED, 1, "0000000000000001"),
        (A.CHANNEL_NUMBER, 0x4001, "40010000"),
        (A.REQUESTED_TRANSPORT, 17, "11000000"),
        (A.REQUESTED_ADDRESS_FAMILY, 2, "02000000"),
        (A.ADDITIONAL_ADDRESS_FAMILY, 2, "02000000"),
        (A.EVEN_PORT, True, "80"),
        (A.EVEN_PORT, False, "00"),
        (A.GOOG_NETWORK_INFO, 0x0001_000A, "0001000a"),
        (A.NOMINATION, 3, "00000003"),
        (A.CONNECTION_ID, 5, "00000005"),
    ],
)
def test_number_is_laid_out_as_its_rfc_says(code, value, data):
    assert parse(code, bytes.fromhex(data)) == value
    assert serialize(code, value).hex() == data


@pytest.mark.proves("RFC8656-18.1-1-13b3", "RFC8656-18.6-1-8817", "RFC8656-18.8-1-11f5")
@pytest.mark.parametrize(
    ("code", "data", "value"),
    [
        (A.CHANNEL_NUMBER, "4001ffff", 0x4001),
        (A.REQUESTED_TRANSPORT, "11ffffff", 17),
        (A.REQUESTED_ADDRESS_FAMILY, "02ffffff", 2),
        (A.EVEN_PORT, "ff", True),
        (A.EVEN_PORT, "7f", False),
    ],
)
def test_reserved_bits_are_ignored(code, data, value):
    assert parse(code, bytes.fromhex(data)) == value


@pytest.mark.parametrize(
    ("code", "limit"),
    [(A.PRIORITY, 1 << 32), (A.ICE_CONTROLLED, 1 << 64), (A.CHANNEL_NUMBER, 1 << 16), (A.REQUESTED_TRANSPORT, 256)],
)
def test_number_out_of_range_is_refused(code, limit):
    serialize(code, limit - 1)
    for value in (-1, limit, 1.0, "1", None):
        with pytest.raises(InvalidArgument):
            serialize(code, value)


@pytest.mark.parametrize("value", [1, None, b""])
def test_even_port_takes_only_a_bool(value):
    with pytest.raises(InvalidArgument):
        serialize(A.EVEN_PORT, value)


# --- structures


@pytest.mark.parametrize("code", [300, 399, 420, 487, 500, 699])
def test_error_code_is_hundreds_and_number(code):
    value = ErrorCode(code, "über")
    data = serialize(A.ERROR_CODE, value)
    assert data[:4] == bytes([0, 0, code // 100, code % 100])
    assert parse(A.ERROR_CODE, data) == value
    assert serialize(A.ERROR_CODE, (code, "über")) == data


@pytest.mark.proves("RFC5389-15.6-3-e423")
def test_reserved_bits_of_an_error_code_are_ignored():
    assert parse(A.ERROR_CODE, b"\xff\xff\xfc\x14") == ErrorCode(420, "")


@pytest.mark.proves("RFC5389-15.6-4-e8f0", "RFC5389-15.6-5-d154")
@pytest.mark.parametrize("data", ["00000000", "00000200", "00000700", "00000464", "000003ff"])
def test_error_code_out_of_300_to_699_is_malformed(data):
    with pytest.raises(Malformed):
        parse(A.ERROR_CODE, bytes.fromhex(data))


@pytest.mark.proves("RFC5389-15.6-1-dcf4")
@pytest.mark.parametrize("value", [None, 420, (299, ""), (700, ""), (420,), (420, b""), ("420", ""), (420, "x" * 128)])
def test_what_is_no_error_code_is_refused(value):
    with pytest.raises(InvalidArgument):
        serialize(A.ERROR_CODE, value)


@pytest.mark.proves("RFC8656-18.12-1-3b8a", "RFC8656-18.12-2-8fba")
def test_address_error_code_carries_its_family():
    value = AddressErrorCode(2, 440, "no v6")
    data = serialize(A.ADDRESS_ERROR_CODE, value)
    assert data == b"\x02\x00\x04\x28no v6"
    assert parse(A.ADDRESS_ERROR_CODE, data) == value
    assert parse(A.ADDRESS_ERROR_CODE, b"\x02\xff\xfc\x28no v6") == value
    for wrong in (AddressErrorCode(256, 440), AddressErrorCode(2, 440, "x" * 128), (2, 440, "x"), None):
        with pytest.raises(InvalidArgument):
            serialize(A.ADDRESS_ERROR_CODE, wrong)


def test_unknown_attributes_is_a_list_of_types():
    assert serialize(A.UNKNOWN_ATTRIBUTES, (1, 0xFFFF, 2)).hex() == "0001ffff0002"
    assert parse(A.UNKNOWN_ATTRIBUTES, bytes.fromhex("0001ffff0002")) == (1, 0xFFFF, 2)
    with pytest.raises(Malformed):
        parse(A.UNKNOWN_ATTRIBUTES, bytes(3))
    for wrong in (None, (0x10000,), (-1,), ("a",), [1]):
        with pytest.raises(InvalidArgument):
            serialize(A.UNKNOWN_ATTRIBUTES, wrong)


def test_password_algorithms_are_entries_padded_to_four_bytes():
    value = (PasswordAlgorithmEntry(2), PasswordAlgorithmEntry(9, b"abc"), PasswordAlgorithmEntry(1))
    data = serialize(A.PASSWORD_ALGORITHMS, value)
    assert data.hex() == "00020000" + "0009000361626300" + "00010000"
    assert parse(A.PASSWORD_ALGORITHMS, data) == value


@pytest.mark.parametrize("data", ["0002", "000200", "00020001", "00020000" + "0001", "0002ffff00000000"])
def test_password_algorithms_cut_short_are_malformed(data):
    with pytest.raises(Malformed):
        parse(A.PASSWORD_ALGORITHMS, bytes.fromhex(data))


@pytest.mark.parametrize("data", ["", "0002000000010000"])
def test_password_algorithm_is_exactly_one_entry(data):
    assert parse(A.PASSWORD_ALGORITHM, bytes.fromhex("00020000")) == PasswordAlgorithmEntry(2)
    with pytest.raises(Malformed):
        parse(A.PASSWORD_ALGORITHM, bytes.fromhex(data))


@pytest.mark.parametrize(
    "value", [None, 2, (2, b""), PasswordAlgorithmEntry(0x10000), PasswordAlgorithmEntry(2, bytes(0x10000))]
)
def test_what_is_no_password_algorithm_is_refused(value):
    with pytest.raises(InvalidArgument):
        serialize(A.PASSWORD_ALGORITHM, value)
    with pytest.raises(InvalidArgument):
        serialize(A.PASSWORD_ALGORITHMS, [value])


@pytest.mark.proves("RFC8656-18.13-1-20d4")
def test_icmp_has_type_in_seven_bits_and_code_in_nine():
    value = Icmp(3, 4, (1280).to_bytes(4, "big"))
    assert serialize(A.ICMP, value).hex() == "0000" + "0604" + "00000500"
    assert parse(A.ICMP, bytes.fromhex("ffff" + "0604" + "00000500")) == value
    for wrong in (None, Icmp(128, 0), Icmp(0, 512), Icmp(3, 4, b"")):
        with pytest.raises(InvalidArgument):
            serialize(A.ICMP, wrong)
