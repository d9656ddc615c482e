"""Follows one DTLS session as a bystander: records, handshake messages, and with the key log what is in them.

    ClientHello -> its random, and who the client is       ServerHello -> version, cipher suite, SRTP profile
    key log lines of that random -> DTLS 1.2: CLIENT_RANDOM, 1.3: the traffic secrets

What cannot be opened is told by its header, and why. Addresses may change under a session as ICE moves: then the keys
tell whose a record is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Final

from sans_rtc.dtls.alert import parse_alert
from sans_rtc.dtls.ciphers import HEADER_BYTES, RECORD_HEADER, SUITES, CipherSuite, Protection
from sans_rtc.dtls.handshake import HANDSHAKE_HEADER_BYTES, Fragment, parse_fragments
from sans_rtc.dtls.keys import SessionKeys
from sans_rtc.dtls.wire import ContentType
from sans_rtc.errors import WireError
from sans_rtc.machine import Address
from sans_rtc.srtp import DTLS_EXPORTER_LABEL
from sans_rtc.trace.decode_hello import (
    DTLS_13,
    Hello,
    parse_client_hello,
    parse_encrypted_extensions,
    parse_server_hello,
)
from sans_rtc.trace.decode_media import MediaKeys
from sans_rtc.trace.decode_sctp import Found, decode_sctp
from sans_rtc.trace.decoded import Plain
from sans_rtc.trace.key_ring import KeyRing
from sans_rtc.trace.records13 import SUITES_13, Records13, split_ciphertext

_ACK: Final = 26  # RFC 9147 section 7
_CONTENT: Final = {20: "ChangeCipherSpec", 21: "Alert", 22: "Handshake", 23: "application data", _ACK: "ACK"}
_CLIENT_HELLO, _SERVER_HELLO, _ENCRYPTED_EXTENSIONS = 1, 2, 8
# RFC 5246 section 7.4, RFC 8446 section 4, RFC 6347 section 4.3.2
_HANDSHAKE: Final = {
    0: "HelloRequest", _CLIENT_HELLO: "ClientHello", _SERVER_HELLO: "ServerHello", 3: "HelloVerifyRequest",
    4: "NewSessionTicket", _ENCRYPTED_EXTENSIONS: "EncryptedExtensions", 11: "Certificate", 12: "ServerKeyExchange",
    13: "CertificateRequest", 14: "ServerHelloDone", 15: "CertificateVerify", 16: "ClientKeyExchange", 20: "Finished",
    24: "KeyUpdate",
}  # fmt: skip
_HELLO_PARSERS: Final[dict[int, Callable[[bytes], Hello]]] = {
    _CLIENT_HELLO: parse_client_hello,
    _SERVER_HELLO: parse_server_hello,
    _ENCRYPTED_EXTENSIONS: parse_encrypted_extensions,
}
# Messages whose fragments are still coming, and their bytes together: a certificate chain is a few KiB.
_PENDING_COUNT_MAX: Final = 16
_MESSAGE_BYTES_MAX: Final = 1 << 17
_UNIFIED, _UNIFIED_MASK = 0x20, 0xE0  # how a record of DTLS 1.3 begins
_CID_RECORD: Final = 25


class DtlsFollower:
    """One session."""

    def __init__(self, keys: KeyRing) -> None:
        self._ring = keys
        self._client: set[Address] = set()
        self._server: set[Address] = set()
        self._client_random = b""
        self._hello: Hello | None = None
        self._srtp_profile: int | None = None
        self._session: SessionKeys | None = None
        self._protections: tuple[Protection, Protection] | None = None
        self._records: Records13 | None = None
        self._pending: dict[tuple[Address, int], dict[int, bytes]] = {}

    @property
    def is_begun(self) -> bool:
        """A ServerHello has been seen."""
        return self._hello is not None

    def decode(self, data: bytes, source: Address, destination: Address) -> Iterator[Found]:
        """The messages in one datagram."""
        start = 0
        while start < len(data):  # each round takes a record's header at least, or all that is left
            if data[start] & _UNIFIED_MASK == _UNIFIED:
                start = yield from self._ciphertext(data, start, source, destination)
            elif start + HEADER_BYTES <= len(data) and data[start] in _CONTENT:
                content_type, _, numbers, length = RECORD_HEADER.unpack_from(data, start)
                body = data[start + HEADER_BYTES : start + HEADER_BYTES + length]
                start += HEADER_BYTES + length
                yield from self._record(content_type, numbers, body, source, destination)
            else:
                kind = "record with a connection id" if data[start] == _CID_RECORD else "not a record"
                yield "dtls", kind, len(data) - start, {}
                return

    def can_open(self, data: bytes, source: Address) -> bool:
        """The session's keys open this protected record: it goes on here, from another address."""
        if data[0] & _UNIFIED_MASK == _UNIFIED:
            at = split_ciphertext(data, 0)
            opened = None if at is None or self._records is None else self._records.open(data, at, is_from_client=None)
            return opened is not None
        if len(data) < HEADER_BYTES:
            return False
        content_type, _, numbers, length = RECORD_HEADER.unpack_from(data)
        return self._open_12(content_type, numbers, data[HEADER_BYTES:][:length], None) is not None

    def media_keys(self) -> MediaKeys | None:
        """What opens SRTP; None without a profile or keys."""
        return MediaKeys.of_session(self._srtp_profile, self._exported)

    def is_from_client(self, source: Address) -> bool | None:
        """Which end an address is of; None where it has not been seen yet."""
        return True if source in self._client else False if source in self._server else None

    # -- records -------------------------------------------------------------------------------------------------------

    def _record(
        self, content_type: int, numbers: int, body: bytes, source: Address, destination: Address
    ) -> Iterator[Found]:
        if not numbers >> 48:
            yield from self._content(content_type, body, source, destination)
            return
        opened = self._open_12(content_type, numbers, body, self.is_from_client(source))
        if opened is None:
            yield "dtls", f"protected {_CONTENT[content_type]}", len(body), self._why_closed(numbers >> 48)
            return
        content, is_from_client = opened
        self._learn(source, destination, is_from_client=is_from_client)
        yield from self._content(content_type, content, source, destination)

    def _ciphertext(
        self, data: bytes, start: int, source: Address, destination: Address
    ) -> Generator[Found, None, int]:
        at = split_ciphertext(data, start)
        if at is None:
            yield "dtls", "record cut off or with a connection id", len(data) - start, {}
            return len(data)
        opened = None
        if self._records is not None:
            opened = self._records.open(data, at, is_from_client=self.is_from_client(source))
        if opened is None:
            epoch = data[start] & 3
            yield "dtls", "protected record", at.end - at.body, {**self._why_closed(epoch), "version": "1.3"}
        else:
            self._learn(source, destination, is_from_client=opened.is_from_client)
            yield from self._content(opened.content_type, opened.content, source, destination)
        return at.end

    def _content(self, content_type: int, content: bytes, source: Address, destination: Address) -> Iterator[Found]:
        match content_type:
            case ContentType.HANDSHAKE:
                yield from self._handshake(content, source, destination)
            case ContentType.APPLICATION_DATA:
                yield from decode_sctp(content)
            case ContentType.ALERT:
                try:
                    alert = parse_alert(content)
                except WireError as error:
                    yield "dtls", "Alert", len(content), {"malformed": str(error)}
                else:
                    yield "dtls", "Alert", len(content), {"level": alert.level.name.lower(), "alert": alert.name}
            case _:
                yield "dtls", _CONTENT.get(content_type, f"content type {content_type}"), len(content), {}

    def _why_closed(self, epoch: int) -> dict[str, Plain]:
        fields: dict[str, Plain] = {"epoch": epoch, "is_opened": False}
        if not self.is_begun:
            fields["why"] = "its handshake is not in the capture"
        elif not self._has_keys():
            fields["why"] = "no keys for its session"
        return fields

    def _has_keys(self) -> bool:
        if self._records is not None:
            return self._records.has_keys
        return self._ring.secret(self._client_random, "CLIENT_RANDOM") is not None

    def _learn(self, source: Address, destination: Address, *, is_from_client: bool) -> None:
        if len(self._client) < _PENDING_COUNT_MAX and len(self._server) < _PENDING_COUNT_MAX:
            (self._client if is_from_client else self._server).add(source)
            (self._server if is_from_client else self._client).add(destination)

    # -- handshake -----------------------------------------------------------------------------------------------------

    def _handshake(self, content: bytes, source: Address, destination: Address) -> Iterator[Found]:
        try:
            fragments = parse_fragments(content)
        except WireError as error:
            yield "dtls", "Handshake", len(content), {"malformed": str(error)}
            return
        for fragment in fragments:
            name = _HANDSHAKE.get(fragment.type, f"handshake type {fragment.type}")
            if len(fragment.body) < fragment.length:
                first, last = fragment.offset, fragment.offset + len(fragment.body)
                said: dict[str, Plain] = {"of_bytes": fragment.length, "from": first, "to": last}
                yield "dtls", f"{name} fragment", len(fragment.body), {"message_seq": fragment.message_seq, **said}
            whole = self._assembled(fragment, source)
            if whole is not None:
                yield self._message(fragment.type, name, fragment.message_seq, whole, (source, destination))

    def _assembled(self, fragment: Fragment, source: Address) -> bytes | None:
        """The whole message where this fragment completes it."""
        if len(fragment.body) == fragment.length:
            return fragment.body
        if fragment.length > _MESSAGE_BYTES_MAX:
            return None
        key = (source, fragment.message_seq)
        if key not in self._pending and len(self._pending) >= _PENDING_COUNT_MAX:
            del self._pending[next(iter(self._pending))]
        pieces = self._pending.setdefault(key, {})
        if len(pieces) < 1 + _MESSAGE_BYTES_MAX // 256:
            pieces[fragment.offset] = fragment.body
        whole = bytearray()
        for offset, piece in sorted(pieces.items()):
            if offset > len(whole):
                return None
            whole[offset : offset + len(piece)] = piece
        if len(whole) != fragment.length:
            return None
        del self._pending[key]
        return bytes(whole)

    def _message(self, kind: int, name: str, seq: int, body: bytes, ends: tuple[Address, Address]) -> Found:
        size = HANDSHAKE_HEADER_BYTES + len(body)
        parse = _HELLO_PARSERS.get(kind)
        fields: dict[str, Plain] = {"message_seq": seq}
        if parse is None:
            return "dtls", name, size, fields
        try:
            hello = parse(body)
        except WireError as error:
            return "dtls", name, size, {**fields, "malformed": str(error)}
        if kind == _CLIENT_HELLO:
            self._on_client_hello(hello, *ends)
        elif kind == _SERVER_HELLO and hello.is_retry:
            name = "HelloRetryRequest"
        elif kind == _SERVER_HELLO:
            self._on_server_hello(hello)
        elif hello.srtp_profile is not None:
            self._srtp_profile = hello.srtp_profile
        return "dtls", name, size, {**fields, **hello.fields}

    def _on_client_hello(self, hello: Hello, source: Address, destination: Address) -> None:
        if hello.random != self._client_random:
            self._client_random, self._hello = hello.random, None
            self._client, self._server = {source}, {destination}

    def _on_server_hello(self, hello: Hello) -> None:
        if self._hello is not None and self._hello.random == hello.random:
            return  # sent again
        self._hello, self._srtp_profile = hello, hello.srtp_profile
        self._session = self._protections = self._records = None
        if hello.version == DTLS_13 and hello.cipher_suite in SUITES_13:
            self._records = Records13(SUITES_13[hello.cipher_suite], self._ring, self._client_random)

    # -- keys ----------------------------------------------------------------------------------------------------------

    def _session_12(self) -> SessionKeys | None:
        if self._session is None and self._hello is not None and self._hello.cipher_suite in SUITES:
            secret = self._ring.secret(self._client_random, "CLIENT_RANDOM")
            if secret is not None:
                suite = CipherSuite(self._hello.cipher_suite)
                self._session = SessionKeys(suite, secret, self._client_random, self._hello.random)
        return self._session

    def _open_12(
        self, content_type: int, numbers: int, body: bytes, is_from_client: bool | None
    ) -> tuple[bytes, bool] | None:
        session = None if self._records is not None else self._session_12()
        if session is None:
            return None
        if self._protections is None:
            self._protections = session.protections()
        for direction in (True, False) if is_from_client is None else (is_from_client,):
            opened = self._protections[0 if direction else 1].open(content_type, numbers, body)
            if opened is not None:
                return opened, direction
        return None

    def _exported(self, size: int) -> bytes | None:
        if self._records is not None:
            return self._records.exported(DTLS_EXPORTER_LABEL.decode(), size)
        session = self._session_12()
        return None if session is None else session.export(DTLS_EXPORTER_LABEL, size, None)
