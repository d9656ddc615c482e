"""The one table of RTP header extensions, and the map of the ids that a session gave them.

A row says everything about an extension: its URI, its short name, how its value is read and written, how many bytes the
value may have, and where it is specified. Codec, tests and documentation read the same table. An extension without a
row is kept as bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Literal, overload

import attrs

from sans_rtc.errors import InvalidArgument, Malformed
from sans_rtc.rtp import extension_values as values
from sans_rtc.rtp.header_extension import ONE_BYTE_ID_MAX, ONE_BYTE_VALUE_MAX, TWO_BYTE_ID_MAX, TWO_BYTE_VALUE_MAX
from sans_rtc.rtp.video_layers import VideoLayersAllocation, parse_layers_allocation, serialize_layers_allocation
from sans_rtc.rtp.wire import RtpPacket


class Extension(StrEnum):
    """The URIs of the extensions that the table has; each is its URI."""

    MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
    RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
    REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
    SSRC_AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
    CSRC_AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:csrc-audio-level"
    TRANSMISSION_OFFSET = "urn:ietf:params:rtp-hdrext:toffset"
    VIDEO_ORIENTATION = "urn:3gpp:video-orientation"
    ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
    ABS_CAPTURE_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
    TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
    TRANSPORT_CC_02 = "http://www.webrtc.org/experiments/rtp-hdrext/transport-wide-cc-02"
    PLAYOUT_DELAY = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
    VIDEO_CONTENT_TYPE = "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"
    VIDEO_TIMING = "http://www.webrtc.org/experiments/rtp-hdrext/video-timing"
    VIDEO_LAYERS_ALLOCATION = "http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00"
    COLOR_SPACE = "http://www.webrtc.org/experiments/rtp-hdrext/color-space"
    DEPENDENCY_DESCRIPTOR = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"


@attrs.frozen(slots=True)
class ExtensionRow:
    """What is known about one extension.

    size_min, size_max  bytes that the value may have on the wire
    """

    uri: Extension
    name: str
    parse: values.Parse
    serialize: values.Serialize
    size_min: int
    size_max: int
    section: str


_E, _V = Extension, values
_DESCRIBED = "the page of the URI"

TABLE = (
    ExtensionRow(_E.MID, "mid", _V.parse_text, _V.serialize_text, 1, 255, "RFC 9143 15"),
    ExtensionRow(_E.RID, "rid", _V.parse_token, _V.serialize_token, 1, 255, "RFC 8852 3.1"),
    ExtensionRow(_E.REPAIRED_RID, "repaired-rid", _V.parse_token, _V.serialize_token, 1, 255, "RFC 8852 3.2"),
    ExtensionRow(
        _E.SSRC_AUDIO_LEVEL, "ssrc-audio-level", _V.parse_audio_level, _V.serialize_audio_level, 1, 1, "RFC 6464 3"
    ),
    ExtensionRow(
        _E.CSRC_AUDIO_LEVEL, "csrc-audio-level", _V.parse_mixer_levels, _V.serialize_mixer_levels, 1, 15, "RFC 6465 3"
    ),
    ExtensionRow(_E.TRANSMISSION_OFFSET, "toffset", _V.parse_int24, _V.serialize_int24, 3, 3, "RFC 5450 2"),
    ExtensionRow(
        _E.VIDEO_ORIENTATION,
        "video-orientation",
        _V.parse_orientation,
        _V.serialize_orientation,
        1,
        1,
        "3GPP TS 26.114 7.4.5",
    ),
    ExtensionRow(_E.ABS_SEND_TIME, "abs-send-time", _V.parse_uint, _V.serialize_uint24, 3, 3, _DESCRIBED),
    ExtensionRow(
        _E.ABS_CAPTURE_TIME, "abs-capture-time", _V.parse_capture_time, _V.serialize_capture_time, 8, 16, _DESCRIBED
    ),
    ExtensionRow(
        _E.TRANSPORT_CC,
        "transport-wide-cc-01",
        _V.parse_uint,
        _V.serialize_uint16,
        2,
        2,
        "draft-holmer-rmcat-transport-wide-cc-extensions-01 2",
    ),
    ExtensionRow(
        _E.TRANSPORT_CC_02,
        "transport-wide-cc-02",
        _V.parse_transport_sequence,
        _V.serialize_transport_sequence,
        2,
        4,
        _DESCRIBED,
    ),
    ExtensionRow(
        _E.PLAYOUT_DELAY, "playout-delay", _V.parse_playout_delay, _V.serialize_playout_delay, 3, 3, _DESCRIBED
    ),
    ExtensionRow(_E.VIDEO_CONTENT_TYPE, "video-content-type", _V.parse_uint, _V.serialize_uint8, 1, 1, _DESCRIBED),
    ExtensionRow(_E.VIDEO_TIMING, "video-timing", _V.parse_timing, _V.serialize_timing, 12, 13, _DESCRIBED),
    ExtensionRow(
        _E.VIDEO_LAYERS_ALLOCATION,
        "video-layers-allocation",
        parse_layers_allocation,
        serialize_layers_allocation,
        1,
        255,
        _DESCRIBED,
    ),
    ExtensionRow(_E.COLOR_SPACE, "color-space", _V.parse_color_space, _V.serialize_color_space, 4, 28, _DESCRIBED),
    # Reading one takes the templates of its stream: DependencyDescriptorReader takes these bytes.
    ExtensionRow(
        _E.DEPENDENCY_DESCRIPTOR,
        "dependency-descriptor",
        _V.parse_bytes,
        _V.serialize_bytes,
        3,
        255,
        "AV1 RTP specification A.4",
    ),
)
ROWS: Mapping[str, ExtensionRow] = {row.uri: row for row in TABLE}

TextExtension = Literal[Extension.MID, Extension.RID, Extension.REPAIRED_RID]
IntegerExtension = Literal[
    Extension.TRANSMISSION_OFFSET, Extension.ABS_SEND_TIME, Extension.TRANSPORT_CC, Extension.VIDEO_CONTENT_TYPE
]


def parse_extension(uri: str, value: bytes) -> object:
    """The value of an extension as its row reads it; the bytes where the table has no row.

    Errors   Truncated, Malformed
    """
    row = ROWS.get(uri)
    if row is None:
        return value
    if not row.size_min <= len(value) <= row.size_max:
        raise Malformed(f"{row.name} of {len(value)} bytes", field=row.name)
    return row.parse(value)


def serialize_extension(uri: str, value: object) -> bytes:
    """The bytes of a value as its row writes it; a value without a row is bytes.

    Errors   InvalidArgument for a value of another kind, or out of its range
    """
    row = ROWS.get(uri)
    if row is None:
        data = values.serialize_bytes(value)
        low, high, name = 0, TWO_BYTE_VALUE_MAX, uri
    else:
        data = row.serialize(value)
        low, high, name = row.size_min, row.size_max, row.name
    if not low <= len(data) <= high:
        raise InvalidArgument(f"{name} of {len(data)} bytes")
    return data


class ExtensionMap:
    """Which id stands for which extension in a session, as negotiated (RFC 8285 sections 5 and 6).

    entries      (id, URI): ids 1 to 14 for the one-byte form; 15 to 255 take the two-byte one
    allow_mixed  both forms may stand in one stream (a=extmap-allow-mixed): each packet takes what it needs
    """

    __slots__ = ("_ids", "_uris", "allow_mixed")

    def __init__(self, entries: Iterable[tuple[int, str]] = (), *, allow_mixed: bool = False) -> None:
        self._ids: dict[str, int] = {}
        self._uris: dict[int, str] = {}
        self.allow_mixed = allow_mixed
        for element_id, uri in entries:
            self.add(element_id, uri)

    def add(self, element_id: int, uri: str) -> None:
        """Give an extension its id; the same pair again has no effect. 255 fit: an id each.

        An extension may have several ids: all are read, the first is used to send.
        Errors   InvalidArgument for an id out of range, or one that another extension has
        Source   RFC 8285 sections 4.2 and 4.3
        """
        if not 0 < element_id <= TWO_BYTE_ID_MAX:
            raise InvalidArgument(f"the id of an extension is 1 to {TWO_BYTE_ID_MAX}, not {element_id}")
        if self._uris.get(element_id, uri) != uri:
            raise InvalidArgument(f"id {element_id} is that of {self._uris[element_id]}")
        self._uris[element_id] = uri
        self._ids.setdefault(uri, element_id)

    def id_of(self, uri: str) -> int | None:
        """The id to send an extension with; None where it was not negotiated."""
        return self._ids.get(uri)

    def uri_of(self, element_id: int) -> str | None:
        """The extension of an id; None where it was not negotiated."""
        return self._uris.get(element_id)

    @property
    def entries(self) -> tuple[tuple[int, str], ...]:
        """All (id, URI), in the order of their adding."""
        return tuple(self._uris.items())

    @property
    def is_two_byte(self) -> bool:
        """True where every packet takes the two-byte form: an id asks for it, and the forms may not be mixed."""
        return not self.allow_mixed and any(element_id > ONE_BYTE_ID_MAX for element_id in self._uris)

    def raw(self, packet: RtpPacket, uri: str) -> bytes | None:
        """The bytes of an extension in a packet, the first where it repeats; None where it is not there."""
        for element_id, value in packet.extensions:
            if self._uris.get(element_id) == uri:
                return value
        return None

    @overload
    def value(self, packet: RtpPacket, uri: TextExtension) -> str | None: ...
    @overload
    def value(self, packet: RtpPacket, uri: IntegerExtension) -> int | None: ...
    @overload
    def value(self, packet: RtpPacket, uri: Literal[Extension.SSRC_AUDIO_LEVEL]) -> values.AudioLevel | None: ...
    @overload
    def value(self, packet: RtpPacket, uri: Literal[Extension.CSRC_AUDIO_LEVEL]) -> tuple[int, ...] | None: ...
    @overload
    def value(self, packet: RtpPacket, uri: Literal[Extension.VIDEO_ORIENTATION]) -> values.VideoOrientation | None: ...
    @overload
    def value(
        self, packet: RtpPacket, uri: Literal[Extension.ABS_CAPTURE_TIME]
    ) -> values.AbsoluteCaptureTime | None: ...
    @overload
    def value(self, packet: RtpPacket, uri: Literal[Extension.TRANSPORT_CC_02]) -> values.TransportSequence | None: ...
    @overload
    def value(self, packet: RtpPacket, uri: Literal[Extension.PLAYOUT_DELAY]) -> values.PlayoutDelay | None: ...
    @overload
    def value(self, packet: RtpPacket, uri: Literal[Extension.VIDEO_TIMING]) -> values.VideoTiming | None: ...
    @overload
    def value(
        self, packet: RtpPacket, uri: Literal[Extension.VIDEO_LAYERS_ALLOCATION]
    ) -> VideoLayersAllocation | None: ...
    @overload
    def value(self, packet: RtpPacket, uri: Literal[Extension.COLOR_SPACE]) -> values.ColorSpace | None: ...
    @overload
    def value(self, packet: RtpPacket, uri: Literal[Extension.DEPENDENCY_DESCRIPTOR]) -> bytes | None: ...
    @overload
    def value(self, packet: RtpPacket, uri: str) -> object | None: ...
    def value(self, packet: RtpPacket, uri: str) -> object | None:
        """The value of an extension in a packet; None where it is not there.

        Errors   Truncated, Malformed for a value that breaks its format
        """
        data = self.raw(packet, uri)
        return None if data is None else parse_extension(uri, data)

    def set_value(self, packet: RtpPacket, uri: str, value: object) -> bool:
        """Put an extension into a packet, in place of the one there; False and no effect where it was not negotiated.

        Errors   InvalidArgument for a value that does not fit the extension, or the one form that the session has
        """
        element_id = self._ids.get(uri)
        if element_id is None:
            return False
        data = serialize_extension(uri, value)
        if not (self.allow_mixed or 0 < len(data) <= ONE_BYTE_VALUE_MAX or self.is_two_byte):
            raise InvalidArgument(f"{len(data)} bytes need the two-byte form, which was not negotiated")
        self.remove(packet, uri)
        packet.extensions.append((element_id, data))
        return True

    def remove(self, packet: RtpPacket, uri: str) -> None:
        """Take an extension out of a packet; no effect where it is not there."""
        packet.extensions = [element for element in packet.extensions if self._uris.get(element[0]) != uri]
