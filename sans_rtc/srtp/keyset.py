"""All that is made from one master key."""

from __future__ import annotations

from sans_rtc.srtp.ciphers import Keystream, Transform, make_transform
from sans_rtc.srtp.config import CryptexPolicy, SrtpConfig
from sans_rtc.srtp.header import encrypted_ranges, keystream_bytes, xor_ranges
from sans_rtc.srtp.keys import MasterKey, derive_header_keys
from sans_rtc.srtp.profile import ProfileRow


class KeySet:
    """One master key, the transform made from it, and the keystream of encrypted header extensions where there are any.

    row, config what it is made for
    master      the key itself: everything else is made from it
    transform   writes and reads packets
    open_rtp    the transform's, at hand
    salt        of RTP, as a number
    encrypt_rtp, decrypt_rtp  AES-GCM itself, where a packet takes nothing else: no MKI, a header in the clear. None
                otherwise. What runs for every packet calls them without anything in between
    """

    __slots__ = (
        "_header",
        "config",
        "decrypt_rtp",
        "encrypt_rtp",
        "master",
        "open_rtp",
        "row",
        "salt",
        "transform",
    )

    def __init__(self, row: ProfileRow, master: MasterKey, config: SrtpConfig) -> None:
        master.check(row)
        self.row = row
        self.config = config
        self.master = master
        self.transform: Transform = make_transform(row, master)
        self.open_rtp = self.transform.open_rtp
        self.salt = self.transform.rtp_salt
        is_plain = not master.mki and config.cryptex is CryptexPolicy.OFF and not config.encrypted_extension_ids
        self.encrypt_rtp = self.transform.encrypt_rtp if is_plain else None
        self.decrypt_rtp = self.transform.decrypt_rtp if is_plain else None
        self._header = Keystream(derive_header_keys(row, master)) if config.encrypted_extension_ids else None

    @property
    def encrypts_extensions(self) -> bool:
        """Whether there are header extensions to be encrypted one by one."""
        return self._header is not None

    def crypt_extensions(self, packet: bytes, start: int, number: int) -> bytes | None:
        """Encrypt or decrypt the values of the chosen header extensions (RFC 6904); None where they are malformed.

        start  of the payload
        """
        assert self._header is not None
        ranges = encrypted_ranges(packet, start, self.config.encrypted_extension_ids)
        if not ranges:
            return None if ranges is None else packet
        keystream = self._header.apply(bytes(keystream_bytes(packet, ranges)), number)
        return xor_ranges(packet, ranges, keystream)
