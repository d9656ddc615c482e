"""Codecs: every message and extension there and back, and malformed field by field."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.dtls import messages
from sans_rtc.dtls.alert import Alert, AlertDescription, AlertLevel, parse_alert, serialize_alert
from sans_rtc.dtls.extensions import EXTENSIONS, Extensions, UseSrtp, serialize_extensions, take_extensions
from sans_rtc.dtls.handshake import Fragment, HandshakeMessage, HandshakeType, handshake_name, parse_fragments
from sans_rtc.dtls.messages import MESSAGES
from sans_rtc.errors import Malformed, Truncated, Unsupported, WireError

RANDOM = bytes(range(32))
EXTENSIONS_FULL = Extensions(
    supported_groups=(29, 23),
    ec_point_formats=(0, 1),
    signature_algorithms=(0x0403, 0x0804),
    use_srtp=UseSrtp((7, 1), b"mki"),
    extended_master_secret=b"",
    supported_versions=(0xFEFC, 0xFEFD),
    renegotiation_info=b"",
    unknown=((0x0A0A, b""), (0x3A3A, b"grease")),
)
EXAMPLES = {
    HandshakeType.CLIENT_HELLO: messages.ClientHello(
        0xFEFD, RANDOM, b"id", b"cookie", (0xC02B, 0x0A0A), b"\x00", EXTENSIONS_FULL
    ),
    HandshakeType.HELLO_VERIFY_REQUEST: messages.HelloVerifyRequest(0xFEFF, b"cookie"),
    HandshakeType.SERVER_HELLO: messages.ServerHello(
        0xFEFD, RANDOM, b"", 0xC02B, 0, Extensions(extended_master_secret=b"")
    ),
    HandshakeType.CERTIFICATE: messages.CertificateList((b"first", b"second")),
    HandshakeType.SERVER_KEY_EXCHANGE: messages.ServerKeyExchange(29, bytes(32), 0x0403, b"signature"),
    HandshakeType.CERTIFICATE_REQUEST: messages.CertificateRequest(b"\x40\x01", (0x0403,), (b"name",)),
    HandshakeType.SERVER_HELLO_DONE: messages.ServerHelloDone(),
    HandshakeType.CLIENT_KEY_EXCHANGE: messages.ClientKeyExchange(bytes(32)),
    HandshakeType.CERTIFICATE_VERIFY: messages.CertificateVerify(0x0403, b"signature"),
    HandshakeType.FINISHED: messages.Finished(bytes(12)),
}


def test_the_examples_are_all_messages():
    assert EXAMPLES.keys() == MESSAGES.keys()


@pytest.mark.parametrize("type_", MESSAGES)
def test_message_survives_the_round_trip(type_):
    row = MESSAGES[type_]
    assert row.parse(row.serialize(EXAMPLES[type_])) == EXAMPLES[type_]


@pytest.mark.parametrize("type_", MESSAGES)
def test_every_truncation_is_a_wire_error_or_a_shorter_message(type_):
    row = MESSAGES[type_]
    body = row.serialize(EXAMPLES[type_])
    for size in range(len(body)):
        try:
            parsed = row.parse(body[:size])
        except WireError:
            continue
        assert row.serialize(parsed) == body[:size]  # a hello may end before its extensions


@pytest.mark.parametrize("type_", [type_ for type_ in MESSAGES if type_ is not HandshakeType.FINISHED])
def test_bytes_behind_the_message_are_malformed(type_):
    row = MESSAGES[type_]
    with pytest.raises(WireError):
        row.parse(row.serialize(EXAMPLES[type_]) + b"\x00")


CLIENT_HELLO = HandshakeType.CLIENT_HELLO
SERVER_HELLO = HandshakeType.SERVER_HELLO
HEAD = b"\xfe\xfd" + RANDOM
TAIL = b"\x00\x02\xc0\x2b\x01\x00"


@pytest.mark.proves("RFC5246-7.4.1.4-3-54a5")
@pytest.mark.parametrize(
    ("type_", "body", "field"),
    [
        (CLIENT_HELLO, b"\xfe", "client_version"),
        (CLIENT_HELLO, HEAD[:-1], "random"),
        (CLIENT_HELLO, HEAD + b"\x21" + bytes(33) + b"\x00" + TAIL, "session_id"),
        (CLIENT_HELLO, HEAD + b"\x00\x05cook", "cookie"),
        (CLIENT_HELLO, HEAD + b"\x00\x00" + b"\x00\x00\x01\x00", "cipher_suites"),
        (CLIENT_HELLO, HEAD + b"\x00\x00" + b"\x00\x03\xc0\x2b\xc0\x01\x00", "cipher_suites"),
        (CLIENT_HELLO, HEAD + b"\x00\x00" + b"\x00\x02\xc0\x2b\x00", "compression_methods"),
        (CLIENT_HELLO, HEAD + b"\x00\x00" + TAIL + b"\x00\x05\x00\x17\x00\x00", "extensions"),
        (CLIENT_HELLO, HEAD + b"\x00\x00" + TAIL + b"\x00\x03\x00\x17\x00", "extension_data"),
        (CLIENT_HELLO, HEAD + b"\x00\x00" + TAIL + b"\x00\x01\x00", "extension_type"),
        (CLIENT_HELLO, HEAD + b"\x00\x00" + TAIL + b"\x00\x08\x00\x17\x00\x00\x00\x17\x00\x00", "extension_type"),
        (HandshakeType.HELLO_VERIFY_REQUEST, b"\xfe\xff\x02c", "cookie"),
        (SERVER_HELLO, HEAD + b"\x21" + bytes(33) + b"\xc0\x2b\x00", "session_id"),
        (SERVER_HELLO, HEAD + b"\x00\xc0", "cipher_suite"),
        (SERVER_HELLO, HEAD + b"\x00\xc0\x2b", "compression_method"),
        (HandshakeType.CERTIFICATE, b"\x00\x00\x05\x00\x00\x01x", "certificate_list"),
        (HandshakeType.CERTIFICATE, b"\x00\x00\x04\x00\x00\x02x", "ASN.1Cert"),
        (HandshakeType.CERTIFICATE, b"\x00\x00\x03\x00\x00\x00", "ASN.1Cert"),
        (HandshakeType.SERVER_KEY_EXCHANGE, b"\x01\x00\x1d", "curve_type"),
        (HandshakeType.SERVER_KEY_EXCHANGE, b"\x03\x00", "namedcurve"),
        (HandshakeType.SERVER_KEY_EXCHANGE, b"\x03\x00\x1d\x00\x04\x03\x00\x00", "public"),
        (HandshakeType.SERVER_KEY_EXCHANGE, b"\x03\x00\x1d\x01p\x04", "algorithm"),
        (HandshakeType.SERVER_KEY_EXCHANGE, b"\x03\x00\x1d\x01p\x04\x03\x00\x02s", "signature"),
        (HandshakeType.CERTIFICATE_REQUEST, b"\x00\x00\x00\x00\x00", "certificate_types"),
        (HandshakeType.CERTIFICATE_REQUEST, b"\x01\x40\x00\x01\x04\x00\x00", "supported_signature_algorithms"),
        (HandshakeType.CERTIFICATE_REQUEST, b"\x01\x40\x00\x00\x00\x02\x00\x00", "DistinguishedName"),
        (HandshakeType.SERVER_HELLO_DONE, b"\x00", "server_hello_done"),
        (HandshakeType.CLIENT_KEY_EXCHANGE, b"\x00", "ecdh_Yc"),
        (HandshakeType.CLIENT_KEY_EXCHANGE, b"\x02p", "ecdh_Yc"),
        (HandshakeType.CERTIFICATE_VERIFY, b"\x04", "algorithm"),
        (HandshakeType.CERTIFICATE_VERIFY, b"\x04\x03\x00\x02s", "signature"),
        (HandshakeType.FINISHED, b"", "verify_data"),
    ],
)
def test_malformed_field_is_named(type_, body, field):
    with pytest.raises(WireError) as caught:
        MESSAGES[type_].parse(body)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("supported_groups", b"\x00\x00"),
        ("supported_groups", b"\x00\x03\x00\x1d\x00"),
        ("supported_groups", b"\x00\x02\x00\x1d\x00"),
        ("ec_point_formats", b"\x00"),
        ("ec_point_formats", b"\x01\x00\x00"),
        ("signature_algorithms", b"\x00\x01\x04"),
        ("use_srtp", b"\x00\x00\x00"),
        ("use_srtp", b"\x00\x02\x00\x01"),
        ("use_srtp", b"\x00\x02\x00\x01\x01"),
        ("use_srtp", b"\x00\x01\x00\x00"),
        ("extended_master_secret", b"\x00"),
        ("supported_versions", b"\x00"),
        ("supported_versions", b"\x03\xfe\xfd\xfe"),
        ("renegotiation_info", b""),
        ("renegotiation_info", b"\x01"),
    ],
)
def test_malformed_extension_is_a_wire_error(name, body):
    code = next(type_ for type_, row in EXTENSIONS.items() if row.field == name)
    block = code.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body
    with pytest.raises(WireError):
        take_extensions(len(block).to_bytes(2, "big") + block, 0)


def test_extensions_survive_the_round_trip_in_any_order():
    data = serialize_extensions(EXTENSIONS_FULL)
    parsed = take_extensions(data, 0)
    assert parsed == EXTENSIONS_FULL
    assert len(parsed.types) == 9
    reordered = take_extensions(len(data[2:]).to_bytes(2, "big") + shuffled(data[2:]), 0)
    assert reordered.types == tuple(reversed(parsed.types))
    reordered.unknown = tuple(reversed(reordered.unknown))
    assert reordered == EXTENSIONS_FULL


def shuffled(block):
    parts = []
    while block:
        size = 4 + int.from_bytes(block[2:4], "big")
        parts.append(block[:size])
        block = block[size:]
    return b"".join(reversed(parts))


def test_hello_without_extensions_has_none():
    assert take_extensions(b"", 0) == Extensions()
    assert serialize_extensions(Extensions()) == b""


def test_every_extension_and_message_says_where_it_is_specified():
    for row in [*EXTENSIONS.values(), *MESSAGES.values()]:
        assert row.section.startswith("RFC ")


MESSAGE = HandshakeMessage(HandshakeType.CERTIFICATE, 5, bytes(range(100)))


def test_message_is_one_fragment_of_itself():
    assert parse_fragments(MESSAGE.serialize()) == [Fragment(11, 100, 5, 0, MESSAGE.body)]


def test_record_may_hold_several_fragments():
    data = MESSAGE.serialize_fragment(0, 40) + MESSAGE.serialize_fragment(40, 60)
    assert [(f.offset, f.body) for f in parse_fragments(data)] == [(0, MESSAGE.body[:40]), (40, MESSAGE.body[40:])]


def test_long_offsets_use_all_24_bits():
    message = HandshakeMessage(1, 65535, bytes(70000))
    (fragment,) = parse_fragments(message.serialize_fragment(69990, 10))
    assert fragment == Fragment(1, 70000, 65535, 69990, bytes(10))


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", Truncated),
        (MESSAGE.serialize()[:11], Truncated),
        (MESSAGE.serialize()[:-1], Truncated),
        (MESSAGE.serialize() + b"\x00", Truncated),
        (b"\x0b\x00\x00\x04\x00\x00\x00\x00\x02\x00\x00\x03abc", Malformed),
        (b"\x0b\x00\x00\x04\x00\x00\x00\x00\x04\x00\x00\x00", Malformed),
    ],
)
def test_malformed_fragment_is_a_wire_error(data, kind):
    with pytest.raises(kind):
        parse_fragments(data)


def test_empty_message_has_an_empty_fragment():
    assert parse_fragments(b"\x0e" + bytes(11)) == [Fragment(14, 0, 0, 0, b"")]


def test_unknown_message_types_have_a_name_for_people():
    assert handshake_name(20) == "finished"
    assert handshake_name(77) == "handshake type 77"


def test_alert_survives_the_round_trip():
    alert = Alert(AlertLevel.FATAL, AlertDescription.HANDSHAKE_FAILURE)
    assert parse_alert(serialize_alert(alert)) == alert
    assert alert.name == "handshake_failure"


def test_unknown_alert_description_is_kept():
    assert parse_alert(b"\x02\xc8") == Alert(AlertLevel.FATAL, 200)
    assert parse_alert(b"\x02\xc8").name == "alert 200"


@pytest.mark.parametrize("data", [b"", b"\x02", b"\x02\x28\x00", b"\x00\x28", b"\x03\x28"])
def test_malformed_alert_is_a_wire_error(data):
    with pytest.raises(WireError):
        parse_alert(data)


def test_explicit_curves_are_unsupported():
    with pytest.raises(Unsupported):
        messages.parse_server_key_exchange(b"\x02" + bytes(50))


@settings(deadline=None)
@given(type_=st.sampled_from(sorted(MESSAGES)), body=st.binary(max_size=400))
def test_any_body_parses_or_is_a_wire_error(type_, body):
    try:
        parsed = MESSAGES[type_].parse(body)
    except WireError:
        return
    again = MESSAGES[type_].parse(MESSAGES[type_].serialize(parsed))
    assert again == parsed


@settings(deadline=None)
@given(data=st.binary(max_size=300))
def test_any_bytes_are_fragments_or_a_wire_error(data):
    try:
        fragments = parse_fragments(data)
    except WireError:
        return
    assert sum(12 + len(fragment.body) for fragment in fragments) == len(data)
