"""Our own certificate: made from entropy, taken from PEM, written to PEM (RFC 5763 section 5).

A self-signed certificate that only its fingerprint vouches for. It names nobody (RFC 5763 section 6.1), and the same
entropy and times give the same bytes, signature included (RFC 6979).
"""

from __future__ import annotations

import datetime

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from sans_rtc.dtls import signatures
from sans_rtc.dtls.fingerprint import Fingerprint
from sans_rtc.dtls.groups import NamedGroup, derive_private_key
from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, WireError

DEFAULT_LIFETIME_S = 30 * 86400  # as long as browsers give theirs
# RFC 5280 section 4.1.2.5 writes years up to 9999.
_TIME_MAX = 253402300799

# Hash functions of signatures that a fingerprint is made with besides SHA-256.
_SIGNED_WITH = {"sha384": "sha-384", "sha512": "sha-512"}

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "WebRTC")])


@attrs.frozen(slots=True, eq=False)
class Certificate:
    """A certificate and its private key.

    der        the certificate
    chain      certificates that follow it to the peer, usually none
    not_after  unix seconds; after it the certificate should be replaced. Nobody checks it in the handshake: there is no
               clock in the core, and the signalled fingerprint, not the date, is what makes a certificate good
    key        the private key, ECDSA on P-256, P-384 or P-521, or RSA
    """

    der: bytes
    key: signatures.PrivateKey = attrs.field(repr=False)
    not_after: int
    chain: tuple[bytes, ...] = ()

    @classmethod
    def generate(cls, entropy: Entropy, not_before: int, lifetime_s: int = DEFAULT_LIFETIME_S) -> Certificate:
        """Make a P-256 key and a certificate for it.

        entropy     drawn for the key (40 bytes) and the serial number (8 bytes), nothing else
        not_before  unix seconds; let it lie a day back, clocks differ
        lifetime_s  seconds it is good for
        """
        not_after = not_before + lifetime_s
        if not 0 <= not_before < not_after <= _TIME_MAX:
            raise InvalidArgument(
                "a certificate is valid from a moment since 1970 to a later one before the year 10000"
            )
        key = derive_private_key(NamedGroup.SECP256R1, entropy)
        # RFC 5280 section 4.1.2.2: positive, at most 20 bytes. The top bit clear, the next set: always 8 bytes.
        serial_number = int.from_bytes(entropy(8), "big") >> 1 | 1 << 62
        builder = x509.CertificateBuilder(
            issuer_name=_NAME,
            subject_name=_NAME,
            public_key=key.public_key(),
            serial_number=serial_number,
            not_valid_before=_EPOCH + datetime.timedelta(seconds=not_before),
            not_valid_after=_EPOCH + datetime.timedelta(seconds=not_after),
        )
        certificate = builder.sign(key, hashes.SHA256(), ecdsa_deterministic=True)
        return cls(certificate.public_bytes(Encoding.DER), key, not_after)

    @classmethod
    def from_pem(cls, pem: bytes) -> Certificate:
        """Take a private key and its certificate, in either order; further certificates become the chain.

        Errors  InvalidArgument: no key or certificate, an encrypted key, a key of another certificate or of a kind
                that is not taken (ECDSA on P-256, P-384, P-521; RSA of 2048 to 8192 bits)
        """
        try:
            key = load_pem_private_key(pem, None)
            certificates = x509.load_pem_x509_certificates(pem)
            encoded = [certificate.public_bytes(Encoding.DER) for certificate in certificates]
            public_key = signatures.parse_certificate_key(encoded[0])
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            reason = error if isinstance(error, WireError) else "a plain private key and its certificate are needed"
            raise InvalidArgument(f"this PEM cannot be used: {reason}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) or key.public_key() != public_key:
            raise InvalidArgument("the private key is not that of the first certificate")
        return cls(encoded[0], key, int(certificates[0].not_valid_after_utc.timestamp()), tuple(encoded[1:]))

    def to_pem(self) -> bytes:
        """Write the private key (PKCS#8, not encrypted), the certificate and the chain; `from_pem` takes them back."""
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        certificates = [x509.load_der_x509_certificate(encoded) for encoded in (self.der, *self.chain)]
        return key + b"".join([certificate.public_bytes(Encoding.PEM) for certificate in certificates])

    def fingerprint(self, algorithm: str = "sha-256") -> Fingerprint:
        """The fingerprint to signal; sha-256, sha-384 or sha-512."""
        return Fingerprint.of(self.der, algorithm)

    @property
    def fingerprints(self) -> tuple[Fingerprint, ...]:
        """Those to signal: of SHA-256, and of the hash that the certificate is signed with, where that is another one.

        Source  RFC 8122 section 5.1
        """
        signed_with = x509.load_der_x509_certificate(self.der).signature_hash_algorithm
        algorithm = _SIGNED_WITH.get(signed_with.name if signed_with is not None else "")
        return (self.fingerprint(), *((self.fingerprint(algorithm),) if algorithm is not None else ()))
