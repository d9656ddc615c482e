"""The bodies of the handshake messages of DTLS 1.2, a `parse_` and a `serialize_` for each, and the table of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import attrs

from sans_rtc.dtls.extensions import Extensions, serialize_extensions, take_extensions
from sans_rtc.dtls.handshake import HandshakeType
from sans_rtc.dtls.wire import (
    expect_end,
    parse_uint16_list,
    serialize_uint16_list,
    serialize_vector,
    take_bytes,
    take_uint,
    take_vector,
)
from sans_rtc.errors import Malformed, Unsupported

RANDOM_BYTES = 32
NULL_COMPRESSION = 0
SCSV_RENEGOTIATION = 0x00FF  # TLS_EMPTY_RENEGOTIATION_INFO_SCSV, RFC 5746 section 3.3
NAMED_CURVE = 3  # RFC 8422 section 5.4


class CertificateType:
    """What a CertificateRequest may ask for (RFC 5246 section 7.4.4, RFC 8422 section 5.5)."""

    RSA_SIGN = 1
    ECDSA_SIGN = 64


@attrs.define(slots=True)
class ClientHello:
    """RFC 6347 section 4.2.1."""

    version: int
    random: bytes
    session_id: bytes
    cookie: bytes
    cipher_suites: tuple[int, ...]
    compression_methods: bytes
    extensions: Extensions


@attrs.define(slots=True)
class HelloVerifyRequest:
    """RFC 6347 section 4.2.1."""

    version: int
    cookie: bytes


@attrs.define(slots=True)
class ServerHello:
    """RFC 5246 section 7.4.1.3."""

    version: int
    random: bytes
    session_id: bytes
    cipher_suite: int
    compression_method: int
    extensions: Extensions


@attrs.define(slots=True)
class CertificateList:
    """The Certificate message: DER certificates, the sender's own first (RFC 5246 section 7.4.2); may be empty."""

    certificates: tuple[bytes, ...]


@attrs.define(slots=True)
class ServerKeyExchange:
    """A share on a named group and the signature over both randoms and it (RFC 8422 section 5.4)."""

    group: int
    public: bytes
    scheme: int
    signature: bytes

    def params(self) -> bytes:
        """ServerECDHParams as it is signed."""
        return bytes((NAMED_CURVE,)) + self.group.to_bytes(2, "big") + serialize_vector(self.public, 1)


@attrs.define(slots=True)
class CertificateRequest:
    """RFC 5246 section 7.4.4; the distinguished names are kept as they are."""

    certificate_types: bytes
    signature_algorithms: tuple[int, ...]
    authorities: tuple[bytes, ...] = ()


@attrs.define(slots=True)
class ServerHelloDone:
    """RFC 5246 section 7.4.5: empty."""


@attrs.define(slots=True)
class ClientKeyExchange:
    """The client's share (RFC 8422 section 5.7)."""

    public: bytes


@attrs.define(slots=True)
class CertificateVerify:
    """A signature over all messages before it (RFC 5246 section 7.4.8)."""

    scheme: int
    signature: bytes


@attrs.define(slots=True)
class Finished:
    """RFC 5246 section 7.4.9."""

    verify_data: bytes


def parse_client_hello(body: bytes) -> ClientHello:
    """Read a ClientHello, of whatever version."""
    version, offset = take_uint(body, 0, 2, "client_version")
    random, offset = take_bytes(body, offset, RANDOM_BYTES, "random")
    session_id, offset = take_vector(body, offset, 1, "session_id", maximum=32)
    cookie, offset = take_vector(body, offset, 1, "cookie")
    suites, offset = take_vector(body, offset, 2, "cipher_suites", minimum=2)
    compression_methods, offset = take_vector(body, offset, 1, "compression_methods", minimum=1)
    return ClientHello(
        version,
        random,
        session_id,
        cookie,
        parse_uint16_list(suites, "cipher_suites"),
        compression_methods,
        take_extensions(body, offset),
    )


def serialize_client_hello(message: ClientHello) -> bytes:
    """Write a ClientHello."""
    return b"".join(
        (
            message.version.to_bytes(2, "big"),
            message.random,
            serialize_vector(message.session_id, 1),
            serialize_vector(message.cookie, 1),
            serialize_vector(serialize_uint16_list(message.cipher_suites), 2),
            serialize_vector(message.compression_methods, 1),
            serialize_extensions(message.extensions),
        )
    )


def parse_hello_verify_request(body: bytes) -> HelloVerifyRequest:
    """Read a HelloVerifyRequest."""
    version, offset = take_uint(body, 0, 2, "server_version")
    cookie, offset = take_vector(body, offset, 1, "cookie")
    expect_end(body, offset, "cookie")
    return HelloVerifyRequest(version, cookie)


def serialize_hello_verify_request(message: HelloVerifyRequest) -> bytes:
    """Write a HelloVerifyRequest."""
    return message.version.to_bytes(2, "big") + serialize_vector(message.cookie, 1)


def parse_server_hello(body: bytes) -> ServerHello:
    """Read a ServerHello."""
    version, offset = take_uint(body, 0, 2, "server_version")
    random, offset = take_bytes(body, offset, RANDOM_BYTES, "random")
    session_id, offset = take_vector(body, offset, 1, "session_id", maximum=32)
    cipher_suite, offset = take_uint(body, offset, 2, "cipher_suite")
    compression_method, offset = take_uint(body, offset, 1, "compression_method")
    extensions = take_extensions(body, offset)
    return ServerHello(version, random, session_id, cipher_suite, compression_method, extensions)


def serialize_server_hello(message: ServerHello) -> bytes:
    """Write a ServerHello."""
    return b"".join(
        (
            message.version.to_bytes(2, "big"),
            message.random,
            serialize_vector(message.session_id, 1),
            message.cipher_suite.to_bytes(2, "big"),
            bytes((message.compression_method,)),
            serialize_extensions(message.extensions),
        )
    )


def parse_certificate_list(body: bytes) -> CertificateList:
    """Read a Certificate message."""
    block, end = take_vector(body, 0, 3, "certificate_list")
    expect_end(body, end, "certificate_list")
    certificates = []
    offset = 0
    while offset < len(block):  # each round takes four bytes at least
        certificate, offset = take_vector(block, offset, 3, "ASN.1Cert", minimum=1)
        certificates.append(certificate)
    return CertificateList(tuple(certificates))


def serialize_certificate_list(message: CertificateList) -> bytes:
    """Write a Certificate message."""
    return serialize_vector(b"".join([serialize_vector(der, 3) for der in message.certificates]), 3)


def parse_server_key_exchange(body: bytes) -> ServerKeyExchange:
    """Read a ServerKeyExchange of ECDHE with a named curve; explicit curves are refused (RFC 8422 section 5.4)."""
    curve_type, offset = take_uint(body, 0, 1, "curve_type")
    if curve_type != NAMED_CURVE:
        raise Unsupported(f"a curve type of {curve_type}", field="curve_type", offset=0)
    group, offset = take_uint(body, offset, 2, "namedcurve")
    public, offset = take_vector(body, offset, 1, "public", minimum=1)
    scheme, offset = take_uint(body, offset, 2, "algorithm")
    signature, offset = take_vector(body, offset, 2, "signature")
    expect_end(body, offset, "signature")
    return ServerKeyExchange(group, public, scheme, signature)


def serialize_server_key_exchange(message: ServerKeyExchange) -> bytes:
    """Write a ServerKeyExchange."""
    return message.params() + message.scheme.to_bytes(2, "big") + serialize_vector(message.signature, 2)


def parse_certificate_request(body: bytes) -> CertificateRequest:
    """Read a CertificateRequest."""
    certificate_types, offset = take_vector(body, 0, 1, "certificate_types", minimum=1)
    schemes, offset = take_vector(body, offset, 2, "supported_signature_algorithms")
    block, offset = take_vector(body, offset, 2, "certificate_authorities")
    expect_end(body, offset, "certificate_authorities")
    authorities = []
    position = 0
    while position < len(block):  # each round takes three bytes at least
        name, position = take_vector(block, position, 2, "DistinguishedName", minimum=1)
        authorities.append(name)
    schemes_list = parse_uint16_list(schemes, "supported_signature_algorithms")
    return CertificateRequest(certificate_types, schemes_list, tuple(authorities))


def serialize_certificate_request(message: CertificateRequest) -> bytes:
    """Write a CertificateRequest."""
    return b"".join(
        (
            serialize_vector(message.certificate_types, 1),
            serialize_vector(serialize_uint16_list(message.signature_algorithms), 2),
            serialize_vector(b"".join([serialize_vector(name, 2) for name in message.authorities]), 2),
        )
    )


def parse_server_hello_done(body: bytes) -> ServerHelloDone:
    """Read a ServerHelloDone."""
    expect_end(body, 0, "server_hello_done")
    return ServerHelloDone()


def serialize_server_hello_done(message: ServerHelloDone) -> bytes:
    """Write a ServerHelloDone."""
    return b""


def parse_client_key_exchange(body: bytes) -> ClientKeyExchange:
    """Read a ClientKeyExchange of ECDHE."""
    public, offset = take_vector(body, 0, 1, "ecdh_Yc", minimum=1)
    expect_end(body, offset, "ecdh_Yc")
    return ClientKeyExchange(public)


def serialize_client_key_exchange(message: ClientKeyExchange) -> bytes:
    """Write a ClientKeyExchange."""
    return serialize_vector(message.public, 1)


def parse_certificate_verify(body: bytes) -> CertificateVerify:
    """Read a CertificateVerify."""
    scheme, offset = take_uint(body, 0, 2, "algorithm")
    signature, offset = take_vector(body, offset, 2, "signature")
    expect_end(body, offset, "signature")
    return CertificateVerify(scheme, signature)


def serialize_certificate_verify(message: CertificateVerify) -> bytes:
    """Write a CertificateVerify."""
    return message.scheme.to_bytes(2, "big") + serialize_vector(message.signature, 2)


def parse_finished(body: bytes) -> Finished:
    """Read a Finished; the length of its content is the key schedule's to judge."""
    if not body:
        raise Malformed("an empty Finished", field="verify_data", offset=0)
    return Finished(body)


def serialize_finished(message: Finished) -> bytes:
    """Write a Finished."""
    return message.verify_data


class MessageRow(NamedTuple):
    """How one message is read and written, and where it is specified."""

    parse: Callable[[bytes], object]
    serialize: Callable[..., bytes]
    section: str


MESSAGES = {
    HandshakeType.CLIENT_HELLO: MessageRow(parse_client_hello, serialize_client_hello, "RFC 6347 section 4.2.1"),
    HandshakeType.HELLO_VERIFY_REQUEST: MessageRow(
        parse_hello_verify_request, serialize_hello_verify_request, "RFC 6347 section 4.2.1"
    ),
    HandshakeType.SERVER_HELLO: MessageRow(parse_server_hello, serialize_server_hello, "RFC 5246 section 7.4.1.3"),
    HandshakeType.CERTIFICATE: MessageRow(parse_certificate_list, serialize_certificate_list, "RFC 5246 section 7.4.2"),
    HandshakeType.SERVER_KEY_EXCHANGE: MessageRow(
        parse_server_key_exchange, serialize_server_key_exchange, "RFC 8422 section 5.4"
    ),
    HandshakeType.CERTIFICATE_REQUEST: MessageRow(
        parse_certificate_request, serialize_certificate_request, "RFC 5246 section 7.4.4"
    ),
    HandshakeType.SERVER_HELLO_DONE: MessageRow(
        parse_server_hello_done, serialize_server_hello_done, "RFC 5246 section 7.4.5"
    ),
    HandshakeType.CLIENT_KEY_EXCHANGE: MessageRow(
        parse_client_key_exchange, serialize_client_key_exchange, "RFC 8422 section 5.7"
    ),
    HandshakeType.CERTIFICATE_VERIFY: MessageRow(
        parse_certificate_verify, serialize_certificate_verify, "RFC 5246 section 7.4.8"
    ),
    HandshakeType.FINISHED: MessageRow(parse_finished, serialize_finished, "RFC 5246 section 7.4.9"),
}
