"""profile-level-id of H.264, and what two ends make of their offers (RFC 6184 sections 8.1 and 8.2.2).

42 E0 1F    profile_idc, profile-iop (constraint_set0..5_flag, two zero bits), level_idc
"""

from __future__ import annotations

from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument, Malformed
from sans_rtc.rtp.payload.fmtp import (
    IntegerParameter,
    check_integers,
    parse_integers,
    parse_parameters,
    serialize_integers,
    serialize_parameters,
)


class H264Profile(StrEnum):
    """The profiles of RFC 6184 table 5, and Constrained High, which H.264 got later (constraint_set4 and 5)."""

    CONSTRAINED_BASELINE = "Constrained Baseline"
    BASELINE = "Baseline"
    MAIN = "Main"
    EXTENDED = "Extended"
    CONSTRAINED_HIGH = "Constrained High"
    HIGH = "High"
    HIGH_10 = "High 10"
    HIGH_422 = "High 4:2:2"
    HIGH_444 = "High 4:4:4 Predictive"
    HIGH_10_INTRA = "High 10 Intra"
    HIGH_422_INTRA = "High 4:2:2 Intra"
    HIGH_444_INTRA = "High 4:4:4 Intra"
    CAVLC_444_INTRA = "CAVLC 4:4:4 Intra"


# profile_idc, the bits of profile-iop that count, their values, the profile. Table 5, row by row; x is a bit that does
# not count.
_TABLE_5 = (
    (0x42, 0b01001111, 0b01000000, H264Profile.CONSTRAINED_BASELINE),  # x1xx0000
    (0x4D, 0b10001111, 0b10000000, H264Profile.CONSTRAINED_BASELINE),  # 1xxx0000
    (0x58, 0b11001111, 0b11000000, H264Profile.CONSTRAINED_BASELINE),  # 11xx0000
    (0x42, 0b01001111, 0b00000000, H264Profile.BASELINE),  # x0xx0000
    (0x58, 0b11001111, 0b10000000, H264Profile.BASELINE),  # 10xx0000
    (0x4D, 0b10101111, 0b00000000, H264Profile.MAIN),  # 0x0x0000
    (0x58, 0b11001111, 0b00000000, H264Profile.EXTENDED),  # 00xx0000
    (0x64, 0b11111111, 0b00000000, H264Profile.HIGH),
    (0x64, 0b11111111, 0b00001100, H264Profile.CONSTRAINED_HIGH),
    (0x6E, 0b11111111, 0b00000000, H264Profile.HIGH_10),
    (0x7A, 0b11111111, 0b00000000, H264Profile.HIGH_422),
    (0xF4, 0b11111111, 0b00000000, H264Profile.HIGH_444),
    (0x6E, 0b11111111, 0b00010000, H264Profile.HIGH_10_INTRA),
    (0x7A, 0b11111111, 0b00010000, H264Profile.HIGH_422_INTRA),
    (0xF4, 0b11111111, 0b00010000, H264Profile.HIGH_444_INTRA),
    (0x2C, 0b11111111, 0b00010000, H264Profile.CAVLC_444_INTRA),
)
# H.264 annex A table A-1: level_idc in rising order; 9 stands for level 1b, between 1 and 1.1.
_LEVELS = (10, 9, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52, 60, 61, 62)
_LEVEL_1B = 9
# With these, level 1b is level_idc 11 and constraint_set3_flag; with others, level_idc 9 (section 8.2.2).
_PROFILES_OF_FLAGGED_1B = (0x42, 0x4D, 0x58)
_CONSTRAINT_SET_3 = 0x10


@attrs.frozen(slots=True)
class ProfileLevelId:
    """A profile-level-id taken apart. level is level_idc, 9 for level 1b however it was written.

    profile is None for a combination that table 5 does not have: a common subset of several profiles.
    """

    profile_idc: int
    profile_iop: int
    level: int
    profile: H264Profile | None

    @classmethod
    def parse(cls, text: str) -> ProfileLevelId:
        """Take six hexadecimal digits; Malformed for others, and for a level that H.264 does not have."""
        if len(text) != 6 or any(letter not in "0123456789abcdefABCDEF" for letter in text):
            raise Malformed(f"not a profile-level-id: {text[:40]!r}", field="profile-level-id")
        return cls.from_bytes(bytes.fromhex(text))

    @classmethod
    def from_bytes(cls, data: bytes) -> ProfileLevelId:
        """Take the three bytes, as they stand in an SPS behind its header."""
        if len(data) != 3:
            raise Malformed(f"a profile-level-id of {len(data)} bytes", field="profile-level-id")
        idc, iop, level = data
        if level == 11 and idc in _PROFILES_OF_FLAGGED_1B and iop & _CONSTRAINT_SET_3:
            level = _LEVEL_1B
        if level not in _LEVELS:
            raise Malformed(f"level_idc {level}", field="profile-level-id", offset=2)
        return cls(idc, iop, level, _profile_of(idc, iop))

    def with_level(self, level: int) -> ProfileLevelId:
        """The same profile at another level (9: level 1b)."""
        if level not in _LEVELS:
            raise InvalidArgument(f"level_idc {level}")
        return attrs.evolve(self, level=level)

    def is_same_profile(self, other: ProfileLevelId) -> bool:
        """Whether both stand for the same set of coding tools (table 5, "same as")."""
        if self.profile is None or other.profile is None:
            return (self.profile_idc, self._iop()) == (other.profile_idc, other._iop())
        return self.profile is other.profile

    def is_level_at_most(self, other: ProfileLevelId) -> bool:
        """Whether this level is as high as the other or lower; level 1b is between 1 and 1.1."""
        return _LEVELS.index(self.level) <= _LEVELS.index(other.level)

    def __str__(self) -> str:
        level, iop = self.level, self._iop()
        if level == _LEVEL_1B and self.profile_idc in _PROFILES_OF_FLAGGED_1B:
            level, iop = 11, iop | _CONSTRAINT_SET_3
        return f"{self.profile_idc:02x}{iop:02x}{level:02x}"

    def _iop(self) -> int:
        """profile-iop without the flag that belongs to the level."""
        if self.profile_idc not in _PROFILES_OF_FLAGGED_1B or self.level not in (_LEVEL_1B, 11):
            return self.profile_iop
        return self.profile_iop & ~_CONSTRAINT_SET_3


def _profile_of(idc: int, iop: int) -> H264Profile | None:
    for row_idc, mask, value, profile in _TABLE_5:
        if idc == row_idc and iop & mask == value:
            return profile
    return None


# Section 8.1: "the Baseline profile, without additional constraints at Level 1, MUST be inferred".
DEFAULT_PROFILE_LEVEL_ID = ProfileLevelId.parse("42000a")

_UINT32_MAX = (1 << 32) - 1
_ROWS = (
    IntegerParameter("level-asymmetry-allowed", 0, 1, 0),
    IntegerParameter("packetization-mode", 0, 2, 0),
    *(IntegerParameter(name, 1, _UINT32_MAX) for name in ("max-mbps", "max-smbps", "max-fs", "max-cpb", "max-dpb")),
    IntegerParameter("max-br", 1, _UINT32_MAX),
)


@attrs.frozen(slots=True)
class H264Parameters:
    """The format parameters that a WebRTC endpoint has to understand (RFC 7742 section 6.2)."""

    profile_level_id: ProfileLevelId = DEFAULT_PROFILE_LEVEL_ID
    level_asymmetry_allowed: int = 0
    packetization_mode: int = 0
    max_mbps: int | None = None
    max_smbps: int | None = None
    max_fs: int | None = None
    max_cpb: int | None = None
    max_dpb: int | None = None
    max_br: int | None = None
    sprop_parameter_sets: str = ""

    def __attrs_post_init__(self) -> None:
        check_integers(self, _ROWS)

    @classmethod
    def parse(cls, text: str) -> H264Parameters:
        """Take the format parameters; unknown ones are ignored. WireError for values that are none."""
        parameters = parse_parameters(text)
        identity = parameters.get("profile-level-id")
        profile = DEFAULT_PROFILE_LEVEL_ID if identity is None else ProfileLevelId.parse(identity)
        values = parse_integers(parameters, _ROWS)
        sets = parameters.get("sprop-parameter-sets", "")
        return cls(profile_level_id=profile, sprop_parameter_sets=sets, **values)  # type: ignore[arg-type]  # see fmtp

    def __str__(self) -> str:
        # Browsers name the mode even where it is the default.
        texts = serialize_integers(self, _ROWS)
        texts.setdefault("packetization-mode", str(self.packetization_mode))
        texts["profile-level-id"] = str(self.profile_level_id)
        if self.sprop_parameter_sets:
            texts["sprop-parameter-sets"] = self.sprop_parameter_sets
        return serialize_parameters(texts)


def negotiate_h264(ours: str, theirs: str) -> str | None:
    """The answer to an offer of one H.264 format, None where ours is another one.

    Profile and packetization-mode identify the format and are kept (section 8.2.2). The level is ours where both ends
    allow asymmetry, and else the lower of both.
    """
    own, offer = H264Parameters.parse(ours), H264Parameters.parse(theirs)
    if own.packetization_mode != offer.packetization_mode:
        return None
    if not own.profile_level_id.is_same_profile(offer.profile_level_id):
        return None
    is_asymmetric = bool(own.level_asymmetry_allowed and offer.level_asymmetry_allowed)
    is_ours_lower = own.profile_level_id.is_level_at_most(offer.profile_level_id)
    level = own.profile_level_id.level if is_asymmetric or is_ours_lower else offer.profile_level_id.level
    answer = attrs.evolve(
        own,
        profile_level_id=offer.profile_level_id.with_level(level),
        level_asymmetry_allowed=int(is_asymmetric),
    )
    return str(answer)
