"""What a benchmark needs of a WebRTC stack: one endpoint with one data channel, over loopback.

    offering = await stack.endpoint()           answering = await stack.endpoint()
    offer = await offering.offer()          ->  answer = await answering.answer(offer)
    await offering.accept(answer)
    await offering.opened()                     await answering.opened()

Both stacks do what their own documentation does, with their own defaults, on asyncio's own event loop.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

import attrs

HIGH_WATER_BYTES: Final = 1 << 20
LOW_WATER_BYTES: Final = 256 << 10
"""A sender pauses above the one and goes on below the other: the same for every stack."""


@attrs.define(slots=True)
class Counter:
    """What an application has received."""

    byte_count: int = 0
    message_count: int = 0


class Endpoint(Protocol):
    """One end of one connection with one reliable, ordered channel."""

    async def offer(self) -> str:
        """The offer with all candidates; makes the channel."""

    async def answer(self, offer: str) -> str:
        """The answer with all candidates."""

    async def accept(self, answer: str) -> None:
        """Take the answer."""

    async def opened(self) -> None:
        """Wait until the channel is open."""

    async def send(self, data: bytes) -> None:
        """Send one message; waits while too much is buffered."""

    def count(self, counter: Counter) -> None:
        """From now on, count every message that arrives."""

    def echo(self) -> None:
        """From now on, send every message back."""

    async def round_trip(self, data: bytes) -> None:
        """Send one message and wait for the one that comes back."""

    async def close(self) -> None:
        """End the connection."""


MakeEndpoint = Callable[[], Awaitable[Endpoint]]

# name: (module with make_endpoint, distributions whose versions a report names)
STACKS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "sans_rtc": ("benchmarks.sans_rtc_stack", ("sans-rtc", "cryptography", "google-crc32c")),
    "sans_rtc_1200": ("benchmarks.sans_rtc_1200_stack", ()),
    "sans_rtc_recorded": ("benchmarks.record_stack", ()),
    "sans_rtc_recorded_1200": ("benchmarks.record_1200_stack", ()),
    "aiortc": ("benchmarks.aiortc_stack", ("aiortc", "aioice", "pyopenssl", "google-crc32c")),
}
PEERS: Final = tuple(name for name in STACKS if name != "sans_rtc")


def load_stack(name: str) -> MakeEndpoint:
    """The function that makes endpoints of a stack; ModuleNotFoundError where it is not installed."""
    module = importlib.import_module(STACKS[name][0])
    make_endpoint: MakeEndpoint = module.make_endpoint
    return make_endpoint


async def connect(offering: Endpoint, answering: Endpoint) -> None:
    """Connect two endpoints of this process and wait until the channel is open at both."""
    await offering.accept(await answering.answer(await offering.offer()))
    await offering.opened()
    await answering.opened()


def is_linux() -> bool:
    """Whether /proc tells about processes."""
    return sys.platform == "linux"
