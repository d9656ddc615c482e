"""Unprotects what arrives: SRTP into RTP, SRTCP into RTCP (RFC 3711 sections 3.3 and 3.4).

Anybody can send to a socket, so until a packet has been authenticated it changes nothing but a counter: no stream is
made for it, no window and no rollover counter moved.
"""

from __future__ import annotations

from collections.abc import Sequence

from cryptography.exceptions import InvalidTag

from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.srtp.config import DEFAULT_CONFIG, CryptexPolicy, SrtpConfig
from sans_rtc.srtp.header import (
    CRYPTEX_START,
    E_FLAG,
    EXTENDED_HEADER,
    NOT_PADDING,
    PACKET_BYTES_MAX,
    PLAIN_HEADER,
    RTCP_HEADER_BYTES,
    RTCP_SSRC,
    RTCP_TRAILER,
    RTP_HEAD_BYTES,
    RTP_HEADER_BYTES,
    has_cryptex,
    needs_cryptex,
    payload_start,
    remove_cryptex_mark,
    unpack_rtp_head,
)
from sans_rtc.srtp.keys import MasterKey
from sans_rtc.srtp.keyset import KeySet
from sans_rtc.srtp.profile import SrtpProfile, profile_row
from sans_rtc.srtp.stats import DiscardReason, SrtpExplanation, SrtpStats
from sans_rtc.srtp.streams import (
    HALF,
    INDEX_BITS,
    RTP_INDEX_COUNT,
    SEQUENCE_OF_INDEX,
    Stream,
    estimate_index,
    explain,
    set_initial_roc,
)

MASTER_KEY_COUNT_MAX = 16
"""Master keys that a receiver takes at the same time, each known by its MKI."""

_NEXT_ROC = 1 << 16


class SrtpReceiver:
    """Unprotects the packets of any number of SSRCs, up to a bound.

    profile  number of `SrtpProfile`
    master   the key to receive with; where it has an MKI, packets have to carry one
    config   settings
    stats    counters, `discards` by reason among them
    """

    def __init__(self, profile: int, master: MasterKey, config: SrtpConfig = DEFAULT_CONFIG) -> None:
        self._row = profile_row(profile)
        keys = KeySet(self._row, master, config)
        self._config = config
        self._keys = keys
        self._keys_of_mki = {master.mki: keys}
        self._mki_bytes = len(master.mki)
        self._rtp_bytes_min = RTP_HEADER_BYTES + keys.transform.rtp_trailer_bytes + self._mki_bytes
        self._rtcp_bytes_min = RTCP_HEADER_BYTES + keys.transform.rtcp_trailer_bytes + self._mki_bytes
        self._rtp_trailer_bytes = keys.transform.rtp_trailer_bytes + self._mki_bytes
        self._uses_cryptex = config.cryptex is not CryptexPolicy.OFF
        self._requires_cryptex = config.cryptex is CryptexPolicy.REQUIRED
        self._is_plain = not self._uses_cryptex and not keys.encrypts_extensions
        self._streams: dict[int, Stream] = {}
        self._rtcp_streams: dict[int, Stream] = {}
        self._initial_rocs: dict[int, int] = {}
        self.profile = SrtpProfile(profile)
        self.stats = SrtpStats()

    def unprotect_rtp(self, data: bytes) -> bytes | None:
        """Turn an SRTP packet that arrived into the RTP packet that was sent.

        data     one datagram, whatever it holds
        Returns  None where it was discarded; `stats.discards` says why
        Source   RFC 3711 section 3.3
        """
        size = len(data)
        if not self._rtp_bytes_min <= size <= PACKET_BYTES_MAX:
            return self._discard(DiscardReason.TOO_LONG if size > PACKET_BYTES_MAX else DiscardReason.TRUNCATED)
        first, sequence_number, ssrc, words = unpack_rtp_head(data)
        if first & NOT_PADDING == EXTENDED_HEADER:
            start = RTP_HEAD_BYTES + 4 * words
        else:
            start = RTP_HEADER_BYTES if first & NOT_PADDING == PLAIN_HEADER else payload_start(data, first)
        if start > size - self._rtp_trailer_bytes:
            return self._discard(DiscardReason.MALFORMED)
        stream = self._streams.get(ssrc)
        if stream is None or self._mki_bytes or not self._is_plain:
            return self._unprotect_any(data, start, stream, ssrc, sequence_number)
        index = stream.highest + 1
        if index & SEQUENCE_OF_INDEX != sequence_number:
            return self._unprotect_any(data, start, stream, ssrc, sequence_number)
        # The next one, as nearly always: this is `estimate_index`, `open_rtp` of AES-GCM, and `accept` in short.
        decrypt = self._keys.decrypt_rtp
        if decrypt is None:
            opened = self._keys.open_rtp(data, start, stream.base | index)
            if opened is None:
                return self._discard(DiscardReason.AUTHENTICATION_FAILED)
        else:
            header = data[:start]
            try:
                opened = header + decrypt((stream.nonce ^ index).to_bytes(12, "big"), data[start:], header)
            except InvalidTag:
                return self._discard(DiscardReason.AUTHENTICATION_FAILED)
        stream.highest = index
        return opened

    def open_run(self, packets: Sequence[bytes], start: int, ssrc: int, first: int) -> list[bytes]:
        """The payloads of packets that are the next ones of a known SSRC, for whoever has read their headers already.

        packets  whose headers, `start` bytes long, say `ssrc` and the numbers from `first` on
        Returns  those up to the first that has no payload or is not authentic, which is left to `unprotect_rtp`; none
                 where `first` is not the next number
        """
        stream, decrypt = self._streams.get(ssrc), self._keys.decrypt_rtp
        payloads: list[bytes] = []
        if stream is None or decrypt is None or (stream.highest + 1) & SEQUENCE_OF_INDEX != first:
            return payloads
        nonce, index, bytes_min = stream.nonce, stream.highest, start + self._rtp_trailer_bytes
        try:
            for data in packets:
                if not bytes_min < len(data) <= PACKET_BYTES_MAX or index + 1 >= RTP_INDEX_COUNT:
                    break
                payloads.append(decrypt((nonce ^ index + 1).to_bytes(12, "big"), data[start:], data[:start]))
                index += 1
        except InvalidTag:
            pass
        stream.highest = index
        return payloads

    def unprotect_rtcp(self, data: bytes) -> bytes | None:
        """Turn an SRTCP packet that arrived into the RTCP packet that was sent.

        data     one datagram, whatever it holds
        Returns  None where it was discarded; `stats.discards` says why
        Source   RFC 3711 section 3.4
        """
        size = len(data)
        if not self._rtcp_bytes_min <= size <= PACKET_BYTES_MAX:
            return self._discard(DiscardReason.TOO_LONG if size > PACKET_BYTES_MAX else DiscardReason.TRUNCATED)
        if data[0] >> 6 != 2:
            return self._discard(DiscardReason.MALFORMED)
        after_mki_bytes = self._keys.transform.rtcp_after_mki_bytes
        keys = self._select_keys(data, after_mki_bytes) if self._mki_bytes else self._keys
        if keys is None:
            return self._discard(DiscardReason.UNKNOWN_MKI)
        (ssrc,) = RTCP_SSRC.unpack_from(data)
        (word,) = RTCP_TRAILER.unpack_from(data, size - after_mki_bytes - self._mki_bytes - RTCP_TRAILER.size)
        if not word & E_FLAG and not self._config.accepts_unencrypted_rtcp:
            return self._discard(DiscardReason.UNENCRYPTED_RTCP)

        index = word & ~E_FLAG
        stream = self._rtcp_streams.get(ssrc)
        if stream is None:
            if len(self._rtcp_streams) >= self._config.stream_count_max:
                return self._discard(DiscardReason.TOO_MANY_STREAMS)
        elif not stream.is_fresh(index):
            return self._discard(_why_stale(stream, index))
        opened = keys.transform.open_rtcp(data, ssrc, word)
        if opened is None:
            return self._discard(DiscardReason.AUTHENTICATION_FAILED)
        if stream is None:
            stream = self._rtcp_streams[ssrc] = Stream(ssrc, self._config.replay_window_size)
        stream.accept(index)
        return opened

    def add_master_key(self, master: MasterKey) -> None:
        """Take packets with this key, too, from now on; the rollover counters stay (RFC 3711 section 3.3.1).

        master  with an MKI of the same length as the first one's, by which packets tell it
        Errors  InvalidState without MKIs; InvalidArgument for sizes that do not fit and for an MKI in use;
                LimitExceeded beyond `MASTER_KEY_COUNT_MAX`
        """
        if not self._mki_bytes:
            raise InvalidState("without an MKI there is one master key only: a packet could not tell which it is of")
        if len(master.mki) != self._mki_bytes or master.mki in self._keys_of_mki:
            raise InvalidArgument(f"the MKI has {self._mki_bytes} bytes, and is new")
        if len(self._keys_of_mki) >= MASTER_KEY_COUNT_MAX:
            raise LimitExceeded(f"there are {MASTER_KEY_COUNT_MAX} master keys already: remove one")
        self._keys_of_mki[master.mki] = KeySet(self._row, master, self._config)

    def remove_master_key(self, mki: bytes) -> None:
        """Take no more packets with this key.

        Errors  InvalidArgument where no key has this MKI; InvalidState for the last key
        """
        if mki not in self._keys_of_mki:
            raise InvalidArgument("no master key has this MKI")
        if len(self._keys_of_mki) == 1:
            raise InvalidState("a receiver keeps one master key")
        del self._keys_of_mki[mki]

    def set_rollover_counter(self, ssrc: int, rollover_counter: int) -> None:
        """Expect an SSRC to be at another rollover counter than 0, as signalling had it (RFC 3711 section 3.3.1).

        Errors  InvalidArgument out of 32 bits; InvalidState once a packet was accepted; LimitExceeded for an SSRC too
                many
        """
        set_initial_roc(self._streams, self._initial_rocs, self._config, ssrc, rollover_counter)

    def forget_stream(self, ssrc: int) -> None:
        """Make room for another SSRC: drop what is known of this one, which signalling or BYE has ended.

        Whoever recorded its packets can replay them afterwards, and it begins anew with rollover counter 0: forget only
        what is not expected again. An unknown SSRC is fine.
        """
        self._streams.pop(ssrc, None)
        self._rtcp_streams.pop(ssrc, None)
        self._initial_rocs.pop(ssrc, None)

    def explain(self) -> SrtpExplanation:
        """How each SSRC stands, and what was discarded and why."""
        return explain(self._row.name, self._streams, self._rtcp_streams, self.stats)

    def _unprotect_first(self, keys: KeySet, data: bytes, start: int, ssrc: int, sequence_number: int) -> bytes | None:
        """A packet of an SSRC that none has been accepted of.

        A sender may have begun just before its sequence numbers wrapped, with those packets lost or late: then its
        rollover counter is 1 already. RFC 3711 section 3.3.1 leaves that case open; the tag tells.
        """
        if len(self._streams) >= self._config.stream_count_max:
            return self._discard(DiscardReason.TOO_MANY_STREAMS)
        index = self._initial_rocs.get(ssrc, 0) << 16 | sequence_number
        base = ssrc << INDEX_BITS
        opened = self._open(keys, data, start, base | index)
        if opened is None and sequence_number < HALF and index + _NEXT_ROC < RTP_INDEX_COUNT:
            index += _NEXT_ROC
            opened = self._open(keys, data, start, base | index)
        if opened is None:
            return self._discard(DiscardReason.AUTHENTICATION_FAILED)
        stream = self._streams[ssrc] = Stream(ssrc, self._config.replay_window_size, keys.salt)
        stream.accept(index)
        return self._reveal(keys, opened, start, base | index)

    def _unprotect_any(
        self, data: bytes, start: int, stream: Stream | None, ssrc: int, sequence_number: int
    ) -> bytes | None:
        """Any packet, in full."""
        if self._requires_cryptex and needs_cryptex(data) and not has_cryptex(data):
            return self._discard(DiscardReason.CRYPTEX_REQUIRED)
        keys = self._select_keys(data, self._keys.transform.rtp_after_mki_bytes) if self._mki_bytes else self._keys
        if keys is None:
            return self._discard(DiscardReason.UNKNOWN_MKI)
        if stream is None:
            return self._unprotect_first(keys, data, start, ssrc, sequence_number)
        index = estimate_index(stream.highest, sequence_number)
        if index >= RTP_INDEX_COUNT:
            return self._discard(DiscardReason.INDEX_EXHAUSTED)
        if not stream.is_fresh(index):
            return self._discard(_why_stale(stream, index))
        number = stream.base | index
        opened = keys.open_rtp(data, start, number) if self._is_plain else self._open(keys, data, start, number)
        if opened is None:
            return self._discard(DiscardReason.AUTHENTICATION_FAILED)
        stream.accept(index)
        return opened if self._is_plain else self._reveal(keys, opened, start, number)

    def _open(self, keys: KeySet, data: bytes, start: int, number: int) -> bytes | None:
        """Authenticate and decrypt; None where it is not authentic."""
        if self._uses_cryptex and has_cryptex(data):
            csrc_bytes = 4 * (data[0] & 0x0F)
            return keys.open_rtp(data, CRYPTEX_START, number, csrc_bytes)
        return keys.open_rtp(data, start, number)

    def _reveal(self, keys: KeySet, opened: bytes, start: int, number: int) -> bytes | None:
        """Undo what an authentic packet says of its own header."""
        if self._uses_cryptex and has_cryptex(opened):
            return remove_cryptex_mark(opened)
        if not keys.encrypts_extensions:
            return opened
        revealed = keys.crypt_extensions(opened, start, number)
        return self._discard(DiscardReason.MALFORMED_EXTENSION) if revealed is None else revealed

    def _select_keys(self, data: bytes, after_mki_bytes: int) -> KeySet | None:
        end = len(data) - after_mki_bytes
        return self._keys_of_mki.get(data[end - self._mki_bytes : end])

    def _discard(self, reason: DiscardReason) -> bytes | None:
        """Count one discard, and give what stands for it."""
        self.stats.discard(reason)
        return None


def _why_stale(stream: Stream, index: int) -> DiscardReason:
    """Why an index is not fresh."""
    return DiscardReason.TOO_OLD if stream.is_old(index) else DiscardReason.REPLAYED
