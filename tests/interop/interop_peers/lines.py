"""Peers that are programs of their own and speak JSON lines: aiortc in Python, pion in Go."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from interop_peers.processes import Missing, Process
from interop_peers.session import REQUEST_TIMEOUT_S, Host, PeerError, Session


class LinesProcess:
    """A running program: requests are numbered, answers carry the number, events do not."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.session: LinesSession | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[object]] = {}
        self._reader = asyncio.create_task(self._read())

    @property
    def is_running(self) -> bool:
        return self.process.is_running and not self._reader.done()

    async def request(self, do: str, **arguments: object) -> object:
        if not self.is_running:
            raise PeerError(f"{self.process.name} has ended\n{self.process.last_words}")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        self.process.stdin.write(json.dumps({"id": number, "do": do, **arguments}).encode() + b"\n")
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            return await answer

    async def stop(self) -> None:
        await self.process.kill()
        await self._reader

    async def _read(self) -> None:
        while line := await self.process.stdout.readline():
            message = json.loads(line)
            if "event" not in message:
                self._answer(message)
            elif self.session is not None:
                self.session.on_event(message)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(PeerError(f"{self.process.name} has ended\n{self.process.last_words}"))

    def _answer(self, message: dict) -> None:
        answer = self._waiting.pop(message["id"], None)
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(PeerError(message["error"]))
        else:
            answer.set_result(message["value"])


class LinesSession(Session):
    """One connection in such a program, which has one at a time."""

    def __init__(self, host: LinesHost, program: LinesProcess) -> None:
        super().__init__()
        self.name, self.largest = host.name, host.largest
        self.can_restart, self.can_be_denied_media = host.can_restart, host.can_be_denied_media
        self.lacks = host.lacks
        self._host, self._program = host, program

    async def request(self, do: str, **arguments: object) -> object:
        return await self._program.request(do, **arguments)

    @property
    def process(self) -> Process:
        return self._program.process

    async def kill(self) -> None:
        await self._program.stop()

    async def end(self) -> None:
        self._program.session = None
        if self._program.is_running:
            await self._program.request("media-end")  # else it would go on sending until it is asked for another
            self._host.idle.append(self._program)


class LinesHost(Host):
    """As many processes as there are sessions at a time; an idle one is used again."""

    can_restart = True
    can_be_denied_media = True
    lacks: frozenset[str] = frozenset()

    def __init__(self, name: str, largest: int) -> None:
        self.name, self.largest = name, largest
        self.idle: list[LinesProcess] = []
        self._all: list[LinesProcess] = []

    async def command(self) -> Sequence[str]:
        """Say how the program is started; Missing without it."""
        raise NotImplementedError

    async def open_session(self, configuration: dict | None = None) -> Session:
        command = await self.command()
        program = self.idle.pop() if self.idle else await self._start(command)
        await program.request("open")
        program.session = LinesSession(self, program)  # only now: its last connection has nothing more to say
        return program.session

    async def stop(self) -> None:
        for program in self._all:
            await program.stop()

    async def _start(self, command: Sequence[str]) -> LinesProcess:
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        program = LinesProcess(await Process.start(self.name, command, env))
        self._all.append(program)
        return program


class Aiortc(LinesHost):
    """aiortc under the Python that runs the tests."""

    can_restart = False
    can_be_denied_media = False  # it wants ICE credentials even in sections that are rejected
    asks_once = True
    # As the answerer it takes the offerer's payload types, offers others later, and goes on sending the first ones.
    lacks = frozenset({"media-replace", "media-stop", "keyFramesDecoded", "offers after answers"})

    def __init__(self) -> None:
        super().__init__("aiortc", largest=262_144)

    async def command(self) -> Sequence[str]:
        if importlib.util.find_spec("aiortc") is None:
            raise Missing("aiortc is not installed (pip install aiortc==1.16.0)")
        return [sys.executable, "-m", "interop_peers.aiortc_peer"]
