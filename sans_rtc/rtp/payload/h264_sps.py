"""What a sequence parameter set of H.264 says (H.264 section 7.3.2.1.1), and parameter sets in SDP.

RFC 7742 section 6.2 keeps sprop-parameter-sets out of what WebRTC endpoints write; they are read where others do.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import attrs

from sans_rtc.errors import Malformed
from sans_rtc.rtp.payload.bits import BitReader
from sans_rtc.rtp.payload.h264 import H264NalType, nal_type
from sans_rtc.rtp.payload.h264_profile import ProfileLevelId
from sans_rtc.rtp.payload.nal import PARAMETER_SETS_COUNT_MAX, without_emulation_prevention

# The profiles whose SPS names the chroma format (section 7.3.2.1.1).
_HIGH_PROFILES = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135})
# An SPS as far as the size is a few dozen bytes; with all scaling lists a few hundred.
_SPS_BYTES_MAX = 1024
# num_ref_frames_in_pic_order_cnt_cycle "shall be in the range of 0 to 255".
_CYCLE_MAX = 255
# Level 6.2 has 139264 macroblocks; no side is longer than the square root of eight times that.
_SIDE_MACROBLOCKS_MAX = 1056


@attrs.define(slots=True)
class H264SequenceParameters:
    """Identifier, profile and level, and the size of the picture as shown."""

    identifier: int
    profile_level_id: ProfileLevelId
    width: int
    height: int


def parse_h264_sps(unit: bytes) -> H264SequenceParameters:
    """Take an SPS NAL unit, its header included. Errors: Truncated, Malformed."""
    if not unit or nal_type(unit) != H264NalType.SPS:
        raise Malformed("not a sequence parameter set", field="NAL unit type", offset=0)
    data = without_emulation_prevention(unit[1:_SPS_BYTES_MAX])
    profile = ProfileLevelId.from_bytes(data[:3])
    bits = BitReader(data[3:])
    identifier = bits.take_exp_golomb()
    if identifier > 31:
        raise Malformed(f"sequence parameter set {identifier}", field="seq_parameter_set_id")
    chroma = _take_chroma_format(bits) if profile.profile_idc in _HIGH_PROFILES else 1
    _skip_to_size(bits)
    width, height = _take_size(bits, chroma)
    return H264SequenceParameters(identifier, profile, width, height)


def _take_chroma_format(bits: BitReader) -> int:
    chroma = bits.take_exp_golomb()
    if chroma > 3:
        raise Malformed(f"chroma format {chroma}", field="chroma_format_idc")
    if chroma == 3 and bits.take(1):
        chroma = 0  # separate planes: cropped as monochrome is
        lists = 12
    else:
        lists = 12 if chroma == 3 else 8
    bits.take_exp_golomb()
    bits.take_exp_golomb()
    bits.skip(1)
    if bits.take(1):
        for number in range(lists):
            if bits.take(1):
                _skip_scaling_list(bits, 16 if number < 6 else 64)
    return chroma


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    scale = 8
    for _ in range(size):
        scale = (scale + bits.take_signed_exp_golomb()) % 256
        if not scale:
            return


def _skip_to_size(bits: BitReader) -> None:
    bits.take_exp_golomb()  # log2_max_frame_num_minus4
    order = bits.take_exp_golomb()
    if order == 0:
        bits.take_exp_golomb()
    elif order == 1:
        bits.skip(1)
        bits.take_signed_exp_golomb()
        bits.take_signed_exp_golomb()
        cycle = bits.take_exp_golomb()
        if cycle > _CYCLE_MAX:
            raise Malformed(f"a cycle of {cycle}", field="num_ref_frames_in_pic_order_cnt_cycle")
        for _ in range(cycle):
            bits.take_signed_exp_golomb()
    bits.take_exp_golomb()  # max_num_ref_frames
    bits.skip(1)


def _take_size(bits: BitReader, chroma: int) -> tuple[int, int]:
    columns, rows = bits.take_exp_golomb() + 1, bits.take_exp_golomb() + 1
    is_frame_only = bits.take(1)
    if not is_frame_only:
        rows *= 2
        bits.skip(1)
    if columns > _SIDE_MACROBLOCKS_MAX or rows > _SIDE_MACROBLOCKS_MAX:
        raise Malformed(f"{columns} by {rows} macroblocks", field="pic_width_in_mbs_minus1")
    bits.skip(1)
    width, height = columns * 16, rows * 16
    if bits.take(1):
        left, right, top, bottom = (bits.take_exp_golomb() for _ in range(4))
        # Table 6-1: the units of cropping are those of chroma samples, and of two lines where there are fields.
        width -= (left + right) * (2 if chroma in (1, 2) else 1)
        height -= (top + bottom) * (2 if chroma == 1 else 1) * (2 - is_frame_only)
    if width < 1 or height < 1:
        raise Malformed("a picture that is cropped away", field="frame_crop_left_offset")
    return width, height


def parse_sprop_parameter_sets(text: str) -> list[bytes]:
    """The parameter sets of `sprop-parameter-sets=Z0LA...,aM4...` (RFC 6184 section 8.1). Errors: Malformed."""
    parts = text.split(",")
    if len(parts) > PARAMETER_SETS_COUNT_MAX:
        raise Malformed(f"{len(parts)} parameter sets", field="sprop-parameter-sets")
    units = []
    for part in parts:
        try:
            units.append(base64.b64decode(part.strip(), validate=True))
        except (binascii.Error, ValueError) as error:
            raise Malformed("parameter sets that are not base64", field="sprop-parameter-sets") from error
    if not all(unit and nal_type(unit) in (H264NalType.SPS, H264NalType.PPS) for unit in units):
        raise Malformed("not a parameter set", field="sprop-parameter-sets")
    return units


def serialize_sprop_parameter_sets(units: Sequence[bytes]) -> str:
    """Parameter sets as text for SDP."""
    return ",".join(base64.b64encode(unit).decode() for unit in units)
