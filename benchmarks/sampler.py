"""A sampling profiler: looks at the stack each millisecond of processor time, and tells where it was.

Unlike a tracing profiler it costs the code under test next to nothing, so that small functions do not look large.
The time of functions written in C counts for the Python function that called them.
"""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType, TracebackType
from typing import Final

INTERVAL_S: Final = 0.001
SHOWN_COUNT: Final = 60
ROOT: Final = Path(__file__).resolve().parent.parent


class Sampler:
    """Samples within `with`, and writes what it saw to a text file at its end. Main thread only."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._own: Counter[CodeType] = Counter()
        self._lines: Counter[tuple[CodeType, int]] = Counter()
        self._all: Counter[CodeType] = Counter()

    def __enter__(self) -> Sampler:
        signal.signal(signal.SIGPROF, self._on_sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        Path(self._path).write_text(self._report())

    def _on_sample(self, number: int, frame: FrameType | None) -> None:
        if frame is None:
            return
        self._own[frame.f_code] += 1
        self._lines[frame.f_code, frame.f_lineno] += 1
        seen = set()
        above: FrameType | None = frame
        while above is not None:
            seen.add(above.f_code)
            above = above.f_back
        self._all.update(seen)

    def _report(self) -> str:
        count = self._own.total() or 1
        rows = [f"{count} samples", "", "   own    with callees"]
        for code, own in self._own.most_common(SHOWN_COUNT):
            place = f"{_short(code.co_filename)}:{code.co_firstlineno} {code.co_qualname}"
            rows.append(f"{own / count:6.1%} {self._all[code] / count:6.1%}  {place}")
        rows += ["", "   own    of lines"]
        for (code, line), own in self._lines.most_common(SHOWN_COUNT):
            rows.append(f"{own / count:6.1%}  {_short(code.co_filename)}:{line} {code.co_qualname}")
        return "\n".join(rows) + "\n"


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else "/".join(path.parts[-2:])
