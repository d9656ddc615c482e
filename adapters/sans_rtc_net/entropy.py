"""The system's entropy, as the `entropy` argument that every machine asks for."""

from __future__ import annotations

import os

from sans_rtc.entropy import Entropy

# No pool in front of it: a pool would be copied by fork(), and parent and child would then draw equal keys. A session
# draws a few hundred bytes, so the system call (about a microsecond) costs nothing.
system_entropy: Entropy = os.urandom
"""Returns the asked number of bytes from the operating system's generator."""
