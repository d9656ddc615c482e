"""The one table of STUN attributes: those of STUN itself, of ICE, of TURN, and a few of other usages.

A row says everything about an attribute: its code, its name, how its value is read and written, how many bytes the
value may have, and which RFC section says so. Codec, tests and documentation read the same table.

RFC 8489 section 14: types 0x0000 to 0x7FFF are comprehension-required (a receiver that does not know one cannot process
the message), 0x8000 to 0xFFFF comprehension-optional (a receiver that does not know one ignores it).
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import attrs

from sans_rtc.stun import values
from sans_rtc.stun.values import Parse, Serialize


class AttributeType(IntEnum):
    """The attributes that this library knows, by the registry's names."""

    MAPPED_ADDRESS = 0x0001
    CHANGE_REQUEST = 0x0003
    USERNAME = 0x0006
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    CHANNEL_NUMBER = 0x000C
    LIFETIME = 0x000D
    XOR_PEER_ADDRESS = 0x0012
    DATA = 0x0013
    REALM = 0x0014
    NONCE = 0x0015
    XOR_RELAYED_ADDRESS = 0x0016
    REQUESTED_ADDRESS_FAMILY = 0x0017
    EVEN_PORT = 0x0018
    REQUESTED_TRANSPORT = 0x0019
    DONT_FRAGMENT = 0x001A
    ACCESS_TOKEN = 0x001B
    MESSAGE_INTEGRITY_SHA256 = 0x001C
    PASSWORD_ALGORITHM = 0x001D
    USERHASH = 0x001E
    XOR_MAPPED_ADDRESS = 0x0020
    RESERVATION_TOKEN = 0x0022
    PRIORITY = 0x0024
    USE_CANDIDATE = 0x0025
    PADDING = 0x0026
    RESPONSE_PORT = 0x0027
    CONNECTION_ID = 0x002A
    ADDITIONAL_ADDRESS_FAMILY = 0x8000
    ADDRESS_ERROR_CODE = 0x8001
    PASSWORD_ALGORITHMS = 0x8002
    ALTERNATE_DOMAIN = 0x8003
    ICMP = 0x8004
    SOFTWARE = 0x8022
    ALTERNATE_SERVER = 0x8023
    TRANSACTION_TRANSMIT_COUNTER = 0x8025
    CACHE_TIMEOUT = 0x8027
    FINGERPRINT = 0x8028
    ICE_CONTROLLED = 0x8029
    ICE_CONTROLLING = 0x802A
    RESPONSE_ORIGIN = 0x802B
    OTHER_ADDRESS = 0x802C
    THIRD_PARTY_AUTHORIZATION = 0x802E
    MOBILITY_TICKET = 0x8030
    NOMINATION = 0xC001
    GOOG_NETWORK_INFO = 0xC057
    GOOG_MISC_INFO = 0xC059
    META_DTLS_IN_STUN = 0xC070
    META_DTLS_IN_STUN_ACK = 0xC071


class Layout(NamedTuple):
    """How a value is read and written."""

    parse: Parse
    serialize: Serialize


ADDRESS = Layout(values.parse_address, values.serialize_address)
XOR_ADDRESS = Layout(values.parse_xor_address, values.serialize_xor_address)
USERNAME_TEXT = Layout(values.parse_text, values.serialize_username)
TEXT = Layout(values.parse_text, values.serialize_text)
DIAGNOSTIC_TEXT = Layout(values.parse_diagnostic_text, values.serialize_text)
BYTES = Layout(values.parse_bytes, values.serialize_bytes)
FLAG = Layout(values.parse_flag, values.serialize_flag)
UINT32 = Layout(values.parse_uint32, values.serialize_uint32)
UINT64 = Layout(values.parse_uint64, values.serialize_uint64)
HIGH_UINT16 = Layout(values.parse_high_uint16, values.serialize_high_uint16)
HIGH_UINT8 = Layout(values.parse_high_uint8, values.serialize_high_uint8)
HIGH_BIT = Layout(values.parse_high_bit, values.serialize_high_bit)
ERROR = Layout(values.parse_error_code, values.serialize_error_code)
ADDRESS_ERROR = Layout(values.parse_address_error_code, values.serialize_address_error_code)
TYPES = Layout(values.parse_types, values.serialize_types)
ALGORITHM = Layout(values.parse_password_algorithm, values.serialize_password_algorithm)
ALGORITHMS = Layout(values.parse_password_algorithms, values.serialize_password_algorithms)
ICMP_ERROR = Layout(values.parse_icmp, values.serialize_icmp)

# What the 16-bit length of a message leaves for one value: 65532 (a multiple of 4) less the 4 bytes of its header.
VALUE_BYTES_MAX = 65528
# RFC 8489 sections 14.8 to 14.10, 14.14: "as long as 763 bytes when decoding them"; two dozen for an error's 4 bytes.
TEXT_BYTES_MAX = 763


@attrs.frozen(slots=True)
class AttributeRow:
    """One line of the table.

    type       the code, a member of AttributeType
    layout     how the value is read and written
    size_min   fewest bytes of a value, padding not counted
    size_max   most bytes of a value
    section    the RFC section that defines it
    name       as the registry writes it
    """

    type: AttributeType
    layout: Layout
    size_min: int
    size_max: int
    section: str

    @property
    def name(self) -> str:
        """The name as RFCs write it: XOR-MAPPED-ADDRESS."""
        return self.type.name.replace("_", "-")


_A = AttributeType
TABLE: tuple[AttributeRow, ...] = (
    AttributeRow(_A.MAPPED_ADDRESS, ADDRESS, 8, 20, "RFC 8489 14.1"),
    AttributeRow(_A.CHANGE_REQUEST, UINT32, 4, 4, "RFC 5780 7.2"),
    AttributeRow(_A.USERNAME, USERNAME_TEXT, 0, TEXT_BYTES_MAX, "RFC 8489 14.3"),
    AttributeRow(_A.MESSAGE_INTEGRITY, BYTES, 20, 20, "RFC 8489 14.5"),
    AttributeRow(_A.ERROR_CODE, ERROR, 4, TEXT_BYTES_MAX + 4, "RFC 8489 14.8"),
    AttributeRow(_A.UNKNOWN_ATTRIBUTES, TYPES, 0, VALUE_BYTES_MAX, "RFC 8489 14.13"),
    AttributeRow(_A.CHANNEL_NUMBER, HIGH_UINT16, 4, 4, "RFC 8656 18.1"),
    AttributeRow(_A.LIFETIME, UINT32, 4, 4, "RFC 8656 18.2"),
    AttributeRow(_A.XOR_PEER_ADDRESS, XOR_ADDRESS, 8, 20, "RFC 8656 18.3"),
    AttributeRow(_A.DATA, BYTES, 0, VALUE_BYTES_MAX, "RFC 8656 18.4"),
    AttributeRow(_A.REALM, TEXT, 0, TEXT_BYTES_MAX, "RFC 8489 14.9"),
    AttributeRow(_A.NONCE, BYTES, 0, TEXT_BYTES_MAX, "RFC 8489 14.10"),
    AttributeRow(_A.XOR_RELAYED_ADDRESS, XOR_ADDRESS, 8, 20, "RFC 8656 18.5"),
    AttributeRow(_A.REQUESTED_ADDRESS_FAMILY, HIGH_UINT8, 4, 4, "RFC 8656 18.6"),
    AttributeRow(_A.EVEN_PORT, HIGH_BIT, 1, 1, "RFC 8656 18.7"),
    AttributeRow(_A.REQUESTED_TRANSPORT, HIGH_UINT8, 4, 4, "RFC 8656 18.8"),
    AttributeRow(_A.DONT_FRAGMENT, FLAG, 0, 0, "RFC 8656 18.9"),
    AttributeRow(_A.ACCESS_TOKEN, BYTES, 0, VALUE_BYTES_MAX, "RFC 7635 6.2"),
    AttributeRow(_A.MESSAGE_INTEGRITY_SHA256, BYTES, 16, 32, "RFC 8489 14.6"),
    AttributeRow(_A.PASSWORD_ALGORITHM, ALGORITHM, 4, VALUE_BYTES_MAX, "RFC 8489 14.12"),
    AttributeRow(_A.USERHASH, BYTES, 32, 32, "RFC 8489 14.4"),
    AttributeRow(_A.XOR_MAPPED_ADDRESS, XOR_ADDRESS, 8, 20, "RFC 8489 14.2"),
    AttributeRow(_A.RESERVATION_TOKEN, BYTES, 8, 8, "RFC 8656 18.10"),
    AttributeRow(_A.PRIORITY, UINT32, 4, 4, "RFC 8445 7.1.1"),
    AttributeRow(_A.USE_CANDIDATE, FLAG, 0, 0, "RFC 8445 7.1.2"),
    AttributeRow(_A.PADDING, BYTES, 0, VALUE_BYTES_MAX, "RFC 5780 7.6"),
    AttributeRow(_A.RESPONSE_PORT, HIGH_UINT16, 4, 4, "RFC 5780 7.5"),
    AttributeRow(_A.CONNECTION_ID, UINT32, 4, 4, "RFC 6062 6.2.1"),
    AttributeRow(_A.ADDITIONAL_ADDRESS_FAMILY, HIGH_UINT8, 4, 4, "RFC 8656 18.11"),
    AttributeRow(_A.ADDRESS_ERROR_CODE, ADDRESS_ERROR, 4, TEXT_BYTES_MAX + 4, "RFC 8656 18.12"),
    AttributeRow(_A.PASSWORD_ALGORITHMS, ALGORITHMS, 0, VALUE_BYTES_MAX, "RFC 8489 14.11"),
    AttributeRow(_A.ALTERNATE_DOMAIN, TEXT, 0, 255, "RFC 8489 14.16"),
    AttributeRow(_A.ICMP, ICMP_ERROR, 8, 8, "RFC 8656 18.13"),
    AttributeRow(_A.SOFTWARE, DIAGNOSTIC_TEXT, 0, TEXT_BYTES_MAX, "RFC 8489 14.14"),
    AttributeRow(_A.ALTERNATE_SERVER, ADDRESS, 8, 20, "RFC 8489 14.15"),
    AttributeRow(_A.TRANSACTION_TRANSMIT_COUNTER, UINT32, 4, 4, "RFC 7982 3.1"),
    AttributeRow(_A.CACHE_TIMEOUT, UINT32, 4, 4, "RFC 5780 7.1"),
    AttributeRow(_A.FINGERPRINT, UINT32, 4, 4, "RFC 8489 14.7"),
    AttributeRow(_A.ICE_CONTROLLED, UINT64, 8, 8, "RFC 8445 7.1.3"),
    AttributeRow(_A.ICE_CONTROLLING, UINT64, 8, 8, "RFC 8445 7.1.3"),
    AttributeRow(_A.RESPONSE_ORIGIN, ADDRESS, 8, 20, "RFC 5780 7.3"),
    AttributeRow(_A.OTHER_ADDRESS, ADDRESS, 8, 20, "RFC 5780 7.4"),
    AttributeRow(_A.THIRD_PARTY_AUTHORIZATION, TEXT, 0, TEXT_BYTES_MAX, "RFC 7635 6.1"),
    AttributeRow(_A.MOBILITY_TICKET, BYTES, 0, VALUE_BYTES_MAX, "RFC 8016 5"),
    AttributeRow(_A.NOMINATION, UINT32, 4, 4, "draft-thatcher-ice-renomination 3"),
    # Not in an RFC; libwebrtc sends a network id and a network cost of 16 bits each.
    AttributeRow(_A.GOOG_NETWORK_INFO, UINT32, 4, 4, "libwebrtc"),
    AttributeRow(_A.GOOG_MISC_INFO, BYTES, 0, VALUE_BYTES_MAX, "libwebrtc"),
    AttributeRow(_A.META_DTLS_IN_STUN, BYTES, 0, VALUE_BYTES_MAX, "libwebrtc"),
    AttributeRow(_A.META_DTLS_IN_STUN_ACK, BYTES, 0, VALUE_BYTES_MAX, "libwebrtc"),
)

ROWS: dict[int, AttributeRow] = {int(row.type): row for row in TABLE}
"""The table by code."""


def is_comprehension_required(code: int) -> bool:
    """True where a receiver that does not know the attribute must refuse the message (RFC 8489 section 14)."""
    return code < 0x8000


def attribute_name(code: int) -> str:
    """The attribute's name for people; its number where the table has none."""
    row = ROWS.get(code)
    return row.name if row is not None else f"0x{code:04X}"
