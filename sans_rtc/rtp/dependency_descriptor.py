"""The dependency descriptor of a video frame (AV1 RTP specification, appendix A), for any codec.

A descriptor names a template, and says where the frame differs from it. The templates come with the first packet of a
coded sequence and hold until others come, so reading needs what the stream has told before. The reader of a stream
keeps the last two structures, because a packet from before a change may arrive after it.

    descriptor   start, end, template id, frame number [, flags [, structure] [, active targets] [, custom fields]]
    structure    id offset, decode targets, templates (layer; indications; frame differences; chain differences), sizes
"""

from __future__ import annotations

from enum import IntEnum
from itertools import pairwise
from typing import NamedTuple

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated
from sans_rtc.rtp.bits import BitReader, BitWriter

TEMPLATE_COUNT_MAX = 64  # MAX_TEMPLATE_ID is 63 (table A.1)
SPATIAL_ID_MAX = 3
TEMPORAL_ID_MAX = 7
DECODE_TARGET_COUNT_MAX = 32  # dtis_cnt_minus_one has 5 bits
_MANDATORY_BYTES = 3
_SAME_LAYER, _NEXT_TEMPORAL, _NEXT_SPATIAL, _NO_MORE = range(4)


class Indication(IntEnum):
    """What a frame is to a decode target (table A.2)."""

    NOT_PRESENT = 0
    DISCARDABLE = 1
    SWITCH = 2
    REQUIRED = 3


_INDICATIONS = tuple(Indication)


class FrameTemplate(NamedTuple):
    """What many frames have in common.

    indications   one for each decode target
    frame_diffs   how many frames back those are that the frame refers to, 1 to 16 each in a template
    chain_diffs   for each chain how many frames back its previous frame is, 0 to 15 in a template; 0: none needed
    """

    spatial_id: int
    temporal_id: int
    indications: tuple[Indication, ...]
    frame_diffs: tuple[int, ...] = ()
    chain_diffs: tuple[int, ...] = ()


class Resolution(NamedTuple):
    """The largest size at which frames of a spatial layer are shown, in pixels, 1 to 65536 each."""

    width: int
    height: int


class DependencyStructure(NamedTuple):
    """The templates of a coded sequence.

    template_id_offset   the id of the first template, 0 to 63
    decode_target_count  1 to 32
    templates            ordered by spatial id, then temporal id
    protecting_chains    for each decode target the index of the chain that protects it, the number of chains for none;
                         empty where there are no chains
    resolutions          one for each spatial layer, or empty
    """

    template_id_offset: int
    decode_target_count: int
    templates: tuple[FrameTemplate, ...]
    protecting_chains: tuple[int, ...] = ()
    resolutions: tuple[Resolution, ...] = ()

    @property
    def chain_count(self) -> int:
        """How many chains the templates have."""
        return len(self.templates[0].chain_diffs)

    def template(self, template_id: int) -> FrameTemplate | None:
        """The template of this id; None where the structure does not have it."""
        index = (template_id - self.template_id_offset) % TEMPLATE_COUNT_MAX
        return self.templates[index] if index < len(self.templates) else None


@attrs.define(slots=True)
class DependencyDescriptor:
    """What a packet says about its frame, custom fields and template merged into `frame`.

    template_id            0 to 63
    frame_number           0 to 65535
    frame                  layer, indications, frame differences (custom: to 4096), chain differences (custom: to 255)
    structure              the templates that come with this packet: the first one of a coded sequence
    active_decode_targets  bit i for decode target i; None where it is not said
    resolution             of the frame's spatial layer, where the structure has it
    """

    is_start_of_frame: bool
    is_end_of_frame: bool
    template_id: int
    frame_number: int
    frame: FrameTemplate
    structure: DependencyStructure | None = None
    active_decode_targets: int | None = None
    resolution: Resolution | None = None


def parse_dependency_descriptor(data: bytes, *structures: DependencyStructure) -> DependencyDescriptor:
    """Parse a descriptor; the structures are those of the stream so far, the newest first, unless it brings its own.

    Errors   Truncated, Malformed (no structure has the template)
    Source   A.4.1
    """
    if len(data) < _MANDATORY_BYTES:
        raise Truncated(f"a dependency descriptor in {len(data)} bytes", field="dependency descriptor")
    reader = BitReader(data)
    is_start, is_end = bool(reader.read(1)), bool(reader.read(1))
    template_id, frame_number = reader.read(6), reader.read(16)
    has_structure = has_active = has_indications = has_frame_diffs = has_chains = 0
    if len(data) > _MANDATORY_BYTES:
        has_structure, has_active, has_indications, has_frame_diffs, has_chains = (reader.read(1) for _ in range(5))
    attached = _read_structure(reader) if has_structure else None
    structure, template = _find_template(template_id, (attached,) if attached is not None else structures)
    targets = structure.decode_target_count
    active = (1 << targets) - 1 if attached is not None else None
    if has_active:
        active = reader.read(targets)
    frame = FrameTemplate(
        template.spatial_id,
        template.temporal_id,
        _read_indications(reader, targets) if has_indications else template.indications,
        _read_custom_diffs(reader) if has_frame_diffs else template.frame_diffs,
        tuple([reader.read(8) for _ in template.chain_diffs]) if has_chains else template.chain_diffs,
    )
    resolution = structure.resolutions[frame.spatial_id] if structure.resolutions else None
    return DependencyDescriptor(is_start, is_end, template_id, frame_number, frame, attached, active, resolution)


def _find_template(
    template_id: int, structures: tuple[DependencyStructure, ...]
) -> tuple[DependencyStructure, FrameTemplate]:
    for structure in structures:
        template = structure.template(template_id)
        if template is not None:
            return structure, template
    raise Malformed(f"no structure has template {template_id}", field="template id", offset=0)


def _read_structure(reader: BitReader) -> DependencyStructure:
    offset, targets = reader.read(6), reader.read(5) + 1
    layers = _read_layers(reader)
    indications = [_read_indications(reader, targets) for _ in layers]
    frame_diffs = [_read_template_diffs(reader) for _ in layers]
    chain_count = reader.read_non_symmetric(targets + 1)
    protecting: tuple[int, ...] = ()
    chain_diffs: list[tuple[int, ...]] = [()] * len(layers)
    if chain_count:
        protecting = tuple([reader.read_non_symmetric(chain_count + 1) for _ in range(targets)])
        chain_diffs = [tuple([reader.read(4) for _ in range(chain_count)]) for _ in layers]
    resolutions: tuple[Resolution, ...] = ()
    if reader.read(1):
        count = layers[-1][0] + 1
        resolutions = tuple([Resolution(reader.read(16) + 1, reader.read(16) + 1) for _ in range(count)])
    templates = tuple(
        FrameTemplate(*layer, dtis, diffs, chains)
        for layer, dtis, diffs, chains in zip(layers, indications, frame_diffs, chain_diffs, strict=True)
    )
    return DependencyStructure(offset, targets, templates, protecting, resolutions)


def _read_layers(reader: BitReader) -> list[tuple[int, int]]:
    spatial_id = temporal_id = 0
    layers: list[tuple[int, int]] = []
    for _ in range(TEMPLATE_COUNT_MAX):
        layers.append((spatial_id, temporal_id))
        step = reader.read(2)
        if step == _NO_MORE:
            return layers
        if step == _NEXT_TEMPORAL:
            temporal_id += 1
        elif step == _NEXT_SPATIAL:
            spatial_id, temporal_id = spatial_id + 1, 0
        if spatial_id > SPATIAL_ID_MAX or temporal_id > TEMPORAL_ID_MAX:
            raise Malformed(f"a template of layer S{spatial_id} T{temporal_id}", field="template layers")
    raise Malformed(f"more than {TEMPLATE_COUNT_MAX} templates", field="template layers")


def _read_indications(reader: BitReader, count: int) -> tuple[Indication, ...]:
    return tuple([_INDICATIONS[reader.read(2)] for _ in range(count)])


def _read_template_diffs(reader: BitReader) -> tuple[int, ...]:
    diffs = []
    while reader.read(1):  # ends: each turn takes bits, and Truncated ends them
        diffs.append(reader.read(4) + 1)
    return tuple(diffs)


def _read_custom_diffs(reader: BitReader) -> tuple[int, ...]:
    diffs = []
    while nibbles := reader.read(2):  # ends: each turn takes bits, and Truncated ends them
        diffs.append(reader.read(4 * nibbles) + 1)
    return tuple(diffs)


def serialize_dependency_descriptor(
    descriptor: DependencyDescriptor, structure: DependencyStructure | None = None
) -> bytes:
    """Serialize a descriptor as the difference to its template.

    structure  that of the stream; the one that the descriptor brings comes before it
    Errors     InvalidArgument for a value that does not fit, or a template that the structure does not have
    """
    attached = descriptor.structure
    structure = attached or structure
    template = structure.template(descriptor.template_id) if structure is not None else None
    if structure is None or template is None:
        raise InvalidArgument(f"no structure has template {descriptor.template_id}")
    frame, targets = descriptor.frame, structure.decode_target_count
    active = descriptor.active_decode_targets
    is_active_told = active is not None and (attached is None or active != (1 << targets) - 1)
    flags = (attached is not None, is_active_told, *(frame[at] != template[at] for at in (2, 3, 4)))
    writer = BitWriter()
    writer.write(descriptor.is_start_of_frame, 1)
    writer.write(descriptor.is_end_of_frame, 1)
    writer.write(descriptor.template_id, 6)
    writer.write(descriptor.frame_number, 16)
    if frame[:2] != template[:2]:
        raise InvalidArgument("the layer of a frame is that of its template")
    if not any(flags):
        return writer.to_bytes()
    for flag in flags:
        writer.write(flag, 1)
    if attached is not None:
        _write_structure(writer, attached)
    if is_active_told and active is not None:
        writer.write(active, targets)
    if flags[2]:
        _write_indications(writer, frame.indications, targets)
    if flags[3]:
        _write_custom_diffs(writer, frame.frame_diffs)
    if flags[4]:
        _write_diffs(writer, frame.chain_diffs, structure.chain_count, 8)
    return writer.to_bytes()


def _write_structure(writer: BitWriter, structure: DependencyStructure) -> None:
    templates, targets = structure.templates, structure.decode_target_count
    if not 0 < len(templates) <= TEMPLATE_COUNT_MAX:
        raise InvalidArgument(f"{len(templates)} templates; 1 to {TEMPLATE_COUNT_MAX} fit")
    writer.write(structure.template_id_offset, 6)
    writer.write(targets - 1, 5)
    for before, after in pairwise(templates):
        writer.write(_layer_step(before, after), 2)
    writer.write(_NO_MORE, 2)
    if templates[0][:2] != (0, 0):
        raise InvalidArgument("the first template is of layer S0 T0")
    for template in templates:
        _write_indications(writer, template.indications, targets)
    for template in templates:
        for diff in template.frame_diffs:
            writer.write(1, 1)
            writer.write(diff - 1, 4)
        writer.write(0, 1)
    writer.write_non_symmetric(structure.chain_count, targets + 1)
    if structure.chain_count:
        _write_chains(writer, structure)
    writer.write(bool(structure.resolutions), 1)
    if structure.resolutions and len(structure.resolutions) != templates[-1].spatial_id + 1:
        raise InvalidArgument("one resolution stands for each spatial layer")
    for resolution in structure.resolutions:
        writer.write(resolution.width - 1, 16)
        writer.write(resolution.height - 1, 16)


def _layer_step(before: FrameTemplate, after: FrameTemplate) -> int:
    match after.spatial_id - before.spatial_id, after.temporal_id - before.temporal_id:
        case 0, 0:
            return _SAME_LAYER
        case 0, 1 if after.temporal_id <= TEMPORAL_ID_MAX:
            return _NEXT_TEMPORAL
        case 1, _ if not after.temporal_id and after.spatial_id <= SPATIAL_ID_MAX:
            return _NEXT_SPATIAL
    raise InvalidArgument(
        f"a template of layer S{after.spatial_id} T{after.temporal_id} does not follow its forerunner"
    )


def _write_chains(writer: BitWriter, structure: DependencyStructure) -> None:
    if len(structure.protecting_chains) != structure.decode_target_count:
        raise InvalidArgument("each decode target has a protecting chain, or the number of chains for none")
    for chain in structure.protecting_chains:
        writer.write_non_symmetric(chain, structure.chain_count + 1)
    for template in structure.templates:
        _write_diffs(writer, template.chain_diffs, structure.chain_count, 4)


def _write_indications(writer: BitWriter, indications: tuple[Indication, ...], count: int) -> None:
    _write_diffs(writer, indications, count, 2)


def _write_diffs(writer: BitWriter, values: tuple[int, ...], count: int, bits: int) -> None:
    if len(values) != count:
        raise InvalidArgument(f"{len(values)} values where the structure has {count}")
    for value in values:
        writer.write(value, bits)


def _write_custom_diffs(writer: BitWriter, diffs: tuple[int, ...]) -> None:
    for diff in diffs:
        if not 1 <= diff <= 4096:
            raise InvalidArgument(f"a frame difference is 1 to 4096, not {diff}")
        nibbles = max(1, ((diff - 1).bit_length() + 3) // 4)
        writer.write(nibbles, 2)
        writer.write(diff - 1, 4 * nibbles)
    writer.write(0, 2)


class DependencyDescriptorReader:
    """Reads the descriptors of one stream, and keeps the templates that they name."""

    __slots__ = ("_structures",)

    def __init__(self) -> None:
        self._structures: tuple[DependencyStructure, ...] = ()

    def read(self, data: bytes) -> DependencyDescriptor:
        """Parse the next descriptor of the stream; a structure that it brings becomes the stream's.

        Errors   Truncated, Malformed (also while the packet with the structure is missing); nothing changes then
        """
        descriptor = parse_dependency_descriptor(data, *self._structures)
        attached = descriptor.structure
        if attached is not None and (not self._structures or attached != self._structures[0]):
            self._structures = (attached, *self._structures[:1])
        return descriptor

    @property
    def structure(self) -> DependencyStructure | None:
        """The newest structure of the stream; None before the first."""
        return self._structures[0] if self._structures else None
