"""A machine on another scale of time: its own is the caller's, moved by a constant.

Times in a machine's state cannot be told from other numbers, and need not be: whatever takes `now` takes it last, and
the one time that comes out is `deadline`. So the moved machine stays as it is, and what goes in and out is moved.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from inspect import isfunction, signature
from typing import Any, TypeVar, cast

M = TypeVar("M")


def rescaled(machine: M, offset_s: float) -> M:
    """The machine, to be used as ever, with times `offset_s` before those that it was used to.

    Trace records and explanations keep telling the machine's own times.
    """
    inner: Any = machine
    if isinstance(inner, RescaledMachine):
        offset_s += inner.offset_s
        inner = inner.machine
    return cast(M, RescaledMachine(inner, offset_s) if offset_s else inner)


class RescaledMachine:
    """A machine whose time is the caller's and a constant. Made by `rescaled`.

    machine   the machine itself
    offset_s  how far its time is ahead of the caller's
    """

    def __init__(self, machine: Any, offset_s: float) -> None:
        self.machine = machine
        self.offset_s = offset_s
        for name in dir(type(machine)):
            function = getattr(type(machine), name)
            if not name.startswith("_") and isfunction(function):
                method = getattr(machine, name)
                setattr(self, name, self._moved(method) if _takes_now(function) else method)

    @property
    def deadline(self) -> float:
        """That of the machine, on the caller's scale; rounded so that it is due there when it comes."""
        due: float = self.machine.deadline
        deadline = due - self.offset_s
        while deadline + self.offset_s < due:
            deadline = math.nextafter(deadline, math.inf)
        return deadline

    @property
    def is_terminated(self) -> bool:
        """That of the machine."""
        is_terminated: bool = self.machine.is_terminated
        return is_terminated

    def __getattr__(self, name: str) -> Any:
        return getattr(self.machine, name)

    def _moved(self, method: Callable[..., object]) -> Callable[..., object]:
        offset_s = self.offset_s

        @wraps(method)
        def call(*arguments: Any, **named: Any) -> object:
            if "now" in named:
                return method(*arguments, **{**named, "now": named["now"] + offset_s})
            return method(*arguments[:-1], arguments[-1] + offset_s, **named)

        return call


def _takes_now(function: Callable[..., object]) -> bool:
    return list(signature(function).parameters)[-1] == "now"
