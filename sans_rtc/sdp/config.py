"""The bounds of a session description that the parser accepts."""

from __future__ import annotations

import attrs

from sans_rtc.errors import InvalidArgument


@attrs.frozen(slots=True, kw_only=True)
class SdpLimits:
    """What is too large to be parsed; past any of these the parser raises `Unsupported` and keeps nothing.

    The largest offers seen come from conference servers: 200 media sections of 100 lines of 60 characters are 1.2 M
    characters. The defaults leave a third more.

    characters_max       the whole text
    line_count_max       lines, empty ones included
    line_characters_max  one line; the longest known are `a=identity` and `a=sctp-init`, base64 of a few KB
    media_count_max      media sections
    attribute_count_max  attributes in one section, the session's own included
    """

    characters_max: int = 1_600_000
    line_count_max: int = 32_768
    line_characters_max: int = 16_384
    media_count_max: int = 512
    attribute_count_max: int = 2_048

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(SdpLimits):
            if getattr(self, field.name) < 1:
                raise InvalidArgument(f"{field.name} must be positive, not {getattr(self, field.name)}")


DEFAULT_LIMITS = SdpLimits()
