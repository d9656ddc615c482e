"""Child processes in groups of their own, so that ending one ends what it started and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

LINE_BYTES_MAX = 1 << 24
LAST_WORDS_BYTES = 4000


class Missing(Exception):
    """A peer is not installed on this machine."""


def find_executable(paths: Sequence[str]) -> str:
    """Return the first of the paths that is there; Missing where none is."""
    for path in paths:
        if Path(path).is_file():
            return path
    raise Missing(f"no {' or '.join(paths)}")


class Process:
    """A child with pipes to its stdin and from its stdout, and a file for its stderr."""

    def __init__(self, name: str, child: asyncio.subprocess.Process, stderr: IO[bytes]) -> None:
        self.name = name
        self._stderr = stderr
        self._child = child
        assert child.stdin is not None and child.stdout is not None
        self.stdin, self.stdout = child.stdin, child.stdout

    @classmethod
    async def start(cls, name: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> Process:
        """Start a command in a new session."""
        stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed by kill
        child = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
            limit=LINE_BYTES_MAX,
            env=env,
        )
        return cls(name, child, stderr)

    @property
    def is_running(self) -> bool:
        return self._child.returncode is None

    @property
    def last_words(self) -> str:
        """The end of what it has written to stderr."""
        if self._stderr.closed:
            return ""
        size = self._stderr.seek(0, os.SEEK_END)
        self._stderr.seek(max(0, size - LAST_WORDS_BYTES))
        return self._stderr.read().decode(errors="replace")

    async def wait(self, timeout_s: float) -> bool:
        """Wait for the child to end; False where it did not."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._child.wait()
        except TimeoutError:
            return False
        return True

    def signal(self, number: int) -> None:
        """Send a signal to the child and its descendants, where they still are."""
        try:
            os.killpg(self._child.pid, number)
        except ProcessLookupError:
            pass

    async def kill(self) -> None:
        """End the child and its descendants at once, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        self.stdin.close()
        await self._child.wait()
        self._stderr.close()
