"""Signature schemes (RFC 5246 section 7.4.1.4.1 in the numbering of RFC 8446 section 4.2.3): signing and verifying.

In TLS 1.2 a scheme names a hash and an algorithm; an ECDSA scheme does not bind the curve (RFC 8446 section 4.2.3).
SHA-1 and MD5 have no row, so nothing signed with them is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from sans_rtc.dtls import der
from sans_rtc.errors import Malformed, Unsupported

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

# NIST SP 800-131A: 2048 bits at least. The upper bound is what keeps a peer from buying our time: one verification with
# 8192 bits takes about 0.3 ms, and the work grows with the square.
RSA_BITS_MIN = 2048
RSA_BITS_MAX = 8192


class SignatureScheme(IntEnum):
    """The schemes that this library verifies; it signs with the ECDSA ones, and RSA ones of PKCS#1 version 1.5."""

    RSA_PKCS1_SHA256 = 0x0401
    RSA_PKCS1_SHA384 = 0x0501
    RSA_PKCS1_SHA512 = 0x0601
    ECDSA_SHA256 = 0x0403
    ECDSA_SHA384 = 0x0503
    ECDSA_SHA512 = 0x0603
    RSA_PSS_RSAE_SHA256 = 0x0804
    RSA_PSS_RSAE_SHA384 = 0x0805
    RSA_PSS_RSAE_SHA512 = 0x0806


class SchemeRow(NamedTuple):
    """What a scheme means.

    key_kind         "ecdsa" or "rsa"
    hash             of the signed bytes
    is_pss           RSASSA-PSS rather than PKCS#1 version 1.5
    """

    key_kind: str
    hash: hashes.HashAlgorithm
    is_pss: bool


SCHEMES = {
    SignatureScheme.ECDSA_SHA256: SchemeRow("ecdsa", hashes.SHA256(), False),
    SignatureScheme.ECDSA_SHA384: SchemeRow("ecdsa", hashes.SHA384(), False),
    SignatureScheme.ECDSA_SHA512: SchemeRow("ecdsa", hashes.SHA512(), False),
    SignatureScheme.RSA_PSS_RSAE_SHA256: SchemeRow("rsa", hashes.SHA256(), True),
    SignatureScheme.RSA_PSS_RSAE_SHA384: SchemeRow("rsa", hashes.SHA384(), True),
    SignatureScheme.RSA_PSS_RSAE_SHA512: SchemeRow("rsa", hashes.SHA512(), True),
    SignatureScheme.RSA_PKCS1_SHA256: SchemeRow("rsa", hashes.SHA256(), False),
    SignatureScheme.RSA_PKCS1_SHA384: SchemeRow("rsa", hashes.SHA384(), False),
    SignatureScheme.RSA_PKCS1_SHA512: SchemeRow("rsa", hashes.SHA512(), False),
}
DEFAULT_SCHEMES = tuple(SCHEMES)

# The AlgorithmIdentifiers of SubjectPublicKeyInfo that are taken (RFC 5480 section 2.1.1, RFC 3279 section 2.3.1).
_RSA_ENCRYPTION = bytes.fromhex("300d06092a864886f70d0101010500")
_CURVES: dict[bytes, ec.EllipticCurve] = {
    bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107"): ec.SECP256R1(),
    bytes.fromhex("301006072a8648ce3d020106052b81040022"): ec.SECP384R1(),
    bytes.fromhex("301006072a8648ce3d020106052b81040023"): ec.SECP521R1(),
}


def parse_certificate_key(certificate: bytes) -> PublicKey:
    """Take the public key out of a peer's certificate in DER form.

    Errors  WireError: not a certificate, a kind of key that is not taken, an RSA key of a length that is not
    """
    algorithm, key = der.parse_public_key_info(certificate)
    if algorithm in _CURVES:
        return _load_point(_CURVES[algorithm], key)
    if algorithm == _RSA_ENCRYPTION:
        return _load_rsa(algorithm, key)
    raise Unsupported("the certificate's key is neither ECDSA on P-256, P-384 or P-521 nor RSA", field="algorithm")


def _load_point(curve: ec.EllipticCurve, point: bytes) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    except ValueError as error:
        raise Malformed("the certificate's point is not on its curve", field="subjectPublicKey") from error


def _load_rsa(algorithm: bytes, key: bytes) -> rsa.RSAPublicKey:
    # The modulus is most of the encoded key; a longer one is not even loaded.
    if len(key) > RSA_BITS_MAX // 8 + 64:
        raise Unsupported(f"an RSA key of more than {RSA_BITS_MAX} bits", field="subjectPublicKey")
    bit_string = der.serialize_element(der.BIT_STRING, b"\x00", key)
    try:
        loaded = load_der_public_key(der.serialize_element(der.SEQUENCE, algorithm, bit_string))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Malformed("the certificate's RSA key is malformed", field="subjectPublicKey") from error
    if not isinstance(loaded, rsa.RSAPublicKey) or not RSA_BITS_MIN <= loaded.key_size <= RSA_BITS_MAX:
        raise Unsupported(f"an RSA key has {RSA_BITS_MIN} to {RSA_BITS_MAX} bits", field="subjectPublicKey")
    return loaded


def key_kind(key: PrivateKey | PublicKey) -> str:
    """ "ecdsa" or "rsa", as in the table of schemes and in that of cipher suites."""
    return "rsa" if isinstance(key, rsa.RSAPrivateKey | rsa.RSAPublicKey) else "ecdsa"


def choose_scheme(key: PrivateKey, accepted: Sequence[int]) -> SignatureScheme | None:
    """Pick the scheme to sign with: the first that suits the key and that the peer accepts; None if there is none."""
    kind = key_kind(key)
    # RSASSA-PSS draws its salt from the system; PKCS#1 version 1.5 is a function of key and data alone.
    suitable = [scheme for scheme, row in SCHEMES.items() if row.key_kind == kind and not row.is_pss]
    return next((scheme for scheme in suitable if scheme in accepted), None)


def sign(key: PrivateKey, scheme: SignatureScheme, data: bytes) -> bytes:
    """Sign; the same key and data give the same signature (RFC 6979 for ECDSA)."""
    row = SCHEMES[scheme]
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), row.hash)
    return key.sign(data, ec.ECDSA(row.hash, deterministic_signing=True))


def is_signature_valid(key: PublicKey, scheme: int, signature: bytes, data: bytes) -> bool:
    """Tell whether the holder of the private key signed the data with this scheme; False for a scheme not in the table
    or not of the key's kind, too."""
    if scheme not in SCHEMES:
        return False
    row = SCHEMES[SignatureScheme(scheme)]
    if row.key_kind != key_kind(key):
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, _rsa_padding(row), row.hash)
        else:
            key.verify(signature, data, ec.ECDSA(row.hash))
    except InvalidSignature:
        return False
    return True


def _rsa_padding(row: SchemeRow) -> padding.PKCS1v15 | padding.PSS:
    if not row.is_pss:
        return padding.PKCS1v15()
    # RFC 8446 section 4.2.3: the salt is as long as the digest, and MGF1 uses the same hash.
    return padding.PSS(mgf=padding.MGF1(row.hash), salt_length=row.hash.digest_size)
