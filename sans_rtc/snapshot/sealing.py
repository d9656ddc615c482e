"""How a snapshot is sealed: encrypted and authenticated by one key, without a nonce to be drawn.

    "SRTCSNAP" | version, 8 bits | digest, 32 bytes | AES-256-GCM ciphertext of the body and its tag, 16

    digest          HMAC-SHA256(authentication key, head | body): what the body is, to whoever has the key
    encryption key  HMAC-SHA256(key, label | digest), the nonce is zero

A snapshot holds every secret of a session, so it must be unreadable; and it is obeyed when it is restored, so it must
be what was stored, to the last bit. A random nonce would have to come from the machine's entropy, which a snapshot must
not move. So the key of each snapshot is made from its content (as the synthetic IV of RFC 5297 is, and folded into the
key): other contents, another key; and equal contents give equal bytes, which tells an onlooker no more than that
nothing has happened in between.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sans_rtc.errors import InvalidArgument

KEY_BYTES: Final = 32
"""Of the key that seals a snapshot."""
FORMAT_VERSION: Final = 1

_MAGIC: Final = b"SRTCSNAP"
_HEAD: Final = _MAGIC + bytes((FORMAT_VERSION,))
_DIGEST_BYTES: Final = 32
_ID_BYTES: Final = 16
_NONCE: Final = bytes(12)


def seal(body: bytes, key: bytes) -> bytes:
    """Encrypt and authenticate; InvalidArgument for a key that has not 32 bytes."""
    digest = _digest(body, key)
    return _HEAD + digest + _cipher(key, digest).encrypt(_NONCE, body, _HEAD + digest)


def unseal(sealed: bytes, key: bytes) -> bytes:
    """The body; InvalidArgument where it is not a snapshot of this version, sealed with this key, and whole."""
    digest = _parse_head(sealed)
    start = len(_HEAD) + _DIGEST_BYTES
    try:
        return _cipher(key, digest).decrypt(_NONCE, sealed[start:], sealed[:start])
    except InvalidTag as error:
        raise InvalidArgument("the snapshot was sealed with another key, or has been changed") from error


def snapshot_id(sealed: bytes) -> bytes:
    """The 16 bytes that name a snapshot, for a register of those that have been restored. It needs no key, and so
    proves nothing: `restore(..., claim=...)` asks with it once the snapshot has been authenticated."""
    return _parse_head(sealed)[:_ID_BYTES]


def _parse_head(sealed: bytes) -> bytes:
    if not isinstance(sealed, bytes) or not sealed.startswith(_MAGIC):
        raise InvalidArgument("these bytes are not a snapshot")
    version = sealed[len(_MAGIC)] if len(sealed) > len(_MAGIC) else None
    if version != FORMAT_VERSION:
        raise InvalidArgument(f"the snapshot has format {version}; this version of the library reads {FORMAT_VERSION}")
    digest = sealed[len(_HEAD) : len(_HEAD) + _DIGEST_BYTES]
    if len(digest) < _DIGEST_BYTES:
        raise InvalidArgument("the snapshot ends before it is complete")
    return digest


def _digest(body: bytes, key: bytes) -> bytes:
    return hmac.digest(_subkey(key, b"authentication"), _HEAD + body, "sha256")


def _cipher(key: bytes, digest: bytes) -> AESGCM:
    return AESGCM(_subkey(key, b"encryption" + digest))


def _subkey(key: bytes, label: bytes) -> bytes:
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        raise InvalidArgument(f"the key of a snapshot has {KEY_BYTES} bytes")
    return hmac.digest(key, b"sans_rtc snapshot " + label, "sha256")
