"""What is not plain data and is stored as what it is made from.

Two kinds of it. Objects of `cryptography` have a form of their own, such as DER. Objects of this package that keep
cipher contexts are made anew by their constructor, from the attributes that hold its arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from sans_rtc.snapshot.classes import name_of

MADE_FROM: Final[dict[str, tuple[str, ...]]] = {
    "sans_rtc.dtls.ciphers:GcmProtection": ("key", "salt"),
    "sans_rtc.dtls.ciphers:ChaChaProtection": ("key", "salt"),
    "sans_rtc.srtp.keyset:KeySet": ("row", "master", "config"),
}
"""By the name of a class, the attributes with which its constructor makes an equal object. What hangs from such an
object is not stored, and where something else refers to it, it is found again on the new one."""


def made_from(kind: type) -> tuple[str, ...] | None:
    """The attributes that objects of this class are made from; None for plain data."""
    if kind.__name__ not in _MADE_NAMES:
        return None
    return MADE_FROM.get(name_of(kind))


_MADE_NAMES: Final = frozenset(name.rpartition(":")[2] for name in MADE_FROM)


class OpaqueRow(NamedTuple):
    """A class that is not ours.

    kind   the class, or the abstract one of its kind
    write  to bytes
    read   from bytes; ValueError for what it cannot take
    """

    kind: type
    write: Callable[[Any], bytes]
    read: Callable[[bytes], object]


def _private_der(key: Any) -> bytes:
    encoded: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return encoded


def _public_der(key: Any) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def _read_private(data: bytes) -> object:
    return load_der_private_key(data, None)


def _read_text(kind: Callable[[str], object], data: bytes) -> object:
    return kind(data.decode())


def _text(value: object) -> bytes:
    return str(value).encode()


def _range_text(value: range) -> bytes:
    return f"{value.start} {value.stop} {value.step}".encode()


def _read_range(data: bytes) -> object:
    start, stop, step = map(int, data.split())
    return range(start, stop, step)


_PRIVATE_KEYS: Final = (
    ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey, x25519.X25519PrivateKey, ed25519.Ed25519PrivateKey
)  # fmt: skip
_PUBLIC_KEYS: Final = (
    ec.EllipticCurvePublicKey, rsa.RSAPublicKey, x25519.X25519PublicKey, ed25519.Ed25519PublicKey
)  # fmt: skip
_ADDRESSES: Final = (IPv4Address, IPv4Network, IPv6Address, IPv6Network)

OPAQUE_ROWS: Final = (
    *[OpaqueRow(kind, _private_der, _read_private) for kind in _PRIVATE_KEYS],
    *[OpaqueRow(kind, _public_der, load_der_public_key) for kind in _PUBLIC_KEYS],
    *[OpaqueRow(kind, _text, partial(_read_text, kind)) for kind in _ADDRESSES],
    OpaqueRow(range, _range_text, _read_range),
)
"""By number; a snapshot names its rows by them, so new ones come last."""


def opaque_number(value: object) -> int | None:
    """The number of the row for this object; None where there is none."""
    return next((number for number, row in enumerate(OPAQUE_ROWS) if isinstance(value, row.kind)), None)
