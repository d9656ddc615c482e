"""The server of a DTLS 1.2 handshake (RFC 6347 section 4.2.4, RFC 5246 section 7.3), states in protocol order.

    Client                                          Server

    ClientHello             -------->                              flight 1
                            <--------    HelloVerifyRequest        flight 2, with `use_cookies`
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
changes nothing. No session is ever resumed, so session identifiers and tickets are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum

from sans_rtc.dtls import messages, signatures
from sans_rtc.dtls.alert import AlertDescription, Refusal
from sans_rtc.dtls.ciphers import SUITES, CipherSuite
from sans_rtc.dtls.config import Role
from sans_rtc.dtls.cookie import CookieJar
from sans_rtc.dtls.events import TerminationReason
from sans_rtc.dtls.extensions import POINT_FORMAT_UNCOMPRESSED, Extensions, UseSrtp
from sans_rtc.dtls.flight import FlightItem
from sans_rtc.dtls.groups import KeyShare, NamedGroup
from sans_rtc.dtls.handshake import HandshakeMessage, HandshakeType, handshake_name
from sans_rtc.dtls.progress import NOTHING_YET, Progress
from sans_rtc.dtls.session12 import (
    Session12,
    check_hello_extensions,
    epoch_of,
    illegal,
    nothing_shared,
    unexpected,
)
from sans_rtc.dtls.wire import ProtocolVersion


class ServerState(Enum):
    """What the server waits for."""

    AWAIT_CLIENT_HELLO = "await_client_hello"
    AWAIT_CERTIFICATE = "await_certificate"
    AWAIT_CLIENT_KEY_EXCHANGE = "await_client_key_exchange"
    AWAIT_CERTIFICATE_VERIFY = "await_certificate_verify"
    AWAIT_FINISHED = "await_finished"
    COMPLETE = "complete"


TRANSITIONS: dict[ServerState, frozenset[ServerState]] = {
    ServerState.AWAIT_CLIENT_HELLO: frozenset({ServerState.AWAIT_CERTIFICATE}),
    ServerState.AWAIT_CERTIFICATE: frozenset({ServerState.AWAIT_CLIENT_KEY_EXCHANGE}),
    ServerState.AWAIT_CLIENT_KEY_EXCHANGE: frozenset({ServerState.AWAIT_CERTIFICATE_VERIFY}),
    ServerState.AWAIT_CERTIFICATE_VERIFY: frozenset({ServerState.AWAIT_FINISHED}),
    ServerState.AWAIT_FINISHED: frozenset({ServerState.COMPLETE}),
    ServerState.COMPLETE: frozenset(),
}


class Server12:
    """A server's handshake, from the client's ClientHello to its Finished."""

    def __init__(self, session: Session12) -> None:
        self.state = ServerState.AWAIT_CLIENT_HELLO
        self._session = session
        self._cookies = CookieJar(session.entropy) if session.config.use_cookies else None

    def start(self) -> Progress:
        """A server waits."""
        return NOTHING_YET

    def receive(self, message: HandshakeMessage) -> Progress:
        """Take the next message of the client's.

        Errors  WireError: it cannot be parsed, and nothing has changed; Refusal: the handshake is over
        """
        expected, step = _STEPS[self.state]
        if message.type != expected:
            raise unexpected(f"{handshake_name(message.type)} in the state {self.state.value}")
        return step(self, message)

    def takes_repeated(self, type_: int) -> bool:
        """Whether a message with a number that was there before is to be looked at all the same: never."""
        return False

    def epoch_of(self, type_: int) -> int:
        """In which epoch a message of this type belongs."""
        return epoch_of(type_)

    def _await_client_hello(self, message: HandshakeMessage) -> Progress:
        hello = messages.parse_client_hello(message.body)
        if self._cookies is not None and not self._cookies.is_ours(hello):
            # RFC 6347 section 4.2.1: an invalid cookie counts as none.
            return self._send_hello_verify_request(self._cookies.bake(hello))
        self._check_client_hello(hello)
        session = self._session
        session.suite = self._choose_suite(hello.cipher_suites)
        group = self._choose_group(hello.extensions.supported_groups)
        # RFC 5246 section 7.4.1.4.1: without the extension the client takes SHA-1 only, which is not signed here.
        scheme = session.signing_scheme(hello.extensions.signature_algorithms or ())
        session.client_random = hello.random
        session.transcript.add(message.serialize())
        self._enter(ServerState.AWAIT_CERTIFICATE)
        return self._send_server_hello(hello, group, scheme)

    def _send_hello_verify_request(self, cookie: bytes) -> Progress:
        # RFC 6347 section 4.2.1: "DTLS 1.2 server implementations SHOULD use DTLS version 1.0 regardless of the version
        # of TLS that is expected to be negotiated."
        request = messages.HelloVerifyRequest(ProtocolVersion.DTLS_1_0, cookie)
        body = messages.serialize_hello_verify_request(request)
        item = self._session.message(HandshakeType.HELLO_VERIFY_REQUEST, body)
        self._session.transcript.clear()
        return Progress(flight=[item], is_flight_timed=False, mirrors_record=True)

    def _check_client_hello(self, hello: messages.ClientHello) -> None:
        versions = hello.extensions.supported_versions
        # Browsers offer 1.3 in supported_versions and write 1.2 into the old field. Newer versions are smaller numbers.
        is_old = hello.version >> 8 != 0xFE or hello.version > ProtocolVersion.DTLS_1_2
        if is_old or (versions is not None and ProtocolVersion.DTLS_1_2 not in versions):
            raise Refusal(
                AlertDescription.PROTOCOL_VERSION,
                TerminationReason.VERSION_UNSUPPORTED,
                "the client does not speak DTLS 1.2",
            )
        if messages.NULL_COMPRESSION not in hello.compression_methods:
            raise illegal("the client insists on compression")
        check_hello_extensions(hello.extensions, Role.CLIENT)

    def _choose_suite(self, offered: Sequence[int]) -> CipherSuite:
        kind = signatures.key_kind(self._session.certificate.key)
        for suite in self._session.config.cipher_suites:
            if suite in offered and SUITES[CipherSuite(suite)].key_kind == kind:
                return CipherSuite(suite)
        raise nothing_shared("a cipher suite")

    def _choose_group(self, offered: Sequence[int] | None) -> NamedGroup:
        # RFC 8422 section 4: a client that does not say takes any; P-256 is what every one has.
        offered = (NamedGroup.SECP256R1,) if offered is None else offered
        for group in self._session.config.groups:
            if group in offered:
                return NamedGroup(group)
        raise nothing_shared("a group")

    def _send_server_hello(
        self, hello: messages.ClientHello, group: NamedGroup, scheme: signatures.SignatureScheme
    ) -> Progress:
        session = self._session
        flight = [
            self._server_hello(hello),
            session.certificate_message(),
            self._server_key_exchange(group, scheme),
            self._certificate_request(),
            session.message(HandshakeType.SERVER_HELLO_DONE, b""),
        ]
        return Progress(flight=flight, mirrors_record=self._cookies is not None)

    def _server_hello(self, hello: messages.ClientHello) -> FlightItem:
        session = self._session
        # RFC 8446 section 4.1.3: "TLS 1.3 servers which negotiate TLS 1.2 or below in response to a ClientHello MUST
        # set the last 8 bytes of their Random value specially". This server does not speak 1.3, so it must not: a
        # client that finds the sentinel ends the handshake. Whoever adds server13 sets it, here.
        session.server_random = session.entropy(messages.RANDOM_BYTES)
        session.srtp_profile = self._choose_srtp_profile(hello.extensions.use_srtp)
        offers_renegotiation_info = (
            hello.extensions.renegotiation_info is not None or messages.SCSV_RENEGOTIATION in hello.cipher_suites
        )
        offers_point_formats = hello.extensions.ec_point_formats is not None
        assert session.suite is not None, "chosen just before"
        answer = messages.ServerHello(
            version=ProtocolVersion.DTLS_1_2,
            random=session.server_random,
            session_id=b"",
            cipher_suite=session.suite,
            compression_method=messages.NULL_COMPRESSION,
            extensions=Extensions(
                ec_point_formats=(POINT_FORMAT_UNCOMPRESSED,) if offers_point_formats else None,
                use_srtp=UseSrtp((session.srtp_profile,)) if session.srtp_profile is not None else None,
                extended_master_secret=b"",
                renegotiation_info=b"" if offers_renegotiation_info else None,
            ),
        )
        return session.message(HandshakeType.SERVER_HELLO, messages.serialize_server_hello(answer))

    def _choose_srtp_profile(self, offer: UseSrtp | None) -> int | None:
        # RFC 5764 section 4.1.1: "If there is no shared profile, the server SHOULD NOT return the use_srtp extension".
        # Section 4.1.3: an empty srtp_mki refuses the client's, if it has one.
        offered = offer.profiles if offer is not None else ()
        return next((profile for profile in self._session.config.srtp_profiles if profile in offered), None)

    def _server_key_exchange(self, group: NamedGroup, scheme: signatures.SignatureScheme) -> FlightItem:
        session = self._session
        session.share = KeyShare(group, session.entropy)
        exchange = messages.ServerKeyExchange(group, session.share.public, scheme, b"")
        signed = session.client_random + session.server_random + exchange.params()
        exchange.signature = signatures.sign(session.certificate.key, scheme, signed)
        body = messages.serialize_server_key_exchange(exchange)
        return session.message(HandshakeType.SERVER_KEY_EXCHANGE, body)

    def _certificate_request(self) -> FlightItem:
        # RFC 8122 section 6.2: "The server MUST request a certificate".
        request = messages.CertificateRequest(
            bytes((messages.CertificateType.ECDSA_SIGN, messages.CertificateType.RSA_SIGN)),
            self._session.config.signature_schemes,
        )
        body = messages.serialize_certificate_request(request)
        return self._session.message(HandshakeType.CERTIFICATE_REQUEST, body)

    def _await_certificate(self, message: HandshakeMessage) -> Progress:
        self._session.accept_certificate(messages.parse_certificate_list(message.body).certificates)
        self._session.transcript.add(message.serialize())
        self._enter(ServerState.AWAIT_CLIENT_KEY_EXCHANGE)
        return NOTHING_YET

    def _await_client_key_exchange(self, message: HandshakeMessage) -> Progress:
        exchange = messages.parse_client_key_exchange(message.body)
        self._session.transcript.add(message.serialize())
        next_epoch = self._session.derive_keys(exchange.public)
        self._enter(ServerState.AWAIT_CERTIFICATE_VERIFY)
        return Progress(next_epoch=next_epoch)

    def _await_certificate_verify(self, message: HandshakeMessage) -> Progress:
        session = self._session
        verify = messages.parse_certificate_verify(message.body)
        session.check_signature(verify.scheme, verify.signature, session.transcript.content())
        session.log_keys()
        session.transcript.add(message.serialize())
        self._enter(ServerState.AWAIT_FINISHED)
        return NOTHING_YET

    def _await_finished(self, message: HandshakeMessage) -> Progress:
        session = self._session
        session.check_finished(messages.parse_finished(message.body).verify_data)
        session.transcript.add(message.serialize())
        self._enter(ServerState.COMPLETE)
        return Progress(flight=session.finished_items(), is_flight_timed=False, outcome=session.outcome())

    def _enter(self, state: ServerState) -> None:
        assert state in TRANSITIONS[self.state], f"{self.state} does not lead to {state}"
        self.state = state


_Step = Callable[[Server12, HandshakeMessage], Progress]

_STEPS: dict[ServerState, tuple[HandshakeType, _Step]] = {
    ServerState.AWAIT_CLIENT_HELLO: (HandshakeType.CLIENT_HELLO, Server12._await_client_hello),
    ServerState.AWAIT_CERTIFICATE: (HandshakeType.CERTIFICATE, Server12._await_certificate),
    ServerState.AWAIT_CLIENT_KEY_EXCHANGE: (
        HandshakeType.CLIENT_KEY_EXCHANGE,
        Server12._await_client_key_exchange,
    ),
    ServerState.AWAIT_CERTIFICATE_VERIFY: (
        HandshakeType.CERTIFICATE_VERIFY,
        Server12._await_certificate_verify,
    ),
    ServerState.AWAIT_FINISHED: (HandshakeType.FINISHED, Server12._await_finished),
}
