"""Opens DTLS 1.2 and the SRTP keyed by it as a bystander who has the key log: what SCTP, RTP and RTCP are found by.

ClientHello -> its random, and who is the client      ServerHello -> its random, and the cipher suite
key log line of that client random -> master secret -> the keys of both directions, and what is exported for SRTP
"""

from __future__ import annotations

from typing import Final

from sans_rtc.dtls.ciphers import HEADER_BYTES, RECORD_HEADER, SUITES, CipherSuite, Protection
from sans_rtc.dtls.handshake import HandshakeType, parse_fragments
from sans_rtc.dtls.keys import SessionKeys
from sans_rtc.dtls.messages import ServerHello, parse_server_hello
from sans_rtc.dtls.wire import ContentType
from sans_rtc.errors import WireError
from sans_rtc.srtp import DTLS_EXPORTER_LABEL
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import parse_message
from sans_rtc.trace.decode_media import MediaKeys

# Sessions whose keys are remembered; a recording has one, or one more for each new identity of the peer.
SECRET_COUNT_MAX: Final = 1024
_RANDOM: Final = slice(2, 34)  # of a ClientHello: behind its version
_CHANNEL_DATA_HEADER_BYTES: Final = 4


class DtlsOpener:
    """Follows one DTLS connection from its ClientHello on."""

    def __init__(self) -> None:
        self._secrets: dict[bytes, bytes] = {}
        self._client_random = b""
        self._server_random = b""
        self._suite: CipherSuite | None = None
        self._srtp_profile: int | None = None
        self._is_client_outgoing = False
        self._protections: tuple[Protection, Protection] | None = None
        self._media: MediaKeys | None = None

    def add_key(self, line: str) -> None:
        """Take a line of a key log; others than CLIENT_RANDOM are of no use here."""
        parts = line.split()
        if len(parts) == 3 and parts[0] == "CLIENT_RANDOM" and len(self._secrets) < SECRET_COUNT_MAX:
            try:
                self._secrets[bytes.fromhex(parts[1])] = bytes.fromhex(parts[2])
            except ValueError:
                pass

    def open(self, datagram: bytes, *, is_outgoing: bool) -> list[bytes]:
        """The application data of one datagram; none where it has none, or the keys are not known."""
        data = _unwrapped(datagram)
        found = []
        start = 0
        while 20 <= (data[0] if data else 0) <= 63 and start + HEADER_BYTES <= len(data):
            content_type, _, numbers, length = RECORD_HEADER.unpack_from(data, start)
            body = data[start + HEADER_BYTES : start + HEADER_BYTES + length]
            start += HEADER_BYTES + length
            if content_type == ContentType.HANDSHAKE and not numbers >> 48:
                self._on_handshake(body, is_outgoing=is_outgoing)
            elif content_type == ContentType.APPLICATION_DATA and numbers >> 48:
                opened = self._opened(numbers, body, is_outgoing=is_outgoing)
                if opened is not None:
                    found.append(opened)
        return found

    def open_media(self, datagram: bytes, *, is_outgoing: bool) -> bytes | None:
        """The RTP or RTCP packet in one datagram; None where it has none, or the keys are not known."""
        data = _unwrapped(datagram)
        if not 128 <= (data[0] if data else 0) <= 191:
            return None
        if self._media is None:
            self._media = MediaKeys.of_session(self._srtp_profile, self._exported)
        return None if self._media is None else self._media.open(data, is_from_client=self._is_client(is_outgoing))

    def _on_handshake(self, body: bytes, *, is_outgoing: bool) -> None:
        try:
            for fragment in parse_fragments(body):
                if fragment.offset:
                    continue
                if fragment.type == HandshakeType.CLIENT_HELLO and len(fragment.body) >= _RANDOM.stop:
                    self._client_random = fragment.body[_RANDOM]
                    self._is_client_outgoing = is_outgoing
                elif fragment.type == HandshakeType.SERVER_HELLO and len(fragment.body) == fragment.length:
                    self._on_server_hello(parse_server_hello(fragment.body))
        except WireError:
            pass  # a bystander sees what strangers send, too

    def _on_server_hello(self, hello: ServerHello) -> None:
        if hello.random == self._server_random:
            return  # sent again
        self._server_random, self._protections, self._media = hello.random, None, None
        self._suite = CipherSuite(hello.cipher_suite) if hello.cipher_suite in SUITES else None
        offered = hello.extensions.use_srtp
        self._srtp_profile = offered.profiles[0] if offered is not None and offered.profiles else None

    def _keys(self) -> SessionKeys | None:
        secret = self._secrets.get(self._client_random)
        if secret is None or self._suite is None:
            return None
        return SessionKeys(self._suite, secret, self._client_random, self._server_random)

    def _exported(self, size: int) -> bytes | None:
        keys = self._keys()
        return None if keys is None else keys.export(DTLS_EXPORTER_LABEL, size, None)

    def _is_client(self, is_outgoing: bool) -> bool:
        return is_outgoing is self._is_client_outgoing

    def _opened(self, numbers: int, body: bytes, *, is_outgoing: bool) -> bytes | None:
        if self._protections is None:
            keys = self._keys()
            if keys is None:
                return None
            self._protections = keys.protections()
        protection = self._protections[0 if self._is_client(is_outgoing) else 1]
        return protection.open(ContentType.APPLICATION_DATA, numbers, body)


def _unwrapped(data: bytes) -> bytes:
    """What a TURN relay carries for us: of ChannelData, and of Send and Data indications (RFC 8656)."""
    if not data:
        return data
    if 64 <= data[0] <= 79:
        length = int.from_bytes(data[2:4], "big")
        return data[_CHANNEL_DATA_HEADER_BYTES:][:length]
    if data[:2] in (b"\x00\x16", b"\x00\x17"):
        try:
            carried = parse_message(data).value(AttributeType.DATA)
        except WireError:
            return b""
        return carried if isinstance(carried, bytes) else b""
    return data
