"""A network namespace with nothing but loopback, so that no packet of the suite can leave the machine.

The calling thread enters it, and the processes and threads it starts from then on are in it too. The default route over
loopback makes connect() to a public address succeed: Firefox looks for its own address in that way, and without one it
gathers nothing.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000
COMMANDS = (
    "ip link set lo up",
    "ip route add default dev lo src 127.0.0.1",
    "ip -6 route add default dev lo src ::1",
)


@contextmanager
def loopback_only() -> Iterator[str]:
    """Be in a namespace of its own where the machine lets us, and say where we are."""
    libc = ctypes.CDLL(None, use_errno=True)
    outside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            yield f"the machine's own network ({os.strerror(ctypes.get_errno())})"
            return
        try:
            if _bring_up():
                yield "a network namespace with loopback only"
                return
        finally:
            assert libc.setns(outside, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        yield "the machine's own network (loopback does not come up in a new namespace)"
    finally:
        os.close(outside)


def _bring_up() -> bool:
    try:
        done = [subprocess.run(command.split(), capture_output=True, timeout=10).returncode for command in COMMANDS]
    except FileNotFoundError:
        return False
    return done[:2] == [0, 0]  # without IPv6 the third fails, which does no harm
