"""Protects what is sent: RTP into SRTP, RTCP into SRTCP (RFC 3711 sections 3.3 and 3.4)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.srtp.ciphers import SealRtp
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
    RTP_HEAD_BYTES,
    RTP_HEADER_BYTES,
    apply_cryptex,
    needs_cryptex,
    payload_start,
    unpack_rtp_head,
)
from sans_rtc.srtp.keys import MasterKey
from sans_rtc.srtp.keyset import KeySet
from sans_rtc.srtp.profile import SrtpProfile, profile_row
from sans_rtc.srtp.stats import SrtpExplanation, SrtpStats
from sans_rtc.srtp.streams import (
    RTCP_INDEX_COUNT,
    RTP_INDEX_COUNT,
    SEQUENCE_OF_INDEX,
    Stream,
    estimate_index,
    explain,
    set_initial_roc,
)


class SrtpSender:
    """Protects the packets of any number of SSRCs, up to a bound, with one master key at a time.

    profile  number of `SrtpProfile`
    master   the key to send with; where it has an MKI, every packet carries it
    config   settings; the receiver's have to agree with them
    stats    counters, of which a sender has no use so far: nothing is discarded
    """

    def __init__(self, profile: int, master: MasterKey, config: SrtpConfig = DEFAULT_CONFIG) -> None:
        self._row = profile_row(profile)
        self._config = config
        self._uses_cryptex = config.cryptex is not CryptexPolicy.OFF
        self._use(KeySet(self._row, master, config))
        self._rtp_bytes_max = PACKET_BYTES_MAX - self.rtp_overhead_bytes_max
        self._streams: dict[int, Stream] = {}
        self._rtcp_streams: dict[int, Stream] = {}
        self._initial_rocs: dict[int, int] = {}
        self.profile = SrtpProfile(profile)
        self.stats = SrtpStats()

    def protect_rtp(self, packet: bytes) -> bytes:
        """Turn an RTP packet into an SRTP packet.

        packet   header first, at most 65535 bytes with what is added
        Errors   InvalidArgument for what is not RTP, and for a sequence number that was sent before or is too old to
                 tell: its keystream must not be used twice, not even for a retransmission (send the protected packet
                 again, or RTX). LimitExceeded for an SSRC too many, and after 2**48 packets of one SSRC. Nothing has
                 changed then
        Source   RFC 3711 section 3.3
        """
        try:
            first, sequence_number, ssrc, words = unpack_rtp_head(packet)
        except struct.error:
            first, sequence_number, ssrc, words = unpack_rtp_head(packet.ljust(RTP_HEAD_BYTES, b"\0"))
        if first & NOT_PADDING == EXTENDED_HEADER:
            start = RTP_HEAD_BYTES + 4 * words
        else:
            start = RTP_HEADER_BYTES if first & NOT_PADDING == PLAIN_HEADER else payload_start(packet, first)
        if not start <= len(packet) <= self._rtp_bytes_max:
            too_long = f"{len(packet)} bytes of RTP do not fit a datagram once protected"
            raise InvalidArgument(too_long if start <= len(packet) else "not an RTP packet")

        try:
            stream = self._streams[ssrc]
        except KeyError:
            return self._protect_first(packet, start, ssrc, self._initial_rocs.get(ssrc, 0) << 16 | sequence_number)
        index = stream.highest + 1
        if index & SEQUENCE_OF_INDEX != sequence_number:
            return self._protect_out_of_order(packet, start, stream, sequence_number)
        # The next one, as nearly always: this is `estimate_index`, `seal_rtp` of AES-GCM, and `accept` in short.
        encrypt = self._keys.encrypt_rtp
        if encrypt is None:
            sealed = self._seal(packet, start, stream.base | index)
        else:
            header = packet[:start]
            sealed = header + encrypt((stream.nonce ^ index).to_bytes(12, "big"), packet[start:], header)
        stream.highest = index
        return sealed

    def protect_run(self, headers: Sequence[bytes], payloads: Sequence[bytes], ssrc: int, first: int) -> list[bytes]:
        """As `protect_rtp(header + payload)` of each, for whoever has just made the headers: they are not read again.

        headers  whole, with CSRCs and header extension, of `ssrc` and numbered on from `first`
        Returns  the protected packets up to the first that `protect_rtp` would refuse
        """
        stream, encrypt = self._streams.get(ssrc), self._keys.encrypt_rtp
        sealed: list[bytes] = []
        if encrypt is None or stream is None or (stream.highest + 1) & SEQUENCE_OF_INDEX != first:
            try:
                for header, payload in zip(headers, payloads, strict=True):
                    sealed.append(self.protect_rtp(header + payload))
            except (InvalidArgument, LimitExceeded):
                pass
            return sealed
        nonce, index, bytes_max = stream.nonce, stream.highest, self._rtp_bytes_max
        if index + len(headers) >= RTP_INDEX_COUNT:
            headers, payloads = headers[: RTP_INDEX_COUNT - 1 - index], payloads[: RTP_INDEX_COUNT - 1 - index]
        for header, payload in zip(headers, payloads, strict=True):
            if len(header) + len(payload) > bytes_max:
                break
            index += 1
            sealed.append(header + encrypt((nonce ^ index).to_bytes(12, "big"), payload, header))
        stream.highest = index
        return sealed

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Turn an RTCP packet, compound or reduced, into an SRTCP packet.

        packet   its first header and SSRC are sent in the clear
        Errors   InvalidArgument for what is not RTCP; LimitExceeded for an SSRC too many, and after 2**31 packets of
                 one SSRC. Nothing has changed then
        Source   RFC 3711 section 3.4
        """
        size = len(packet)
        if size < RTCP_HEADER_BYTES or packet[0] >> 6 != 2:
            raise InvalidArgument("not an RTCP packet")
        if size > PACKET_BYTES_MAX - self.rtcp_overhead_bytes:
            raise InvalidArgument(f"{size} bytes of RTCP do not fit a datagram once protected")
        (ssrc,) = RTCP_SSRC.unpack_from(packet)
        stream = self._rtcp_streams.get(ssrc)
        if stream is None:
            stream = self._new_stream(self._rtcp_streams, ssrc)
        index = stream.highest + 1
        if index >= RTCP_INDEX_COUNT:
            raise LimitExceeded(f"2**31 RTCP packets of SSRC {ssrc:08x} have been sent: it needs a new session")
        word = index | E_FLAG if self._config.encrypts_rtcp else index
        sealed = self._keys.transform.seal_rtcp(packet, ssrc, word)
        self._rtcp_streams[ssrc] = stream
        stream.accept(index)
        return sealed

    def rekey(self, master: MasterKey) -> None:
        """Send with another master key from now on; indices go on counting (RFC 3711 section 3.3.1).

        master  with an MKI of the same length as before
        Errors  InvalidArgument for sizes that do not fit, and for the key in use
        """
        current = self._keys.master
        if len(master.mki) != len(current.mki):
            raise InvalidArgument(f"the MKI keeps its length of {len(current.mki)} bytes")
        if master.key == current.key:
            raise InvalidArgument("this key is in use already")
        self._use(KeySet(self._row, master, self._config))
        for stream in self._streams.values():
            stream.nonce = self._keys.salt ^ stream.base

    def set_rollover_counter(self, ssrc: int, rollover_counter: int) -> None:
        """Begin an SSRC with another rollover counter than 0, as signalling had it (RFC 3711 section 3.3.1).

        Errors  InvalidArgument out of 32 bits; InvalidState once a packet was sent; LimitExceeded for an SSRC too many
        """
        set_initial_roc(self._streams, self._initial_rocs, self._config, ssrc, rollover_counter)

    @property
    def rtp_overhead_bytes(self) -> int:
        """What protection adds to an RTP packet; Cryptex adds 4 more to one with CSRCs and no header extension."""
        return self._keys.transform.rtp_trailer_bytes + len(self._keys.master.mki)

    @property
    def rtp_overhead_bytes_max(self) -> int:
        """The most that protection adds to an RTP packet."""
        return self.rtp_overhead_bytes + (4 if self._uses_cryptex else 0)

    @property
    def rtcp_overhead_bytes(self) -> int:
        """What protection adds to an RTCP packet; RFC 3711 section 3.4 has RTCP's bandwidth count it."""
        return self._keys.transform.rtcp_trailer_bytes + len(self._keys.master.mki)

    def explain(self) -> SrtpExplanation:
        """How each SSRC stands."""
        return explain(self._row.name, self._streams, self._rtcp_streams, self.stats)

    def _use(self, keys: KeySet) -> None:
        self._keys = keys
        has_plain_header = not self._uses_cryptex and not keys.encrypts_extensions
        self._seal: SealRtp = keys.transform.seal_rtp if has_plain_header else self._seal_with_header

    def _new_stream(self, streams: dict[int, Stream], ssrc: int) -> Stream:
        """A stream that is not in the table yet, for its packet may still be refused."""
        if len(streams) >= self._config.stream_count_max:
            raise LimitExceeded(f"{len(streams)} SSRCs are being sent, and {ssrc:08x} is one too many")
        return Stream(ssrc, self._config.replay_window_size, self._keys.salt)

    def _protect_first(self, packet: bytes, start: int, ssrc: int, index: int) -> bytes:
        stream = self._new_stream(self._streams, ssrc)
        sealed = self._seal(packet, start, stream.base | index)
        stream.accept(index)
        self._streams[ssrc] = stream
        return sealed

    def _protect_out_of_order(self, packet: bytes, start: int, stream: Stream, sequence_number: int) -> bytes:
        """A packet that is not the next one."""
        index = estimate_index(stream.highest, sequence_number)
        if index >= RTP_INDEX_COUNT:
            raise LimitExceeded(f"2**48 packets of SSRC {stream.ssrc:08x} have been sent: it needs a new session")
        if not stream.is_fresh(index):
            raise InvalidArgument(f"packet {sequence_number} of SSRC {stream.ssrc:08x} was sent, or is too old to tell")
        sealed = self._seal(packet, start, stream.base | index)
        stream.accept(index)
        return sealed

    def _seal_with_header(self, packet: bytes, start: int, number: int, csrc_bytes: int = 0) -> bytes:
        """Protect a packet whose header, too, may be encrypted: by Cryptex or else by RFC 6904, never by both."""
        seal = self._keys.transform.seal_rtp
        if self._uses_cryptex and needs_cryptex(packet):
            marked = apply_cryptex(packet)
            if marked is not None:
                return seal(marked, CRYPTEX_START, number, 4 * (packet[0] & 0x0F))
            if self._config.cryptex is CryptexPolicy.REQUIRED:
                raise InvalidArgument("Cryptex takes header extensions of RFC 8285 only, without appbits")
        if self._keys.encrypts_extensions:
            encrypted = self._keys.crypt_extensions(packet, start, number)
            if encrypted is None:
                raise InvalidArgument("a header extension reaches beyond its end")
            packet = encrypted
        return seal(packet, start, number)
