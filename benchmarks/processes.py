"""Starts the measured processes and talks with them; none outlives its time."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

REPLY_S_MAX: Final = 30.0
ROOT: Final = Path(__file__).resolve().parent.parent

Line = dict[str, object]


class WorkerFailed(Exception):
    """A measured process ended, or did not answer in time; the text says which and what it printed."""


class Worker:
    """One process that answers lines of JSON with lines of JSON."""

    def __init__(self, stack: str, *, profile: str = "", command: Sequence[str] = ()) -> None:
        """Start it; command: another program than the worker of transfers, which `stack` then only names."""
        self._stack = stack
        self._process = subprocess.Popen(
            command or _command("transfer", stack, profile),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=_environment(),
        )
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, do: str, **parameters: object) -> Line:
        """Ask for one thing and wait for the answer."""
        self.begin(do, **parameters)
        return self.answer(do)

    def begin(self, do: str, **parameters: object) -> None:
        """Ask for one thing; `answer` gives the answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **parameters}) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise WorkerFailed(f"{self._stack}: the process ended before {do!r}") from None

    def answer(self, do: str) -> Line:
        """The answer to the oldest unanswered request."""
        try:
            line = self._lines.get(timeout=REPLY_S_MAX)
        except queue.Empty:
            raise WorkerFailed(f"{self._stack}: no answer to {do!r} in {REPLY_S_MAX:.0f} s") from None
        if not line:
            raise WorkerFailed(f"{self._stack}: the process ended during {do!r}")
        answer: Line = json.loads(line)
        return answer

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the process end by itself for a moment, then end it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(OSError):  # it has ended before it has read all
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5.0 if error is None else 0.1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as output:
            for line in output:
                self._lines.put(line)
        self._lines.put("")


def run_once(what: str, stack: str, arguments: list[str], *, timeout_s: float, profile: str = "") -> Line:
    """Run a process that makes one measurement by itself, and return its result."""
    command = [*_command(what, stack, profile), *arguments]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, timeout=timeout_s, cwd=ROOT, env=_environment(), check=True
        )
    except subprocess.TimeoutExpired:
        raise WorkerFailed(f"{stack}: {what} took longer than {timeout_s:.0f} s") from None
    except subprocess.CalledProcessError as error:
        raise WorkerFailed(f"{stack}: {what} ended with status {error.returncode}") from None
    result: Line = json.loads(done.stdout)
    return result


def _command(what: str, stack: str, profile: str) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.worker", what, "--stack", stack]
    return [*command, "--profile", profile] if profile else command


def _environment() -> dict[str, str]:
    places = [str(ROOT), str(ROOT / "adapters"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in places if place)}
