"""VP8 (RFC 7741): a payload descriptor before a piece of the frame.

         0 1 2 3 4 5 6 7
        +-+-+-+-+-+-+-+-+   X    an extension byte follows       N    no frame needs this one
        |X|R|N|S|R| PID |   S    a partition begins here         PID  number of the partition
        +-+-+-+-+-+-+-+-+
    X:  |I|L|T|K| RSV   |   what follows
        +-+-+-+-+-+-+-+-+
    I:  |M| PictureID   |   7 bits, or 15 with M
        +-+-+-+-+-+-+-+-+
    L:  |   TL0PICIDX   |   number of the last picture of the temporal base layer
        +-+-+-+-+-+-+-+-+
   T/K: |TID|Y| KEYIDX  |   temporal layer, depends only on the base layer; number of the last keyframe
        +-+-+-+-+-+-+-+-+

The frame begins with its tag (RFC 6386 section 9.1), three bytes with the least significant first: key frame 0 or
inter frame 1 (1 bit), version (3), show_frame (1), size of the first partition (19); a keyframe goes on with
9D 01 2A, width and height (14 bits each, and 2 of scaling).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, WireError
from sans_rtc.rtp.payload.fmtp import (
    IntegerParameter,
    check_integers,
    parse_integers,
    parse_parameters,
    serialize_integers,
    serialize_parameters,
)
from sans_rtc.rtp.payload.interface import cut, require_budget, require_frame, require_payloads

PICTURE_ID_MAX = 0x7FFF
_START_CODE = b"\x9d\x01\x2a"
_DESCRIPTOR_BYTES_MAX = 6


@attrs.define(slots=True)
class Vp8Descriptor:
    """The payload descriptor; None: the field is not there. has_long_picture_id: 15 bits even where 7 would do."""

    starts_partition: bool
    partition_id: int = 0
    is_discardable: bool = False
    picture_id: int | None = None
    tl0_picture_index: int | None = None
    temporal_id: int | None = None
    is_layer_sync: bool = False
    key_index: int | None = None
    has_long_picture_id: bool = True


def parse_vp8_payload(payload: bytes) -> tuple[Vp8Descriptor, bytes]:
    """The descriptor and the piece of the frame behind it. Errors: Truncated."""
    try:
        descriptor, offset = _parse_descriptor(payload)
    except IndexError:
        raise Truncated("a VP8 payload descriptor is cut", field="descriptor", offset=len(payload)) from None
    if offset >= len(payload):
        raise Truncated("a VP8 payload without a frame", field="payload", offset=offset)
    return descriptor, payload[offset:]


def _parse_descriptor(payload: bytes) -> tuple[Vp8Descriptor, int]:
    # Every read is an index: what is beyond the payload is an IndexError, and the caller makes a WireError of it.
    first = payload[0]
    descriptor = Vp8Descriptor(bool(first & 0x10), first & 7, bool(first & 0x20))
    if not first & 0x80:
        return descriptor, 1
    present = payload[1]
    offset = 2
    if present & 0x80:
        picture_id = payload[offset]
        descriptor.has_long_picture_id = picture_id >= 0x80
        if picture_id >= 0x80:
            offset += 1
            picture_id = (picture_id & 0x7F) << 8 | payload[offset]
        descriptor.picture_id = picture_id
        offset += 1
    if present & 0x40:
        # RFC 7741 section 4.2: "if L is set, T MUST be set"; without T it is the index of nothing, and left out.
        descriptor.tl0_picture_index = payload[offset] if present & 0x20 else None
        offset += 1
    if present & 0x30:
        if present & 0x20:
            descriptor.temporal_id = payload[offset] >> 6
            descriptor.is_layer_sync = bool(payload[offset] & 0x20)
        if present & 0x10:
            descriptor.key_index = payload[offset] & 0x1F
        offset += 1
    return descriptor, offset


def serialize_vp8_descriptor(descriptor: Vp8Descriptor) -> bytes:
    """The bytes of a descriptor; InvalidArgument for values out of range."""
    _check_descriptor(descriptor)
    first = descriptor.is_discardable << 5 | descriptor.starts_partition << 4 | descriptor.partition_id
    present, rest = 0, bytearray()
    if descriptor.picture_id is not None:
        present |= 0x80
        if descriptor.has_long_picture_id or descriptor.picture_id > 0x7F:
            rest += (0x8000 | descriptor.picture_id).to_bytes(2, "big")
        else:
            rest.append(descriptor.picture_id)
    if descriptor.tl0_picture_index is not None:
        present |= 0x40
        rest.append(descriptor.tl0_picture_index)
    if descriptor.temporal_id is not None or descriptor.key_index is not None:
        present |= (descriptor.temporal_id is not None) << 5 | (descriptor.key_index is not None) << 4
        layer = (descriptor.temporal_id or 0) << 6 | descriptor.is_layer_sync << 5
        rest.append(layer | (descriptor.key_index or 0))
    return bytes((0x80 | first, present)) + bytes(rest) if present else bytes((first,))


_LIMITS = (
    ("partition_id", 7),
    ("picture_id", PICTURE_ID_MAX),
    ("tl0_picture_index", 0xFF),
    ("temporal_id", 3),
    ("key_index", 31),
)


def _check_descriptor(descriptor: Vp8Descriptor) -> None:
    for name, most in _LIMITS:
        value = getattr(descriptor, name)
        if value is not None and not 0 <= value <= most:
            raise InvalidArgument(f"{name} is 0 to {most}, not {value}")
    # RFC 7741 section 4.2: "if L is set, T MUST be set"; Y says something of a layer only.
    if descriptor.temporal_id is None and (descriptor.tl0_picture_index is not None or descriptor.is_layer_sync):
        raise InvalidArgument("TL0PICIDX and Y need a temporal layer")


@attrs.define(slots=True)
class Vp8FrameHeader:
    """What the first bytes of a frame say; width and height of keyframes only, else 0."""

    is_keyframe: bool
    version: int
    is_shown: bool
    first_partition_bytes: int
    width: int = 0
    height: int = 0

    @property
    def header_bytes(self) -> int:
        """Bytes before the first partition."""
        return 10 if self.is_keyframe else 3


def parse_vp8_frame_header(frame: bytes) -> Vp8FrameHeader:
    """The tag of a frame and, of a keyframe, its size. Errors: Truncated, Malformed (no start code)."""
    if len(frame) < 3:
        raise Truncated(f"a VP8 frame of {len(frame)} bytes", field="frame tag", offset=0)
    tag = int.from_bytes(frame[:3], "little")
    header = Vp8FrameHeader(not tag & 1, tag >> 1 & 7, bool(tag >> 4 & 1), tag >> 5)
    if header.is_keyframe:
        if len(frame) < 10:
            raise Truncated(f"a VP8 keyframe of {len(frame)} bytes", field="frame header", offset=3)
        if frame[3:6] != _START_CODE:
            raise Malformed("no start code in a VP8 keyframe", field="start code", offset=3)
        header.width = (frame[6] | frame[7] << 8) & 0x3FFF
        header.height = (frame[8] | frame[9] << 8) & 0x3FFF
    return header


@attrs.define(slots=True)
class Vp8Layer:
    """The temporal layer of a frame, as the encoder knows it."""

    temporal_id: int
    is_layer_sync: bool = False


class Vp8Packetizer:
    """Makes payloads of frames; counts pictures, base layer pictures and keyframes.

    first_picture_id   of the first frame; each frame counts on, 15 bits
    splits_partitions  begins a new packet where the second partition begins, so that the modes and motion vectors
                       do not share packets with the coefficients; the packets of these have PID 1
    """

    def __init__(self, *, first_picture_id: int = 0, splits_partitions: bool = False) -> None:
        if not 0 <= first_picture_id <= PICTURE_ID_MAX:
            raise InvalidArgument(f"a PictureID is 0 to {PICTURE_ID_MAX}, not {first_picture_id}")
        self.next_picture_id = first_picture_id
        self._splits_partitions = splits_partitions
        self._tl0_picture_index = 0
        self._key_index = 0

    def packetize(
        self,
        frame: bytes,
        *,
        payload_bytes_max: int,
        layer: Vp8Layer | None = None,
        is_discardable: bool = False,
    ) -> list[bytes]:
        """The payloads of one frame."""
        require_frame(frame)
        require_budget(payload_bytes_max, _DESCRIPTOR_BYTES_MAX + 1)
        descriptor = Vp8Descriptor(True, 0, is_discardable, self.next_picture_id)
        if layer is not None:
            self._set_layer(descriptor, layer, is_vp8_keyframe(frame))
        payloads: list[bytes] = []
        for number, partition in enumerate(self._partitions(frame)):
            descriptor.partition_id = number
            descriptor.starts_partition = True
            first = serialize_vp8_descriptor(descriptor)
            rest = bytes((first[0] & 0xEF,)) + first[1:]  # without S
            pieces = cut(partition, payload_bytes_max - len(first))
            payloads.append(first + pieces[0])
            payloads += [rest + piece for piece in pieces[1:]]
        self.next_picture_id = (self.next_picture_id + 1) & PICTURE_ID_MAX
        if layer is not None:
            self._tl0_picture_index = descriptor.tl0_picture_index or 0
            self._key_index = descriptor.key_index or 0
        return payloads

    def _set_layer(self, descriptor: Vp8Descriptor, layer: Vp8Layer, is_keyframe: bool) -> None:
        if not 0 <= layer.temporal_id <= 3:
            raise InvalidArgument(f"a temporal layer is 0 to 3, not {layer.temporal_id}")
        descriptor.temporal_id, descriptor.is_layer_sync = layer.temporal_id, layer.is_layer_sync
        descriptor.tl0_picture_index = (self._tl0_picture_index + (layer.temporal_id == 0)) & 0xFF
        descriptor.key_index = (self._key_index + is_keyframe) & 0x1F

    def _partitions(self, frame: bytes) -> list[bytes]:
        if not self._splits_partitions:
            return [frame]
        try:
            header = parse_vp8_frame_header(frame)
        except WireError:
            return [frame]
        end = header.header_bytes + header.first_partition_bytes
        return [frame[:end], frame[end:]] if end < len(frame) else [frame]


class Vp8Depacketizer:
    """Makes frames of payloads."""

    def depacketize(self, payloads: Sequence[bytes]) -> bytes:
        """The frame in these payloads. A payload missing in its middle is not seen here, but in sequence numbers."""
        require_payloads(payloads)
        first, piece = parse_vp8_payload(payloads[0])
        if not first.starts_partition or first.partition_id:
            raise Malformed("the beginning of a VP8 frame is missing", field="S", offset=0)
        pieces = [piece]
        partition_id = 0
        # What goes on with the first partition has the first descriptor without S, nearly always: no need to parse it.
        size = len(payloads[0]) - len(piece)
        same = bytes((payloads[0][0] & 0xEF,)) + payloads[0][1:size]
        for payload in payloads[1:]:
            if not partition_id and payload.startswith(same) and len(payload) > size:
                pieces.append(payload[size:])
                continue
            descriptor, piece = parse_vp8_payload(payload)
            _require_same_picture(first, descriptor)
            # "PID SHOULD be incremented by 1 for each subsequent partition", and only at its beginning.
            step = descriptor.partition_id - partition_id
            if step < 0 or step > descriptor.starts_partition:
                raise Malformed(f"partition {descriptor.partition_id} behind {partition_id}", field="PID", offset=0)
            partition_id = descriptor.partition_id
            pieces.append(piece)
        return b"".join(pieces)


def _require_same_picture(first: Vp8Descriptor, other: Vp8Descriptor) -> None:
    if first.picture_id != other.picture_id or first.tl0_picture_index != other.tl0_picture_index:
        raise Malformed("payloads of different VP8 pictures", field="PictureID")
    if first.temporal_id != other.temporal_id or first.key_index != other.key_index:
        raise Malformed("payloads of different VP8 layers", field="TID")


def is_vp8_keyframe(frame: bytes) -> bool:
    """Whether a frame is a keyframe: whole tag, start code and size."""
    try:
        return parse_vp8_frame_header(frame).is_keyframe
    except WireError:
        return False


def is_vp8_keyframe_payload(payload: bytes) -> bool:
    """Whether a keyframe begins in this payload."""
    try:
        descriptor, piece = parse_vp8_payload(payload)
    except WireError:
        return False
    return descriptor.starts_partition and not descriptor.partition_id and not piece[0] & 1


def is_vp8_frame_start(payload: bytes) -> bool:
    """Whether a frame begins in this payload: S set and PID zero."""
    return bool(payload) and payload[0] & 0x17 == 0x10


_ROWS = (IntegerParameter("max-fr", 1, (1 << 31) - 1), IntegerParameter("max-fs", 1, (1 << 31) - 1))


@attrs.frozen(slots=True)
class Vp8Parameters:
    """What a receiver can decode: frames a second, and macroblocks a frame (RFC 7741 section 6.1)."""

    max_fr: int | None = None
    max_fs: int | None = None

    def __attrs_post_init__(self) -> None:
        check_integers(self, _ROWS)

    @classmethod
    def parse(cls, text: str) -> Vp8Parameters:
        """Take the format parameters; unknown ones are ignored. WireError for values that are none."""
        return cls(**parse_integers(parse_parameters(text), _ROWS))

    def __str__(self) -> str:
        return serialize_parameters(serialize_integers(self, _ROWS))


def negotiate_vp8(ours: str, theirs: str) -> str | None:
    """Always compatible; each end declares its own limits (RFC 7741 section 6.2.2)."""
    Vp8Parameters.parse(theirs)
    return str(Vp8Parameters.parse(ours))
