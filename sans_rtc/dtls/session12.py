"""What a client and a server of DTLS 1.2 have in common during a handshake: identities, transcript, keys.

The order of the checks is the security of the whole:

    1. the certificate has the signalled fingerprint (and is pinned, where a set is configured)   accept_certificate
    2. the peer signs with that certificate's key: over the randoms and its share (a server), or
       over the whole handshake so far (a client)                                                 check_signature
    3. both ends have seen the same handshake, under the keys that came of it                     check_finished

Only then is `Outcome` made, and nothing of the keys leaves before. A failed check is a `Refusal`.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from sans_rtc.dtls import messages, signatures
from sans_rtc.dtls.alert import AlertDescription, Refusal
from sans_rtc.dtls.certificate import Certificate
from sans_rtc.dtls.ciphers import SUITES, CipherSuite
from sans_rtc.dtls.config import DtlsConfig, Role
from sans_rtc.dtls.events import Connected, TerminationReason
from sans_rtc.dtls.extensions import POINT_FORMAT_UNCOMPRESSED, Extensions
from sans_rtc.dtls.fingerprint import Fingerprint, matches_any, matches_signalled
from sans_rtc.dtls.flight import FlightItem
from sans_rtc.dtls.groups import KeyShare
from sans_rtc.dtls.handshake import HandshakeMessage, HandshakeType
from sans_rtc.dtls.keys import SessionKeys
from sans_rtc.dtls.progress import NextEpoch, Outcome
from sans_rtc.dtls.transcript import Transcript
from sans_rtc.dtls.wire import ProtocolVersion
from sans_rtc.entropy import Entropy
from sans_rtc.errors import WireError

EPOCH_PLAIN = 0
EPOCH_PROTECTED = 1


def epoch_of(type_: int) -> int:
    """The epoch in which a message belongs: all before Finished are unprotected."""
    return EPOCH_PROTECTED if type_ == HandshakeType.FINISHED else EPOCH_PLAIN


class Session12:
    """The state of one handshake that does not depend on who is client.

    Filled in protocol order: randoms, suite and group from the hellos, the peer's certificate and key, the keys.
    """

    def __init__(
        self,
        config: DtlsConfig,
        role: Role,
        certificate: Certificate,
        peer_fingerprints: Sequence[Fingerprint],
        entropy: Entropy,
    ) -> None:
        self.config = config
        self.role = role
        self.certificate = certificate
        self.peer_fingerprints = tuple(peer_fingerprints)
        self.entropy = entropy
        self.transcript = Transcript()
        self.client_random = b""
        self.server_random = b""
        self.suite: CipherSuite | None = None
        self.share: KeyShare | None = None
        self.srtp_profile: int | None = None
        self.peer_certificate_der = b""
        self.peer_key: signatures.PublicKey | None = None
        self.keys: SessionKeys | None = None
        self._next_seq = 0

    # sending

    def message(self, type_: HandshakeType, body: bytes) -> FlightItem:
        """Number a message of ours and put it into the transcript."""
        message = HandshakeMessage(type_, self._next_seq, body)
        self._next_seq += 1
        self.transcript.add(message.serialize())
        return FlightItem(epoch_of(type_), message)

    def certificate_message(self) -> FlightItem:
        """Our certificate and its chain."""
        chain = messages.CertificateList((self.certificate.der, *self.certificate.chain))
        return self.message(HandshakeType.CERTIFICATE, messages.serialize_certificate_list(chain))

    def finished_items(self) -> list[FlightItem]:
        """ChangeCipherSpec and our Finished."""
        keys = self.known_keys()
        verify_data = keys.verify_data(self.role, self._handshake_hash(keys))
        finished = self.message(HandshakeType.FINISHED, messages.serialize_finished(messages.Finished(verify_data)))
        return [FlightItem(EPOCH_PLAIN, None), finished]

    def signing_scheme(self, accepted: Sequence[int]) -> signatures.SignatureScheme:
        """The scheme to sign with, or a refusal where our key suits none that the peer accepts."""
        scheme = signatures.choose_scheme(self.certificate.key, accepted)
        if scheme is None:
            raise nothing_shared("a signature scheme")
        return scheme

    def sign(self, scheme: signatures.SignatureScheme) -> bytes:
        """Sign all messages so far, for CertificateVerify (RFC 5246 section 7.4.8)."""
        return signatures.sign(self.certificate.key, scheme, self.transcript.content())

    # checking

    def accept_certificate(self, certificates: Sequence[bytes]) -> None:
        """Check 1: the peer's certificate is the one that was signalled, and keep its key.

        RFC 5763 section 5: "If the fingerprint does not match the hashed certificate, then the endpoint MUST tear down
        the media session immediately." RFC 8122 section 6.2 names the alert. The rest of the chain is not looked at.
        """
        if not certificates:
            raise Refusal(
                AlertDescription.BAD_CERTIFICATE,
                TerminationReason.CERTIFICATE_MISSING,
                "the peer has no certificate",
            )
        der = certificates[0]
        if not matches_signalled(der, self.peer_fingerprints):
            raise _mismatch(f"the peer's certificate, {Fingerprint.of(der)}, is not the one that was signalled")
        if self.config.pinned_fingerprints and not matches_any(der, self.config.pinned_fingerprints):
            raise _mismatch(f"the peer's certificate, {Fingerprint.of(der)}, is not one of the pinned")
        try:
            self.peer_key = signatures.parse_certificate_key(der)
        except WireError as error:
            raise Refusal(
                AlertDescription.UNSUPPORTED_CERTIFICATE, TerminationReason.CERTIFICATE_INVALID, str(error)
            ) from error
        self.peer_certificate_der = der

    def check_signature(self, scheme: int, signature: bytes, signed: bytes) -> None:
        """Check 2: the peer holds the private key of its certificate."""
        assert self.peer_key is not None, "the certificate comes before the signature"
        if scheme not in self.config.signature_schemes:
            raise Refusal(
                AlertDescription.ILLEGAL_PARAMETER,
                TerminationReason.PROTOCOL_VIOLATION,
                f"the peer signs with the scheme {scheme:#06x}, which was not offered",
            )
        if not signatures.is_signature_valid(self.peer_key, scheme, signature, signed):
            raise Refusal(
                AlertDescription.DECRYPT_ERROR,
                TerminationReason.SIGNATURE_INVALID,
                "the peer's signature is not by the key of its certificate",
            )

    def check_finished(self, body: bytes) -> None:
        """Check 3: the peer's Finished covers the same messages; call it before the message joins the transcript."""
        keys = self.known_keys()
        peer = Role.SERVER if self.role is Role.CLIENT else Role.CLIENT
        if not hmac.compare_digest(keys.verify_data(peer, self._handshake_hash(keys)), body):
            raise Refusal(
                AlertDescription.DECRYPT_ERROR,
                TerminationReason.FINISHED_INVALID,
                "the two ends have not seen the same handshake",
            )

    # keys

    def derive_keys(self, peer_public: bytes) -> NextEpoch:
        """Agree on the secret and make the keys; the transcript ends with ClientKeyExchange (RFC 7627 section 3)."""
        assert self.share is not None and self.suite is not None, "the hellos come before the key exchange"
        try:
            premaster_secret = self.share.agree(peer_public)
        except WireError as error:
            raise Refusal(
                AlertDescription.ILLEGAL_PARAMETER, TerminationReason.PROTOCOL_VIOLATION, str(error)
            ) from error
        session_hash = self.transcript.digest(SUITES[self.suite].hash_name)
        self.keys = SessionKeys.derive(
            self.suite, premaster_secret, session_hash, self.client_random, self.server_random
        )
        client, server = self.keys.protections()
        return NextEpoch(client, server) if self.role is Role.CLIENT else NextEpoch(server, client)

    def log_keys(self) -> None:
        """Give the key log its line; only once the peer has proven who it is."""
        if self.config.key_log is not None:
            self.config.key_log(self.known_keys().key_log_line())

    def known_keys(self) -> SessionKeys:
        """The keys, which must have been derived."""
        assert self.keys is not None, "the keys are derived before they are used"
        return self.keys

    def outcome(self) -> Outcome:
        """What was agreed; call it when all three checks have passed. The transcript is of no use any more."""
        assert self.share is not None, "the key exchange comes before the end"
        keys = self.known_keys()
        self.transcript.clear()
        connected = Connected(
            ProtocolVersion.DTLS_1_2, keys.suite, self.share.group, self.srtp_profile, self.peer_certificate_der
        )
        return Outcome(connected, keys)

    def _handshake_hash(self, keys: SessionKeys) -> bytes:
        return self.transcript.digest(SUITES[keys.suite].hash_name)


def check_hello_extensions(extensions: Extensions, sender: Role) -> None:
    """What either hello must say, or must not.

    RFC 7627 section 5.2, 5.3: without the extended master secret, the hello is refused; here always.
    RFC 5746 section 3.4, 3.6: renegotiation_info of a first handshake is empty.
    RFC 8422 section 5.1.2: point formats, where given, include the uncompressed one.
    """
    if extensions.extended_master_secret is None:
        raise Refusal(
            AlertDescription.HANDSHAKE_FAILURE,
            TerminationReason.EXTENDED_MASTER_SECRET_MISSING,
            f"the {sender} does not know the extended master secret (RFC 7627)",
        )
    if extensions.renegotiation_info:
        raise Refusal(
            AlertDescription.HANDSHAKE_FAILURE,
            TerminationReason.PROTOCOL_VIOLATION,
            f"the {sender} takes this first handshake for a renegotiation",
        )
    if extensions.ec_point_formats is not None and POINT_FORMAT_UNCOMPRESSED not in extensions.ec_point_formats:
        raise Refusal(
            AlertDescription.ILLEGAL_PARAMETER,
            TerminationReason.PROTOCOL_VIOLATION,
            f"the {sender} does not take uncompressed points",
        )


def nothing_shared(what: str) -> Refusal:
    """The refusal where the two ends have no value in common."""
    return Refusal(
        AlertDescription.HANDSHAKE_FAILURE,
        TerminationReason.NOTHING_SHARED,
        f"the two ends do not share {what}",
    )


def illegal(detail: str) -> Refusal:
    """The refusal of a value that the peer was not free to choose."""
    return Refusal(AlertDescription.ILLEGAL_PARAMETER, TerminationReason.PROTOCOL_VIOLATION, detail)


def unexpected(detail: str) -> Refusal:
    """The refusal of a message that does not belong here."""
    return Refusal(AlertDescription.UNEXPECTED_MESSAGE, TerminationReason.PROTOCOL_VIOLATION, detail)


def _mismatch(detail: str) -> Refusal:
    return Refusal(AlertDescription.BAD_CERTIFICATE, TerminationReason.FINGERPRINT_MISMATCH, detail)
