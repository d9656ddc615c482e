"""One encoding that is sent: a stream of media with its retransmissions, from frames or from packets of others."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from sans_rtc.entropy import Entropy, draw_uint
from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.media.config import MediaConfig
from sans_rtc.media.forward import SourceMap
from sans_rtc.media.layout import NO_EXTRA, Element, Extra, HeaderLayout
from sans_rtc.media.outbound import OutboundStream, OutgoingPacket, PaddingPacket
from sans_rtc.media.parameters import CodecParameters, Encoding, EncodingSettings, FecParameters
from sans_rtc.media.picture_ids import PictureIds
from sans_rtc.media.protection import Protection
from sans_rtc.rtp.extensions import Extension
from sans_rtc.rtp.payload import Packetizer, Purpose, RedSender, parse_red_parameters
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.rtp.wire import RtpPacket

_MASK_32 = 0xFFFFFFFF
_OSN = struct.Struct("!H")
_MARKER = 0x80
_PADDING_BYTES_MAX = 255
# Of padding alone, without RTX: so much at first, for the probes of the beginning, and then this part of the media.
_PADDING_CREDIT_BYTES = 16_000
_PADDING_RATIO = 0.25


class EncodingSender:
    """Makes the packets of one encoding. A transform; `Transmitter` sends them.

    declared_ssrc   of the description; the media's own is another one after a collision
    settings        what the application may change
    bitrate_bps     its share; None: nothing is estimated
    last_codec      of what was sent last
    protection      its error correction; None without
    """

    def __init__(self, handle: int, encoding: Encoding, kind: MediaKind, config: MediaConfig, entropy: Entropy) -> None:
        self.handle = handle
        self.rid = encoding.rid
        self.kind = kind
        self.declared_ssrc = encoding.ssrc
        self.settings = EncodingSettings(encoding.rid)
        self.bitrate_bps: int | None = None
        self.frame_count = self.keyframe_count = 0
        self.pli_count = self.fir_count = 0
        self.keyframe_at = -float("inf")
        self.fir_number = -1
        self.last_codec: CodecParameters | None = None
        self.sources = SourceMap()
        self._declared: Encoding | None = None
        self._config = config
        self._entropy = entropy
        self._codecs: dict[int, CodecParameters] = {}
        self._first: CodecParameters | None = None
        self._packetizers: dict[int, Packetizer] = {}
        self._like: tuple[CodecParameters | None, CodecParameters | None] = (None, None)
        self._red = RedSender()
        self._picture_ids = PictureIds()
        self._timestamp_offset = draw_uint(entropy, 32)
        self._event_timestamp = -1
        self._talk_until: int | None = None
        self._frame_number = 0
        self._remembers = False
        self._padding_bytes = 0
        self.media: OutboundStream
        self.rtx: OutboundStream | None = None
        self.protection: Protection | None = None

    # --- settings -----------------------------------------------------------------------------------------------------

    def configure(
        self, encoding: Encoding, codecs: tuple[CodecParameters, ...], fec: FecParameters | None = None
    ) -> None:
        """Take what was negotiated; streams go on."""
        before, self._codecs = self._codecs, {codec.payload_type: codec for codec in codecs}
        self._like = (None, None)
        media = [codec for codec in codecs if codec.codec.purpose is Purpose.MEDIA]
        self._first = media[0] if media else (codecs[0] if codecs else None)
        # What fills up is what was sent last: video is remembered in any case.
        self._remembers = self.kind is MediaKind.VIDEO or any("nack" in codec.feedback for codec in codecs)
        self._packetizers = {
            payload_type: packetizer
            for payload_type, packetizer in self._packetizers.items()
            if self._codecs.get(payload_type) == before[payload_type]
        }
        for codec in codecs:  # now, for they draw numbers: a frame that is refused changes nothing
            if codec.payload_type not in self._packetizers and codec.codec.new_packetizer is not None:
                packetizer = codec.codec.new_packetizer(codec.parameters, self._entropy)
                self._packetizers[codec.payload_type] = packetizer
        if encoding != self._declared:  # else what the application has set since holds
            self._declared = encoding
            self.settings = EncodingSettings(
                encoding.rid, encoding.is_active, encoding.max_bitrate_bps, encoding.scale_down_by, encoding.priority
            )
        if not hasattr(self, "media"):
            self.media = self._new_stream(encoding.ssrc, is_rtx=False)
        has_rtx = encoding.rtx_ssrc and any(codec.rtx_payload_type is not None for codec in codecs)
        if has_rtx and self.rtx is None:
            self.rtx = self._new_stream(encoding.rtx_ssrc, is_rtx=True)
        elif not has_rtx:
            self.rtx = None
        self.media.keeps_protected = self.rtx is None
        self._configure_protection(encoding, fec)

    def _configure_protection(self, encoding: Encoding, fec: FecParameters | None) -> None:
        if fec is None or not encoding.fec_ssrc or self.kind is not MediaKind.VIDEO:
            self.protection = None
        elif self.protection is None:
            stream = self._new_stream(encoding.fec_ssrc, is_rtx=True)
            self.protection = Protection(stream, fec, self._config, self._entropy)
        else:
            self.protection.configure(fec)
        self.media.protection = self.protection

    def _new_stream(self, ssrc: int, *, is_rtx: bool) -> OutboundStream:
        clock_rate = self._first.codec.clock_rate if self._first is not None else 90_000
        history = self._config.history if self._remembers and not is_rtx else None
        return OutboundStream(
            self.handle, self.rid, ssrc, clock_rate, self._config.wall_clock, self._entropy, history, is_rtx=is_rtx
        )

    def set_layout(self, layout: HeaderLayout, mid: str) -> None:
        """Lay out the headers: the media says mid and rid, its retransmissions mid and repaired-rid."""
        for stream in self.streams:
            rid_uri = Extension.RID if stream is self.media else Extension.REPAIRED_RID
            elements = []
            for uri, text in ((Extension.MID, mid), (rid_uri, self.rid)):
                element_id = layout.extensions.id_of(uri)
                if text and element_id is not None and layout.fits(element_id, text.encode()):
                    elements.append((element_id, text.encode()))
            told = mid if layout.extensions.id_of(Extension.MID) is not None else ""
            stream.set_layout(layout, Extra(tuple(elements)) if elements else NO_EXTRA, told)

    def change_ssrc(self, stream: OutboundStream, ssrc: int) -> OutboundStream:
        """Go on under another SSRC (RFC 3550 section 8.2); returns the new stream."""
        new = self._new_stream(ssrc, is_rtx=stream.is_rtx)
        if self.protection is not None and stream is self.protection.stream:
            self.protection.stream = new
        elif stream.is_rtx:
            self.rtx = new
        else:
            new.keeps_protected, new.protection = stream.keeps_protected, stream.protection
            self.media = new
            self.sources = SourceMap()
        return new

    @property
    def streams(self) -> list[OutboundStream]:
        """Media, and its retransmissions and error correction where there are any."""
        streams = [self.media] if self.rtx is None else [self.media, self.rtx]
        return streams if self.protection is None else [*streams, self.protection.stream]

    @property
    def correction_ratio(self) -> float:
        """Bytes of error correction for each byte of media."""
        return 0.0 if self.protection is None else self.protection.ratio

    # --- frames -------------------------------------------------------------------------------------------------------

    def codec_of(self, payload_type: int | None) -> CodecParameters:
        """The codec to send with. InvalidArgument where it was not negotiated."""
        codec = self._first if payload_type is None else self._codecs.get(payload_type)
        if codec is None:
            raise InvalidArgument(f"payload type {payload_type} was not negotiated for sending")
        return codec

    def make_frame(
        self, data: bytes, codec: CodecParameters, timestamp: int, extra: Extra, room_bytes: int, now: float
    ) -> list[OutgoingPacket]:
        """The packets of one frame. InvalidArgument for a frame that the format does not take; nothing changed then.

        room_bytes  what a datagram leaves for extensions and payload
        """
        stream = self.media
        reserved = 2 if self.rtx is not None else 0
        if self.protection is not None:
            reserved = max(reserved, self.protection.reserved_bytes)
        overhead = stream.layout.overhead_bytes(stream.identity, extra) + reserved
        offset = self._timestamp_offset
        if self.sources.ssrc is not None:  # what was sent last was forwarded
            offset = self.sources.take_over(timestamp, codec.codec.clock_rate, now)
        at = (timestamp + offset) & _MASK_32
        payloads = self._payloads(data, codec, at, room_bytes - overhead)
        self._timestamp_offset = offset
        self.sources.give_way(at, now)
        self._frame_number += 1
        self.frame_count += 1
        self.last_codec = codec
        second = codec.payload_type
        packets = []
        is_video = self.kind is MediaKind.VIDEO
        duration = codec.codec.duration
        last = len(payloads) - 1
        for index, payload in enumerate(payloads):
            is_marked = index == last if is_video else self._begins_talk(codec, payload, at)
            packets.append(
                OutgoingPacket(
                    stream, second | _MARKER if is_marked else second, stream.take_number(), at, payload, extra,
                    self._frame_number,
                )
            )  # fmt: skip
            if index < last and duration is not None:  # samples that take several packets (RFC 3551 section 4.2)
                at = (at + duration(payload)) & _MASK_32
        return packets

    def _begins_talk(self, codec: CodecParameters, payload: bytes, timestamp: int) -> bool:
        """Audio: the marker is on the first packet of a talk spurt, and of an event (RFC 3551 4.1, RFC 4733 2.2).

        A spurt begins where at least a packet's time was left out; less is a clock that does not count evenly.
        """
        if codec.codec.purpose is Purpose.EVENTS:
            begins, self._event_timestamp = timestamp != self._event_timestamp, timestamp
            self._talk_until = None  # an event is no silence
            return begins
        # RFC 3389 section 4: comfort noise "SHOULD NOT have the marker bit set".
        if codec.codec.purpose is Purpose.COMFORT_NOISE:
            return False
        before, ticks = self._talk_until, _duration(codec, payload)
        if ticks:
            self._talk_until = (timestamp + ticks) & _MASK_32
        if before is None or not ticks:
            return self._frame_number == 1
        return ticks <= (timestamp - before) & _MASK_32 < 1 << 31

    def _payloads(self, data: bytes, codec: CodecParameters, timestamp: int, room_bytes: int) -> list[bytes]:
        if codec.codec.purpose is Purpose.REDUNDANCY:
            primary = (parse_red_parameters(codec.parameters) or (0,))[0]
            inner = self._codecs.get(primary)
            if inner is None:
                raise InvalidArgument("the redundancy names a format that was not negotiated")
            (payload,) = self._packetizer(inner).packetize(data, payload_bytes_max=room_bytes - 1) or (b"",)
            return [self._red.send(payload, payload_type=primary, timestamp=timestamp, payload_bytes_max=room_bytes)]
        return self._packetizer(codec).packetize(data, payload_bytes_max=room_bytes)

    def _packetizer(self, codec: CodecParameters) -> Packetizer:
        packetizer = self._packetizers.get(codec.payload_type)
        if packetizer is None:
            raise InvalidArgument(f"{codec.codec.name} carries no frames")
        return packetizer

    # --- packets of others --------------------------------------------------------------------------------------------

    def forward(
        self, packet: RtpPacket, codec: CodecParameters, elements: tuple[Element, ...], now: float
    ) -> OutgoingPacket | None:
        """The packet as one of this stream; None for one from before a switch of sources, or one that must wait."""
        stream = self.media
        before = self.sources.ssrc
        place = self.sources.place(packet, codec.codec, stream.next_sequence, now)
        if place is None:
            return None
        if before != self.sources.ssrc:
            self._picture_ids.switch()
        number, timestamp, is_next = place
        payload = packet.payload
        if self.kind is MediaKind.VIDEO:
            payload = self._picture_ids.renumber(codec.codec.name, payload, is_next)
        if is_next:
            stream.next_sequence = number + 1 & 0xFFFF
        self.last_codec = codec
        if timestamp != stream.timestamp:
            stream.timestamp = timestamp
            self._frame_number += 1
            self.frame_count += 1
        second = codec.payload_type | _MARKER if packet.marker else codec.payload_type
        extra = Extra(elements, packet.csrcs) if elements or packet.csrcs else NO_EXTRA
        return OutgoingPacket(stream, second, number, timestamp, payload, extra, self._frame_number)

    def codec_like(self, wanted: CodecParameters) -> CodecParameters | None:
        """The negotiated codec that takes what this one makes; None without one."""
        if self._like[0] is wanted:
            return self._like[1]
        own = self._find_like(wanted)
        self._like = (wanted, own)
        return own

    def _find_like(self, wanted: CodecParameters) -> CodecParameters | None:
        for codec in self._codecs.values():
            ours, theirs = codec.codec, wanted.codec
            if ours.name.lower() != theirs.name.lower() or ours.clock_rate != theirs.clock_rate:
                continue
            try:
                agreed = ours.negotiate(codec.parameters, wanted.parameters)
            except WireError:
                continue
            if ours.channels == theirs.channels and agreed is not None:
                return codec
        return None

    # --- again --------------------------------------------------------------------------------------------------------

    def answer_nack(self, lost: Iterable[int], now: float) -> list[OutgoingPacket]:
        """The packets to send again."""
        history = self.media.history
        if history is None:
            return []
        packets = history.answer(lost, now)
        self.media.nack_count += 1
        self.media.packets_retransmitted += len(packets)
        self.media.bytes_retransmitted += sum([len(packet.payload) for packet in packets])
        return [again for packet in packets if (again := self._again(packet)) is not None]

    def _again(self, packet: OutgoingPacket) -> OutgoingPacket | None:
        if self.rtx is None:
            return packet
        codec = self._codecs.get(packet.second & 0x7F)
        if codec is None or codec.rtx_payload_type is None:
            return None
        payload = _OSN.pack(packet.sequence_number) + packet.payload
        second = packet.second & _MARKER | codec.rtx_payload_type
        number = self.rtx.take_number()
        return OutgoingPacket(self.rtx, second, number, packet.timestamp, payload, packet.extra, packet.frame_number)

    def make_padding(self, size_bytes: int) -> list[OutgoingPacket]:
        """Packets that fill up: what was sent last once more where RTX carries it, else padding alone."""
        history = self.media.history
        newest = history.newest if history is not None else None
        if newest is None:
            return []
        packets: list[OutgoingPacket] = []
        while size_bytes > 0:
            again = self._again(newest) if self.rtx is not None else None
            if again is not None:
                self.media.packets_retransmitted += 1
                self.media.bytes_retransmitted += len(newest.payload)
            packet = again or self._padding(min(size_bytes, _PADDING_BYTES_MAX), newest)
            if packet is None:
                break
            packets.append(packet)
            size_bytes -= max(len(packet.payload), 64)
        return packets

    def _padding(self, size_bytes: int, newest: OutgoingPacket) -> OutgoingPacket | None:
        """A packet of padding alone, behind a whole frame and with its timestamp (RFC 3550 section 5.1: P).

        It takes numbers of the media's own, and who has lost one asks for it: no more of it than a part of the media.
        """
        count = max(size_bytes, 1)
        if self._padding_bytes + count > _PADDING_CREDIT_BYTES + _PADDING_RATIO * self.media.statistics.bytes_sent:
            return None
        self._padding_bytes += count
        padding = bytes(count - 1) + bytes((count,))
        stream = self.media
        return PaddingPacket(
            stream, newest.second & 0x7F, stream.take_number(), newest.timestamp, padding, NO_EXTRA, newest.frame_number
        )


def _duration(codec: CodecParameters, payload: bytes) -> int:
    """How many ticks a payload of audio lasts; 0 where that cannot be told."""
    if codec.codec.duration is None:
        return 0
    try:
        return codec.codec.duration(payload)
    except WireError:
        return 0
