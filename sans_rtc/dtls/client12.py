"""The client of a DTLS 1.2 handshake (RFC 6347 section 4.2.4, RFC 5246 section 7.3), states in protocol order.

    Client                                          Server

    ClientHello             -------->                              flight 1
                            <--------    HelloVerifyRequest        flight 2, where the server wants a cookie
    ClientHello             -------->                              flight 3
                                                ServerHello
                                                Certificate
                                          ServerKeyExchange        flight 4
                                         CertificateRequest
                            <--------       ServerHelloDone
    Certificate
    ClientKeyExchange
    CertificateVerify                                              flight 5
    [ChangeCipherSpec]
    Finished                -------->
                                         [ChangeCipherSpec]        flight 6
                            <--------              Finished

A transform: messages in, `Progress` out; a `Refusal` ends it. A message that cannot be parsed raises WireError and
changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from sans_rtc.dtls import messages
from sans_rtc.dtls.alert import AlertDescription, Refusal
from sans_rtc.dtls.ciphers import SUITES, CipherSuite
from sans_rtc.dtls.config import Role
from sans_rtc.dtls.events import TerminationReason
from sans_rtc.dtls.extensions import POINT_FORMAT_UNCOMPRESSED, Extensions, UseSrtp
from sans_rtc.dtls.groups import KeyShare, NamedGroup
from sans_rtc.dtls.handshake import HandshakeMessage, HandshakeType, handshake_name
from sans_rtc.dtls.progress import NOTHING_YET, Progress
from sans_rtc.dtls.session12 import (
    Session12,
    check_hello_extensions,
    epoch_of,
    illegal,
    unexpected,
)
from sans_rtc.dtls.signatures import key_kind
from sans_rtc.dtls.wire import ProtocolVersion

# A server asks for a cookie once, or twice where its secret has changed in between.
HELLO_VERIFY_COUNT_MAX = 8


class ClientState(Enum):
    """What the client waits for."""

    START = "start"
    AWAIT_SERVER_HELLO = "await_server_hello"
    AWAIT_CERTIFICATE = "await_certificate"
    AWAIT_SERVER_KEY_EXCHANGE = "await_server_key_exchange"
    AWAIT_CERTIFICATE_REQUEST = "await_certificate_request"
    AWAIT_SERVER_HELLO_DONE = "await_server_hello_done"
    AWAIT_FINISHED = "await_finished"
    COMPLETE = "complete"


TRANSITIONS: dict[ClientState, frozenset[ClientState]] = {
    ClientState.START: frozenset({ClientState.AWAIT_SERVER_HELLO}),
    ClientState.AWAIT_SERVER_HELLO: frozenset({ClientState.AWAIT_CERTIFICATE}),
    ClientState.AWAIT_CERTIFICATE: frozenset({ClientState.AWAIT_SERVER_KEY_EXCHANGE}),
    ClientState.AWAIT_SERVER_KEY_EXCHANGE: frozenset({ClientState.AWAIT_CERTIFICATE_REQUEST}),
    ClientState.AWAIT_CERTIFICATE_REQUEST: frozenset({ClientState.AWAIT_SERVER_HELLO_DONE}),
    ClientState.AWAIT_SERVER_HELLO_DONE: frozenset({ClientState.AWAIT_FINISHED}),
    ClientState.AWAIT_FINISHED: frozenset({ClientState.COMPLETE}),
    ClientState.COMPLETE: frozenset(),
}


class Client12:
    """A client's handshake, from ClientHello to the server's Finished."""

    def __init__(self, session: Session12) -> None:
        self.state = ClientState.START
        self._session = session
        self._hello: messages.ClientHello
        self._offered_types: tuple[int, ...] = ()
        self._accepted_schemes: tuple[int, ...] = ()
        self._peer_public = b""
        self._hello_verify_count = 0

    def start(self) -> Progress:
        """Make the first flight."""
        session = self._session
        config = session.config
        # RFC 8446 section 4.1.3 puts a sentinel into the random of servers that speak 1.3 and answer 1.2. A client that
        # offers 1.2 only must not look for it; client13 will have to.
        session.client_random = session.entropy(messages.RANDOM_BYTES)
        self._hello = messages.ClientHello(
            version=ProtocolVersion.DTLS_1_2,
            random=session.client_random,
            session_id=b"",
            cookie=b"",
            cipher_suites=config.cipher_suites,
            compression_methods=bytes((messages.NULL_COMPRESSION,)),
            extensions=Extensions(
                supported_groups=config.groups,
                ec_point_formats=(POINT_FORMAT_UNCOMPRESSED,),
                signature_algorithms=config.signature_schemes,
                use_srtp=UseSrtp(config.srtp_profiles) if config.srtp_profiles else None,
                extended_master_secret=b"",
                renegotiation_info=b"",
            ),
        )
        self._enter(ClientState.AWAIT_SERVER_HELLO)
        return self._send_client_hello()

    def receive(self, message: HandshakeMessage) -> Progress:
        """Take the next message of the server's.

        Errors  WireError: it cannot be parsed, and nothing has changed; Refusal: the handshake is over
        """
        expected, step = _STEPS[self.state]
        if message.type not in expected:
            raise unexpected(f"{handshake_name(message.type)} in the state {self.state.value}")
        return step(self, message)

    def takes_repeated(self, type_: int) -> bool:
        """Whether a message with a number that was there before is to be looked at, by `receive`, all the same.

        A server without state answers each ClientHello with a HelloVerifyRequest numbered 0 (RFC 6347 section 4.2.1).
        """
        return type_ == HandshakeType.HELLO_VERIFY_REQUEST and self.state is ClientState.AWAIT_SERVER_HELLO

    def epoch_of(self, type_: int) -> int:
        """In which epoch a message of this type belongs."""
        return epoch_of(type_)

    def _send_client_hello(self) -> Progress:
        body = messages.serialize_client_hello(self._hello)
        self._offered_types = messages.parse_client_hello(body).extensions.types
        return Progress(flight=[self._session.message(HandshakeType.CLIENT_HELLO, body)])

    def _await_server_hello(self, message: HandshakeMessage) -> Progress:
        if message.type == HandshakeType.HELLO_VERIFY_REQUEST:
            return self._on_hello_verify_request(message)
        hello = messages.parse_server_hello(message.body)
        self._check_server_hello(hello)
        session = self._session
        session.server_random = hello.random
        session.suite = CipherSuite(hello.cipher_suite)
        if hello.extensions.use_srtp is not None:
            session.srtp_profile = hello.extensions.use_srtp.profiles[0]
        session.transcript.add(message.serialize())
        self._enter(ClientState.AWAIT_CERTIFICATE)
        return NOTHING_YET

    def _on_hello_verify_request(self, message: HandshakeMessage) -> Progress:
        # RFC 6347 section 4.2.1: "The client MUST retransmit the ClientHello with the cookie added", and change nothing
        # else; neither message counts in the transcript.
        # deviation: the section has the client compare the version in it with the ServerHello's, but also servers write
        # 1.0 into it whatever follows; so the version is not looked at.
        request = messages.parse_hello_verify_request(message.body)
        if request.cookie == self._hello.cookie or self._hello_verify_count >= HELLO_VERIFY_COUNT_MAX:
            return NOTHING_YET
        self._hello_verify_count += 1
        self._hello.cookie = request.cookie
        self._session.transcript.clear()
        return self._send_client_hello()

    def _check_server_hello(self, hello: messages.ServerHello) -> None:
        if hello.version != ProtocolVersion.DTLS_1_2:
            raise Refusal(
                AlertDescription.PROTOCOL_VERSION,
                TerminationReason.VERSION_UNSUPPORTED,
                f"the server answers with the version {hello.version:#06x}",
            )
        if hello.cipher_suite not in self._hello.cipher_suites:
            raise illegal(f"the server chose the suite {hello.cipher_suite:#06x}, which was not offered")
        if hello.compression_method != messages.NULL_COMPRESSION:
            raise illegal("the server chose a compression")
        self._check_server_extensions(hello.extensions)

    def _check_server_extensions(self, extensions: Extensions) -> None:
        for type_ in extensions.types:
            if type_ not in self._offered_types:
                # RFC 5246 section 7.4.1.4
                raise Refusal(
                    AlertDescription.UNSUPPORTED_EXTENSION,
                    TerminationReason.PROTOCOL_VIOLATION,
                    f"the server sends the extension {type_}, which was not offered",
                )
        check_hello_extensions(extensions, Role.SERVER)
        srtp = extensions.use_srtp
        if srtp is None:
            return
        # RFC 5764 section 4.1.1: "The server MUST NOT select a value that the client has not offered." Section 4.1.3:
        # nor a key identifier; ours is always empty.
        if len(srtp.profiles) != 1 or srtp.profiles[0] not in self._session.config.srtp_profiles:
            raise illegal("the server chose an SRTP profile that was not offered")
        if srtp.mki:
            raise illegal("the server chose an SRTP master key identifier that was not offered")

    def _await_certificate(self, message: HandshakeMessage) -> Progress:
        session = self._session
        session.accept_certificate(messages.parse_certificate_list(message.body).certificates)
        assert session.suite is not None and session.peer_key is not None, "set by the steps before"
        if key_kind(session.peer_key) != SUITES[session.suite].key_kind:
            raise illegal("the server's certificate does not fit the cipher suite it chose")
        session.transcript.add(message.serialize())
        self._enter(ClientState.AWAIT_SERVER_KEY_EXCHANGE)
        return NOTHING_YET

    def _await_server_key_exchange(self, message: HandshakeMessage) -> Progress:
        session = self._session
        exchange = messages.parse_server_key_exchange(message.body)
        if exchange.group not in session.config.groups:
            raise illegal(f"the server chose the group {exchange.group:#06x}, which was not offered")
        signed = session.client_random + session.server_random + exchange.params()
        session.check_signature(exchange.scheme, exchange.signature, signed)
        session.share = KeyShare(NamedGroup(exchange.group), session.entropy)
        self._peer_public = exchange.public
        session.transcript.add(message.serialize())
        self._enter(ClientState.AWAIT_CERTIFICATE_REQUEST)
        return NOTHING_YET

    def _await_certificate_request(self, message: HandshakeMessage) -> Progress:
        if message.type == HandshakeType.SERVER_HELLO_DONE:
            # RFC 8122 section 6.2: "The server MUST request a certificate"; else it cannot know whom it talks to.
            raise Refusal(
                AlertDescription.HANDSHAKE_FAILURE,
                TerminationReason.CERTIFICATE_MISSING,
                "the server does not ask for a certificate",
            )
        self._accepted_schemes = messages.parse_certificate_request(message.body).signature_algorithms
        self._session.transcript.add(message.serialize())
        self._enter(ClientState.AWAIT_SERVER_HELLO_DONE)
        return NOTHING_YET

    def _await_server_hello_done(self, message: HandshakeMessage) -> Progress:
        messages.parse_server_hello_done(message.body)
        self._session.transcript.add(message.serialize())
        self._enter(ClientState.AWAIT_FINISHED)
        return self._send_finished()

    def _send_finished(self) -> Progress:
        session = self._session
        assert session.share is not None, "made at ServerKeyExchange"
        scheme = session.signing_scheme(self._accepted_schemes)
        flight = [session.certificate_message()]
        exchange = messages.ClientKeyExchange(session.share.public)
        body = messages.serialize_client_key_exchange(exchange)
        flight.append(session.message(HandshakeType.CLIENT_KEY_EXCHANGE, body))
        next_epoch = session.derive_keys(self._peer_public)
        session.log_keys()
        verify = messages.CertificateVerify(scheme, session.sign(scheme))
        body = messages.serialize_certificate_verify(verify)
        flight.append(session.message(HandshakeType.CERTIFICATE_VERIFY, body))
        flight += session.finished_items()
        return Progress(flight=flight, next_epoch=next_epoch)

    def _await_finished(self, message: HandshakeMessage) -> Progress:
        self._session.check_finished(messages.parse_finished(message.body).verify_data)
        self._enter(ClientState.COMPLETE)
        return Progress(outcome=self._session.outcome())

    def _enter(self, state: ClientState) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} does not lead to {state}"
        self.state = state


_Step = Callable[[Client12, HandshakeMessage], Progress]

_STEPS: dict[ClientState, tuple[frozenset[int], _Step]] = {
    ClientState.AWAIT_SERVER_HELLO: (
        frozenset({HandshakeType.HELLO_VERIFY_REQUEST, HandshakeType.SERVER_HELLO}),
        Client12._await_server_hello,
    ),
    ClientState.AWAIT_CERTIFICATE: (frozenset({HandshakeType.CERTIFICATE}), Client12._await_certificate),
    ClientState.AWAIT_SERVER_KEY_EXCHANGE: (
        frozenset({HandshakeType.SERVER_KEY_EXCHANGE}),
        Client12._await_server_key_exchange,
    ),
    ClientState.AWAIT_CERTIFICATE_REQUEST: (
        frozenset({HandshakeType.CERTIFICATE_REQUEST, HandshakeType.SERVER_HELLO_DONE}),
        Client12._await_certificate_request,
    ),
    ClientState.AWAIT_SERVER_HELLO_DONE: (
        frozenset({HandshakeType.SERVER_HELLO_DONE}),
        Client12._await_server_hello_done,
    ),
    ClientState.AWAIT_FINISHED: (frozenset({HandshakeType.FINISHED}), Client12._await_finished),
}
