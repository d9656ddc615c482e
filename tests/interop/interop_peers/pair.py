"""Our peer and a foreign one, one of them offering: what every test of the suite works with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs

from interop_peers.messages import Digest, Message, digests
from interop_peers.session import Session
from interop_peers.signalling import signalling


@attrs.define
class Pair:
    """Two sessions of two peers."""

    ours: Session
    theirs: Session
    offerer: Session
    answerer: Session

    @property
    def ends(self) -> tuple[Session, Session]:
        return self.ours, self.theirs

    @property
    def largest(self) -> int:
        """The largest message that both take."""
        return min(self.ours.largest, self.theirs.largest)

    @asynccontextmanager
    async def connected(self, label: str = "data", *, trickle: bool = True, **options: object) -> AsyncIterator[None]:
        """Connect with one channel, made by the offerer, and run the block once both ends have it open."""
        await self.offerer.create_channel(label, **options)
        if options.get("negotiated") is not None:
            await self.answerer.create_channel(label, **options)
        async with signalling(self.offerer, self.answerer, trickle=trickle):
            for end in self.ends:
                await end.until_open(label)
            yield

    async def exchange(
        self, label: str, from_us: Sequence[Message], from_them: Sequence[Message]
    ) -> tuple[list[Digest], list[Digest]]:
        """Send both ways at the same time; return what has arrived at us and at them."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.ours.send_all(label, from_us))
            tasks.create_task(self.theirs.send_all(label, from_them))
            at_us = tasks.create_task(self.ours.until_received(label, len(from_them)))
            at_them = tasks.create_task(self.theirs.until_received(label, len(from_us)))
        return at_us.result(), at_them.result()

    async def assert_carries(self, label: str) -> None:
        """Send a few small messages both ways and compare."""
        messages = [Message("t", 20, 0), Message("b", 20, 5)]
        at_us, at_them = await self.exchange(label, messages, messages)
        assert digests(messages) == at_us == at_them

    async def report(self) -> str:
        """Say how both stand, for the person who reads of a failed test."""
        return "\n\n".join([await _report(end) for end in self.ends])


async def _report(session: Session) -> str:
    try:
        async with asyncio.timeout(3):
            state = await session.describe()
    except Exception as error:  # a killed peer, a page that crashed: any trouble is part of the report
        state = f"cannot be asked: {error!r}"
    history = "\n".join(f"  {at:.3f} {event}" for at, event in session.history)
    counts = {label: len(messages) for label, messages in session.received.items()}
    return f"{session.name}: {state}\n  received {counts}\n{history}"
