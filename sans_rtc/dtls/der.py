"""As much of DER (ITU-T X.690) as it takes to find the key in a peer's certificate.

Walked by hand because a certificate is the peer's input: a general X.509 parser warns and raises on oddities that do
not matter here, where the fingerprint of the whole identifies the peer. The key itself is `cryptography`'s to load.
"""

from __future__ import annotations

from sans_rtc.errors import Malformed, Truncated

INTEGER = 0x02
BIT_STRING = 0x03
SEQUENCE = 0x30
EXPLICIT_0 = 0xA0


def serialize_element(tag: int, *contents: bytes) -> bytes:
    """Write a tag, the length and the contents one after the other."""
    body = b"".join(contents)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def take_element(data: bytes, offset: int, end: int) -> tuple[int, int, int]:
    """Read one element's header; returns its tag and where its contents begin and end.

    Errors  WireError where the element does not fit into data[offset:end], or its length is not in a form DER has
    """
    if end - offset < 2:
        raise Truncated("a DER element needs two bytes", field="certificate", offset=offset)
    tag, size = data[offset], data[offset + 1]
    start = offset + 2
    if size & 0x80:
        digits = size & 0x7F
        # Four digits suffice: a certificate's length is a 24-bit number (RFC 5246 section 7.4.2).
        if not 1 <= digits <= 4 or end - start < digits:
            raise Malformed("a DER length that cannot be", field="certificate", offset=offset)
        size = int.from_bytes(data[start : start + digits], "big")
        start += digits
    if start + size > end:
        raise Truncated("a DER element ends behind its container", field="certificate", offset=offset)
    return tag, start, start + size


def parse_public_key_info(certificate: bytes) -> tuple[bytes, bytes]:
    """Find the SubjectPublicKeyInfo of a certificate (RFC 5280 section 4.1).

    Returns  its AlgorithmIdentifier in DER form, and the key: the BIT STRING's bytes without the count of unused bits
    Errors   WireError
    """
    _, start, end = _take(certificate, 0, len(certificate), SEQUENCE, "Certificate")
    _, offset, end = _take(certificate, start, end, SEQUENCE, "TBSCertificate")
    tag, _, after = take_element(certificate, offset, end)
    if tag == EXPLICIT_0:
        offset = after  # version; absent in version 1
    for tag, field in _BEFORE_KEY:
        _, _, offset = _take(certificate, offset, end, tag, field)
    _, offset, end = _take(certificate, offset, end, SEQUENCE, "subjectPublicKeyInfo")
    _, _, after = _take(certificate, offset, end, SEQUENCE, "algorithm")
    _, start, end = _take(certificate, after, end, BIT_STRING, "subjectPublicKey")
    if start == end or certificate[start]:
        raise Malformed("a key that is not whole bytes", field="subjectPublicKey", offset=start)
    return certificate[offset:after], certificate[start + 1 : end]


_BEFORE_KEY = (
    (INTEGER, "serialNumber"),
    (SEQUENCE, "signature"),
    (SEQUENCE, "issuer"),
    (SEQUENCE, "validity"),
    (SEQUENCE, "subject"),
)


def _take(data: bytes, offset: int, end: int, tag: int, field: str) -> tuple[int, int, int]:
    element = take_element(data, offset, end)
    if element[0] != tag:
        raise Malformed(f"{field} has the tag {element[0]:#x}, not {tag:#x}", field=field, offset=offset)
    return element
