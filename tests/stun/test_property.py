"""Properties over any values and any bytes."""

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import WireError
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun import (
    AddressErrorCode,
    Attribute,
    AttributeType,
    BindingClient,
    BindingConfig,
    ErrorCode,
    Icmp,
    IntegrityAlgorithm,
    Message,
    MessageClass,
    PasswordAlgorithmEntry,
    has_integrity,
    is_fingerprint_valid,
    is_integrity_valid,
    parse_message,
    parse_stun_uri,
    serialize_message,
)
from sans_rtc.stun import attributes as table
from sans_rtc.stun.attributes import TABLE
from sans_rtc.testing import ContractMonitor, SeededEntropy

A = AttributeType
bounded = settings(max_examples=150, deadline=None)


def canonical(address):
    mapped = getattr(address, "ipv4_mapped", None)
    return f"::ffff:{mapped}" if mapped else str(address)


ADDRESSES = st.builds(Address, st.ip_addresses().map(canonical), st.integers(0, 0xFFFF))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=127)
BYTES = st.binary(max_size=40)
ENTRIES = st.builds(PasswordAlgorithmEntry, st.integers(0, 0xFFFF), st.binary(max_size=9))
CODES = st.integers(300, 699)
VALUES = {
    table.ADDRESS: ADDRESSES,
    table.XOR_ADDRESS: ADDRESSES,
    table.USERNAME_TEXT: TEXT.filter(lambda text: len(text.encode()) <= 508),
    table.TEXT: TEXT.filter(lambda text: len(text.encode()) <= 255),
    table.DIAGNOSTIC_TEXT: TEXT,
    table.FLAG: st.just(True),
    table.UINT32: st.integers(0, 2**32 - 1),
    table.UINT64: st.integers(0, 2**64 - 1),
    table.HIGH_UINT16: st.integers(0, 0xFFFF),
    table.HIGH_UINT8: st.integers(0, 0xFF),
    table.HIGH_BIT: st.booleans(),
    table.ERROR: st.builds(ErrorCode, CODES, TEXT),
    table.ADDRESS_ERROR: st.builds(AddressErrorCode, st.integers(0, 255), CODES, TEXT),
    table.TYPES: st.lists(st.integers(0, 0xFFFF), max_size=9).map(tuple),
    table.ALGORITHM: ENTRIES,
    table.ALGORITHMS: st.lists(ENTRIES, max_size=4).map(tuple),
    table.ICMP_ERROR: st.builds(Icmp, st.integers(0, 127), st.integers(0, 511), st.binary(min_size=4, max_size=4)),
}
PROOFS = {A.MESSAGE_INTEGRITY, A.MESSAGE_INTEGRITY_SHA256, A.FINGERPRINT}


def values_of(row):
    if row.layout is table.BYTES:
        return st.binary(min_size=row.size_min, max_size=min(row.size_max, row.size_min + 40))
    return VALUES[row.layout]


KNOWN = st.sampled_from([row for row in TABLE if row.type not in PROOFS]).flatmap(
    lambda row: st.builds(Attribute, st.just(row.type), values_of(row))
)
UNKNOWN = st.builds(
    Attribute,
    (st.integers(0, 15) | st.integers(0, 0xFFFF)).filter(lambda code: code not in table.ROWS),
    st.binary(max_size=20),
)
MESSAGES = st.builds(
    Message,
    st.sampled_from(MessageClass),
    st.integers(0, 0xFFF),
    st.binary(min_size=12, max_size=12),
    st.lists(KNOWN | UNKNOWN, max_size=12),
)
OF_RFC_3489 = {0x0002, 0x0004, 0x0005, 0x0007, 0x000B}  # a client ignores them in answers (RFC 5389 12.1)
KEYS = st.binary(min_size=1, max_size=64)


@bounded
@given(MESSAGES)
def test_what_is_serialized_is_parsed_back(message):
    data = serialize_message(message)
    parsed = parse_message(data)
    is_answer = message.message_class in (MessageClass.SUCCESS_RESPONSE, MessageClass.ERROR_RESPONSE)
    passed = OF_RFC_3489 if is_answer else set()
    required = [each.type for each in message.attributes if each.type < 0x8000 and each.type not in table.ROWS]
    expected = dict.fromkeys(type for type in required if type not in passed)
    assert parsed.unknown_required == tuple(expected)
    parsed.unknown_required = ()
    assert parsed == message
    assert serialize_message(parsed) == data


@bounded
@given(MESSAGES, KEYS, KEYS, st.sampled_from(IntegrityAlgorithm), st.booleans())
def test_integrity_holds_for_the_key_alone(message, key, other, algorithm, fingerprint):
    data = serialize_message(message, key=key, algorithm=algorithm, fingerprint=fingerprint)
    assert is_integrity_valid(data, key)
    # HMAC pads short keys with zeros, so two keys may be the same one.
    assert is_integrity_valid(data, other) == (key.rstrip(b"\0") == other.rstrip(b"\0"))
    assert parse_message(data).attributes[: len(message.attributes)] == message.attributes


@bounded
@given(MESSAGES, KEYS, st.data())
def test_any_changed_byte_breaks_integrity_or_fingerprint(message, key, data):
    wire = bytearray(serialize_message(message, key=key, fingerprint=True))
    index = data.draw(st.integers(0, len(wire) - 1))
    wire[index] ^= data.draw(st.integers(1, 255))
    assert not (is_fingerprint_valid(bytes(wire)) and is_integrity_valid(bytes(wire), key))


@bounded
@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_a_wire_error(data):
    try:
        message = parse_message(data)
    except WireError:
        return
    assert len(message.attributes) <= 64


ATTRIBUTE_BYTES = st.builds(
    lambda code, size, value: code.to_bytes(2, "big") + size.to_bytes(2, "big") + value,
    st.sampled_from([row.type.value for row in TABLE]) | st.integers(0, 0xFFFF),
    st.integers(0, 40),
    st.binary(max_size=40),
)


@bounded
@given(st.lists(ATTRIBUTE_BYTES, max_size=8), st.integers(0, 0x3FFF), KEYS)
def test_any_attribute_bytes_are_parsed_or_a_wire_error(parts, message_type, key):
    body = b"".join(parts)
    body += bytes(-len(body) % 4)
    header = message_type.to_bytes(2, "big") + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12)
    data = header + body
    has_integrity(data), is_integrity_valid(data, key), is_fingerprint_valid(data)
    try:
        message = parse_message(data)
    except WireError:
        return
    assert len(message.attributes) <= len(body) // 4


@bounded
@given(st.data())
def test_damaged_messages_are_parsed_or_a_wire_error(data):
    wire = bytearray(serialize_message(data.draw(MESSAGES), key=b"k", fingerprint=True))
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_message(bytes(wire))
    except WireError:
        pass


@bounded
@given(st.text(max_size=60) | st.from_regex(r"(stun|turns?):[\[\]a-z0-9.:?=-]{0,30}", fullmatch=True))
def test_any_text_is_a_uri_or_a_wire_error(text):
    try:
        uri = parse_stun_uri(text)
    except WireError:
        return
    assert parse_stun_uri(str(uri)) == uri


SERVER = Path(Address("192.0.2.1", 1000), Address("192.0.2.2", 3478))
STEPS = st.lists(
    st.tuples(st.sampled_from(["receive", "answer", "handle_timer", "close", "take"]), st.binary(max_size=40),
              st.floats(0, 20)),
    max_size=20,
)  # fmt: skip


@bounded
@given(STEPS, st.booleans())
def test_binding_client_keeps_the_contract_whatever_comes(steps, start):
    client = BindingClient(BindingConfig(), path=SERVER, entropy=SeededEntropy(3))
    monitor = ContractMonitor(client)
    now = 1000.0
    if start:
        client.start(now)
    for verb, data, pause in steps:
        now += pause
        if verb == "receive":
            monitor.receive(Datagram(data, SERVER), now)
        elif verb == "answer":
            header = b"\x01\x01" + len(data).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + SeededEntropy(3)(12)
            monitor.receive(Datagram(header + data, SERVER), now)
        elif verb == "take":
            monitor.take_datagrams(now)
            monitor.take_events()
        else:
            getattr(monitor, verb)(now)
    monitor.take_datagrams(now)
    monitor.take_events()
    monitor.check(now)


def test_every_layout_of_the_table_has_values_here():
    assert {row.layout for row in TABLE} - {table.BYTES} == set(VALUES)


def test_canonical_addresses_are_what_the_codec_writes():
    assert canonical(ipaddress.ip_address("::ffff:192.0.2.1")) == "::ffff:192.0.2.1"
