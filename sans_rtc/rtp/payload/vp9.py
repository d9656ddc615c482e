"""VP9 (RFC 9628): frames of one or several layers in payloads; the descriptor is in vp9_descriptor.

A picture is all layer frames of one time, lowest spatial layer first; its packets share the RTP timestamp, the marker
is on the last. The depacketizer gives the layer frames one behind the other, as VP9 decoders take them.

A frame begins (VP9 bitstream section 6.2) with: frame_marker 2 (2 bits), profile (2 bits, low one first, and one more
zero bit in profile 3), show_existing_frame (1), frame_type (1, zero: keyframe), show_frame (1), error_resilient (1);
a keyframe goes on with 49 83 42, its colours, width - 1 and height - 1 (16 bits each).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, WireError
from sans_rtc.rtp.payload.bits import BitReader
from sans_rtc.rtp.payload.fmtp import (
    IntegerParameter,
    check_integers,
    parse_integers,
    parse_parameters,
    serialize_integers,
    serialize_parameters,
)
from sans_rtc.rtp.payload.interface import cut, require_budget, require_frame, require_payloads
from sans_rtc.rtp.payload.vp9_descriptor import (
    PICTURE_ID_MAX,
    Vp9Descriptor,
    Vp9GroupPicture,
    Vp9Scalability,
    parse_vp9_payload,
    serialize_vp9_descriptor,
)

_FRAME_MARKER = 2
_SYNC_CODE = 0x498342
_SRGB = 7
_ENDS_FRAME = 0x04  # E of the descriptor's first byte
# Bytes of a frame that hold the header up to its size: 1 + 3 + 2 of colours at most + 4, and one for the bits between.
_HEADER_BYTES_MAX = 12
# Layers of one picture: 8 by the three bits of SID.
_SPATIAL_LAYERS_MAX = 8
# A stream without layers repeats a group of one picture that refers to the one before.
_PLAIN_GROUP = (Vp9GroupPicture(0, False, (1,)),)


@attrs.define(slots=True)
class Vp9FrameHeader:
    """What the first bytes of a frame say; width and height of keyframes only, else 0."""

    profile: int
    is_keyframe: bool
    shows_existing: bool = False
    width: int = 0
    height: int = 0


def parse_vp9_frame_header(frame: bytes) -> Vp9FrameHeader:
    """The beginning of the uncompressed header. Errors: Truncated, Malformed."""
    bits = BitReader(frame[:_HEADER_BYTES_MAX])
    if bits.take(2) != _FRAME_MARKER:
        raise Malformed("no VP9 frame marker", field="frame_marker", offset=0)
    profile = bits.take(1) | bits.take(1) << 1
    if profile == 3 and bits.take(1):
        raise Malformed("a reserved VP9 profile", field="profile", offset=0)
    if bits.take(1):
        return Vp9FrameHeader(profile, False, shows_existing=True)
    header = Vp9FrameHeader(profile, not bits.take(1))
    bits.skip(2)
    if header.is_keyframe:
        if bits.take(24) != _SYNC_CODE:
            raise Malformed("no sync code in a VP9 keyframe", field="frame_sync_code", offset=1)
        _skip_colours(bits, profile)
        header.width, header.height = bits.take(16) + 1, bits.take(16) + 1
    return header


def _skip_colours(bits: BitReader, profile: int) -> None:
    if profile >= 2:
        bits.skip(1)  # ten or twelve bits
    if bits.take(3) != _SRGB:
        bits.skip(1)  # range
        if profile & 1:
            bits.skip(3)  # subsampling, reserved
    elif profile & 1:
        bits.skip(1)  # reserved


@attrs.define(slots=True)
class Vp9Layer:
    """What the encoder knows of a layer frame.

    starts_picture       the first layer frame of its picture: a new picture id
    is_inter_layer       predicted from the spatial layer below
    is_inter_predicted   predicted from earlier pictures; None: unless a keyframe
    reference_diffs      flexible mode: how many pictures ago each reference is; () stands for the picture before
    scalability          structure to announce with this frame
    """

    temporal_id: int = 0
    spatial_id: int = 0
    starts_picture: bool = True
    is_switching_up: bool = False
    is_inter_layer: bool = False
    is_inter_predicted: bool | None = None
    is_no_upper_reference: bool = False
    reference_diffs: tuple[int, ...] = ()
    scalability: Vp9Scalability | None = None


class Vp9Packetizer:
    """Makes payloads of layer frames, counts pictures and base layer pictures.

    Without layers, keyframes announce their size and, in non-flexible mode, the group of one picture.
    """

    def __init__(self, *, first_picture_id: int = 0, is_flexible: bool = False) -> None:
        if not 0 <= first_picture_id <= PICTURE_ID_MAX:
            raise InvalidArgument(f"a picture id is 0 to {PICTURE_ID_MAX}, not {first_picture_id}")
        self.is_flexible = is_flexible
        self.next_picture_id = first_picture_id
        self._tl0_picture_index = 0

    def packetize(self, frame: bytes, *, payload_bytes_max: int, layer: Vp9Layer | None = None) -> list[bytes]:
        """The payloads of one layer frame, or of the whole frame where there are no layers."""
        require_frame(frame)
        descriptor = self._describe(frame, layer)
        first = serialize_vp9_descriptor(descriptor)
        require_budget(payload_bytes_max, len(first) + 1)
        descriptor.scalability, descriptor.starts_frame = None, False
        rest = serialize_vp9_descriptor(descriptor)
        room = payload_bytes_max - len(rest)
        if len(first) == len(rest):
            pieces = cut(frame, room)
        else:
            head = frame[: payload_bytes_max - len(first)]
            pieces = [head, *cut(frame[len(head) :], room)]
        payloads = [(rest if index else first) + piece for index, piece in enumerate(pieces)]
        last = payloads[-1]
        payloads[-1] = bytes((last[0] | _ENDS_FRAME,)) + last[1:]
        self.next_picture_id = ((descriptor.picture_id or 0) + 1) & PICTURE_ID_MAX
        self._tl0_picture_index = self._tl0_of(layer)
        return payloads

    def _describe(self, frame: bytes, layer: Vp9Layer | None) -> Vp9Descriptor:
        try:
            header = parse_vp9_frame_header(frame)
        except WireError:
            header = Vp9FrameHeader(0, False)
        descriptor = Vp9Descriptor(self.is_flexible, not header.is_keyframe, True, False, self.next_picture_id)
        if layer is None:
            if header.is_keyframe:
                group = None if self.is_flexible else _PLAIN_GROUP
                descriptor.scalability = Vp9Scalability(1, ((header.width & 0xFFFF, header.height & 0xFFFF),), group)
        else:
            self._set_layer(descriptor, layer)
        if self.is_flexible and descriptor.is_inter_predicted:
            descriptor.reference_diffs = (layer.reference_diffs if layer else ()) or (1,)
        return descriptor

    def _set_layer(self, descriptor: Vp9Descriptor, layer: Vp9Layer) -> None:
        if not layer.starts_picture:
            descriptor.picture_id = (self.next_picture_id - 1) & PICTURE_ID_MAX
        if layer.is_inter_predicted is not None:
            descriptor.is_inter_predicted = layer.is_inter_predicted
        descriptor.temporal_id, descriptor.spatial_id = layer.temporal_id, layer.spatial_id
        descriptor.is_switching_up, descriptor.is_inter_layer = layer.is_switching_up, layer.is_inter_layer
        descriptor.is_no_upper_reference = layer.is_no_upper_reference
        descriptor.tl0_picture_index = None if self.is_flexible else self._tl0_of(layer)
        descriptor.scalability = layer.scalability

    def _tl0_of(self, layer: Vp9Layer | None) -> int:
        counts = layer is not None and layer.starts_picture and layer.temporal_id == 0
        return (self._tl0_picture_index + counts) & 0xFF


class Vp9Depacketizer:
    """Makes pictures of payloads."""

    def depacketize(self, payloads: Sequence[bytes]) -> bytes:
        """The layer frames in these payloads, lowest first. A layer frame that begins or ends short is Malformed."""
        require_payloads(payloads)
        pieces: list[bytes] = []
        first: Vp9Descriptor | None = None
        previous: Vp9Descriptor | None = None
        for payload in payloads:
            descriptor, piece = parse_vp9_payload(payload)
            first = first or descriptor
            _require_next(first, previous, descriptor)
            previous = descriptor
            pieces.append(piece)
        if previous is None or not previous.ends_frame:
            raise Malformed("the end of a VP9 frame is missing", field="E")
        return b"".join(pieces)


def _require_next(first: Vp9Descriptor, previous: Vp9Descriptor | None, descriptor: Vp9Descriptor) -> None:
    if first.picture_id != descriptor.picture_id or first.temporal_id != descriptor.temporal_id:
        raise Malformed("payloads of different VP9 pictures", field="picture id")
    if descriptor.starts_frame != (previous is None or previous.ends_frame):
        raise Malformed("a VP9 frame is missing its beginning or its end", field="B", offset=0)
    if previous is not None:
        low, high = previous.spatial_id or 0, descriptor.spatial_id or 0
        if high < low or (high > low) != descriptor.starts_frame:
            raise Malformed(f"spatial layer {high} behind {low}", field="SID")
    elif descriptor.is_inter_layer:
        raise Malformed("the spatial layer below is missing", field="D")


def is_vp9_keyframe(frame: bytes) -> bool:
    """Whether a frame, or the lowest layer frame of a picture, is a keyframe."""
    try:
        return parse_vp9_frame_header(frame).is_keyframe
    except WireError:
        return False


def is_vp9_keyframe_payload(payload: bytes) -> bool:
    """Whether a picture that needs none before it begins in this payload."""
    try:
        descriptor, _ = parse_vp9_payload(payload)
    except WireError:
        return False
    return descriptor.starts_frame and not descriptor.is_inter_predicted and not descriptor.spatial_id


def is_vp9_frame_start(payload: bytes) -> bool:
    """Whether a picture begins in this payload: the beginning of a frame of the lowest spatial layer."""
    try:
        descriptor, _ = parse_vp9_payload(payload)
    except WireError:
        return False
    return descriptor.starts_frame and not descriptor.spatial_id


_ROWS = (
    IntegerParameter("profile-id", 0, 3, 0),
    IntegerParameter("max-fr", 1, (1 << 31) - 1),
    IntegerParameter("max-fs", 1, (1 << 31) - 1),
)


@attrs.frozen(slots=True)
class Vp9Parameters:
    """The profile, and what a receiver can decode (RFC 9628 section 6.1)."""

    profile_id: int = 0
    max_fr: int | None = None
    max_fs: int | None = None

    def __attrs_post_init__(self) -> None:
        check_integers(self, _ROWS)

    @classmethod
    def parse(cls, text: str) -> Vp9Parameters:
        """Take the format parameters; unknown ones are ignored. WireError for values that are none."""
        return cls(**parse_integers(parse_parameters(text), _ROWS))  # type: ignore[arg-type]  # see fmtp

    def __str__(self) -> str:
        # Browsers name the profile even where it is the default.
        return serialize_parameters({"profile-id": str(self.profile_id)} | serialize_integers(self, _ROWS))


def negotiate_vp9(ours: str, theirs: str) -> str | None:
    """The profile identifies the format; the limits are each end's own (RFC 9628 section 6.2)."""
    own = Vp9Parameters.parse(ours)
    return str(own) if own.profile_id == Vp9Parameters.parse(theirs).profile_id else None
