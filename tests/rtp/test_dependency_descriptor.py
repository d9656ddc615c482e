"""The dependency descriptor: the structures of the specification's examples, templates kept, hostile bytes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, WireError
from sans_rtc.rtp import (
    DependencyDescriptor,
    DependencyDescriptorReader,
    DependencyStructure,
    FrameTemplate,
    Indication,
    Resolution,
    parse_dependency_descriptor,
    serialize_dependency_descriptor,
)
from sans_rtc.rtp.bits import BitReader, BitWriter

SYMBOLS = {"-": 0, "D": 1, "S": 2, "R": 3}


def template(spatial_id, temporal_id, symbols, frame_diffs=(), chain_diffs=()):
    indications = tuple(Indication(SYMBOLS[symbol]) for symbol in symbols)
    return FrameTemplate(spatial_id, temporal_id, indications, frame_diffs, chain_diffs)


# AV1 RTP specification A.6.1: one spatial layer with three temporal layers.
L1T3 = DependencyStructure(
    60,
    3,
    (
        template(0, 0, "SSS", (), (0,)),
        template(0, 0, "SSS", (4,), (4,)),
        template(0, 1, "SD-", (2,), (2,)),
        template(0, 2, "D--", (1,), (1,)),
        template(0, 2, "D--", (1,), (3,)),
    ),
    (0, 0, 0),
    (Resolution(1280, 720),),
)
L2T1 = DependencyStructure(
    0,
    2,
    (template(0, 0, "SS", (), (0, 0)), template(0, 0, "RS", (2,), (2, 1)), template(1, 0, "S-", (1,), (1, 1))),
    (1, 2),
)


def key_descriptor(structure):
    active = (1 << structure.decode_target_count) - 1
    resolution = structure.resolutions[0] if structure.resolutions else None
    first = structure.templates[0]
    return DependencyDescriptor(True, True, structure.template_id_offset, 100, first, structure, active, resolution)


def test_mandatory_fields_alone_take_three_bytes():
    descriptor = DependencyDescriptor(True, False, 61, 0x1234, L1T3.templates[1], resolution=L1T3.resolutions[0])
    data = serialize_dependency_descriptor(descriptor, L1T3)
    assert data == bytes.fromhex("bd1234")
    assert parse_dependency_descriptor(data, L1T3) == descriptor


def test_structure_is_laid_out_as_the_syntax_says():
    # A.4.1: 1 1 000000 | 100 (16) | 1 0 0 0 0 | offset 0 (6) | targets - 1 = 1 (5) | layers 0, 2, 3 | indications
    # 10 10  11 10  10 00 | diffs 0  1 0001 0  1 0000 0 | chains ns(3) of 2: 11 | protecting ns(3): 1 -> 10, 2 -> 11
    # chain diffs 0 0  2 1  1 1 | no resolutions
    bits = (
        "11000000" "0000000001100100" "10000" "000000" "00001" "001011" "101011101000"
        "0" "100010" "100000" "11" "10" "11" "00000000" "00100001" "00010001" "0"
    )  # fmt: skip
    data = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    assert serialize_dependency_descriptor(key_descriptor(L2T1)) == data
    assert parse_dependency_descriptor(data) == key_descriptor(L2T1)


def test_reader_keeps_the_templates_of_its_stream():
    reader = DependencyDescriptorReader()
    reader.read(serialize_dependency_descriptor(key_descriptor(L1T3)))
    descriptor = reader.read(bytes.fromhex("3f0065"))
    assert descriptor.frame == L1T3.templates[3]
    assert descriptor.resolution == Resolution(1280, 720)
    assert reader.structure == L1T3


def test_reader_without_a_structure_refuses_and_stays_as_it_was():
    reader = DependencyDescriptorReader()
    with pytest.raises(Malformed):
        reader.read(bytes.fromhex("3f0065"))
    assert reader.structure is None


def test_packet_from_before_a_change_of_structure_is_still_read():
    reader = DependencyDescriptorReader()
    reader.read(serialize_dependency_descriptor(key_descriptor(L1T3)))
    reader.read(serialize_dependency_descriptor(key_descriptor(L2T1)))
    assert reader.read(bytes.fromhex("3d0063")).frame == L1T3.templates[1]
    assert reader.read(bytes.fromhex("020066")).frame == L2T1.templates[2]


def test_custom_fields_replace_those_of_the_template():
    frame = template(0, 1, "R-D", (1, 17, 4096), (255,))
    descriptor = DependencyDescriptor(False, True, 62, 7, frame, None, 0b101, L1T3.resolutions[0])
    assert parse_dependency_descriptor(serialize_dependency_descriptor(descriptor, L1T3), L1T3) == descriptor


@st.composite
def structures(draw):
    targets = draw(st.integers(1, 6))
    chains = draw(st.integers(0, targets))
    layers = [(0, 0)]
    for step in draw(st.lists(st.integers(0, 2), max_size=10)):
        spatial_id, temporal_id = layers[-1]
        following = [(spatial_id, temporal_id), (spatial_id, temporal_id + 1), (spatial_id + 1, 0)][step]
        if following[0] <= 3 and following[1] <= 7:
            layers.append(following)
    indications = st.lists(st.sampled_from(Indication), min_size=targets, max_size=targets).map(tuple)
    chain_diffs = st.lists(st.integers(0, 15), min_size=chains, max_size=chains).map(tuple)
    frame_diffs = st.lists(st.integers(1, 16), max_size=4).map(tuple)
    templates = tuple(
        FrameTemplate(*layer, draw(indications), draw(frame_diffs), draw(chain_diffs)) for layer in layers
    )
    protecting = st.lists(st.integers(0, chains), min_size=targets, max_size=targets).map(tuple)
    size = st.builds(Resolution, st.integers(1, 65536), st.integers(1, 65536))
    count = layers[-1][0] + 1
    return DependencyStructure(
        draw(st.integers(0, 63)),
        targets,
        templates,
        draw(protecting) if chains else (),
        draw(st.just(()) | st.lists(size, min_size=count, max_size=count).map(tuple)),
    )


@given(structures(), st.data())
@settings(max_examples=100, deadline=None)
def test_descriptor_comes_back_as_it_was(structure, data):
    assert parse_dependency_descriptor(serialize_dependency_descriptor(key_descriptor(structure))) == key_descriptor(
        structure
    )
    index = data.draw(st.integers(0, len(structure.templates) - 1))
    base = structure.templates[index]
    frame_diffs = data.draw(st.just(base.frame_diffs) | st.lists(st.integers(1, 4096), max_size=5).map(tuple))
    frame = base._replace(frame_diffs=frame_diffs)
    descriptor = DependencyDescriptor(
        data.draw(st.booleans()),
        data.draw(st.booleans()),
        (structure.template_id_offset + index) % 64,
        data.draw(st.integers(0, 65535)),
        frame,
        None,
        data.draw(st.none() | st.integers(0, (1 << structure.decode_target_count) - 1)),
        structure.resolutions[frame.spatial_id] if structure.resolutions else None,
    )
    assert parse_dependency_descriptor(serialize_dependency_descriptor(descriptor, structure), structure) == descriptor


@given(st.binary(max_size=64) | st.binary(max_size=60).map(lambda tail: b"\xc0\x00\x01\x80" + tail), structures())
@settings(max_examples=200, deadline=None)
def test_any_bytes_raise_only_wire_errors(data, structure):
    try:
        parse_dependency_descriptor(data, structure)
    except WireError:
        pass


@pytest.mark.parametrize("size", range(3))
def test_less_than_the_mandatory_fields_is_truncated(size):
    with pytest.raises(Truncated):
        parse_dependency_descriptor(bytes(size), L1T3)


def test_structure_cut_anywhere_is_a_wire_error():
    data = serialize_dependency_descriptor(key_descriptor(L1T3))
    for size in range(3, len(data) - 1):
        with pytest.raises(WireError):
            parse_dependency_descriptor(data[:size])


def test_more_templates_or_layers_than_there_are_is_malformed():
    head = "11000000" + "0" * 16 + "10000" + "000000" + "00000"
    for steps in ("00" * 64, "01" * 8, "10" * 4):
        bits = head + steps + "0" * 400
        data = int(bits[: len(bits) // 8 * 8], 2).to_bytes(len(bits) // 8, "big")
        with pytest.raises(Malformed):
            parse_dependency_descriptor(data)


@pytest.mark.parametrize(
    "change",
    [
        {"template_id": 59},
        {"frame_number": 65536},
        {"frame": template(1, 0, "SSS", (), (0,))},
        {"frame": template(0, 0, "SS", (), (0,))},
        {"frame": template(0, 0, "SSS", (0,), (0,))},
        {"frame": template(0, 0, "SSS", (4097,), (0,))},
        {"frame": template(0, 0, "SSS", (), (256,))},
        {"active_decode_targets": 8},
        {"structure": L1T3._replace(resolutions=(Resolution(1, 1),) * 2)},
        {"structure": L1T3._replace(protecting_chains=())},
        {"structure": L1T3._replace(templates=L1T3.templates[2:])},
        {"structure": L1T3._replace(templates=(*L1T3.templates, L1T3.templates[0]))},
        {"structure": L1T3._replace(templates=L1T3.templates[:1] * 65)},
    ],
    ids=str,
)
def test_value_that_does_not_fit_is_refused(change):
    descriptor = key_descriptor(L1T3)
    for name, value in change.items():
        setattr(descriptor, name, value)
    with pytest.raises(InvalidArgument):
        serialize_dependency_descriptor(descriptor)


@given(st.integers(1, 70), st.data())
@settings(max_examples=100, deadline=None)
def test_non_symmetric_number_comes_back_as_it_was(limit, data):
    value = data.draw(st.integers(0, limit - 1))
    writer = BitWriter()
    writer.write_non_symmetric(value, limit)
    assert BitReader(writer.to_bytes()).read_non_symmetric(limit) == value
