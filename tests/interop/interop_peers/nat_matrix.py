"""All pairs of hosts of a small internet, connected through their workers a few at a time."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import attrs

from interop_peers.processes import Process

ROOT = Path(__file__).resolve().parents[3]
WORKER = Path(__file__).with_name("nat_worker.py")
# Generous: a machine three times slower, and gathering that waits 6.5 s for servers it cannot reach.
CONNECT_S_MAX = 40.0
FAIL_S_MAX = 60.0
START_S_MAX = 20.0
SETTLE_S, SETTLE_ROUNDS = 0.3, 10


def environment() -> dict[str, str]:
    """Where the worker finds the packages, from wherever it is started."""
    places = [str(ROOT), str(ROOT / "adapters"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in places if place)}


@attrs.frozen
class Result:
    """What came of a pair.

    relays   how the relays are reached that the selected path runs over, at either end: "udp", "tcp", "tls"
    took_s   from the offer to the first message that came back; None where none did
    causes   the likely causes as both ends tell them
    """

    relays: tuple[str, ...]
    took_s: float | None
    causes: tuple[str, str]
    texts: tuple[str, str]
    errors: tuple[str, ...]


class Worker:
    """The process in one namespace."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._listeners: dict[int, Callable[[dict], None]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, name: str, command: Sequence[str]) -> Worker:
        return cls(await Process.start(name, command, environment()))

    def listen(self, number: int, listener: Callable[[dict], None]) -> None:
        """Hand everything that session `number` tells to the listener."""
        self._listeners[number] = listener

    def say(self, do: str, number: int, **fields: object) -> None:
        self.process.stdin.write(json.dumps({"do": do, "id": number, **fields}).encode() + b"\n")

    async def kill(self) -> None:
        self._reading.cancel()
        await self.process.kill()

    async def _read(self) -> None:
        while raw := await self.process.stdout.readline():
            line = json.loads(raw)
            listener = self._listeners.get(line["id"])
            if listener is not None:
                listener(line)
        for listener in self._listeners.values():
            listener({"event": "worker ended", "text": f"{self.process.name}: {self.process.last_words}"})


class Attempt:
    """Two workers' sessions with one number, signalling passed from pipe to pipe."""

    def __init__(self, number: int, first: Worker, second: Worker, settings: Sequence[Mapping[str, object]]) -> None:
        self.number = number
        self.workers = (first, second)
        self.settings = settings
        self.pongs: list[dict] = []
        self.states: list[list[str]] = [[], []]
        self.explanations: list[dict | None] = [None, None]
        self.errors: list[str] = []
        self.transfers: dict[str, dict] = {}
        self.changed = asyncio.Event()
        self._has_settings = [False, False]
        for end, worker in enumerate(self.workers):
            worker.listen(number, lambda line, end=end: self._on_line(end, line))

    def say(self, end: int, do: str, **fields: object) -> None:
        """Tell one end's worker something; the first thing brings the settings."""
        if not self._has_settings[end]:
            self._has_settings[end] = True
            fields["settings"] = self.settings[end]
        self.workers[end].say(do, self.number, **fields)

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for a condition on the above; False where it does not come."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            return False
        return True

    async def through(self, timeout_s: float = CONNECT_S_MAX) -> bool:
        """Connect; True once both ends are connected and a message has come back."""
        self.say(0, "offer")
        return await self.until(lambda: self._is_through or self._is_over, timeout_s) and self._is_through

    async def until_settled(self) -> None:
        """Let a better path be found, where there is one: both ends have chosen, and say the same a second time."""
        last = None
        for _ in range(SETTLE_ROUNDS):
            result = await self.explain()
            if last is not None and result.relays == last.relays:
                return
            last = result
            await asyncio.sleep(SETTLE_S)

    async def explain(self) -> Result:
        """Ask both ends how they stand."""
        self.explanations = [None, None]
        for end in (0, 1):
            self.say(end, "explain")
        await self.until(lambda: None not in self.explanations or bool(self.errors), START_S_MAX)
        told = [explanation or {} for explanation in self.explanations]
        return Result(
            relays=tuple(each["relay"] for each in told if each.get("relay")),
            took_s=self.pongs[0]["took_s"] if self.pongs else None,
            causes=tuple(each.get("cause", "no answer") for each in told),
            texts=tuple(each.get("text", "no answer") for each in told),
            errors=tuple(self.errors),
        )

    async def ping(self, timeout_s: float) -> bool:
        """Send one more message there and back."""
        count = len(self.pongs)
        self.say(0, "ping")
        return await self.until(lambda: len(self.pongs) > count, timeout_s)

    def end(self) -> None:
        for end in (0, 1):
            self.say(end, "end")

    @property
    def _is_through(self) -> bool:
        return bool(self.pongs) and all("connected" in states for states in self.states)

    @property
    def _is_over(self) -> bool:
        return bool(self.errors) or all(states and states[-1] in ("failed", "closed") for states in self.states)

    def _on_line(self, end: int, line: dict) -> None:
        match line["event"]:
            case "description":
                self.say(1 - end, "description", kind=line["type"], sdp=line["sdp"])
            case "candidate":
                self.say(1 - end, "candidate", candidate=line["candidate"])
            case "state":
                self.states[end].append(line["state"])
            case "pong":
                self.pongs.append(line)
            case "explained":
                self.explanations[end] = line
            case "progress" | "received" as kind:
                self.transfers[kind] = line
            case "error" | "worker ended":
                self.errors.append(line["text"])
        self.changed.set()


async def connect_all(
    commands: Mapping[str, Sequence[Sequence[str]]],
    settings: Callable[[str], Mapping[str, object]],
    pairs: Sequence[tuple[str, str]],
    *,
    at_once: int,
) -> dict[tuple[str, str], Result]:
    """Connect every pair of kinds and say what came of each.

    commands  for each kind the command lines of its two hosts' workers
    settings  of a peer connection of a kind, keyword arguments of PeerConnection
    """
    workers = {kind: [await Worker.start(kind, command) for command in both] for kind, both in commands.items()}
    gate, numbers, results = asyncio.Semaphore(at_once), itertools.count(1), {}

    async def connect(first: str, second: str) -> None:
        async with gate:
            ends = workers[first][0], workers[second][1]
            attempt = Attempt(next(numbers), *ends, (settings(first), settings(second)))
            await attempt.through()
            await attempt.until_settled()
            results[first, second] = await attempt.explain()
            attempt.end()

    try:
        async with asyncio.TaskGroup() as tasks:
            for pair in pairs:
                tasks.create_task(connect(*pair))
    finally:
        for worker in itertools.chain.from_iterable(workers.values()):
            await worker.kill()
    return results


def worker_command() -> list[str]:
    """What runs a worker."""
    return [sys.executable, str(WORKER)]
