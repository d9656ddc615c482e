"""DTLS 1.2 as it travels in the clear: handshake messages, fragments of them, alerts, records (RFC 6347, RFC 5246)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from sans_rtc.dtls import messages as m
from sans_rtc.dtls.ciphers import RECORD_HEADER
from sans_rtc.dtls.extensions import EXTENSIONS, Extensions, UseSrtp
from sans_rtc.dtls.handshake import HandshakeMessage, HandshakeType
from sans_rtc.dtls.wire import ContentType, ProtocolVersion
from sans_rtc.testing.strategies.nearly import U8, U16, nearly

HandshakeBody: TypeAlias = (
    m.ClientHello
    | m.HelloVerifyRequest
    | m.ServerHello
    | m.CertificateList
    | m.ServerKeyExchange
    | m.CertificateRequest
    | m.ServerHelloDone
    | m.ClientKeyExchange
    | m.CertificateVerify
    | m.Finished
)
"""The body of any handshake message."""

_NUMBERS = st.lists(U16, min_size=1, max_size=4).map(tuple)
_KNOWN = frozenset(map(int, EXTENSIONS))
_RANDOMS = st.binary(min_size=32, max_size=32)
_VERSIONS = st.one_of(st.sampled_from(ProtocolVersion).map(int), U16)
_SESSION_IDS = st.binary(max_size=32)


def hello_extensions() -> SearchStrategy[Extensions]:
    """`Extensions`: any of those that the table knows, and unknown ones, each type once."""
    unknown = st.lists(
        st.tuples(U16.filter(lambda number: number not in _KNOWN), st.binary(max_size=12)),
        max_size=3,
        unique_by=lambda each: each[0],
    ).map(tuple)
    return st.builds(
        Extensions,
        supported_groups=st.none() | _NUMBERS,
        ec_point_formats=st.none() | st.lists(U8, min_size=1, max_size=3).map(tuple),
        signature_algorithms=st.none() | _NUMBERS,
        use_srtp=st.none() | st.builds(UseSrtp, _NUMBERS, st.binary(max_size=4)),
        extended_master_secret=st.none() | st.just(b""),
        supported_versions=st.none() | _NUMBERS,
        renegotiation_info=st.none() | st.binary(max_size=12),
        unknown=unknown,
    )


def _bodies() -> dict[HandshakeType, SearchStrategy[HandshakeBody]]:
    some, few = st.binary(min_size=1, max_size=80), st.binary(max_size=40)
    return {
        HandshakeType.CLIENT_HELLO: st.builds(
            m.ClientHello,
            _VERSIONS,
            _RANDOMS,
            _SESSION_IDS,
            few,
            _NUMBERS,
            st.binary(min_size=1, max_size=3),
            hello_extensions(),
        ),
        HandshakeType.HELLO_VERIFY_REQUEST: st.builds(m.HelloVerifyRequest, _VERSIONS, few),
        HandshakeType.SERVER_HELLO: st.builds(
            m.ServerHello, _VERSIONS, _RANDOMS, _SESSION_IDS, U16, U8, hello_extensions()
        ),
        HandshakeType.CERTIFICATE: st.builds(m.CertificateList, st.lists(some, max_size=2).map(tuple)),
        HandshakeType.SERVER_KEY_EXCHANGE: st.builds(m.ServerKeyExchange, U16, some, U16, few),
        HandshakeType.CERTIFICATE_REQUEST: st.builds(
            m.CertificateRequest,
            st.binary(min_size=1, max_size=4),
            _NUMBERS,
            st.lists(some, max_size=2).map(tuple),
        ),
        HandshakeType.SERVER_HELLO_DONE: st.builds(m.ServerHelloDone),
        HandshakeType.CLIENT_KEY_EXCHANGE: st.builds(m.ClientKeyExchange, some),
        HandshakeType.CERTIFICATE_VERIFY: st.builds(m.CertificateVerify, U16, few),
        HandshakeType.FINISHED: st.builds(m.Finished, some),
    }


def handshake_messages() -> SearchStrategy[tuple[HandshakeType, HandshakeBody]]:
    """The type of a handshake message and its decoded body, of every type that DTLS 1.2 with ECDHE has."""
    return st.one_of([st.tuples(st.just(kind), bodies) for kind, bodies in _bodies().items()])


def handshake_bodies() -> SearchStrategy[tuple[HandshakeType, bytes]]:
    """The type of a handshake message and the bytes of its body."""
    return handshake_messages().map(lambda each: (each[0], m.MESSAGES[each[0]].serialize(each[1])))


def nearly_handshake_bodies() -> SearchStrategy[tuple[HandshakeType, bytes]]:
    """The type of a handshake message and bytes that are nearly its body."""
    return handshake_bodies().flatmap(lambda each: st.tuples(st.just(each[0]), nearly(st.just(each[1]))))


@st.composite
def handshake_fragments(draw: DrawFn) -> bytes:
    """The content of a handshake record: one message, whole or a part of it."""
    kind, body = draw(handshake_bodies())
    message = HandshakeMessage(int(kind), draw(st.integers(0, 12)), body)
    if len(body) < 2 or draw(st.booleans()):
        return message.serialize()
    offset = draw(st.integers(0, len(body) - 1))
    return message.serialize_fragment(offset, draw(st.integers(1, len(body) - offset)))


def alert_contents() -> SearchStrategy[bytes]:
    """The two bytes of an alert: level and description."""
    return st.tuples(st.integers(1, 2), U8).map(bytes)


_CONTENTS: dict[ContentType, Callable[[], SearchStrategy[bytes]]] = {
    ContentType.HANDSHAKE: handshake_fragments,
    ContentType.ALERT: alert_contents,
    ContentType.CHANGE_CIPHER_SPEC: lambda: st.just(b"\x01"),
    ContentType.APPLICATION_DATA: lambda: st.binary(min_size=1, max_size=60),
}


@st.composite
def dtls_records(draw: DrawFn) -> bytes:
    """One record of epoch 0, of any content type: nothing is encrypted."""
    kind = draw(st.sampled_from(ContentType))
    content = draw(_CONTENTS[kind]())
    version = draw(st.sampled_from((ProtocolVersion.DTLS_1_2, ProtocolVersion.DTLS_1_0)))
    return RECORD_HEADER.pack(kind, version, draw(st.integers(0, 1 << 20)), len(content)) + content


def dtls_datagrams() -> SearchStrategy[bytes]:
    """One to three records of epoch 0 in a datagram."""
    return st.lists(dtls_records(), min_size=1, max_size=3).map(b"".join)


@st.composite
def _forged(draw: DrawFn) -> bytes:
    """Well-formed headers of records and handshake messages whose numbers are anything."""
    kind, body = draw(U8), draw(st.binary(max_size=60))
    if draw(st.booleans()):
        numbers = b"".join(draw(st.integers(0, (1 << 8 * size) - 1)).to_bytes(size, "big") for size in (1, 3, 2, 3, 3))
        kind, body = ContentType.HANDSHAKE, numbers + body
    return RECORD_HEADER.pack(kind, draw(_VERSIONS), draw(st.integers(0, (1 << 64) - 1)), len(body)) + body


def nearly_dtls_datagrams() -> SearchStrategy[bytes]:
    """Bytes that are nearly records: damaged, or with impossible types, epochs, lengths and fragments."""
    return st.one_of(nearly(dtls_datagrams()), _forged())
