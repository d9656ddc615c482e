"""What STUN attributes hold, and how it is laid out: one pair of functions for each layout.

Every parser takes (value, context) and every serializer (value, context). The context is what the address of an XOR
attribute is masked with: the magic cookie and the transaction id, 16 bytes, as they stand in the header (RFC 8489
section 14.2). A parser is called with a value whose length the table in `attributes` has checked. Serializers are given
the caller's own values, so what is wrong there is an InvalidArgument.
"""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from sans_rtc.errors import InvalidArgument, Malformed
from sans_rtc.machine import Address

Parse: TypeAlias = Callable[[bytes, bytes], object]
Serialize: TypeAlias = Callable[[object, bytes], bytes]

FAMILY_IPV4 = 0x01
FAMILY_IPV6 = 0x02

# RFC 8489 sections 14.8 to 14.10 and 14.14: fewer than 128 characters, "as long as 509 bytes when encoding them".
TEXT_CHARACTERS_MAX = 127
# 14.3: USERNAME has fewer than 509 bytes.
USERNAME_BYTES_MAX = 508

_UINT16 = struct.Struct("!H")
_UINT32 = struct.Struct("!I")
_UINT64 = struct.Struct("!Q")
_UINT16_PAIR = struct.Struct("!HH")
_PLAIN_IPV4 = struct.Struct("!xBH4s")
_PLAIN_IPV6 = struct.Struct("!xBH16s")
_HIGH_UINT16 = struct.Struct("!H2x")
_HIGH_UINT8 = struct.Struct("!B3x")
_ERROR = struct.Struct("!HBB")
_ICMP = struct.Struct("!HH4s")

_IPV4_MAPPED = bytes(10) + b"\xff\xff"


class ErrorCode(NamedTuple):
    """ERROR-CODE (RFC 8489 section 14.8): a code of 300 to 699 and a phrase for people."""

    code: int
    reason: str = ""


class AddressErrorCode(NamedTuple):
    """ADDRESS-ERROR-CODE (RFC 8656 section 18.12): why this address family was not allocated."""

    family: int
    code: int
    reason: str = ""


class PasswordAlgorithmEntry(NamedTuple):
    """One entry of PASSWORD-ALGORITHMS (RFC 8489 section 14.11): a registry number and its parameters."""

    algorithm: int
    parameters: bytes = b""


class Icmp(NamedTuple):
    """ICMP (RFC 8656 section 18.13): the error that a relayed datagram met; `data` holds the MTU where there is one."""

    type: int
    code: int
    data: bytes = bytes(4)


# --- addresses --------------------------------------------------------------------------------------------------------


def host_text(packed: bytes) -> str:
    """Write 4 or 16 address bytes as text: dotted, or as RFC 5952 recommends, the same under every Python version."""
    if len(packed) == 4:
        return f"{packed[0]}.{packed[1]}.{packed[2]}.{packed[3]}"
    if packed[:12] == _IPV4_MAPPED:
        return f"::ffff:{packed[12]}.{packed[13]}.{packed[14]}.{packed[15]}"
    return str(ipaddress.IPv6Address(packed))


def host_bytes(host: str) -> bytes:
    """Return the 4 or 16 bytes of an IP address in text form; an IPv6 zone is left out. InvalidArgument for a name."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).packed
    except ValueError as error:
        raise InvalidArgument(f"not an IP address: {host!r}") from error


#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |0 0 0 0 0 0 0 0|    Family     |           Port                |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |                 Address (32 bits or 128 bits)                 |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
def parse_address(value: bytes, _: bytes) -> Address:
    """MAPPED-ADDRESS and its like (RFC 8489 section 14.1)."""
    _family, port, packed = _split_address(value)
    return Address(host_text(packed), port)


def parse_xor_address(value: bytes, context: bytes) -> Address:
    """XOR-MAPPED-ADDRESS and its like (RFC 8489 section 14.2)."""
    family, port, packed = _split_address(value)
    port ^= context[0] << 8 | context[1]
    if family == FAMILY_IPV4:
        return Address(
            f"{packed[0] ^ context[0]}.{packed[1] ^ context[1]}.{packed[2] ^ context[2]}.{packed[3] ^ context[3]}", port
        )
    return Address(host_text(_xor(packed, context)), port)


def serialize_address(value: object, _: bytes) -> bytes:
    """MAPPED-ADDRESS and its like."""
    packed, port = _address_parts(value)
    return _join_address(packed, port)


def serialize_xor_address(value: object, context: bytes) -> bytes:
    """XOR-MAPPED-ADDRESS and its like."""
    packed, port = _address_parts(value)
    return _join_address(_xor(packed, context), port ^ (context[0] << 8 | context[1]))


def _split_address(value: bytes) -> tuple[int, int, bytes]:
    if len(value) == 8:
        family, port, packed = _PLAIN_IPV4.unpack(value)
        expected = FAMILY_IPV4
    elif len(value) == 20:
        family, port, packed = _PLAIN_IPV6.unpack(value)
        expected = FAMILY_IPV6
    else:
        raise Malformed(f"an address of {len(value)} bytes", field="address")
    if family != expected:
        raise Malformed(f"address family {family} with {len(packed)} bytes of address", field="family")
    return family, port, packed


def _join_address(packed: bytes, port: int) -> bytes:
    if len(packed) == 4:
        return _PLAIN_IPV4.pack(FAMILY_IPV4, port, packed)
    return _PLAIN_IPV6.pack(FAMILY_IPV6, port, packed)


def _address_parts(value: object) -> tuple[bytes, int]:
    if not isinstance(value, tuple) or len(value) != 2:
        raise InvalidArgument(f"an Address is expected, not {value!r}")
    host, port = value
    if not isinstance(host, str) or not isinstance(port, int) or not 0 <= port <= 0xFFFF:
        raise InvalidArgument(f"an Address is expected, not {value!r}")
    return host_bytes(host), port


def _xor(packed: bytes, context: bytes) -> bytes:
    size = len(packed)
    return (int.from_bytes(packed, "big") ^ int.from_bytes(context[:size], "big")).to_bytes(size, "big")


# --- text and bytes ---------------------------------------------------------------------------------------------------


def parse_text(value: bytes, _: bytes) -> str:
    """UTF-8 that takes part in authentication: Malformed where it is not UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Malformed("text that is not UTF-8", field="text") from error


def parse_diagnostic_text(value: bytes, _: bytes) -> str:
    """UTF-8 for people only: a byte that is not UTF-8 becomes U+FFFD, for no message is worth losing over it."""
    return value.decode(errors="replace")


def serialize_username(value: object, _: bytes) -> bytes:
    """USERNAME: fewer than 509 bytes."""
    if not isinstance(value, str):
        raise InvalidArgument(f"text is expected, not {value!r}")
    data = _utf8(value)
    if len(data) > USERNAME_BYTES_MAX:
        raise InvalidArgument(f"a user name of {len(data)} bytes, {USERNAME_BYTES_MAX} is the most")
    return data


def serialize_text(value: object, _: bytes) -> bytes:
    """REALM, SOFTWARE and reason phrases: fewer than 128 characters."""
    if not isinstance(value, str):
        raise InvalidArgument(f"text is expected, not {value!r}")
    if len(value) > TEXT_CHARACTERS_MAX:
        raise InvalidArgument(f"text of {len(value)} characters, {TEXT_CHARACTERS_MAX} is the most")
    return _utf8(value)


def parse_bytes(value: bytes, _: bytes) -> bytes:
    """Bytes as they are."""
    return value


def serialize_bytes(value: object, _: bytes) -> bytes:
    """Bytes as they are."""
    if not isinstance(value, bytes):
        raise InvalidArgument(f"bytes are expected, not {value!r}")
    return value


def parse_flag(_: bytes, __: bytes) -> bool:
    """An attribute without a value: its presence says it."""
    return True


def serialize_flag(value: object, _: bytes) -> bytes:
    """An attribute without a value."""
    if value is not True:
        raise InvalidArgument(f"an attribute without a value is True, not {value!r}")
    return b""


def _utf8(value: str) -> bytes:
    try:
        return value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument("text with a lone surrogate") from error


# --- numbers ----------------------------------------------------------------------------------------------------------


def parse_uint32(value: bytes, _: bytes) -> int:
    """Four bytes, most significant first."""
    return int.from_bytes(value, "big")


def parse_uint64(value: bytes, _: bytes) -> int:
    """Eight bytes, most significant first."""
    return int.from_bytes(value, "big")


def parse_high_uint16(value: bytes, _: bytes) -> int:
    """Two bytes, then two reserved ones that are ignored."""
    return value[0] << 8 | value[1]


def parse_high_uint8(value: bytes, _: bytes) -> int:
    """One byte, then three reserved ones that are ignored."""
    return value[0]


def parse_high_bit(value: bytes, _: bytes) -> bool:
    """EVEN-PORT (RFC 8656 section 18.7): the R bit."""
    return value[0] >= 0x80


def serialize_high_bit(value: object, _: bytes) -> bytes:
    """EVEN-PORT: the R bit."""
    if not isinstance(value, bool):
        raise InvalidArgument(f"a bool is expected, not {value!r}")
    return b"\x80" if value else b"\x00"


def _uint_serializer(layout: struct.Struct, bits: int) -> Serialize:
    def serialize(value: object, _: bytes) -> bytes:
        if not isinstance(value, int) or not 0 <= value < 1 << bits:
            raise InvalidArgument(f"an integer of {bits} bits is expected, not {value!r}")
        return layout.pack(value)

    return serialize


serialize_uint32 = _uint_serializer(_UINT32, 32)
serialize_uint64 = _uint_serializer(_UINT64, 64)
serialize_high_uint16 = _uint_serializer(_HIGH_UINT16, 16)
serialize_high_uint8 = _uint_serializer(_HIGH_UINT8, 8)


# --- structures -------------------------------------------------------------------------------------------------------

#   0                   1                   2                   3
#   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |  (family in ADDRESS-ERROR-CODE)     |Class|     Number        |
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
#  |      Reason Phrase (variable)                                ..
#  +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+


def parse_error_code(value: bytes, context: bytes) -> ErrorCode:
    """ERROR-CODE (RFC 8489 section 14.8)."""
    return ErrorCode(_error_number(value), parse_diagnostic_text(value[4:], context))


def serialize_error_code(value: object, context: bytes) -> bytes:
    """ERROR-CODE; a plain (code, reason) tuple is taken too."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise InvalidArgument(f"an ErrorCode is expected, not {value!r}")
    return _serialize_error(0, value[0], value[1], context)


def parse_address_error_code(value: bytes, context: bytes) -> AddressErrorCode:
    """ADDRESS-ERROR-CODE (RFC 8656 section 18.12)."""
    return AddressErrorCode(value[0], _error_number(value), parse_diagnostic_text(value[4:], context))


def serialize_address_error_code(value: object, context: bytes) -> bytes:
    """ADDRESS-ERROR-CODE."""
    if not isinstance(value, AddressErrorCode) or not 0 <= value.family <= 0xFF:
        raise InvalidArgument(f"an AddressErrorCode is expected, not {value!r}")
    return _serialize_error(value.family, value.code, value.reason, context)


def _error_number(value: bytes) -> int:
    hundreds, number = value[2] & 7, value[3]
    # RFC 8489 section 14.8: the class is 3 to 6, the number 0 to 99.
    if not 3 <= hundreds <= 6 or number > 99:
        raise Malformed(f"error class {hundreds} with number {number}", field="error code")
    return hundreds * 100 + number


def _serialize_error(family: int, code: object, reason: object, context: bytes) -> bytes:
    if not isinstance(code, int) or not 300 <= code <= 699:
        raise InvalidArgument(f"an error code is 300 to 699, not {code!r}")
    return _ERROR.pack(family << 8, code // 100, code % 100) + serialize_text(reason, context)


def parse_types(value: bytes, _: bytes) -> tuple[int, ...]:
    """UNKNOWN-ATTRIBUTES (RFC 8489 section 14.13): 16-bit types, one after the other."""
    if len(value) % 2:
        raise Malformed(f"a list of 16-bit types in {len(value)} bytes", field="types")
    return struct.unpack(f"!{len(value) // 2}H", value)


def serialize_types(value: object, _: bytes) -> bytes:
    """UNKNOWN-ATTRIBUTES."""
    if not isinstance(value, tuple) or not all(isinstance(code, int) and 0 <= code <= 0xFFFF for code in value):
        raise InvalidArgument(f"a tuple of attribute types is expected, not {value!r}")
    return struct.pack(f"!{len(value)}H", *value)


def parse_password_algorithm(value: bytes, context: bytes) -> PasswordAlgorithmEntry:
    """PASSWORD-ALGORITHM (RFC 8489 section 14.12): exactly one entry."""
    entries = parse_password_algorithms(value, context)
    if len(entries) != 1:
        raise Malformed(f"{len(entries)} password algorithms where one belongs", field="algorithm")
    return entries[0]


def parse_password_algorithms(value: bytes, _: bytes) -> tuple[PasswordAlgorithmEntry, ...]:
    """PASSWORD-ALGORITHMS (RFC 8489 section 14.11): entries of number, length, parameters padded to 4 bytes."""
    entries = []
    offset, end = 0, len(value)
    while offset < end:
        if offset + 4 > end:
            raise Malformed("a password algorithm without its header", field="algorithm", offset=offset)
        algorithm, size = _UINT16_PAIR.unpack_from(value, offset)
        offset += 4
        if offset + size > end:
            raise Malformed("password algorithm parameters beyond the attribute", field="parameters", offset=offset)
        entries.append(PasswordAlgorithmEntry(algorithm, value[offset : offset + size]))
        offset += size + 3 & ~3
    return tuple(entries)


def serialize_password_algorithm(value: object, _: bytes) -> bytes:
    """PASSWORD-ALGORITHM."""
    if not isinstance(value, PasswordAlgorithmEntry) or not 0 <= value.algorithm <= 0xFFFF:
        raise InvalidArgument(f"a PasswordAlgorithmEntry is expected, not {value!r}")
    size = len(value.parameters)
    if size > 0xFFFF:
        raise InvalidArgument(f"password algorithm parameters of {size} bytes")
    return _UINT16_PAIR.pack(value.algorithm, size) + value.parameters + bytes(-size % 4)


def serialize_password_algorithms(value: object, context: bytes) -> bytes:
    """PASSWORD-ALGORITHMS."""
    if not isinstance(value, tuple):
        raise InvalidArgument(f"a tuple of PasswordAlgorithmEntry is expected, not {value!r}")
    return b"".join([serialize_password_algorithm(entry, context) for entry in value])


def parse_icmp(value: bytes, _: bytes) -> Icmp:
    """ICMP (RFC 8656 section 18.13): type in 7 bits, code in 9, then four bytes of data."""
    _reserved, type_and_code, data = _ICMP.unpack(value)
    return Icmp(type_and_code >> 9, type_and_code & 0x1FF, data)


def serialize_icmp(value: object, _: bytes) -> bytes:
    """ICMP."""
    if not isinstance(value, Icmp) or not 0 <= value.type < 1 << 7 or not 0 <= value.code < 1 << 9:
        raise InvalidArgument(f"an Icmp is expected, not {value!r}")
    if len(value.data) != 4:
        raise InvalidArgument(f"ICMP error data is 4 bytes, not {len(value.data)}")
    return _ICMP.pack(0, value.type << 9 | value.code, value.data)
