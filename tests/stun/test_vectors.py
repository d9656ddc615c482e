"""The messages of RFC 5769 and of RFC 8489 appendix B.1, read, checked and made again; and checks of browsers."""

from sans_rtc.machine import Address
from sans_rtc.stun import (
    AttributeType,
    IntegrityAlgorithm,
    MessageClass,
    has_integrity,
    is_fingerprint_valid,
    is_integrity_valid,
    parse_message,
    serialize_message,
    userhash,
)


def test_vector_is_parsed_to_the_values_of_the_rfc(vector):
    message = parse_message(vector["data"])
    assert message.message_class is MessageClass[vector["class"]]
    assert message.transaction_id == vector["data"][8:20]
    assert message.unknown_required == ()
    for name, expected in vector["attributes"].items():
        value = message.value(AttributeType[name])
        if isinstance(value, bytes):
            value = value.decode()
        assert value == (Address(*expected) if isinstance(expected, list) else expected)


def test_vector_has_valid_integrity(vector):
    assert has_integrity(vector["data"])
    assert is_integrity_valid(vector["data"], vector["key"])


def test_vector_fingerprint_is_valid_where_it_has_one(vector):
    assert is_fingerprint_valid(vector["data"]) == vector["fingerprint"]


def test_vector_with_any_bit_changed_is_not_valid(vector):
    data = vector["data"]
    # The bytes of FINGERPRINT are not covered by the integrity attribute.
    covered = len(data) - (8 if vector["fingerprint"] else 0)
    for index in range(covered):
        damaged = bytearray(data)
        damaged[index] ^= 0x01
        assert not is_integrity_valid(bytes(damaged), vector["key"]), index


def test_vector_is_made_again_byte_for_byte_but_for_the_rfc_padding(vector):
    message = parse_message(vector["data"])
    has_sha256 = message.value(AttributeType.MESSAGE_INTEGRITY_SHA256) is not None
    algorithm = IntegrityAlgorithm.SHA256 if has_sha256 else IntegrityAlgorithm.SHA1
    made = serialize_message(message, key=vector["key"], algorithm=algorithm, fingerprint=vector["fingerprint"])
    assert len(made) == len(vector["data"])
    assert parse_message(made).attributes[:-2] == message.attributes[:-2]
    if vector["padding"] == "00":
        assert made == vector["data"]
    else:
        # These vectors pad with spaces; we pad with zeros, as RFC 8489 section 14 asks.
        covered = made[:-32] if vector["fingerprint"] else made
        assert covered == vector["data"][: len(covered)].replace(b"client \x20", b"client\0\0").replace(
            b"Y\x20\x20\x20", b"Y\0\0\0"
        ).replace(b"vector\x20", b"vector\0")


def test_userhash_of_appendix_b1(vector):
    value = parse_message(vector["data"]).value(AttributeType.USERHASH)
    if value is not None:
        credentials = vector["credentials"]
        assert value == userhash(credentials["username"], credentials["realm"])


def test_check_of_a_browser_is_understood_whole(capture):
    data = bytes.fromhex(capture["data"])
    message = parse_message(data)
    assert message.message_class is MessageClass[capture["class"]]
    assert [attribute.type.name for attribute in message.attributes] == capture["attributes"]
    assert message.unknown_required == ()
    assert has_integrity(data) and is_fingerprint_valid(data)


def test_check_of_a_browser_is_made_again_but_for_its_integrity(capture):
    data = bytes.fromhex(capture["data"])
    made = serialize_message(parse_message(data), key=b"not the key", fingerprint=True)
    # The integrity value and FINGERPRINT are the last 20 and 8 bytes.
    assert (len(made), made[:-28]) == (len(data), data[:-28])
