"""A peer that is not installed skips its test, or fails it where SANS_RTC_REQUIRE_INTEROP=1 says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from .processes import Missing


def give_up(reason: object) -> NoReturn:
    """Skip the test that runs, or fail it where nothing may be skipped."""
    if os.environ.get("SANS_RTC_REQUIRE_INTEROP") == "1":
        pytest.fail(f"SANS_RTC_REQUIRE_INTEROP=1, and: {reason}")
    pytest.skip(str(reason))


@contextmanager
def given_up_without(name: str) -> Iterator[None]:
    """Give the test up where the peer of this name turns out to be Missing."""
    try:
        yield
    except Missing as missing:
        give_up(f"{name}: {missing}")
