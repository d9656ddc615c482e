"""Named groups for the key exchange (RFC 8422 section 5.1.1): a key pair from entropy, its share, the agreed secret."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple, TypeAlias

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sans_rtc.entropy import Entropy, draw_below
from sans_rtc.errors import Malformed


class NamedGroup(IntEnum):
    """The groups that this library agrees on."""

    SECP256R1 = 0x0017
    SECP384R1 = 0x0018
    X25519 = 0x001D


class CurveRow(NamedTuple):
    """A curve with points (RFC 8422 section 5.4.1).

    curve        as `cryptography` names it
    order        of its base point: private keys are 1 to order - 1
    share_bytes  of an uncompressed point: 4, then both coordinates
    """

    curve: ec.EllipticCurve
    order: int
    share_bytes: int


# The orders are those of FIPS 186-4, D.1.2.3 and D.1.2.4.
CURVES = {
    NamedGroup.SECP256R1: CurveRow(
        ec.SECP256R1(), 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551, 65
    ),
    NamedGroup.SECP384R1: CurveRow(
        ec.SECP384R1(),
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
        97,
    ),
}
DEFAULT_GROUPS = (NamedGroup.X25519, NamedGroup.SECP256R1, NamedGroup.SECP384R1)
X25519_BYTES = 32
_UNCOMPRESSED = 4

_PrivateKey: TypeAlias = X25519PrivateKey | ec.EllipticCurvePrivateKey


class KeyShare:
    """An ephemeral key pair, for one handshake.

    group   which group
    public  the share that goes to the peer, as it stands on the wire
    """

    __slots__ = ("_private", "group", "public")

    def __init__(self, group: NamedGroup, entropy: Entropy) -> None:
        self.group = group
        self._private: _PrivateKey
        if group is NamedGroup.X25519:
            self._private = X25519PrivateKey.from_private_bytes(entropy(X25519_BYTES))
            self.public = self._private.public_key().public_bytes_raw()
        else:
            self._private = derive_private_key(group, entropy)
            self.public = self._private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def agree(self, peer_public: bytes) -> bytes:
        """Compute the secret shared with the peer; the pre-master secret of RFC 8422 section 5.10.

        Errors  Malformed for a share of the wrong length, not on the curve, or (X25519) one that makes the secret zero
        """
        if isinstance(self._private, X25519PrivateKey):
            return _agree_x25519(self._private, peer_public)
        return _agree_curve(self._private, CURVES[self.group], peer_public)


def derive_private_key(group: NamedGroup, entropy: Entropy) -> ec.EllipticCurvePrivateKey:
    """Make a private key from entropy: 64 bits more than the order has are drawn, so the bias is below 2**-64."""
    row = CURVES[group]
    return ec.derive_private_key(1 + draw_below(entropy, row.order - 1), row.curve)


def _agree_x25519(private: X25519PrivateKey, peer_public: bytes) -> bytes:
    if len(peer_public) != X25519_BYTES:
        raise Malformed(f"an X25519 share has {X25519_BYTES} bytes", field="key share")
    try:
        # RFC 8422 section 5.11: an all-zero secret must end the handshake; the exchange raises for it.
        return private.exchange(X25519PublicKey.from_public_bytes(peer_public))
    except ValueError as error:
        raise Malformed("an X25519 share of small order", field="key share") from error


def _agree_curve(private: ec.EllipticCurvePrivateKey, row: CurveRow, peer_public: bytes) -> bytes:
    if len(peer_public) != row.share_bytes or peer_public[0] != _UNCOMPRESSED:
        raise Malformed("the share is not an uncompressed point", field="key share")
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(row.curve, peer_public)
    except ValueError as error:
        raise Malformed("the share is not on its curve", field="key share") from error
    return private.exchange(ec.ECDH(), point)
