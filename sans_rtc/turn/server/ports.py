"""Which ports of the relay addresses are in use, and which is next: a random one (RFC 8656 section 7.2, RFC 6056)."""

from __future__ import annotations

from sans_rtc.entropy import Entropy, draw_below
from sans_rtc.machine import Address


class PortPool:
    """The ports from `port_min` to `port_max` of each relay address. UDP and TCP share them."""

    __slots__ = ("_entropy", "_port_max", "_port_min", "_used")

    def __init__(self, port_min: int, port_max: int, entropy: Entropy) -> None:
        self._port_min = port_min
        self._port_max = port_max
        self._entropy = entropy
        self._used: set[Address] = set()

    def take(self, host: str, count: int = 1, *, is_even: bool = False) -> list[Address]:
        """Take so many ports in a row, the first of them even where asked; empty where there are none.

        The search goes on upwards from a random port, so it ends after one round.
        """
        step = 2 if is_even else 1
        first = self._port_min + (self._port_min % 2 if is_even else 0)
        choice_count = (self._port_max - count + 1 - first) // step + 1
        if choice_count <= 0:
            return []
        start = draw_below(self._entropy, choice_count)
        for turn in range(choice_count):
            port = first + (start + turn) % choice_count * step
            addresses = [Address(host, port + offset) for offset in range(count)]
            if self._used.isdisjoint(addresses):
                self._used.update(addresses)
                return addresses
        return []

    def release(self, address: Address) -> None:
        """The port can be taken again."""
        self._used.discard(address)

    def __contains__(self, address: Address) -> bool:
        return address in self._used

    def __len__(self) -> int:
        return len(self._used)
