"""Every bound of the parser, reached."""

import attrs
import pytest

from sans_rtc.errors import InvalidArgument, Unsupported
from sans_rtc.sdp import SdpLimits, parse_description

HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
MEDIA = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"


@pytest.mark.parametrize(
    ("limits", "unit"),
    [
        (SdpLimits(characters_max=len(HEAD) + 30), "a=0123456\r\n"),
        (SdpLimits(line_count_max=7), "a=x\r\n"),
        (SdpLimits(line_count_max=7), "\r\n"),
        (SdpLimits(media_count_max=3), MEDIA),
        (SdpLimits(attribute_count_max=3), "a=x\r\n"),
        (SdpLimits(media_count_max=3), MEDIA + "a=mid:x\r\n"),
    ],
)
def test_three_of_a_kind_pass_and_a_fourth_is_too_much(limits, unit):
    parse_description(HEAD + unit * 2, limits)
    with pytest.raises(Unsupported):
        parse_description(HEAD + unit * 4, limits)


def test_line_may_be_as_long_as_the_limit_and_no_longer():
    limits = SdpLimits(line_characters_max=40)
    parse_description(HEAD + "a=" + "x" * 38, limits)
    with pytest.raises(Unsupported) as caught:
        parse_description(HEAD + "a=" + "x" * 39, limits)
    assert caught.value.offset == 5


def test_attributes_are_counted_section_by_section():
    limits = SdpLimits(attribute_count_max=2)
    parse_description(HEAD + "a=x\r\na=y\r\n" + (MEDIA + "a=x\r\na=y\r\n") * 3, limits)


@pytest.mark.parametrize("field", [field.name for field in attrs.fields(SdpLimits)])
def test_limit_must_be_positive(field):
    with pytest.raises(InvalidArgument, match=field):
        SdpLimits(**{field: 0})


def test_description_of_a_large_conference_passes_the_default_limits():
    section = MEDIA + "".join(f"a=x-{number}:{'y' * 50}\r\n" for number in range(100))
    assert len(parse_description(HEAD + section * 200).media) == 200
