"""video-layers-allocation00: which layers a sender produces, and what bitrate, size and frame rate each has.

     +-+-+-+-+-+-+-+-+
     |RID| NS| sl_bm |   stream that carries it; streams - 1; active spatial layers, 0 where streams differ
     +-+-+-+-+-+-+-+-+
     |sl0_bm |sl1_bm |   where sl_bm is 0: 4 bits for each stream, whole bytes
     |#tl|#tl|#tl|#tl|   temporal layers - 1 of each active spatial layer, whole bytes
     |  bitrate ...  |   kbit/s of each temporal layer, leb128
     | resolution... |   where present: width - 1, height - 1 (16 bits each), frames/s (8) of each spatial layer

Nothing sent at all is one byte of 0.  http://www.webrtc.org/experiments/rtp-hdrext/video-layers-allocation00
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from sans_rtc.errors import InvalidArgument, Malformed, Truncated

STREAM_COUNT_MAX = 4
SPATIAL_LAYER_COUNT_MAX = 4
TEMPORAL_LAYER_COUNT_MAX = 4
# 32 bits of kbit/s take five bytes of leb128; more bytes are refused.
_LEB128_BYTES_MAX = 5
BITRATE_KBPS_MAX = (1 << 32) - 1

_RESOLUTION = struct.Struct("!HHB")


class LayerResolution(NamedTuple):
    """The size of a spatial layer in pixels, 1 to 65536, and its highest frame rate, 0 to 255."""

    width: int
    height: int
    frame_rate_max: int


class SpatialLayer(NamedTuple):
    """One active spatial layer.

    spatial_id     0 to 3
    bitrates_kbps  for each temporal layer what it takes to receive it, lower layers included; 1 to 4 of them
    """

    spatial_id: int
    bitrates_kbps: tuple[int, ...]
    resolution: LayerResolution | None = None


class VideoLayersAllocation(NamedTuple):
    """The layers of all streams of a source.

    stream_index  the stream that carries this, an index into `streams`
    streams       for each stream its active spatial layers, ascending; () where nothing is sent at all
    """

    stream_index: int = 0
    streams: tuple[tuple[SpatialLayer, ...], ...] = ()


def parse_layers_allocation(value: bytes) -> VideoLayersAllocation:
    """Parse the value of the extension. Resolutions are there where bytes are left for them.

    Errors   Truncated, Malformed
    """
    if value == b"\0":
        return VideoLayersAllocation()
    if not value:
        raise Truncated("no byte of layers allocation", field="layers allocation")
    stream_count = (value[0] >> 4 & 3) + 1
    stream_index = value[0] >> 6
    if stream_index >= stream_count:
        raise Malformed(f"stream {stream_index} of {stream_count}", field="RID", offset=0)
    spatial_ids, offset = _parse_masks(value, stream_count)
    layer_count = sum(map(len, spatial_ids))
    counts, offset = _parse_temporal_counts(value, offset, layer_count)
    bitrates: list[tuple[int, ...]] = []
    for count in counts:
        rates = []
        for _ in range(count):
            rate, offset = _parse_leb128(value, offset)
            rates.append(rate)
        bitrates.append(tuple(rates))
    resolutions = _parse_resolutions(value, offset, layer_count)
    layers = iter(zip(bitrates, resolutions, strict=True))
    streams = tuple(tuple(SpatialLayer(sid, *next(layers)) for sid in ids) for ids in spatial_ids)
    return VideoLayersAllocation(stream_index, streams)


def _parse_masks(value: bytes, stream_count: int) -> tuple[list[list[int]], int]:
    masks = [value[0] & 0x0F] * stream_count
    offset = 1
    if not value[0] & 0x0F:
        offset = 1 + (stream_count + 1) // 2
        if len(value) < offset:
            raise Truncated("no masks of spatial layers", field="spatial layers", offset=1)
        masks = [value[1 + index // 2] >> (0 if index & 1 else 4) & 0x0F for index in range(stream_count)]
    return [[sid for sid in range(SPATIAL_LAYER_COUNT_MAX) if mask >> sid & 1] for mask in masks], offset


def _parse_temporal_counts(value: bytes, offset: int, layer_count: int) -> tuple[list[int], int]:
    end = offset + (layer_count + 3) // 4
    if len(value) < end:
        raise Truncated("no counts of temporal layers", field="temporal layers", offset=offset)
    return [(value[offset + at // 4] >> 6 - 2 * (at & 3) & 3) + 1 for at in range(layer_count)], end


def _parse_leb128(value: bytes, offset: int) -> tuple[int, int]:
    number = 0
    for at in range(_LEB128_BYTES_MAX):
        if offset + at >= len(value):
            raise Truncated("a bitrate leaves the value", field="bitrate", offset=offset)
        byte = value[offset + at]
        number |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            if number > BITRATE_KBPS_MAX:
                break
            return number, offset + at + 1
    raise Malformed("a bitrate of more than 32 bits", field="bitrate", offset=offset)


def _parse_resolutions(value: bytes, offset: int, layer_count: int) -> list[LayerResolution | None]:
    left = len(value) - offset
    if not left:
        return [None] * layer_count
    if left != _RESOLUTION.size * layer_count:
        raise Malformed(f"{left} bytes of resolutions for {layer_count} layers", field="resolution", offset=offset)
    found = [_RESOLUTION.unpack_from(value, offset + _RESOLUTION.size * at) for at in range(layer_count)]
    return [LayerResolution(width + 1, height + 1, rate) for width, height, rate in found]


def serialize_layers_allocation(value: object) -> bytes:
    """The value of the extension. InvalidArgument for what does not fit; resolutions stand at all layers or at none."""
    if not isinstance(value, VideoLayersAllocation):
        raise InvalidArgument(f"VideoLayersAllocation is what this extension holds, not {value!r}")
    streams = value.streams
    if not streams:
        return b"\0"
    if len(streams) > STREAM_COUNT_MAX or not 0 <= value.stream_index < len(streams):
        raise InvalidArgument(f"stream {value.stream_index} of {len(streams)}")
    masks = [_mask(layers) for layers in streams]
    layers = [layer for stream in streams for layer in stream]
    is_same = len(set(masks)) == 1 and masks[0] != 0
    head = value.stream_index << 6 | len(streams) - 1 << 4 | (masks[0] if is_same else 0)
    parts = [bytes([head])]
    if not is_same:
        padded = [*masks, 0]
        parts.append(bytes([padded[at] << 4 | padded[at + 1] for at in range(0, len(masks), 2)]))
    parts.append(_serialize_temporal_counts(layers))
    parts += [_serialize_leb128(rate) for layer in layers for rate in layer.bitrates_kbps]
    parts += _serialize_resolutions(layers)
    return b"".join(parts)


def _mask(layers: tuple[SpatialLayer, ...]) -> int:
    ids = [layer.spatial_id for layer in layers]
    if ids != sorted(set(ids)) or not all(0 <= sid < SPATIAL_LAYER_COUNT_MAX for sid in ids):
        raise InvalidArgument(f"spatial ids ascend from 0 to 3: {ids}")
    return sum(1 << sid for sid in ids)


def _serialize_temporal_counts(layers: list[SpatialLayer]) -> bytes:
    counts = bytearray((len(layers) + 3) // 4)
    for at, layer in enumerate(layers):
        if not 1 <= len(layer.bitrates_kbps) <= TEMPORAL_LAYER_COUNT_MAX:
            raise InvalidArgument(f"{len(layer.bitrates_kbps)} temporal layers; 1 to 4 fit")
        counts[at // 4] |= len(layer.bitrates_kbps) - 1 << 6 - 2 * (at & 3)
    return bytes(counts)


def _serialize_leb128(number: int) -> bytes:
    if not 0 <= number <= BITRATE_KBPS_MAX:
        raise InvalidArgument(f"a bitrate of {number} kbit/s")
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _serialize_resolutions(layers: list[SpatialLayer]) -> list[bytes]:
    resolutions = [layer.resolution for layer in layers if layer.resolution is not None]
    if resolutions and len(resolutions) != len(layers):
        raise InvalidArgument("resolutions stand at all spatial layers or at none")
    try:
        return [_RESOLUTION.pack(size.width - 1, size.height - 1, size.frame_rate_max) for size in resolutions]
    except struct.error as error:
        raise InvalidArgument(f"a resolution is out of its range: {error}") from error
