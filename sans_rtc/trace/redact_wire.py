"""Datagrams with what identifies and what opens replaced: as long as they were, and of the same kind.

STUN       addresses, credentials, transaction ids replaced; integrity blank, FINGERPRINT right again
TURN       ChannelData and the data of indications as the datagram that they carry
DTLS       record and handshake headers stay, and of the hellos what was offered and chosen; all else is blank
RTP, RTCP  headers stay, SSRCs replaced; all else is blank
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Final

from sans_rtc.dtls.ciphers import HEADER_BYTES, RECORD_HEADER
from sans_rtc.dtls.handshake import HANDSHAKE_HEADER_BYTES, HandshakeType
from sans_rtc.dtls.wire import ContentType
from sans_rtc.rtp.wire import is_rtcp
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import ATTRIBUTE_COUNT_MAX, MAGIC_COOKIE, REASONS
from sans_rtc.trace.aliases import Aliases

_STUN_HEADER: Final = struct.Struct(">HHI")
_STUN_HEADER_BYTES: Final = 20
_TYPE_LENGTH: Final = struct.Struct(">HH")
_COOKIE: Final = MAGIC_COOKIE.to_bytes(4, "big")
_FINGERPRINT_XOR: Final = 0x5354554E  # RFC 8489 section 14.7
_CHANNEL_DATA_HEADER_BYTES: Final = 4
# A datagram within an indication within ChannelData; nobody nests deeper.
_DEPTH_MAX: Final = 3

_A = AttributeType
_PLAIN_ADDRESSES: Final = frozenset({_A.MAPPED_ADDRESS, _A.ALTERNATE_SERVER, _A.RESPONSE_ORIGIN, _A.OTHER_ADDRESS})
_XOR_ADDRESSES: Final = frozenset({_A.XOR_MAPPED_ADDRESS, _A.XOR_PEER_ADDRESS, _A.XOR_RELAYED_ADDRESS})
_CARRIERS: Final = frozenset({_A.DATA, _A.META_DTLS_IN_STUN})
_KEPT_ATTRIBUTES: Final = frozenset(
    {
        _A.CHANGE_REQUEST, _A.UNKNOWN_ATTRIBUTES, _A.CHANNEL_NUMBER, _A.LIFETIME, _A.REQUESTED_ADDRESS_FAMILY,
        _A.EVEN_PORT, _A.REQUESTED_TRANSPORT, _A.DONT_FRAGMENT, _A.PASSWORD_ALGORITHM, _A.PASSWORD_ALGORITHMS,
        _A.PRIORITY, _A.USE_CANDIDATE, _A.ADDITIONAL_ADDRESS_FAMILY, _A.ICMP, _A.TRANSACTION_TRANSMIT_COUNTER,
        _A.NOMINATION, _A.GOOG_NETWORK_INFO,
    }
)  # fmt: skip
# Extensions of the hellos that say what a peer can do (RFC 8422, 5246, 5764, 7627, 8446, 5746).
_KEPT_EXTENSIONS: Final = frozenset({10, 11, 13, 14, 16, 23, 43, 0xFF01})
_HELLO_RANDOM: Final = slice(2, 34)
_RTP_HEADER_BYTES: Final = 12
_RTCP_HEADER_BYTES: Final = 8
_CIPHERTEXT_LENGTH_FLAG, _CIPHERTEXT_NUMBER_FLAG, _CIPHERTEXT_ID_FLAG = 0x04, 0x08, 0x10  # RFC 9147 section 4


def redact_datagram(data: bytes, aliases: Aliases, depth: int = 0) -> bytes:
    """A datagram of a peer, told by its first byte (RFC 7983); what is none of them keeps that byte alone."""
    first = data[0] if data else 0
    if depth > _DEPTH_MAX or not data:
        return bytes(len(data))
    if first < 4:
        return _stun(data, aliases, depth)
    if 20 <= first <= 63:
        return _dtls(data)
    if 64 <= first <= 79:
        return data[:_CHANNEL_DATA_HEADER_BYTES] + redact_datagram(
            data[_CHANNEL_DATA_HEADER_BYTES:], aliases, depth + 1
        )
    if 128 <= first <= 191:
        return _media(data, aliases)
    return _blank(data, 1)


# -- STUN --------------------------------------------------------------------------------------------------------------


def _stun(data: bytes, aliases: Aliases, depth: int) -> bytes:
    if len(data) < _STUN_HEADER_BYTES or data[4:8] != _COOKIE:
        return _blank(data, 2)
    out = bytearray(data[:8] + aliases.number("transaction", data[8:20]) + bytes(len(data) - _STUN_HEADER_BYTES))
    start = _STUN_HEADER_BYTES
    for _ in range(ATTRIBUTE_COUNT_MAX):
        if start + 4 > len(data):
            break
        code, size = _TYPE_LENGTH.unpack_from(data, start)
        value = data[start + 4 : start + 4 + size]
        out[start : start + 4] = data[start : start + 4]
        if code == _A.FINGERPRINT and len(value) == 4:
            fresh = (zlib.crc32(out[:start]) ^ _FINGERPRINT_XOR).to_bytes(4, "big")
        else:
            fresh = _attribute(code, value, aliases, (data[8:20], bytes(out[8:20])), depth)
        assert len(fresh) == len(value)
        out[start + 4 : start + 4 + len(value)] = fresh
        start += 4 + (size + 3 & ~3)
    return bytes(out)


def _attribute(code: int, value: bytes, aliases: Aliases, transactions: tuple[bytes, bytes], depth: int) -> bytes:
    if code in _KEPT_ATTRIBUTES:
        return value
    if code in _CARRIERS:
        return redact_datagram(value, aliases, depth + 1)
    if code in _PLAIN_ADDRESSES:
        return _address(value, aliases)
    if code in _XOR_ADDRESSES:
        return _xored(_address(_xored(value, transactions[0]), aliases), transactions[1])
    if code == _A.USERNAME:
        return _username(value, aliases)
    if code in (_A.ICE_CONTROLLED, _A.ICE_CONTROLLING, _A.CONNECTION_ID):
        return aliases.number("identifier", value)
    if code == _A.ERROR_CODE:
        number = value[2] * 100 + value[3] if len(value) >= 4 else 0
        is_usual = value[4:] == REASONS.get(number, "").encode()
        return value if is_usual else value[:4] + b"x" * len(value[4:])
    return b"x" * len(value) if code in (_A.REALM, _A.SOFTWARE, _A.NONCE, _A.ALTERNATE_DOMAIN) else bytes(len(value))


def _address(value: bytes, aliases: Aliases) -> bytes:
    size = len(value) - 4
    if size not in (4, 16) or value[1] != (1 if size == 4 else 2):
        return bytes(len(value))
    return value[:4] + aliases.packed_host(value[4:])


def _xored(value: bytes, transaction: bytes) -> bytes:
    """RFC 8489 section 14.2: port and address are XORed with the cookie, and with what follows it in the header."""
    mask = bytes(2) + _COOKIE[:2] + _COOKIE + transaction
    return bytes([byte ^ other for byte, other in zip(value, mask, strict=False)]).ljust(len(value), b"\0")


def _username(value: bytes, aliases: Aliases) -> bytes:
    try:
        parts = value.decode().split(":")
    except UnicodeDecodeError:
        return b"x" * len(value)
    kind = "ufrag" if len(parts) == 2 else "user"
    fresh = ":".join([aliases.text(kind, part) for part in parts]).encode()
    return fresh[: len(value)].ljust(len(value), b"x")


# -- DTLS --------------------------------------------------------------------------------------------------------------


def _dtls(data: bytes) -> bytes:
    out = bytearray(len(data))
    start = 0
    while start < len(data) and 20 <= data[start] <= 63:  # each round takes a header at least, or all that is left
        if data[start] & 0xE0 == 0x20:
            start = _ciphertext(data, start, out)
            continue
        if start + HEADER_BYTES > len(data):
            break
        content_type, _, numbers, length = RECORD_HEADER.unpack_from(data, start)
        body = start + HEADER_BYTES
        end = min(body + length, len(data))
        out[start:body] = data[start:body]
        if not numbers >> 48:
            if content_type == ContentType.HANDSHAKE:
                _handshake(data, body, end, out)
            elif content_type in (ContentType.ALERT, ContentType.CHANGE_CIPHER_SPEC):
                out[body:end] = data[body:end]
        start = body + length
    return bytes(out)


def _ciphertext(data: bytes, start: int, out: bytearray) -> int:
    """The header of a DTLS 1.3 record (RFC 9147 section 4), its number encrypted and of no use to anybody."""
    first = data[start]
    out[start] = first
    number_end = start + (3 if first & _CIPHERTEXT_NUMBER_FLAG else 2)
    if first & _CIPHERTEXT_ID_FLAG or not first & _CIPHERTEXT_LENGTH_FLAG or number_end + 2 > len(data):
        return len(data)
    out[number_end : number_end + 2] = data[number_end : number_end + 2]
    return number_end + 2 + int.from_bytes(data[number_end : number_end + 2], "big")


def _handshake(data: bytes, start: int, end: int, out: bytearray) -> None:
    while start + HANDSHAKE_HEADER_BYTES <= end:  # each round takes the header's 12 bytes at least
        head = data[start : start + HANDSHAKE_HEADER_BYTES]
        body = start + HANDSHAKE_HEADER_BYTES
        size = int.from_bytes(head[9:12], "big")
        out[start:body] = head
        hello = _HELLOS.get(head[0])
        if hello is not None and not any(head[6:9]):
            hello(data, body, min(body + size, end), out)
        start = body + size


def _client_hello(data: bytes, start: int, end: int, out: bytearray) -> None:
    position = _keep_vector(data, start + _HELLO_RANDOM.stop, end, 1, out, is_kept=False)  # session id
    position = _keep_vector(data, position, end, 1, out, is_kept=False)  # cookie
    position = _keep_vector(data, position, end, 2, out, is_kept=True)  # cipher suites
    position = _keep_vector(data, position, end, 1, out, is_kept=True)  # compression methods
    out[start : min(start + 2, end)] = data[start : min(start + 2, end)]
    _extensions(data, position, end, out)


def _server_hello(data: bytes, start: int, end: int, out: bytearray) -> None:
    position = _keep_vector(data, start + _HELLO_RANDOM.stop, end, 1, out, is_kept=False)  # session id
    chosen = min(position + 3, end)  # cipher suite, compression method
    out[position:chosen] = data[position:chosen]
    out[start : min(start + 2, end)] = data[start : min(start + 2, end)]
    _extensions(data, chosen, end, out)


def _extensions(data: bytes, start: int, end: int, out: bytearray) -> None:
    position = min(start + 2, end)
    out[start:position] = data[start:position]
    while position + 4 <= end:  # each round takes an extension's header at least
        kind, length = _TYPE_LENGTH.unpack_from(data, position)
        after = min(position + 4 + (length if kind in _KEPT_EXTENSIONS else 0), end)
        out[position:after] = data[position:after]
        position += 4 + length


def _keep_vector(data: bytes, start: int, end: int, prefix_bytes: int, out: bytearray, *, is_kept: bool) -> int:
    """Keep the length of a vector, and its content where that is asked for; returns where it ends."""
    body = start + prefix_bytes
    if body > end:
        return end
    after = min(body + int.from_bytes(data[start:body], "big"), end)
    kept = after if is_kept else body
    out[start:kept] = data[start:kept]
    return after


_HELLOS: Final[dict[int, Callable[[bytes, int, int, bytearray], None]]] = {
    HandshakeType.CLIENT_HELLO: _client_hello,
    HandshakeType.SERVER_HELLO: _server_hello,
}


# -- media -------------------------------------------------------------------------------------------------------------


def _media(data: bytes, aliases: Aliases) -> bytes:
    if is_rtcp(data):
        if len(data) < _RTCP_HEADER_BYTES:
            return _blank(data, 2)
        return data[:4] + aliases.number("ssrc", data[4:8]) + bytes(len(data) - _RTCP_HEADER_BYTES)
    if len(data) < _RTP_HEADER_BYTES:
        return _blank(data, 2)
    out = bytearray(data[:8] + aliases.number("ssrc", data[8:12]) + bytes(len(data) - _RTP_HEADER_BYTES))
    extension = _RTP_HEADER_BYTES + 4 * (data[0] & 0x0F)
    if data[0] & 0x10:
        out[extension : extension + 4] = data[extension : extension + 4]
    return bytes(out)


def _blank(data: bytes, kept: int) -> bytes:
    return data[:kept] + bytes(len(data[kept:]))
