"""The receiving side of one m= section: what its payload types and header extensions mean, and its streams."""

from __future__ import annotations

from collections.abc import Sequence

from sans_rtc.errors import WireError
from sans_rtc.media.config import MediaConfig
from sans_rtc.media.event_queue import EventQueue
from sans_rtc.media.events import MediaFrame, StreamEndReason
from sans_rtc.media.inbound import InboundStream
from sans_rtc.media.parameters import MediaSection, ReceiveParameters, RemoteSource
from sans_rtc.media.payloads import PayloadRow, Role, payload_rows
from sans_rtc.media.stats import DiscardReason, MediaStats
from sans_rtc.rtp.extension_values import parse_audio_level, parse_capture_time, parse_orientation
from sans_rtc.rtp.extensions import ROWS, Extension, ExtensionMap
from sans_rtc.rtp.ntp import unix_from_ntp
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.rtp.recovery import KeyframeRequestKind
from sans_rtc.rtp.wire import RtpPacket

_FRAME_EXTENSIONS = (Extension.SSRC_AUDIO_LEVEL, Extension.VIDEO_ORIENTATION, Extension.ABS_CAPTURE_TIME)


class SectionReceiver:
    """What one m= section receives.

    streams                      of media, by SSRC
    wants_frames, wants_packets  what the application takes
    rows                         what its payload types stand for
    """

    def __init__(self, handle: int, config: MediaConfig, events: EventQueue, stats: MediaStats) -> None:
        self.handle = handle
        self.config = config
        self.events = events
        self.stats = stats
        self.wants_frames, self.wants_packets = True, False
        self.streams: dict[int, InboundStream] = {}

    def boundaries(self, packet: RtpPacket) -> tuple[bool, bool]:
        """Whether a packet of video begins a frame for certain, and whether it ends one (`FrameBoundaries`)."""
        row = self.rows.get(packet.payload_type)
        codec = row.codec if row is not None else None
        return codec is not None and codec.codec.is_frame_start(packet.payload), packet.marker

    def configure(self, section: MediaSection, parameters: ReceiveParameters) -> None:
        """Take what was negotiated."""
        self.mid = section.mid
        self.mid_bytes = section.mid.encode()
        self.kind = section.kind
        self.parameters = parameters
        self.rows: dict[int, PayloadRow] = payload_rows(parameters)
        self.extensions = ExtensionMap(parameters.extensions, allow_mixed=section.allows_mixed)
        self.sources: dict[int, RemoteSource] = {source.ssrc: source for source in parameters.sources}
        feedback = frozenset().union(*[codec.feedback for codec in parameters.codecs])
        self.feedback: frozenset[str] = feedback
        self.has_nack = "nack" in feedback
        self.has_pli = "nack pli" in feedback
        self.has_fir = "ccm fir" in feedback
        roles = {row.role: payload_type for payload_type, row in self.rows.items()}
        has_red = Role.RED in roles
        self.ulpfec_payload_type = roles.get(Role.ULPFEC) if has_red else None
        self.has_flexfec = Role.FLEXFEC in roles
        self.can_repair = self.has_nack or self.has_flexfec or self.ulpfec_payload_type is not None
        # one for each format: a description that says otherwise is not to be followed
        originals = {row.original: number for number, row in self.rows.items() if row.role is Role.RTX}
        self.rtx_payload_types = {
            number: original
            for original, number in originals.items()
            if original in self.rows and self.rows[original].role is not Role.RTX
        }
        self.mid_id = self.extensions.id_of(Extension.MID) or 0
        self.rid_id = self.extensions.id_of(Extension.RID) or 0
        self.repaired_rid_id = self.extensions.id_of(Extension.REPAIRED_RID) or 0
        ids = [self.extensions.id_of(uri) for uri in _FRAME_EXTENSIONS]
        self.frame_extension_ids = frozenset([element_id for element_id in ids if element_id is not None])
        self.has_frame_extensions = bool(self.frame_extension_ids)

    def clock_rate_of(self, payload_type: int) -> int:
        """Of a payload type, or where it has no codec, that of the first."""
        row = self.rows.get(payload_type)
        codecs = [row.codec] if row is not None and row.codec is not None else self.parameters.codecs
        return codecs[0].codec.clock_rate if codecs else 90_000

    @property
    def makes_frames_only(self) -> bool:
        """Packets of video become frames, and the application sees nothing of them."""
        return self.wants_frames and not self.wants_packets and self.kind is MediaKind.VIDEO

    def keyframe_kind(self, kind: KeyframeRequestKind) -> KeyframeRequestKind | None:
        """How a keyframe can be asked for: this way, else the other one; None where neither was negotiated."""
        other = KeyframeRequestKind.FIR if kind is KeyframeRequestKind.PLI else KeyframeRequestKind.PLI
        can_ask = {KeyframeRequestKind.PLI: self.has_pli, KeyframeRequestKind.FIR: self.has_fir}
        return next((each for each in (kind, other) if can_ask[each]), None)

    def add(self, ssrc: int, rid: str, payload_type: int) -> tuple[InboundStream, list[InboundStream]]:
        """A stream for a new SSRC, and those that it takes the place of.

        A peer has one SSRC in a section, or one for each layer; what the description names may stand side by side.
        """
        stream = InboundStream(self, ssrc, rid, self.clock_rate_of(payload_type))
        replaced = [
            old
            for old in self.streams.values()
            if old.rid == rid and not (ssrc in self.sources and old.ssrc in self.sources)
        ]
        for old in replaced:
            self.remove(old.ssrc, StreamEndReason.REPLACED)
        self.streams[ssrc] = stream
        return stream, replaced

    def remove(self, ssrc: int, reason: StreamEndReason) -> None:
        """A stream is over."""
        stream = self.streams.pop(ssrc, None)
        if stream is not None:
            stream.end(reason)

    def read_extensions(self, packets: Sequence[RtpPacket], frame: MediaFrame) -> None:
        """Read what the headers say of a frame: of its first packet, and of the last where that says more."""
        for packet in packets[:1] if len(packets) == 1 else (packets[0], packets[-1]):
            for element_id, value in packet.extensions:
                uri = self.extensions.uri_of(element_id)
                if uri not in _FRAME_EXTENSIONS:
                    continue
                row = ROWS[uri]
                if not row.size_min <= len(value) <= row.size_max:
                    self.stats.discard(DiscardReason.MALFORMED_EXTENSION)
                elif uri == Extension.SSRC_AUDIO_LEVEL:
                    frame.audio_level = parse_audio_level(value)
                elif uri == Extension.VIDEO_ORIENTATION:
                    frame.rotation = parse_orientation(value).rotation_degrees
                else:
                    self._read_capture_time(value, frame)

    def _read_capture_time(self, value: bytes, frame: MediaFrame) -> None:
        try:
            frame.capture_time_s = unix_from_ntp(parse_capture_time(value).timestamp)
        except WireError:
            self.stats.discard(DiscardReason.MALFORMED_EXTENSION)
