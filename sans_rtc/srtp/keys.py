"""Keys: master keys out of DTLS (RFC 5764 section 4.2), session keys out of master keys (RFC 3711 section 4.3).

    exported by DTLS:  client key | server key | client salt | server salt
    session key:       AES-CM(master key), counter from (label * 2^48 XOR master salt) * 2^16

Derivation happens once, before the first packet: the key derivation rate is 0, which is all that DTLS-SRTP has (RFC
5764 section 4.1.2) and anybody uses.
"""

from __future__ import annotations

import attrs
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from sans_rtc.errors import InvalidArgument
from sans_rtc.srtp.profile import ProfileRow, profile_row

DTLS_EXPORTER_LABEL = b"EXTRACTOR-dtls_srtp"
"""What DTLS is asked to export for SRTP, without a context (RFC 5764 section 4.2)."""

MKI_BYTES_MAX = 128
AUTHENTICATION_KEY_BYTES = 20  # RFC 3711 section 5.2
_BLOCK_BYTES = 16

# Labels, RFC 3711 sections 4.3.1 and 4.3.2; the last two RFC 6904 section 4.1
_RTP_ENCRYPTION, _RTP_AUTHENTICATION, _RTP_SALT = 0, 1, 2
_RTCP_ENCRYPTION, _RTCP_AUTHENTICATION, _RTCP_SALT = 3, 4, 5
_HEADER_ENCRYPTION, _HEADER_SALT = 6, 7
# The salt of RFC 6904's keystream, whose IV is that of AES-CM for every profile.
_HEADER_SALT_BYTES = 14


@attrs.frozen(slots=True)
class MasterKey:
    """The secret of one direction.

    key   16 or 32 bytes, by profile
    salt  14 bytes, or 12 for AES-GCM
    mki   its identifier, which each packet carries then; empty: packets carry none (RFC 3711 section 3.1)
    """

    key: bytes = attrs.field(repr=False)
    salt: bytes = attrs.field(repr=False)
    mki: bytes = b""

    def check(self, row: ProfileRow) -> None:
        """InvalidArgument where the sizes are not those of the profile."""
        if len(self.key) != row.key_bytes or len(self.salt) != row.salt_bytes:
            raise InvalidArgument(f"{row.name} takes a key of {row.key_bytes} bytes and a salt of {row.salt_bytes}")
        if len(self.mki) > MKI_BYTES_MAX:
            raise InvalidArgument(f"an MKI has at most {MKI_BYTES_MAX} bytes")


def dtls_keying_material_bytes(profile: int) -> int:
    """How many bytes DTLS has to export for a profile."""
    row = profile_row(profile)
    return 2 * (row.key_bytes + row.salt_bytes)


def keys_from_dtls(profile: int, exported: bytes, *, is_client: bool) -> tuple[MasterKey, MasterKey]:
    """Part what DTLS exported into the keys to send with and to receive with.

    profile    number of `SrtpProfile`, as DTLS negotiated it
    exported   `dtls_keying_material_bytes(profile)` bytes under `DTLS_EXPORTER_LABEL`
    is_client  whether this end was the DTLS client
    Errors     InvalidArgument for an unknown profile or a wrong size
    Source     RFC 5764 section 4.2
    """
    row = profile_row(profile)
    if len(exported) != dtls_keying_material_bytes(profile):
        raise InvalidArgument(f"{row.name} takes {dtls_keying_material_bytes(profile)} bytes from DTLS")
    size, salt = row.key_bytes, row.salt_bytes
    salts = exported[2 * size :]
    client = MasterKey(exported[:size], salts[:salt])
    server = MasterKey(exported[size : 2 * size], salts[salt:])
    return (client, server) if is_client else (server, client)


@attrs.frozen(slots=True, repr=False)
class SessionKeys:
    """What packets are protected with, for RTP or for RTCP. Plain bytes: ciphers are made from them again at any time.

    encryption      16 or 32 bytes
    salt            14 bytes, or 12 for AES-GCM
    authentication  20 bytes; empty for AES-GCM
    """

    encryption: bytes
    salt: bytes
    authentication: bytes = b""


def derive_rtp_keys(row: ProfileRow, master: MasterKey) -> SessionKeys:
    """The session keys of RTP (RFC 3711 section 4.3.1)."""
    return _derive(row, master, _RTP_ENCRYPTION, _RTP_AUTHENTICATION, _RTP_SALT)


def derive_rtcp_keys(row: ProfileRow, master: MasterKey) -> SessionKeys:
    """The session keys of RTCP (RFC 3711 section 4.3.2)."""
    return _derive(row, master, _RTCP_ENCRYPTION, _RTCP_AUTHENTICATION, _RTCP_SALT)


def derive_header_keys(row: ProfileRow, master: MasterKey) -> SessionKeys:
    """The keys of encrypted header extensions (RFC 6904 section 4.1), AES-CM whatever the profile."""
    return SessionKeys(
        derive_key(master, _HEADER_ENCRYPTION, row.key_bytes),
        derive_key(master, _HEADER_SALT, row.salt_bytes).ljust(_HEADER_SALT_BYTES, b"\0"),
    )


def _derive(row: ProfileRow, master: MasterKey, encryption: int, authentication: int, salt: int) -> SessionKeys:
    return SessionKeys(
        derive_key(master, encryption, row.key_bytes),
        derive_key(master, salt, row.salt_bytes),
        b"" if row.is_aead else derive_key(master, authentication, AUTHENTICATION_KEY_BYTES),
    )


def derive_key(master: MasterKey, label: int, byte_count: int) -> bytes:
    """Derive one key: the AES-CM PRF of RFC 3711 section 4.3.3, with the key size of the master key (RFC 6188).

    A salt of 12 bytes is one of 14 whose last two are zero (RFC 7714 section 11).
    """
    salt = int.from_bytes(master.salt.ljust(_HEADER_SALT_BYTES, b"\0"), "big")
    # key_id is the label before 48 bits of `index DIV rate`, which are zero
    counter = (salt ^ label << 48) << 16
    keystream = Cipher(AES(master.key), CTR(counter.to_bytes(_BLOCK_BYTES, "big"))).encryptor()
    return keystream.update(bytes(byte_count))
