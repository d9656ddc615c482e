"""Validators of configurations: what is out of range is the caller's error, `InvalidArgument`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from sans_rtc.errors import InvalidArgument

Validator: TypeAlias = Callable[[object, "attrs.Attribute[Any]", Any], None]


def within(low: float, high: float) -> Validator:
    """The value must be a number of this range, both ends included; nan is in none."""

    def validate(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
        if not low <= value <= high:
            raise InvalidArgument(f"{attribute.name} must be {low} to {high}, is {value}")

    return validate


def none_or(validator: Validator) -> Validator:
    """The value may also be None."""

    def validate(instance: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value is not None:
            validator(instance, attribute, value)

    return validate


def count(default: int, low: int, high: int) -> int:
    """A field that is a whole number of this range, as a dataclass has it: `streams: int = count(16, 1, 64)`."""
    return attrs.field(default=default, validator=within(low, high))


def number(default: float, low: float, high: float) -> float:
    """A field that is a number of this range."""
    return attrs.field(default=default, validator=within(low, high))


def seconds(default: float, low: float, high: float) -> float:
    """A field that is a duration of this range."""
    return attrs.field(default=default, validator=within(low, high))
