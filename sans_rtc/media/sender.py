"""The sending side of one m= section: its encodings, and what frames say beside their bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sans_rtc.congestion.pacer import Priority
from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument
from sans_rtc.media.config import MediaConfig
from sans_rtc.media.encoding import EncodingSender
from sans_rtc.media.events import OutgoingFrame
from sans_rtc.media.layout import NO_EXTRA, Element, Extra, HeaderLayout
from sans_rtc.media.outbound import OutgoingPacket
from sans_rtc.media.parameters import CodecParameters, EncodingSettings, MediaSection, SendParameters
from sans_rtc.rtp.extension_values import AbsoluteCaptureTime, AudioLevel, VideoOrientation
from sans_rtc.rtp.extensions import Extension, ExtensionMap, serialize_extension
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.rtp.wire import RtpPacket

HOP_BY_HOP = frozenset(
    (
        Extension.MID, Extension.RID, Extension.REPAIRED_RID, Extension.TRANSPORT_CC, Extension.TRANSPORT_CC_02,
        Extension.ABS_SEND_TIME, Extension.TRANSMISSION_OFFSET,
    )
)  # fmt: skip
"""Header extensions that each hop writes itself; the others go on with what is forwarded."""
_FEEDBACK_TRANSPORT = "transport-cc"
_SOURCE_MAPS_MAX = 16


class SectionSender:
    """What one m= section sends. A transform; `Transmitter` sends it.

    is_sending  negotiation lets it
    """

    def __init__(self, section: MediaSection, config: MediaConfig, entropy: Entropy) -> None:
        self.handle = section.handle
        self.kind = section.kind
        self.priority = Priority.AUDIO if section.kind is MediaKind.AUDIO else Priority.VIDEO
        self.encodings: dict[str, EncodingSender] = {}
        self.is_sending = False
        self.parameters = SendParameters((), ())
        self.mid = section.mid
        self._config = config
        self._entropy = entropy
        self._extensions = ExtensionMap()
        self._layout: HeaderLayout | None = None
        self._forwarded: dict[tuple[tuple[int, str], ...], dict[int, int]] = {}

    @property
    def bandwidth_bps(self) -> int | None:
        """The most that the peer wants of all encodings together; None: no bound."""
        return self.parameters.bandwidth_bps

    # --- settings -----------------------------------------------------------------------------------------------------

    def configure(self, section: MediaSection) -> None:
        """Take what was negotiated. Encodings that stay go on; without `send` all pause."""
        parameters = section.send
        self.is_sending = parameters is not None and bool(parameters.codecs)
        self.mid = section.mid
        if parameters is None:
            return
        self.parameters = parameters
        self._extensions = ExtensionMap(parameters.extensions, allow_mixed=section.allows_mixed)
        self._forwarded = {}
        is_numbered = any(_FEEDBACK_TRANSPORT in codec.feedback for codec in parameters.codecs)
        self._layout = HeaderLayout(self._extensions, self._config.wall_clock, is_numbered=is_numbered)
        for encoding in parameters.encodings:
            sender = self.encodings.get(encoding.rid)
            if sender is None or sender.declared_ssrc != encoding.ssrc:
                sender = EncodingSender(self.handle, encoding, self.kind, self._config, self._entropy)
                self.encodings[encoding.rid] = sender
            sender.configure(encoding, parameters.codecs, parameters.fec)
        for rid in self.encodings.keys() - {encoding.rid for encoding in parameters.encodings}:
            del self.encodings[rid]
        self.lay_out()

    def lay_out(self) -> None:
        """Lay out the headers of all streams anew."""
        if self._layout is not None:
            for sender in self.encodings.values():
                sender.set_layout(self._layout, self.mid)

    def set_encodings(self, settings: Sequence[EncodingSettings]) -> None:
        """Take the application's settings. InvalidArgument for a rid that is none of the encodings'."""
        for setting in settings:
            if setting.rid not in self.encodings:
                raise InvalidArgument(f"there is no encoding {setting.rid!r}")
        for setting in settings:
            self.encodings[setting.rid].settings = setting

    def encoding(self, rid: str) -> EncodingSender:
        """The encoding of a rid. InvalidArgument where there is none."""
        sender = self.encodings.get(rid)
        if sender is None:
            raise InvalidArgument(f"there is no encoding {rid!r}; there are {sorted(self.encodings)}")
        return sender

    # --- frames -------------------------------------------------------------------------------------------------------

    def make_frame(self, frame: OutgoingFrame, room_bytes: int, now: float) -> list[OutgoingPacket]:
        """The packets of one frame. InvalidArgument: the format does not take it, and nothing has changed."""
        sender = self.encoding(frame.rid)
        codec = sender.codec_of(frame.payload_type)
        elements = self._frame_elements(frame)
        extra = Extra(elements) if elements else NO_EXTRA
        return sender.make_frame(frame.data, codec, frame.timestamp, extra, room_bytes, now)

    def _frame_elements(self, frame: OutgoingFrame) -> tuple[Element, ...]:
        values: list[tuple[str, object]] = []
        if frame.audio_level_dbov is not None:
            values.append((Extension.SSRC_AUDIO_LEVEL, AudioLevel(frame.audio_level_dbov, frame.is_voice)))
        if frame.rotation is not None:
            values.append((Extension.VIDEO_ORIENTATION, VideoOrientation(frame.rotation)))
        if frame.capture_time_s is not None:
            ntp = self._config.wall_clock.ntp(frame.capture_time_s)
            values.append((Extension.ABS_CAPTURE_TIME, AbsoluteCaptureTime(ntp)))
        if not values and not frame.extensions:
            return ()
        serialized = [(uri, serialize_extension(uri, value)) for uri, value in values]
        return self._elements([*serialized, *frame.extensions])

    def _elements(self, values: Iterable[tuple[str, bytes]]) -> tuple[Element, ...]:
        elements = []
        for uri, value in values:
            element_id = self._extensions.id_of(uri)
            if element_id is not None and uri not in HOP_BY_HOP and self._fits(element_id, value):
                elements.append((element_id, value))
        return tuple(elements)

    def _fits(self, element_id: int, value: bytes) -> bool:
        return self._layout is not None and len(value) <= 255 and self._layout.fits(element_id, value)

    # --- packets of others --------------------------------------------------------------------------------------------

    def forward_elements(self, packet: RtpPacket, source: ExtensionMap | None) -> tuple[Element, ...]:
        """The header extensions that go on with a packet, under the ids of this section."""
        if source is None or not packet.extensions:
            return ()
        ids = self._ids_of(source)
        return tuple(
            [
                (ids[element_id], value)
                for element_id, value in packet.extensions
                if element_id in ids and self._fits(ids[element_id], value)
            ]
        )

    def _ids_of(self, source: ExtensionMap) -> dict[int, int]:
        key = source.entries
        ids = self._forwarded.get(key)
        if ids is None:
            pairs = [(theirs, self._extensions.id_of(uri)) for theirs, uri in key if uri not in HOP_BY_HOP]
            ids = {theirs: ours for theirs, ours in pairs if ours is not None}
            if len(self._forwarded) >= _SOURCE_MAPS_MAX:
                self._forwarded.clear()
            self._forwarded[key] = ids
        return ids

    def forward_codec(
        self, sender: EncodingSender, packet: RtpPacket, codec: CodecParameters | None
    ) -> CodecParameters | None:
        """The codec to forward under; None where it was not negotiated."""
        if codec is not None:
            return sender.codec_like(codec)
        return next((own for own in self.parameters.codecs if own.payload_type == packet.payload_type), None)
