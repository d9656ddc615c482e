"""Two peers in this process, over real UDP on loopback: what connects, how fast, and what is wrong if it does not.

connect -> 100 bytes there and back, many times -> as much as fits into half a second -> close
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Final

import attrs

from sans_rtc.errors import LocalError
from sans_rtc_asyncio import DataChannel, PeerConnection
from sans_rtc_net.errors import ChannelClosed, ConnectionLost

ECHO_COUNT: Final = 200
ECHO_BYTES: Final = 100
BULK_MESSAGE_BYTES: Final = 16_384
BULK_S: Final = 0.5
STEP_S_MAX: Final = 15.0
END: Final = "end"


@attrs.frozen(slots=True)
class CheckRow:
    """One line of the table: what was done, its figure with the unit, and a note."""

    name: str
    figure: str
    note: str = ""


@attrs.frozen(slots=True)
class CheckReport:
    """What came of the check; `failure` is empty where all went well."""

    rows: Sequence[CheckRow]
    failure: str = ""


def make_loopback_peer(name: str = "") -> PeerConnection:
    """A peer whose only address is 127.0.0.1."""
    return PeerConnection(bind="127.0.0.1", name=name)


async def check(make_peer: Callable[[str], PeerConnection] = make_loopback_peer) -> CheckReport:
    """Connect two peers, measure what they do, and close them; what goes wrong is told in the report."""
    pair = _Pair(make_peer)
    rows = []
    try:
        for name, step in pair.steps():
            figure, note = await _in_time(step)
            rows.append(CheckRow(name, figure, note))
    except (LocalError, OSError, ChannelClosed) as error:  # OSError: with timeouts and lost connections
        reason = str(error) or f"nothing came of it in {STEP_S_MAX:g} s"
        return CheckReport(rows, f"{name}: {reason}\n\n{pair.explain()}")
    finally:
        pair.abort()
    return CheckReport(rows)


def table(rows: Sequence[CheckRow]) -> str:
    """The rows as aligned text."""
    name_width = max((len(row.name) for row in rows), default=0)
    figure_width = max((len(row.figure) for row in rows), default=0)
    return "\n".join(f"  {row.name:<{name_width}}   {row.figure:>{figure_width}}   {row.note}".rstrip() for row in rows)


Step = Callable[[], Coroutine[None, None, tuple[str, str]]]


class _Pair:
    """Two peers and a channel between them; each step gives a figure and a note."""

    def __init__(self, make_peer: Callable[[str], PeerConnection]) -> None:
        self._make_peer = make_peer
        self._peers: list[PeerConnection] = []
        self._near: DataChannel
        self._far: DataChannel

    def steps(self) -> list[tuple[str, Step]]:
        """What is done, in order."""
        return [
            ("Connected in", self._connect),
            ("Round trip", self._echo),
            ("Speed", self._bulk),
            ("Closed in", self._close),
        ]

    def explain(self) -> str:
        """What both peers say about themselves."""
        return "\n\n".join(f"{peer.explain()}" for peer in self._peers)

    def abort(self) -> None:
        """End what has not ended."""
        for peer in self._peers:
            peer.abort()

    async def _connect(self) -> tuple[str, str]:
        started_at = time.perf_counter()
        offering, answering = self._peers = [self._make_peer("offering"), self._make_peer("answering")]
        self._near = offering.create_data_channel("check")
        await offering.set_local_description()
        await answering.set_remote_description(_description(offering))
        await answering.set_local_description()
        await offering.set_remote_description(_description(answering))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_tell_candidates(offering, answering))
            tasks.create_task(_tell_candidates(answering, offering))
            self._far = await anext(answering.incoming_channels())
            await self._near.opened()
        return f"{(time.perf_counter() - started_at) * 1e3:.0f} ms", "from nothing to an open data channel"

    async def _echo(self) -> tuple[str, str]:
        async def send_back() -> None:
            for _ in range(ECHO_COUNT):
                await self._far.send(await self._far.receive())

        data = os.urandom(ECHO_BYTES)
        durations_s = []
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send_back())
            for _ in range(ECHO_COUNT):
                started_at = time.perf_counter()
                await self._near.send(data)
                if await self._near.receive() != data:
                    raise ConnectionLost("a message came back changed", reason="changed")
                durations_s.append(time.perf_counter() - started_at)
        note = f"median of {ECHO_COUNT} echoes of {ECHO_BYTES} bytes"
        return f"{statistics.median(durations_s) * 1e3:.2f} ms", note

    async def _bulk(self) -> tuple[str, str]:
        async def send_much() -> None:
            data = os.urandom(BULK_MESSAGE_BYTES)
            ends_at = time.perf_counter() + BULK_S
            while time.perf_counter() < ends_at:
                await self._near.send(data)
            await self._near.send(END)

        byte_count = 0
        async with asyncio.TaskGroup() as tasks:
            started_at = time.perf_counter()
            tasks.create_task(send_much())
            while (message := await self._far.receive()) != END:
                byte_count += len(message)
            duration_s = time.perf_counter() - started_at
        return f"{byte_count / duration_s / 1e6:.1f} MB/s", f"one way, in messages of {BULK_MESSAGE_BYTES // 1024} KiB"

    async def _close(self) -> tuple[str, str]:
        started_at = time.perf_counter()
        reports = await asyncio.gather(*(peer.close() for peer in self._peers))
        unconfirmed = sum(report.unacknowledged_bytes for report in reports)
        if unconfirmed:
            raise ConnectionLost(f"{unconfirmed} bytes were sent and never confirmed", reason="unconfirmed")
        return f"{(time.perf_counter() - started_at) * 1e3:.0f} ms", "everything sent was confirmed"


async def _in_time(step: Step) -> tuple[str, str]:
    """Run a step; of several errors at once, the first one counts."""
    try:
        async with asyncio.timeout(STEP_S_MAX):
            return await step()
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


def _description(peer: PeerConnection) -> dict[str, str]:
    description = peer.local_description
    assert description is not None
    return {"type": description.type, "sdp": description.sdp}


async def _tell_candidates(source: PeerConnection, destination: PeerConnection) -> None:
    async for candidate in source.local_candidates():
        await destination.add_ice_candidate(candidate)
    await destination.add_ice_candidate(None)
