"""Our own certificate: made from entropy, taken from PEM, written to PEM (RFC 5763 section 5).

A self-signed certificate that only its fingerprint vouches for. It names nobody (RFC 5763 section 6.1), and the same
entropy and times give the same bytes, signature included (RFC 6979).
"""

from __future__ import annotations

import attrs
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sans_rtc.dtls import der, signatures
from sans_rtc.dtls.fingerprint import Fingerprint
from sans_rtc.dtls.groups import NamedGroup, derive_private_key
from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, WireError

DEFAULT_LIFETIME_S = 30 * 86400  # as long as browsers give theirs
# RFC 5280 section 4.1.2.5 writes years up to 9999.
_TIME_MAX = 253402300799

_ECDSA_WITH_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")  # RFC 5758 section 3.2
_COMMON_NAME = bytes.fromhex("0603550403")  # RFC 5280 appendix A.1
_VERSION_3 = bytes.fromhex("a003020102")
_NAME = der.serialize_element(
    der.SEQUENCE,
    der.serialize_element(
        der.SET, der.serialize_element(der.SEQUENCE, _COMMON_NAME, der.serialize_element(der.UTF8_STRING, b"WebRTC"))
    ),
)


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
        to_be_signed = der.serialize_element(
            der.SEQUENCE,
            _VERSION_3,
            der.serialize_integer(serial_number),
            _ECDSA_WITH_SHA256,
            _NAME,
            der.serialize_element(der.SEQUENCE, der.serialize_time(not_before), der.serialize_time(not_after)),
            _NAME,
            key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        )
        signature = signatures.sign(key, signatures.SignatureScheme.ECDSA_SHA256, to_be_signed)
        bit_string = der.serialize_element(der.BIT_STRING, b"\x00", signature)
        certificate = der.serialize_element(der.SEQUENCE, to_be_signed, _ECDSA_WITH_SHA256, bit_string)
        return cls(certificate, key, not_after)

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
