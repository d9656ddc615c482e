"""Validators of the adapters' configurations: what is out of range is the caller's error, `InvalidArgument`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc_net.dscp import DSCP_MAX

PORT_MAX = 65_535

Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def at_least(minimum: float) -> Validator:
    """The value must not be below the minimum."""

    def validate(_: object, attribute: attrs.Attribute[Any], value: float) -> None:
        if not value >= minimum:
            raise InvalidArgument(f"{attribute.name} must be at least {minimum}, is {value!r}")

    return validate


def one_of(*values: object) -> Validator:
    """The value must be among those named."""

    def validate(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
        if value not in values:
            raise InvalidArgument(f"{attribute.name} must be one of {values}, is {value!r}")

    return validate


def is_dscp(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    """The value must be a code point of six bits."""
    if not 0 <= value <= DSCP_MAX:
        raise InvalidArgument(f"{attribute.name} must be 0 to {DSCP_MAX}, is {value!r}")


def is_port_range(_: object, attribute: attrs.Attribute[tuple[int, int]], ports: tuple[int, int]) -> None:
    """The value must be (first, last) of a range of ports, or (0, 0) for "any"."""
    first, last = ports
    if not (ports == (0, 0) or 1 <= first <= last <= PORT_MAX):
        raise InvalidArgument(f"{attribute.name} must be (first, last) within 1 to {PORT_MAX}, is {ports}")
