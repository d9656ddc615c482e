"""The payload descriptor of VP9 (RFC 9628 section 4.2), in flexible (F = 1) and non-flexible mode.

      0 1 2 3 4 5 6 7
     +-+-+-+-+-+-+-+-+   I  picture id    P  inter-picture predicted   L  layer indices       F  flexible mode
     |I|P|L|F|B|E|V|Z|   B  begins        E  ends a layer frame        V  scalability follows
     +-+-+-+-+-+-+-+-+   Z  not a reference for upper spatial layers
 I:  |M| PICTURE ID  |   7 bits, or 15 with M
     +-+-+-+-+-+-+-+-+
 L:  | TID |U| SID |D|   temporal layer, switching up point, spatial layer, inter-layer dependency
     +-+-+-+-+-+-+-+-+
     |   TL0PICIDX   |   non-flexible mode only
     +-+-+-+-+-+-+-+-+
P,F: | P_DIFF      |N|   up to three times, N: one more follows
     +-+-+-+-+-+-+-+-+
 V:  | N_S |Y|G|-|-|-|   spatial layers - 1, sizes follow, group of pictures follows
     +-+-+-+-+-+-+-+-+
 Y:  | WIDTH, HEIGHT |   16 bits each, for each spatial layer
     +-+-+-+-+-+-+-+-+
 G:  |      N_G      |   pictures of the group, and for each | TID |U| R |-|-| and R times P_DIFF
     +-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated

PICTURE_ID_MAX = 0x7FFF
REFERENCE_COUNT_MAX = 3


@attrs.define(slots=True)
class Vp9GroupPicture:
    """One picture of the group that a non-flexible stream repeats."""

    temporal_id: int
    is_switching_up: bool
    reference_diffs: tuple[int, ...]


@attrs.define(slots=True)
class Vp9Scalability:
    """The scalability structure: spatial layers, their sizes if given, the pictures of the group if given."""

    spatial_layers: int
    sizes: tuple[tuple[int, int], ...] = ()
    group: tuple[Vp9GroupPicture, ...] | None = None


@attrs.define(slots=True)
class Vp9Descriptor:
    """The payload descriptor; None: the field is not there.

    is_inter_predicted  P: needs earlier pictures
    starts_frame, ends_frame  B, E: first or last packet of a layer frame
    reference_diffs     P_DIFF: how many pictures ago each reference is; flexible mode only
    """

    is_flexible: bool
    is_inter_predicted: bool
    starts_frame: bool
    ends_frame: bool
    picture_id: int | None = None
    is_no_upper_reference: bool = False
    temporal_id: int | None = None
    spatial_id: int | None = None
    is_switching_up: bool = False
    is_inter_layer: bool = False
    tl0_picture_index: int | None = None
    reference_diffs: tuple[int, ...] = ()
    scalability: Vp9Scalability | None = None
    has_long_picture_id: bool = True


def parse_vp9_payload(payload: bytes) -> tuple[Vp9Descriptor, bytes]:
    """The descriptor and the piece of the layer frame behind it. Errors: Truncated, Malformed."""
    try:
        descriptor, offset = _parse_descriptor(payload)
    except IndexError:
        raise Truncated("a VP9 payload descriptor is cut", field="descriptor", offset=len(payload)) from None
    if offset >= len(payload):
        raise Truncated("a VP9 payload without a frame", field="payload", offset=offset)
    return descriptor, payload[offset:]


def _parse_descriptor(payload: bytes) -> tuple[Vp9Descriptor, int]:
    # Every read is an index: what is beyond the payload is an IndexError, and the caller makes a WireError of it.
    first = payload[0]
    descriptor = Vp9Descriptor(bool(first & 0x10), bool(first & 0x40), bool(first & 8), bool(first & 4))
    descriptor.is_no_upper_reference = bool(first & 1)
    offset = 1
    if first & 0x80:
        picture_id = payload[offset]
        descriptor.has_long_picture_id = picture_id >= 0x80
        if picture_id >= 0x80:
            offset += 1
            picture_id = (picture_id & 0x7F) << 8 | payload[offset]
        descriptor.picture_id = picture_id
        offset += 1
    elif descriptor.is_flexible:
        # Section 4.2: in flexible mode the picture id "MUST be" there, for the references count from it.
        raise Malformed("no picture id in flexible mode", field="I", offset=0)
    if first & 0x20:
        offset = _parse_layer(payload, offset, descriptor)
    if descriptor.is_flexible and descriptor.is_inter_predicted:
        offset = _parse_references(payload, offset, descriptor)
    if first & 2:
        descriptor.scalability, offset = _parse_scalability(payload, offset)
    return descriptor, offset


def _parse_layer(payload: bytes, offset: int, descriptor: Vp9Descriptor) -> int:
    layer = payload[offset]
    descriptor.temporal_id, descriptor.spatial_id = layer >> 5, layer >> 1 & 7
    descriptor.is_switching_up, descriptor.is_inter_layer = bool(layer & 0x10), bool(layer & 1)
    if descriptor.is_inter_layer and not descriptor.spatial_id:
        raise Malformed("the lowest spatial layer depends on none", field="D", offset=offset)
    if descriptor.is_flexible:
        return offset + 1
    descriptor.tl0_picture_index = payload[offset + 1]
    return offset + 2


def _parse_references(payload: bytes, offset: int, descriptor: Vp9Descriptor) -> int:
    diffs: list[int] = []
    for _ in range(REFERENCE_COUNT_MAX):
        value = payload[offset]
        offset += 1
        if value < 2:
            raise Malformed("a picture that refers to itself", field="P_DIFF", offset=offset - 1)
        diffs.append(value >> 1)
        if not value & 1:
            descriptor.reference_diffs = tuple(diffs)
            return offset
    raise Malformed(f"more than {REFERENCE_COUNT_MAX} references", field="P_DIFF", offset=offset)


def _parse_scalability(payload: bytes, offset: int) -> tuple[Vp9Scalability, int]:
    flags = payload[offset]
    offset += 1
    structure = Vp9Scalability((flags >> 5) + 1)
    if flags & 0x10:
        sizes = []
        for _ in range(structure.spatial_layers):
            width, height = payload[offset] << 8 | payload[offset + 1], payload[offset + 2] << 8 | payload[offset + 3]
            sizes.append((width, height))
            offset += 4
        structure.sizes = tuple(sizes)
    if flags & 8:
        count = payload[offset]
        offset += 1
        group = []
        for _ in range(count):
            picture = payload[offset]
            end = offset + 1 + (picture >> 2 & 3)
            diffs = tuple(payload[index] for index in range(offset + 1, end))
            group.append(Vp9GroupPicture(picture >> 5, bool(picture & 0x10), diffs))
            offset = end
        structure.group = tuple(group)
    return structure, offset


def serialize_vp9_descriptor(descriptor: Vp9Descriptor) -> bytes:
    """The bytes of a descriptor; InvalidArgument for values out of range."""
    _check_descriptor(descriptor)
    has_layer = descriptor.temporal_id is not None
    flags = (
        (descriptor.picture_id is not None) << 7
        | descriptor.is_inter_predicted << 6
        | has_layer << 5
        | descriptor.is_flexible << 4
        | descriptor.starts_frame << 3
        | descriptor.ends_frame << 2
        | (descriptor.scalability is not None) << 1
        | descriptor.is_no_upper_reference
    )
    data = bytearray((flags,))
    if descriptor.picture_id is not None:
        if descriptor.has_long_picture_id or descriptor.picture_id > 0x7F:
            data += (0x8000 | descriptor.picture_id).to_bytes(2, "big")
        else:
            data.append(descriptor.picture_id)
    if has_layer:
        layer = (descriptor.temporal_id or 0) << 5 | descriptor.is_switching_up << 4
        data.append(layer | (descriptor.spatial_id or 0) << 1 | descriptor.is_inter_layer)
        if not descriptor.is_flexible:
            data.append(descriptor.tl0_picture_index or 0)
    last = len(descriptor.reference_diffs) - 1
    data += bytes(diff << 1 | (index < last) for index, diff in enumerate(descriptor.reference_diffs))
    if descriptor.scalability is not None:
        data += _serialize_scalability(descriptor.scalability)
    return bytes(data)


def _serialize_scalability(structure: Vp9Scalability) -> bytes:
    flags = (structure.spatial_layers - 1) << 5 | bool(structure.sizes) << 4 | (structure.group is not None) << 3
    data = bytearray((flags,))
    for width, height in structure.sizes:
        data += width.to_bytes(2, "big") + height.to_bytes(2, "big")
    if structure.group is not None:
        data.append(len(structure.group))
        for picture in structure.group:
            count = len(picture.reference_diffs)
            data.append(picture.temporal_id << 5 | picture.is_switching_up << 4 | count << 2)
            data += bytes(picture.reference_diffs)
    return bytes(data)


_LIMITS = (("picture_id", PICTURE_ID_MAX), ("temporal_id", 7), ("spatial_id", 7), ("tl0_picture_index", 0xFF))


def _check_descriptor(descriptor: Vp9Descriptor) -> None:
    for name, most in _LIMITS:
        value = getattr(descriptor, name)
        if value is not None and not 0 <= value <= most:
            raise InvalidArgument(f"{name} is 0 to {most}, not {value}")
    if (descriptor.temporal_id is None) != (descriptor.spatial_id is None):
        raise InvalidArgument("temporal_id and spatial_id are given both or not at all")
    if descriptor.is_inter_layer and not descriptor.spatial_id:
        raise InvalidArgument("the lowest spatial layer depends on none")
    if descriptor.is_flexible:
        _check_flexible(descriptor)
    elif descriptor.reference_diffs:
        raise InvalidArgument("reference_diffs belong to flexible mode")
    if descriptor.scalability is not None:
        _check_scalability(descriptor.scalability)


def _check_flexible(descriptor: Vp9Descriptor) -> None:
    if descriptor.picture_id is None:
        raise InvalidArgument("flexible mode needs a picture id")
    diffs = descriptor.reference_diffs
    if bool(diffs) != descriptor.is_inter_predicted or len(diffs) > REFERENCE_COUNT_MAX:
        raise InvalidArgument("flexible mode needs 1 to 3 reference_diffs, just where a picture is predicted")
    if not all(1 <= diff <= 0x7F for diff in diffs):
        raise InvalidArgument("reference_diffs are 1 to 127")


def _check_scalability(structure: Vp9Scalability) -> None:
    if not 1 <= structure.spatial_layers <= 8 or len(structure.sizes) not in (0, structure.spatial_layers):
        raise InvalidArgument("1 to 8 spatial layers, a size for each or for none")
    if any(not 0 <= side <= 0xFFFF for size in structure.sizes for side in size):
        raise InvalidArgument("a side of a picture is 0 to 65535")
    group = structure.group or ()
    if len(group) > 255:
        raise InvalidArgument("a group has 255 pictures at most")
    for picture in group:
        diffs = picture.reference_diffs
        if not 0 <= picture.temporal_id <= 7 or len(diffs) > 3 or not all(0 <= diff <= 0xFF for diff in diffs):
            raise InvalidArgument(f"out of range: {picture}")
