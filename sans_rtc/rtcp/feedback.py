"""Feedback messages but those of congestion control: RFC 4585 section 6, RFC 5104 section 4, and REMB.

All begin with two sources, the packet's sender and the media's, then the feedback control information (FCI). A parser
takes (format, body) and a serializer returns (format, body), as in `reports`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated

RTPFB = 205
PSFB = 206

# A pair names at most 17 packets; 65536 / 17 pairs name every sequence number there is: 3856. Beyond that they repeat.
NACK_PAIR_COUNT_MAX = 4096
_BLP_BITS = 16
# REMB counts its sources in one byte.
REMB_SSRC_COUNT_MAX = 255
_REMB_IDENTIFIER = b"REMB"
_MANTISSA_BITS_REMB = 18
_MANTISSA_BITS_TMMBR = 17
_EXPONENT_MAX = 63

SOURCES = struct.Struct("!II")
_PAIR = struct.Struct("!HH")
_WORD = struct.Struct("!I")
_REMB_HEAD = struct.Struct("!4sI")


@attrs.define(slots=True)
class Nack:
    """Generic NACK (RFC 4585 section 6.2.1): the sequence numbers that are missing, in the order of their sending."""

    sender_ssrc: int
    media_ssrc: int
    lost: list[int]


@attrs.define(slots=True)
class PictureLossIndication:
    """PLI (RFC 4585 section 6.3.1)."""

    sender_ssrc: int
    media_ssrc: int


class SliceLoss(NamedTuple):
    """Lost macroblocks: the first and how many, 13 bits each; 6 bits of the picture's identifier."""

    first_macroblock: int
    macroblock_count: int
    picture_id: int


@attrs.define(slots=True)
class SliceLossIndication:
    """SLI (RFC 4585 section 6.3.2)."""

    sender_ssrc: int
    media_ssrc: int
    losses: list[SliceLoss]


@attrs.define(slots=True)
class ReferencePictureSelection:
    """RPSI (RFC 4585 section 6.3.3): what the codec of this payload type means by `bits`.

    padding_bits  how many of the last bits do not count
    """

    sender_ssrc: int
    media_ssrc: int
    payload_type: int
    bits: bytes
    padding_bits: int = 0


class FirEntry(NamedTuple):
    """Who is asked for a keyframe, and the number of the command, 8 bits: the same number repeats a command."""

    ssrc: int
    sequence_number: int


@attrs.define(slots=True)
class FullIntraRequest:
    """FIR (RFC 5104 section 4.3.1). `media_ssrc` is not used, and 0."""

    sender_ssrc: int
    entries: list[FirEntry]
    media_ssrc: int = 0


class BitrateLimit(NamedTuple):
    """An entry of TMMBR or TMMBN: whose, in bit/s (17 significant bits travel), bytes of overhead a packet (9 bits)."""

    ssrc: int
    bitrate_bps: int
    overhead_bytes: int


@attrs.define(slots=True)
class BitrateRequest:
    """TMMBR (RFC 5104 section 4.2.1): the media sender is asked to send no more. `media_ssrc` is not used, and 0."""

    sender_ssrc: int
    limits: list[BitrateLimit]
    media_ssrc: int = 0


@attrs.define(slots=True)
class BitrateNotification:
    """TMMBN (RFC 5104 section 4.2.2): the limits that hold, maybe none. `media_ssrc` is not used, and 0."""

    sender_ssrc: int
    limits: list[BitrateLimit]
    media_ssrc: int = 0


@attrs.define(slots=True)
class Remb:
    """Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb section 2.2): 18 significant bits travel."""

    sender_ssrc: int
    bitrate_bps: int
    ssrcs: tuple[int, ...]
    media_ssrc: int = 0


@attrs.define(slots=True)
class UnknownFeedback:
    """A feedback message that is kept as it came: its packet type (205 or 206), its format, and its FCI."""

    packet_type: int
    format: int
    sender_ssrc: int
    media_ssrc: int
    fci: bytes = b""


def parse_sources(body: bytes) -> tuple[int, int]:
    """The two sources at the front of a feedback message."""
    if len(body) < SOURCES.size:
        raise Truncated(f"a feedback message of {len(body)} bytes", field="feedback")
    sender, media = SOURCES.unpack_from(body)
    return sender, media


def _words(body: bytes, size: int, name: str) -> range:
    """The offsets of the entries of `size` bytes behind the sources; at least one."""
    if len(body) <= SOURCES.size or (len(body) - SOURCES.size) % size:
        raise Malformed(f"{name} with {len(body) - SOURCES.size} bytes of FCI", field=name)
    return range(SOURCES.size, len(body), size)


# --- NACK -------------------------------------------------------------------------------------------------------------


def pack_lost(lost: Iterable[int]) -> list[tuple[int, int]]:
    """The pairs (PID, BLP) of missing sequence numbers that are given in the order of their sending."""
    pairs: list[tuple[int, int]] = []
    pid = bits = -1
    for number in lost:
        distance = (number - pid) & 0xFFFF
        if bits >= 0 and distance <= _BLP_BITS:
            if distance:
                bits |= 1 << distance - 1
            continue
        if bits >= 0:
            pairs.append((pid, bits))
        pid, bits = number, 0
    if bits >= 0:
        pairs.append((pid, bits))
    return pairs


def unpack_lost(pairs: Iterable[tuple[int, int]]) -> list[int]:
    """The missing sequence numbers of pairs (PID, BLP)."""
    lost: list[int] = []
    for pid, bits in pairs:
        lost.append(pid)
        if bits:
            lost += [pid + 1 + bit & 0xFFFF for bit in range(_BLP_BITS) if bits >> bit & 1]
    return lost


def parse_nack(_: int, body: bytes) -> Nack:
    """Generic NACK."""
    sender, media = parse_sources(body)
    offsets = _words(body, _PAIR.size, "NACK")
    if len(offsets) > NACK_PAIR_COUNT_MAX:
        raise Malformed(f"{len(offsets)} pairs; {NACK_PAIR_COUNT_MAX} are taken", field="NACK")
    return Nack(sender, media, unpack_lost(_PAIR.iter_unpack(body[SOURCES.size :])))


def serialize_nack(packet: Nack) -> tuple[int, bytes]:
    """Generic NACK."""
    if not packet.lost:
        raise InvalidArgument("a NACK names at least one packet")
    pairs = pack_lost(packet.lost)
    if len(pairs) > NACK_PAIR_COUNT_MAX:
        raise InvalidArgument(f"{len(pairs)} pairs; {NACK_PAIR_COUNT_MAX} fit")
    return 1, SOURCES.pack(packet.sender_ssrc, packet.media_ssrc) + b"".join([_PAIR.pack(*pair) for pair in pairs])


# --- pictures ---------------------------------------------------------------------------------------------------------


def parse_pli(_: int, body: bytes) -> PictureLossIndication:
    """PLI."""
    sender, media = parse_sources(body)
    if len(body) != SOURCES.size:
        raise Malformed("PLI has no FCI", field="PLI")
    return PictureLossIndication(sender, media)


def serialize_pli(packet: PictureLossIndication) -> tuple[int, bytes]:
    """PLI."""
    return 1, SOURCES.pack(packet.sender_ssrc, packet.media_ssrc)


def parse_sli(_: int, body: bytes) -> SliceLossIndication:
    """SLI."""
    sender, media = parse_sources(body)
    words = [_WORD.unpack_from(body, at)[0] for at in _words(body, _WORD.size, "SLI")]
    return SliceLossIndication(sender, media, [SliceLoss(w >> 19, w >> 6 & 0x1FFF, w & 0x3F) for w in words])


def serialize_sli(packet: SliceLossIndication) -> tuple[int, bytes]:
    """SLI."""
    for loss in packet.losses:
        if loss.first_macroblock >> 13 or loss.macroblock_count >> 13 or loss.picture_id >> 6:
            raise InvalidArgument(f"{loss} does not fit its bits")
    words = [_WORD.pack(first << 19 | count << 6 | picture_id) for first, count, picture_id in packet.losses]
    return 2, SOURCES.pack(packet.sender_ssrc, packet.media_ssrc) + _at_least_one(words, "SLI")


def _at_least_one(entries: Sequence[bytes], name: str) -> bytes:
    if not entries:
        raise InvalidArgument(f"{name} has at least one entry")
    return b"".join(entries)


def parse_rpsi(_: int, body: bytes) -> ReferencePictureSelection:
    """RPSI: a byte that counts the padding bits, a payload type, the codec's bits, padding to a whole word."""
    sender, media = parse_sources(body)
    fci = body[SOURCES.size :]
    if len(fci) < 4:
        raise Truncated("RPSI without a word of FCI", field="RPSI")
    padding_bits = fci[0]
    whole, rest = divmod(padding_bits, 8)
    end = len(fci) - whole
    if end < 2 or (end == 2 and rest):
        raise Malformed(f"{padding_bits} bits of padding in {len(fci)} bytes", field="RPSI", offset=SOURCES.size)
    return ReferencePictureSelection(sender, media, fci[1] & 0x7F, fci[2:end], rest)


def serialize_rpsi(packet: ReferencePictureSelection) -> tuple[int, bytes]:
    """RPSI."""
    if not 0 <= packet.payload_type <= 0x7F or not 0 <= packet.padding_bits <= (7 if packet.bits else 0):
        raise InvalidArgument("RPSI has a payload type of 7 bits and up to 7 padding bits in its last byte")
    fill = -(2 + len(packet.bits)) & 3
    head = bytes((8 * fill + packet.padding_bits, packet.payload_type))
    return 3, SOURCES.pack(packet.sender_ssrc, packet.media_ssrc) + head + packet.bits + bytes(fill)


def parse_fir(_: int, body: bytes) -> FullIntraRequest:
    """FIR."""
    sender, media = parse_sources(body)
    pairs = [SOURCES.unpack_from(body, at) for at in _words(body, SOURCES.size, "FIR")]
    return FullIntraRequest(sender, [FirEntry(ssrc, word >> 24) for ssrc, word in pairs], media)


def serialize_fir(packet: FullIntraRequest) -> tuple[int, bytes]:
    """FIR."""
    for entry in packet.entries:
        if not 0 <= entry.sequence_number <= 0xFF:
            raise InvalidArgument(f"the number of a command has 8 bits: {entry.sequence_number}")
    entries = [SOURCES.pack(entry.ssrc, entry.sequence_number << 24) for entry in packet.entries]
    return 4, SOURCES.pack(packet.sender_ssrc, packet.media_ssrc) + _at_least_one(entries, "FIR")


# --- bitrates ---------------------------------------------------------------------------------------------------------


def _split_bitrate(bitrate_bps: int, mantissa_bits: int) -> tuple[int, int]:
    """The exponent and the mantissa, rounded down, of a bitrate."""
    exponent = max(0, bitrate_bps.bit_length() - mantissa_bits)
    if bitrate_bps < 0 or exponent > _EXPONENT_MAX:
        raise InvalidArgument(f"a bitrate of {bitrate_bps} bit/s")
    return exponent, bitrate_bps >> exponent


def parse_tmmbr(_: int, body: bytes) -> BitrateRequest:
    """TMMBR."""
    sender, media = parse_sources(body)
    return BitrateRequest(sender, _parse_limits(body, _words(body, SOURCES.size, "TMMBR")), media)


def parse_tmmbn(_: int, body: bytes) -> BitrateNotification:
    """TMMBN, which may have no entry at all."""
    sender, media = parse_sources(body)
    offsets = _words(body, SOURCES.size, "TMMBN") if len(body) > SOURCES.size else range(0)
    return BitrateNotification(sender, _parse_limits(body, offsets), media)


def _parse_limits(body: bytes, offsets: range) -> list[BitrateLimit]:
    pairs = [SOURCES.unpack_from(body, at) for at in offsets]
    return [BitrateLimit(ssrc, (w >> 9 & 0x1FFFF) << (w >> 26), w & 0x1FF) for ssrc, w in pairs]


def serialize_tmmbr(packet: BitrateRequest) -> tuple[int, bytes]:
    """TMMBR."""
    return 3, SOURCES.pack(packet.sender_ssrc, packet.media_ssrc) + _at_least_one(_limits(packet.limits), "TMMBR")


def serialize_tmmbn(packet: BitrateNotification) -> tuple[int, bytes]:
    """TMMBN."""
    return 4, SOURCES.pack(packet.sender_ssrc, packet.media_ssrc) + b"".join(_limits(packet.limits))


def _limits(limits: list[BitrateLimit]) -> list[bytes]:
    entries = []
    for limit in limits:
        if not 0 <= limit.overhead_bytes <= 0x1FF:
            raise InvalidArgument(f"an overhead has 9 bits: {limit.overhead_bytes}")
        exponent, mantissa = _split_bitrate(limit.bitrate_bps, _MANTISSA_BITS_TMMBR)
        entries.append(SOURCES.pack(limit.ssrc, exponent << 26 | mantissa << 9 | limit.overhead_bytes))
    return entries


def parse_application_feedback(_: int, body: bytes) -> Remb | UnknownFeedback:
    """Application layer feedback (RFC 4585 section 6.4): REMB by its identifier, or kept."""
    sender, media = parse_sources(body)
    if body[SOURCES.size : SOURCES.size + 4] != _REMB_IDENTIFIER:
        return UnknownFeedback(PSFB, 15, sender, media, body[SOURCES.size :])
    if len(body) < SOURCES.size + _REMB_HEAD.size:
        raise Truncated("REMB without its bitrate", field="REMB")
    _identifier, word = _REMB_HEAD.unpack_from(body, SOURCES.size)
    count = word >> 24
    if len(body) != SOURCES.size + _REMB_HEAD.size + 4 * count:
        raise Malformed(f"REMB of {len(body)} bytes for {count} sources", field="REMB")
    ssrcs = struct.unpack_from(f"!{count}I", body, SOURCES.size + _REMB_HEAD.size)
    return Remb(sender, (word & 0x3FFFF) << (word >> 18 & 0x3F), ssrcs, media)


def serialize_remb(packet: Remb) -> tuple[int, bytes]:
    """REMB."""
    count = len(packet.ssrcs)
    if count > REMB_SSRC_COUNT_MAX:
        raise InvalidArgument(f"{count} sources; {REMB_SSRC_COUNT_MAX} fit")
    exponent, mantissa = _split_bitrate(packet.bitrate_bps, _MANTISSA_BITS_REMB)
    head = _REMB_HEAD.pack(_REMB_IDENTIFIER, count << 24 | exponent << 18 | mantissa)
    sources = SOURCES.pack(packet.sender_ssrc, packet.media_ssrc)
    return 15, sources + head + struct.pack(f"!{count}I", *packet.ssrcs)


def serialize_unknown_feedback(packet: UnknownFeedback) -> tuple[int, bytes]:
    """A feedback message that was kept."""
    if packet.packet_type not in (RTPFB, PSFB):
        raise InvalidArgument("a feedback message has packet type 205 or 206")
    return packet.format, SOURCES.pack(packet.sender_ssrc, packet.media_ssrc) + packet.fci
