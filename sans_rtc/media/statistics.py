"""Statistics of RTP streams with the names of the W3C ("Identifiers for WebRTC's Statistics API").

Attributes are the W3C's in snake_case; `to_json` gives them as it spells them. Points in time are Unix time in
milliseconds, durations seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs

from sans_rtc.media.inbound import InboundStream
from sans_rtc.media.parameters import CodecParameters
from sans_rtc.media.repair import FecSource, RtxSource
from sans_rtc.rtp.ntp import WallClock, unix_from_ntp

if TYPE_CHECKING:
    from sans_rtc.media.encoding import EncodingSender
    from sans_rtc.media.outbound import OutboundStream
    from sans_rtc.media.routing import Router
    from sans_rtc.media.sections import Sections
    from sans_rtc.media.sender import SectionSender

TRANSPORT_ID = "T01"
"""The id of the statistics of the one transport that all streams share."""

Json: TypeAlias = "str | int | float | bool"


def camel_case(name: str) -> str:
    """`packets_lost` as `packetsLost`."""
    first, *others = name.split("_")
    return first + "".join([other.capitalize() for other in others])


@attrs.define(slots=True, kw_only=True)
class Stats:
    """What all statistics have. `timestamp` is Unix time in milliseconds."""

    id: str
    type: str
    timestamp: float

    def to_json(self) -> dict[str, Json]:
        """The W3C's dictionary; members without a value are left out."""
        fields = [(field.name, getattr(self, field.name)) for field in attrs.fields(type(self))]
        return {camel_case(name): value for name, value in fields if value is not None}


@attrs.define(slots=True, kw_only=True)
class CodecStats(Stats):
    """RTCCodecStats."""

    payload_type: int
    transport_id: str
    mime_type: str
    clock_rate: int
    channels: int | None = None
    sdp_fmtp_line: str | None = None


@attrs.define(slots=True, kw_only=True)
class RtpStreamStats(Stats):
    """RTCRtpStreamStats."""

    ssrc: int
    kind: str
    transport_id: str = TRANSPORT_ID
    codec_id: str | None = None


@attrs.define(slots=True, kw_only=True)
class InboundRtpStats(RtpStreamStats):
    """RTCInboundRtpStreamStats, as far as it can be known without decoding."""

    mid: str
    rid: str | None = None
    remote_id: str | None = None
    packets_received: int
    packets_lost: int
    jitter: float
    bytes_received: int
    header_bytes_received: int
    last_packet_received_timestamp: float | None = None
    packets_discarded: int = 0
    frames_received: int = 0
    key_frames_received: int | None = None
    frames_assembled_from_multiple_packets: int | None = None
    frames_dropped: int | None = None
    retransmitted_packets_received: int = 0
    retransmitted_bytes_received: int = 0
    fec_packets_received: int = 0
    rtx_ssrc: int | None = None
    fec_ssrc: int | None = None
    nack_count: int = 0
    pli_count: int | None = None
    fir_count: int | None = None
    jitter_buffer_delay: float | None = None


@attrs.define(slots=True, kw_only=True)
class RemoteOutboundRtpStats(RtpStreamStats):
    """RTCRemoteOutboundRtpStreamStats: what the peer's sender reports say."""

    local_id: str
    packets_sent: int
    bytes_sent: int
    remote_timestamp: float
    reports_sent: int


@attrs.define(slots=True, kw_only=True)
class OutboundRtpStats(RtpStreamStats):
    """RTCOutboundRtpStreamStats, as far as it can be known without encoding."""

    mid: str
    rid: str | None = None
    remote_id: str | None = None
    active: bool
    packets_sent: int
    bytes_sent: int
    header_bytes_sent: int
    retransmitted_packets_sent: int = 0
    retransmitted_bytes_sent: int = 0
    rtx_ssrc: int | None = None
    target_bitrate: int | None = None
    frames_sent: int = 0
    nack_count: int = 0
    pli_count: int | None = None
    fir_count: int | None = None


@attrs.define(slots=True, kw_only=True)
class RemoteInboundRtpStats(RtpStreamStats):
    """RTCRemoteInboundRtpStreamStats: what the peer's report blocks say."""

    local_id: str
    packets_lost: int
    fraction_lost: float
    jitter: float
    packets_received: int
    round_trip_time: float | None = None
    total_round_trip_time: float
    round_trip_time_measurements: int


RtpStats: TypeAlias = CodecStats | InboundRtpStats | OutboundRtpStats | RemoteInboundRtpStats | RemoteOutboundRtpStats


def rtp_statistics(sections: Sections, router: Router, wall_clock: WallClock, now: float) -> list[RtpStats]:
    """The statistics of all streams, and of the codecs that they use."""
    made = _Statistics(wall_clock, now)
    for sender in sections.senders.values():
        for encoding in sender.encodings.values():
            made.add_outbound(sender, encoding)
    repairs = [source for source in router.sources.values() if not isinstance(source, InboundStream)]
    for receiver in sections.receivers.values():
        for stream in receiver.streams.values():
            made.add_inbound(stream, [repair for repair in repairs if repair.target is stream])
    return [*made.codecs.values(), *made.streams]


class _Statistics:
    """Makes the objects of one instant."""

    def __init__(self, wall_clock: WallClock, now: float) -> None:
        self._offset_s = wall_clock.offset_s
        self._timestamp = self._unix_ms(now)
        self.codecs: dict[str, CodecStats] = {}
        self.streams: list[RtpStats] = []

    def _unix_ms(self, at: float) -> float:
        return (at + self._offset_s) * 1000.0

    def _codec_id(self, codec: CodecParameters | None, kind: str, direction: str) -> str | None:
        if codec is None:
            return None
        row = codec.codec
        codec_id = f"C{direction}{TRANSPORT_ID}_{codec.payload_type}"
        self.codecs[codec_id] = CodecStats(
            id=codec_id,
            type="codec",
            timestamp=self._timestamp,
            payload_type=codec.payload_type,
            transport_id=TRANSPORT_ID,
            mime_type=f"{kind}/{row.name}",
            clock_rate=row.clock_rate,
            channels=row.channels if kind == "audio" else None,
            sdp_fmtp_line=codec.parameters or None,
        )
        return codec_id

    # --- sent ---------------------------------------------------------------------------------------------------------

    def add_outbound(self, sender: SectionSender, encoding: EncodingSender) -> None:
        """One encoding, and what the peer says of it."""
        media, rtx = encoding.media, encoding.rtx
        kind = str(sender.kind)
        is_video = kind == "video"
        stats_id = f"O{TRANSPORT_ID}{kind[0].upper()}{media.ssrc}"
        remote_id = f"RI{TRANSPORT_ID}{kind[0].upper()}{media.ssrc}" if media.statistics.last_block else None
        codec_id = self._codec_id(encoding.last_codec, kind, "O")
        streams = [media] if rtx is None else [media, rtx]
        resent = media.packets_retransmitted if rtx is None else 0
        self.streams.append(
            OutboundRtpStats(
                id=stats_id,
                type="outbound-rtp",
                timestamp=self._timestamp,
                ssrc=media.ssrc,
                kind=kind,
                codec_id=codec_id,
                mid=sender.mid,
                rid=encoding.rid or None,
                remote_id=remote_id,
                active=sender.is_sending and encoding.settings.is_active,
                packets_sent=sum(stream.statistics.packets_sent for stream in streams) + resent,
                bytes_sent=sum(stream.statistics.bytes_sent for stream in streams)
                + (media.bytes_retransmitted if rtx is None else 0),
                header_bytes_sent=sum(stream.header_bytes_sent for stream in streams),
                retransmitted_packets_sent=media.packets_retransmitted,
                retransmitted_bytes_sent=media.bytes_retransmitted,
                rtx_ssrc=rtx.ssrc if rtx is not None else None,
                target_bitrate=encoding.bitrate_bps,
                frames_sent=encoding.frame_count,
                nack_count=media.nack_count,
                pli_count=encoding.pli_count if is_video else None,
                fir_count=encoding.fir_count if is_video else None,
            )
        )
        if remote_id is not None:
            self._add_remote_inbound(remote_id, stats_id, kind, codec_id, media)

    def _add_remote_inbound(
        self, stats_id: str, local_id: str, kind: str, codec_id: str | None, stream: OutboundStream
    ) -> None:
        block = stream.statistics.last_block
        assert block is not None
        self.streams.append(
            RemoteInboundRtpStats(
                id=stats_id,
                type="remote-inbound-rtp",
                timestamp=self._unix_ms(stream.block_at),
                ssrc=stream.ssrc,
                kind=kind,
                codec_id=codec_id,
                local_id=local_id,
                packets_lost=block.packets_lost,
                fraction_lost=block.fraction_lost / 256,
                jitter=block.jitter / stream.clock_rate,
                packets_received=max(stream.statistics.packets_sent - block.packets_lost, 0),
                round_trip_time=stream.statistics.round_trip_s,
                total_round_trip_time=stream.total_round_trip_s,
                round_trip_time_measurements=stream.round_trip_count,
            )
        )

    # --- received -----------------------------------------------------------------------------------------------------

    def add_inbound(self, stream: InboundStream, repairs: list[RtxSource | FecSource]) -> None:
        """One stream, and what the peer says of it."""
        receiver, counts = stream.receiver, stream.statistics
        kind = str(receiver.kind)
        stats_id = f"I{TRANSPORT_ID}{kind[0].upper()}{stream.ssrc}"
        remote_id = f"RO{TRANSPORT_ID}{kind[0].upper()}{stream.ssrc}" if stream.reports_received else None
        codec_id = self._codec_id(stream.codec, kind, "I")
        rtx_ssrc, fec_ssrc, fec_packets = _repair_of(repairs)
        heard_at = counts.last_received_at
        self.streams.append(
            InboundRtpStats(
                id=stats_id,
                type="inbound-rtp",
                timestamp=self._timestamp,
                ssrc=stream.ssrc,
                kind=kind,
                codec_id=codec_id,
                mid=receiver.mid,
                rid=stream.rid or None,
                remote_id=remote_id,
                packets_received=counts.packets_received + stream.packets_restored,
                packets_lost=counts.packets_lost,
                jitter=counts.jitter / stream.clock_rate,
                bytes_received=counts.bytes_received + stream.bytes_restored,
                header_bytes_received=stream.header_bytes_received,
                last_packet_received_timestamp=None if heard_at is None else self._unix_ms(heard_at),
                packets_discarded=stream.packets_discarded,
                frames_received=stream.frames_received,
                retransmitted_packets_received=stream.packets_restored,
                retransmitted_bytes_received=stream.bytes_restored,
                fec_packets_received=fec_packets,
                rtx_ssrc=rtx_ssrc,
                fec_ssrc=fec_ssrc,
                nack_count=stream.nack_count,
            )
        )
        if kind == "video":
            self._add_video(stream)
        if remote_id is not None:
            self._add_remote_outbound(remote_id, stats_id, kind, codec_id, stream)

    def _add_video(self, stream: InboundStream) -> None:
        """What the statistics that were made last have for video only."""
        made = self.streams[-1]
        assert isinstance(made, InboundRtpStats)
        made.key_frames_received = stream.key_frames_received
        made.frames_assembled_from_multiple_packets = stream.frames_assembled
        made.frames_dropped = stream.frames_dropped
        made.pli_count, made.fir_count = stream.pli_count, stream.fir_count

    def _add_remote_outbound(
        self, stats_id: str, local_id: str, kind: str, codec_id: str | None, stream: InboundStream
    ) -> None:
        self.streams.append(
            RemoteOutboundRtpStats(
                id=stats_id,
                type="remote-outbound-rtp",
                timestamp=self._unix_ms(stream.report_at),
                ssrc=stream.ssrc,
                kind=kind,
                codec_id=codec_id,
                local_id=local_id,
                packets_sent=stream.packets_sent_by_peer,
                bytes_sent=stream.bytes_sent_by_peer,
                remote_timestamp=unix_from_ntp(stream.report_ntp) * 1000.0,
                reports_sent=stream.reports_received,
            )
        )


def _repair_of(repairs: list[RtxSource | FecSource]) -> tuple[int | None, int | None, int]:
    """The SSRCs of RTX and of error correction, and how many packets the latter had."""
    rtx_ssrc = fec_ssrc = None
    fec_packets = 0
    for repair in repairs:
        if isinstance(repair, RtxSource):
            rtx_ssrc = repair.ssrc
        else:
            fec_ssrc, fec_packets = repair.ssrc, repair.statistics.packets_received
    return rtx_ssrc, fec_ssrc, fec_packets
