"""A network namespace with nothing but loopback, so that no packet of the suite can leave the machine.

The calling thread enters it for one test at a time, and the processes that it starts there stay there. The default
route over loopback makes connect() to a public address succeed: Firefox looks for its own address in that way, and
without one it gathers nothing.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from .processes import Missing

CLONE_NEWNET = 0x40000000
COMMANDS = (
    "ip link set lo up",
    "ip route add default dev lo src 127.0.0.1",
    "ip -6 route add default dev lo src ::1",
)


class LoopbackNetwork:
    """A namespace of our own where the machine lets us make one, else the network that is there.

    description  which of the two, and why
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._outside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._inside: int | None = None
        self._is_entered = False
        self.description = self._make()

    @property
    def is_alone(self) -> bool:
        """True where there is a namespace of our own to enter."""
        return self._inside is not None

    def require_alone(self) -> None:
        """Raise Missing where there is no namespace of our own to enter."""
        if not self.is_alone:
            raise Missing(f"needs a network with nothing but loopback, and this is {self.description}")

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside, and outside again at the end of the outermost."""
        if self._inside is None or self._is_entered:
            yield
            return
        self._move(self._inside)
        self._is_entered = True
        try:
            yield
        finally:
            self._is_entered = False
            self._move(self._outside)

    def close(self) -> None:
        """Let go of the namespace; it ends with its last process."""
        os.close(self._outside)
        if self._inside is not None:
            os.close(self._inside)
            self._inside = None

    def _make(self) -> str:
        if self._libc.unshare(CLONE_NEWNET) != 0:
            return f"the machine's own network ({os.strerror(ctypes.get_errno())})"
        try:
            if not _bring_up():
                return "the machine's own network (loopback does not come up in a new namespace)"
            self._inside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            return "a network namespace with loopback only"
        finally:
            self._move(self._outside)

    def _move(self, namespace: int) -> None:
        if self._libc.setns(namespace, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _bring_up() -> bool:
    try:
        done = [subprocess.run(command.split(), capture_output=True, timeout=10).returncode for command in COMMANDS]
    except FileNotFoundError:
        return False
    return done[:2] == [0, 0]  # without IPv6 the third fails, which does no harm
