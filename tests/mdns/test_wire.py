"""DNS messages: vectors, round trip, compression and its traps, every field malformed in turn."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, WireError
from sans_rtc.mdns.wire import (
    ENTRY_COUNT_MAX,
    MESSAGE_BYTES_MAX,
    NAME_BYTES_MAX,
    NAME_STEPS_MAX,
    DnsMessage,
    Question,
    Record,
    RecordType,
    address_record,
    name_key,
    parse_message,
    serialize_message,
    serialize_name,
)

bounded = settings(max_examples=150, deadline=None)


def message(body, *, questions=0, answers=0, flags=0x8400):
    return struct.pack("!6H", 0, flags, questions, answers, 0, 0) + body


def question(name):
    return name + struct.pack("!HH", 1, 1)


def parse_names(*names):
    """The names of as many questions, each given as bytes, as they are parsed."""
    data = message(b"".join(map(question, names)), questions=len(names))
    return [q.name for q in parse_message(data).questions]


# --- vectors


def test_query_as_a_browser_sends_it():
    data = bytes.fromhex("000000000001000000000000" + "0474657374056c6f63616c00" + "00018001")
    expected = DnsMessage(questions=[Question("test.local", RecordType.A, wants_unicast=True)])
    assert parse_message(data) == expected
    assert serialize_message(expected) == data


def test_response_as_a_browser_sends_it():
    data = bytes.fromhex(
        "000084000000000100000000" + "0474657374056c6f63616c00" + "0001" + "8001" + "00000078" + "0004" + "c0000214"
    )
    expected = DnsMessage(
        is_response=True,
        is_authoritative=True,
        answers=[Record("test.local", RecordType.A, 120, bytes([192, 0, 2, 20]), flushes_cache=True)],
    )
    assert parse_message(data) == expected
    assert serialize_message(expected) == data
    assert expected.answers[0].host == "192.0.2.20"


def test_compressed_example_of_rfc_1035():
    # Section 4.1.4: F.ISI.ARPA at 20, FOO.F.ISI.ARPA at 40 with a pointer, ARPA as a pointer to 26, the root at 92.
    data = bytearray(12 + 81)
    data[:12] = struct.pack("!6H", 0, 0, 0, 0, 0, 0)
    data[20:32] = b"\x01F\x03ISI\x04ARPA\0"
    data[40:46] = b"\x03FOO\xc0\x14"
    data[64:66] = b"\xc0\x1a"
    data[92:93] = b"\0"
    from sans_rtc.mdns.wire import _Names

    names = _Names(bytes(data))
    assert names.read(20) == ("F.ISI.ARPA", 32)
    assert names.read(40) == ("FOO.F.ISI.ARPA", 46)
    assert names.read(64) == ("ARPA", 66)
    assert names.read(92) == ("", 93)


# --- header


@pytest.mark.parametrize("size", range(12))
def test_less_than_a_header_is_truncated(size):
    with pytest.raises(Truncated):
        parse_message(bytes(size))


@pytest.mark.parametrize(
    ("flags", "field", "value"),
    [
        (0x8000, "is_response", True),
        (0x0400, "is_authoritative", True),
        (0x0200, "is_truncated", True),
        (0x7800, "opcode", 15),
        (0x000F, "response_code", 15),
    ],
)
def test_flag_is_parsed_and_serialized(flags, field, value):
    parsed = parse_message(message(b"", flags=flags))
    assert parsed == DnsMessage(**{field: value})
    assert serialize_message(parsed) == message(b"", flags=flags)


def test_bytes_behind_the_last_record_are_ignored():
    assert parse_message(message(b"\xff" * 9)) == DnsMessage(is_response=True, is_authoritative=True)


# --- names


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        (b"\0", ""),
        (b"\x05local\0", "local"),
        (b"\x04Test\x05LOCAL\0", "Test.LOCAL"),
        (b"\x0dDr. Pepper 42\x05_http\0", "Dr\\. Pepper 42._http"),
        (b"\x03a\\b\0", "a\\\\b"),
        ("\x05ü日\0".encode(), "ü日"),
        (b"\x02\xff\x80\0", "\\255\\128"),
        (b"\x01\0\0", "\0"),
    ],
)  # fmt: skip
def test_name_is_written_as_text_and_back(wire, text):
    assert parse_names(wire) == [text]
    assert serialize_name(text) == wire


def test_final_dot_of_a_name_is_allowed():
    assert serialize_name("a.local.") == serialize_name("a.local") == b"\x01a\x05local\0"


@pytest.mark.parametrize(
    "text", [".", "..", "a..b", ".a", "a" * 64, "ü" * 32, "a\\", "\\1", "\\12x", "\\256", "\ud800"]
)
def test_text_that_is_no_name_is_refused(text):
    with pytest.raises(InvalidArgument):
        serialize_name(text)


def test_longest_name_is_255_bytes():
    longest = ".".join(["a" * 63] * 3 + ["a" * 61])
    assert len(serialize_name(longest)) == NAME_BYTES_MAX
    assert parse_names(serialize_name(longest)) == [longest]
    with pytest.raises(InvalidArgument):
        serialize_name(longest + "a")


def test_longer_name_on_the_wire_is_malformed():
    with pytest.raises(Malformed):
        parse_names((b"\x3f" + b"a" * 63) * 4 + b"\0")


@pytest.mark.parametrize("length", [0x40, 0x7F, 0x80, 0xBF])
def test_label_length_of_a_reserved_kind_is_malformed(length):
    with pytest.raises(Malformed):
        parse_names(bytes([length]) + b"a" * length + b"\0")


@pytest.mark.parametrize("body", [b"", b"\x05loca", b"\x05local", b"\xc0"])
def test_name_without_its_end_is_truncated(body):
    with pytest.raises(Truncated):
        parse_message(message(body, questions=1))


def test_pointer_leads_to_an_earlier_name():
    assert parse_names(b"\x04test\x05local\0", b"\x03foo\xc0\x11", b"\xc0\x0c", b"\x01b\xc0\x1c") == [
        "test.local",
        "foo.local",
        "test.local",
        "b.foo.local",
    ]


@pytest.mark.parametrize("pointer", [b"\xc0\x0c", b"\xc0\x0d", b"\xc0\x20", b"\xff\xff", b"\xc0\x00", b"\xc0\x0b"])
def test_pointer_to_itself_forward_or_into_the_header_is_malformed(pointer):
    with pytest.raises(Malformed):
        parse_names(pointer)


def test_pointer_into_the_labels_before_it_is_malformed():
    with pytest.raises(Malformed):
        parse_names(b"\x01a\xc0\x0c")


def test_pointers_that_point_at_each_other_are_malformed():
    with pytest.raises(Malformed):
        parse_names(b"\x01a\xc0\x14", b"\x01b\xc0\x0c")


def chain(count):
    """As many questions, each a pointer to the name of the question before; the first is a name."""
    names = [b"\x01a\0"]
    offset = 12
    for _ in range(count):
        names.append(struct.pack("!H", 0xC000 | offset))
        offset += len(names[-2]) + 4
    return names


def test_chain_of_pointers_is_followed():
    assert parse_names(*chain(200)) == ["a"] * 201


def test_chain_of_pointers_met_from_its_far_end_is_bounded():
    # Pointers in data that no one has read yet, so that nothing of the chain is known.
    def body(count):
        data = b"\x01a\0" + b"".join(struct.pack("!H", 0xC000 | (24 + 2 * i if i else 23)) for i in range(count))
        record = b"\0" + struct.pack("!HHIH", 16, 1, 0, len(data)) + data
        last = 12 + len(record) - 2
        return message(record + struct.pack("!H", 0xC000 | last) + struct.pack("!HHIH", 16, 1, 0, 0), answers=2)

    # The data of the first record begins at 12 + 1 + 10 = 23, the pointers at 26.
    assert parse_message(body(NAME_STEPS_MAX - 10)).answers[1].name == "a"
    with pytest.raises(Malformed):
        parse_message(body(NAME_STEPS_MAX + 10))


def test_names_that_pointers_make_too_long_are_malformed():
    longest = serialize_name(".".join(["a" * 63] * 3 + ["a" * 61]))
    assert len(parse_names(longest, b"\xc0\x0c")) == 2
    with pytest.raises(Malformed):
        parse_names(longest, b"\x01b\xc0\x0c")
    with pytest.raises(Malformed):
        parse_names(longest, b"\xc0\x0c", b"\x01b\xc0\x0c")


def test_names_compare_without_case_in_ascii_only():
    assert name_key("Test.LOCAL.") == name_key("tEST.local")
    assert name_key("Ä.local") != name_key("ä.local")


# --- questions and records


@pytest.mark.parametrize("size", range(1, 4))
def test_question_cut_short_is_truncated(size):
    with pytest.raises(Truncated):
        parse_message(message(b"\0" + bytes(size), questions=1))


@pytest.mark.parametrize("size", range(1, 10))
def test_record_header_cut_short_is_truncated(size):
    with pytest.raises(Truncated):
        parse_message(message(b"\0" + bytes(size), answers=1))


@pytest.mark.parametrize("size", [5, 0xFFFF])
def test_record_data_beyond_the_message_is_truncated(size):
    with pytest.raises(Truncated):
        parse_message(message(b"\0" + struct.pack("!HHIH", 1, 1, 0, size) + bytes(4), answers=1))


def test_ttl_with_the_top_bit_counts_as_zero():
    data = message(b"\0" + struct.pack("!HHIH", 1, 1, 0x80000000, 0), answers=1)
    assert parse_message(data).answers[0].ttl_s == 0


@pytest.mark.parametrize(
    ("record", "host"),
    [
        (Record("a", RecordType.A, 1, bytes([10, 0, 0, 1])), "10.0.0.1"),
        (Record("a", RecordType.AAAA, 1, bytes(15) + b"\1"), "::1"),
        (Record("a", RecordType.A, 1, bytes(3)), None),
        (Record("a", RecordType.A, 1, bytes(16)), None),
        (Record("a", RecordType.AAAA, 1, bytes(4)), None),
        (Record("a", RecordType.TXT, 1, bytes(4)), None),
        (Record("a", RecordType.A, 1, bytes(4), record_class=3), None),
    ],
)
def test_host_is_that_of_a_well_formed_address_record(record, host):
    assert record.host == host


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1", "fe80::1%eth0"])
def test_address_record_has_the_type_of_its_address(host):
    record = address_record("a.local", host, 120)
    assert record.host == host.partition("%")[0]
    assert record.type == (RecordType.AAAA if ":" in host else RecordType.A)


@pytest.mark.parametrize("host", ["", "a.local", "1.2.3", ":::"])
def test_address_record_needs_an_address(host):
    with pytest.raises(InvalidArgument):
        address_record("a.local", host, 120)


# --- limits


def test_message_with_too_many_entries_is_malformed_before_they_are_read():
    with pytest.raises(Malformed) as caught:
        parse_message(message(b"", answers=ENTRY_COUNT_MAX + 1))
    assert caught.value.field == "counts"
    with pytest.raises(InvalidArgument):
        serialize_message(DnsMessage(questions=[Question("", 1)] * (ENTRY_COUNT_MAX + 1)))


def test_message_of_more_than_9000_bytes_is_malformed():
    assert parse_message(message(bytes(MESSAGE_BYTES_MAX - 12))).is_response
    with pytest.raises(Malformed):
        parse_message(message(bytes(MESSAGE_BYTES_MAX - 11)))
    with pytest.raises(InvalidArgument):
        serialize_message(DnsMessage(answers=[Record("", 16, 0, bytes(MESSAGE_BYTES_MAX))]))


@pytest.mark.parametrize(
    "broken",
    [
        DnsMessage(id=0x10000),
        DnsMessage(questions=[Question("a", 0x10000)]),
        DnsMessage(questions=[Question("a", -1)]),
        DnsMessage(questions=[Question("a", 1, record_class=0x8000)]),
        DnsMessage(answers=[Record("a", 1, -1, b"")]),
        DnsMessage(answers=[Record("a", 1, 1 << 31, b"")]),
        DnsMessage(answers=[Record("a", 1, 0, bytes(0x10000))]),
        DnsMessage(answers=[Record("a" * 64, 1, 0, b"")]),
    ],
)
def test_message_that_does_not_fit_the_wire_is_refused(broken):
    with pytest.raises(InvalidArgument):
        serialize_message(broken)


# --- properties

LABELS = st.binary(min_size=1, max_size=20)
NAMES = st.lists(LABELS, max_size=6).map(lambda labels: b"".join(bytes([len(x)]) + x for x in labels) + b"\0")
TEXT_NAMES = NAMES.map(lambda wire: parse_names(wire)[0])
UINT16 = st.integers(0, 0xFFFF)
CLASSES = st.integers(0, 0x7FFF)
QUESTIONS = st.lists(st.builds(Question, TEXT_NAMES, UINT16, st.booleans(), CLASSES), max_size=4)
RECORDS = st.lists(
    st.builds(Record, TEXT_NAMES, UINT16, st.integers(0, 2**31 - 1), st.binary(max_size=30), st.booleans(), CLASSES),
    max_size=4,
)
FOUR_BITS = st.integers(0, 15)
FLAG = st.booleans()
MESSAGES = st.builds(DnsMessage, UINT16, FLAG, FLAG, FLAG, FOUR_BITS, FOUR_BITS, QUESTIONS, RECORDS, RECORDS, RECORDS)


@bounded
@given(MESSAGES)
def test_what_is_serialized_is_parsed_back(original):
    data = serialize_message(original)
    assert parse_message(data) == original
    assert serialize_message(parse_message(data)) == data


@bounded
@given(NAMES)
def test_any_labels_survive_as_text(wire):
    assert serialize_name(parse_names(wire)[0]) == wire


@bounded
@given(st.text(max_size=60))
def test_any_text_is_a_name_or_refused(text):
    try:
        wire = serialize_name(text)
    except InvalidArgument:
        return
    assert serialize_name(parse_names(wire)[0]) == wire


@bounded
@given(st.binary(max_size=200), st.lists(st.integers(0, 8), min_size=4, max_size=4))
def test_any_bytes_are_parsed_or_a_wire_error(body, counts):
    try:
        parse_message(struct.pack("!6H", 0, 0x8400, *counts) + body)
    except WireError:
        pass


POINTER_SOUP = st.lists(
    st.sampled_from([b"\0", b"\x01a", b"\x3f" + b"b" * 63, b"\0\1\0\1\0\0\0\0\0\0"])
    | st.integers(0, 90).map(lambda target: struct.pack("!H", 0xC000 | target)),
    max_size=40,
)


@bounded
@given(POINTER_SOUP, st.integers(0, 20))
def test_any_mix_of_labels_and_pointers_is_parsed_or_a_wire_error(parts, count):
    try:
        parsed = parse_message(message(b"".join(parts), answers=count))
    except WireError:
        return
    assert all(len(serialize_name(record.name)) <= NAME_BYTES_MAX for record in parsed.answers)


@bounded
@given(MESSAGES, st.data())
def test_damaged_messages_are_parsed_or_a_wire_error(original, data):
    wire = bytearray(serialize_message(original))
    for _ in range(data.draw(st.integers(1, 4))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_message(bytes(wire))
    except WireError:
        pass


def test_worst_message_takes_few_steps(monkeypatch):
    from sans_rtc.mdns import wire

    calls = []
    monkeypatch.setattr(wire, "_label_text", lambda label: calls.append(1) or "a")
    # One name of 127 labels, and as many records as fit, each pointing at another of its labels.
    names = [b"\x01a" * 126 + b"\0"] + [struct.pack("!H", 0xC000 | 12 + 2 * (i % 126)) for i in range(255)]
    records = b"".join(name + struct.pack("!HHIH", 16, 1, 0, 0) for name in names)
    assert len(parse_message(message(records, answers=256)).answers) == 256
    assert len(calls) <= 127 * 128
