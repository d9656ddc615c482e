"""Configurations refuse what is out of range, by name and value."""

import math

import attrs
import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.validators import count, none_or, seconds, within


@attrs.frozen
class Example:
    streams: int = count(16, 1, 64)
    wait_s: float = seconds(1.0, 0.0, math.inf)
    rate: float | None = attrs.field(default=None, validator=none_or(within(0.5, 2.0)))


@pytest.mark.parametrize("fields", [{}, {"streams": 1}, {"streams": 64}, {"wait_s": math.inf}, {"rate": 2.0}])
def test_ends_of_the_range_are_in_it(fields):
    Example(**fields)


@pytest.mark.parametrize(
    "fields", [{"streams": 0}, {"streams": 65}, {"wait_s": -0.1}, {"wait_s": math.nan}, {"rate": 2.1}]
)
def test_what_is_outside_is_refused_by_name(fields):
    ((name, value),) = fields.items()
    with pytest.raises(InvalidArgument, match=f"{name} must be .*, is {value}"):
        Example(**fields)
