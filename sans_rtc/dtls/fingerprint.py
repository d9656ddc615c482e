"""Certificate fingerprints as SDP signals them (RFC 8122 section 5), and the comparison that tells who the peer is."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Unsupported

# Strongest first. RFC 8122 section 5 forbids MD5 and MD2; SHA-1 collides (two certificates with one fingerprint can be
# made for about 2**63 work), and no browser signals SHA-224.
DIGEST_SIZES = {"sha-512": 64, "sha-384": 48, "sha-256": 32}
_HASHLIB_NAMES = {"sha-512": "sha512", "sha-384": "sha384", "sha-256": "sha256"}


def _is_accepted(_: object, __: attrs.Attribute[str], algorithm: str) -> None:
    if algorithm not in DIGEST_SIZES:
        raise InvalidArgument(f"a fingerprint is made with {', '.join(DIGEST_SIZES)}, not {algorithm!r}")


def _fits_algorithm(fingerprint: Fingerprint, _: attrs.Attribute[bytes], value: bytes) -> None:
    if len(value) != DIGEST_SIZES[fingerprint.algorithm]:
        raise InvalidArgument(f"a {fingerprint.algorithm} value has {DIGEST_SIZES[fingerprint.algorithm]} bytes")


@attrs.frozen(slots=True)
class Fingerprint:
    """The hash of a certificate's DER form.

    algorithm  "sha-256", "sha-384" or "sha-512"; no other can be held, so none can be accepted
    value      32, 48 or 64 bytes
    """

    algorithm: str = attrs.field(validator=_is_accepted)
    value: bytes = attrs.field(validator=_fits_algorithm)

    @classmethod
    def of(cls, der: bytes, algorithm: str = "sha-256") -> Fingerprint:
        """The fingerprint of a certificate in DER form."""
        if algorithm not in DIGEST_SIZES:
            raise InvalidArgument(f"a fingerprint is made with {', '.join(DIGEST_SIZES)}, not {algorithm!r}")
        return cls(algorithm, hashlib.new(_HASHLIB_NAMES[algorithm], der).digest())

    @classmethod
    def parse(cls, text: str) -> Fingerprint:
        """Read the value of `a=fingerprint:`, "sha-256 AB:CD:...".

        Errors  Unsupported for a hash that proves too little (sha-1, md5, md2) or is not known; Malformed otherwise
        Source  RFC 8122 section 5; the hash's name is compared without case, as its own example writes "SHA-256"
        """
        name, separator, digits = text.strip().partition(" ")
        algorithm = name.lower()
        if not separator:
            raise Malformed("a fingerprint is a hash name, a space and hexadecimal bytes", field="fingerprint")
        if algorithm not in DIGEST_SIZES:
            raise Unsupported(f"fingerprints by {name!r} are not accepted", field="hash-func")
        pairs = digits.strip().split(":")
        if any(len(pair) != 2 or not set(pair) <= set("0123456789abcdefABCDEF") for pair in pairs):
            raise Malformed("a fingerprint is hexadecimal bytes with colons between", field="fingerprint")
        if len(pairs) != DIGEST_SIZES[algorithm]:
            raise Malformed(f"{len(pairs)} bytes for {algorithm}", field="fingerprint")
        return cls(algorithm, bytes([int(pair, 16) for pair in pairs]))

    def __str__(self) -> str:
        return f"{self.algorithm} {':'.join([f'{byte:02X}' for byte in self.value])}"


def matches_signalled(der: bytes, fingerprints: Sequence[Fingerprint]) -> bool:
    """Tell whether a certificate is one of those signalled.

    RFC 8122 section 5.1: "An endpoint MUST select the set of fingerprints that use its most preferred hash function
    (out of those offered by the peer) and verify that each certificate used matches one fingerprint out of that set."
    A weaker hash signalled beside a stronger one therefore adds nothing.
    """
    for algorithm in DIGEST_SIZES:
        offered = [fingerprint for fingerprint in fingerprints if fingerprint.algorithm == algorithm]
        if offered:
            return matches_any(der, offered)
    return False


def matches_any(der: bytes, fingerprints: Sequence[Fingerprint]) -> bool:
    """Tell whether a certificate has one of these fingerprints; the time taken tells nothing about which or how far."""
    digests = {algorithm: hashlib.new(_HASHLIB_NAMES[algorithm], der).digest() for algorithm in DIGEST_SIZES}
    is_match = False
    for fingerprint in fingerprints:
        is_match |= hmac.compare_digest(digests[fingerprint.algorithm], fingerprint.value)
    return is_match
