"""STUN and TURN messages (RFC 8489, RFC 8445, RFC 8656, RFC 6062), and ChannelData."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from sans_rtc.machine import Address
from sans_rtc.stun import attributes as table
from sans_rtc.stun.attributes import ROWS, TABLE, AttributeRow, AttributeType, Layout
from sans_rtc.stun.integrity import IntegrityAlgorithm
from sans_rtc.stun.values import AddressErrorCode, ErrorCode, Icmp, PasswordAlgorithmEntry, host_text
from sans_rtc.stun.wire import Attribute, Message, MessageClass, Method, serialize_message
from sans_rtc.testing.strategies.nearly import U8, U16, U32, U64, nearly
from sans_rtc.turn.channel_data import CHANNEL_NUMBER_MAX, CHANNEL_NUMBER_MIN, serialize_channel_data

_VALUE_BYTES_MAX = 64
_TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
_CODES = st.builds(lambda hundreds, number: hundreds * 100 + number, st.integers(3, 6), st.integers(0, 99))
_PROOFS = (AttributeType.MESSAGE_INTEGRITY, AttributeType.MESSAGE_INTEGRITY_SHA256, AttributeType.FINGERPRINT)


def addresses() -> SearchStrategy[Address]:
    """`Address`: IPv4 or IPv6 in the one spelling that parsers give, and a port of 0 to 65535."""
    packed = st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16))
    return st.builds(Address, packed.map(host_text), U16)


def _algorithms() -> SearchStrategy[PasswordAlgorithmEntry]:
    return st.builds(PasswordAlgorithmEntry, U16, st.binary(max_size=8))


_VALUES: dict[Layout, SearchStrategy[object]] = {
    table.ADDRESS: addresses(),
    table.XOR_ADDRESS: addresses(),
    table.USERNAME_TEXT: _TEXT,
    table.TEXT: _TEXT,
    table.DIAGNOSTIC_TEXT: _TEXT,
    table.FLAG: st.just(True),
    table.UINT32: U32,
    table.UINT64: U64,
    table.HIGH_UINT16: U16,
    table.HIGH_UINT8: U8,
    table.HIGH_BIT: st.booleans(),
    table.ERROR: st.builds(ErrorCode, _CODES, _TEXT),
    table.ADDRESS_ERROR: st.builds(AddressErrorCode, U8, _CODES, _TEXT),
    table.TYPES: st.lists(U16, max_size=6).map(tuple),
    table.ALGORITHM: _algorithms(),
    table.ALGORITHMS: st.lists(_algorithms(), max_size=3).map(tuple),
    table.ICMP_ERROR: st.builds(Icmp, st.integers(0, 127), st.integers(0, 511), st.binary(min_size=4, max_size=4)),
}


def _attribute_of(row: AttributeRow) -> SearchStrategy[Attribute]:
    if row.layout is table.BYTES:
        values: SearchStrategy[object] = st.binary(
            min_size=row.size_min, max_size=max(row.size_min, min(row.size_max, _VALUE_BYTES_MAX))
        )
    else:
        values = _VALUES[row.layout]
    return values.map(lambda value: Attribute(row.type, value))


def stun_attributes(*types: AttributeType) -> SearchStrategy[Attribute]:
    """`Attribute` with a valid value: of these types; by default of any that the table has, or an optional unknown one.

    Never MESSAGE-INTEGRITY and FINGERPRINT, which `serialize_message` makes.
    """
    rows = [ROWS[int(each)] for each in types] or [row for row in TABLE if row.type not in _PROOFS]
    known = st.one_of([_attribute_of(row) for row in rows])
    if types:
        return known
    unknown = st.integers(0x8000, 0xFFFF).filter(lambda code: code not in ROWS)
    return st.one_of(known, st.builds(Attribute, unknown, st.binary(max_size=20)))


def stun_messages(*, methods: tuple[int, ...] = tuple(map(int, Method))) -> SearchStrategy[Message]:
    """`Message`: any class, one of the methods (those of STUN and TURN), up to six attributes in any order."""
    return st.builds(
        Message,
        st.sampled_from(MessageClass),
        st.sampled_from(methods),
        st.binary(min_size=12, max_size=12),
        st.lists(stun_attributes(), max_size=6),
    )


@st.composite
def stun_datagrams(draw: DrawFn, key: bytes | None = None, methods: tuple[int, ...] = tuple(map(int, Method))) -> bytes:
    """The bytes of a valid message: with MESSAGE-INTEGRITY of either kind where a key is given, perhaps FINGERPRINT."""
    algorithm = draw(st.sampled_from(IntegrityAlgorithm))
    message = draw(stun_messages(methods=methods))
    return serialize_message(message, key=key, algorithm=algorithm, fingerprint=draw(st.booleans()))


@st.composite
def _misshapen(draw: DrawFn) -> bytes:
    """The header is right, the attributes are of any type and length: out of order, twice, behind proofs, unknown."""
    body = b""
    for _ in range(draw(st.integers(0, 5))):
        code = draw(st.one_of(st.sampled_from([int(row.type) for row in TABLE]), U16))
        value = draw(st.binary(max_size=28))
        size = len(value) if draw(st.integers(0, 3)) else draw(U16)
        body += code.to_bytes(2, "big") + size.to_bytes(2, "big") + value + bytes(-len(value) % 4)
    head = draw(st.integers(0, 0x3FFF)).to_bytes(2, "big") + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42"
    return head + draw(st.binary(min_size=12, max_size=12)) + body


def nearly_stun_datagrams(key: bytes | None = None) -> SearchStrategy[bytes]:
    """Bytes that are nearly a message: a valid one damaged, or a right header before wrong attributes."""
    return st.one_of(nearly(stun_datagrams(key)), _misshapen())


def channel_data_frames() -> SearchStrategy[bytes]:
    """The bytes of a valid ChannelData message (RFC 8656 section 12.4), padded or not."""
    numbers = st.integers(CHANNEL_NUMBER_MIN, CHANNEL_NUMBER_MAX)
    return st.builds(serialize_channel_data, numbers, st.binary(max_size=64), pad=st.booleans())


def nearly_channel_data_frames() -> SearchStrategy[bytes]:
    """Bytes that are nearly ChannelData."""
    return nearly(channel_data_frames())
