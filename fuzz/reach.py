"""What a run reaches of the library: enough to tell which inputs are worth keeping."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from fuzz.table import HERE, load

_LIBRARY = str(HERE.parent / "sans_rtc")


def steps_reached(name: str, data: bytes) -> set[tuple[str, int, int]]:
    """Every step from one line to the next in a function of sans_rtc, as file and both lines."""
    run = load(name).run
    reached: set[tuple[str, int, int]] = set()

    def on_call(frame: FrameType, event: str, _: object) -> Any:
        file, before = frame.f_code.co_filename, 0
        if not file.startswith(_LIBRARY):
            return None

        def on_line(frame: FrameType, event: str, _: object) -> Any:
            nonlocal before
            if event == "line":
                reached.add((file, before, frame.f_lineno))
                before = frame.f_lineno
            return on_line

        return on_line

    sys.settrace(on_call)
    try:
        run(data)
    finally:
        sys.settrace(None)
    return reached
