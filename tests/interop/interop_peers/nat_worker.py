"""A program inside one namespace that makes peer connections as it is told by lines of JSON on stdin.

    it is told, with "id" and the first time "settings"      it tells, with "id"
    {"do": "offer"}                                          {"event": "description", "type", "sdp"}
    {"do": "description", "kind", "sdp"}                     {"event": "candidate", "candidate": {...} or null}
    {"do": "candidate", "candidate"}                         {"event": "state", "state"}
    {"do": "ping"}                                           {"event": "pong", "took_s", "rtt_s"}
    {"do": "transfer", "count", "size"}                      {"event": "sent"}
                                                             {"event": "progress", "count", "gap_s"}   now and then
                                                             {"event": "received", "count", "digest", "gap_s"}
    {"do": "explain"}                                        {"event": "explained", "relay", "cause", "text"}
    {"do": "end"}                                            {"event": "ended"}

The end that offers makes a channel; the other sends every text back, counts every message of bytes, and says what it
got when the empty one has come. Where the machine asks for a new offer, either end makes one.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time

from sans_rtc.errors import SansRtcError
from sans_rtc_asyncio import ChannelClosed, ConnectionLost, PeerConnection

PROGRESS_MESSAGES = 100
NEGOTIATION_POLL_S = 0.05


class Session:
    """One connection."""

    def __init__(self, number: int, settings: dict, tell) -> None:
        self.connection = PeerConnection(**settings)
        self._tell = lambda event, **fields: tell({"id": number, "event": event, **fields})
        self._channel = None
        self._began = time.monotonic()
        self._tasks = [asyncio.create_task(self._report_states())]
        self._pinged_at = 0.0
        self._is_described = False
        self._count, self._digest, self._gap_s, self._came_at = 0, hashlib.sha256(), 0.0, 0.0

    async def offer(self) -> None:
        self._channel = self.connection.create_data_channel("data")
        self._tasks.append(asyncio.create_task(self._use(self._channel)))
        await self._describe()

    async def description(self, kind: str, sdp: str) -> None:
        await self.connection.set_remote_description({"type": kind, "sdp": sdp})
        if kind == "offer":
            if not self._is_described:
                self._tasks.append(asyncio.create_task(self._echo()))
            await self._describe()

    async def candidate(self, candidate: dict | None) -> None:
        await self.connection.add_ice_candidate(candidate)

    async def ping(self) -> None:
        self._pinged_at = time.monotonic()
        await self._channel.send("ping")

    async def transfer(self, count: int, size: int) -> None:
        self._tasks.append(asyncio.create_task(self._transfer(count, size)))

    def explain(self) -> None:
        explanation = self.connection.explain()
        selected = explanation.ice.selected
        self._tell(
            "explained",
            text=str(explanation),
            cause=explanation.likely_cause,
            state=str(self.connection.connection_state),
            local=None if selected is None else str(selected.local.type),
            relay=None if selected is None else relay_protocol(explanation),
        )

    def end(self) -> None:
        self.connection.abort()
        for task in self._tasks:
            task.cancel()
        self._tell("ended")

    async def _describe(self) -> None:
        await self.connection.set_local_description()
        description = self.connection.local_description
        self._tell("description", type=str(description.type), sdp=description.sdp)
        if not self._is_described:
            self._is_described = True
            self._tasks += [asyncio.create_task(work) for work in (self._report_candidates(), self._negotiate())]

    async def _negotiate(self) -> None:
        session = self.connection.session
        session.is_negotiation_needed = False
        while True:
            await asyncio.sleep(NEGOTIATION_POLL_S)
            if session.is_negotiation_needed and str(self.connection.signaling_state) == "stable":
                session.is_negotiation_needed = False
                await self._describe()

    async def _transfer(self, count: int, size: int) -> None:
        for number in range(count):
            await self._channel.send(message(number, size))
        await self._channel.send(b"")
        self._tell("sent")

    async def _report_candidates(self) -> None:
        async for candidate in self.connection.local_candidates():
            self._tell("candidate", candidate=candidate.as_dict())
        self._tell("candidate", candidate=None)

    async def _report_states(self) -> None:
        async for state in self.connection.connection_states():
            self._tell("state", state=str(state))

    async def _use(self, channel) -> None:
        try:
            await channel.opened()
            await self.ping()
            async for _ in channel:
                self._tell("pong", took_s=time.monotonic() - self._began, rtt_s=time.monotonic() - self._pinged_at)
        except (ChannelClosed, ConnectionLost):
            pass

    async def _echo(self) -> None:
        try:
            async for channel in self.connection.incoming_channels():
                async for data in channel:
                    if isinstance(data, str):
                        await channel.send(data)
                    else:
                        self._take(data)
        except (ChannelClosed, ConnectionLost):
            pass

    def _take(self, data: bytes) -> None:
        now = time.monotonic()
        if self._came_at:
            self._gap_s = max(self._gap_s, now - self._came_at)
        self._came_at = now
        if data:
            self._count += 1
            self._digest.update(data)
        if self._count % PROGRESS_MESSAGES == 0 or not data:
            event = "progress" if data else "received"
            self._tell(event, count=self._count, gap_s=self._gap_s, digest=self._digest.hexdigest())


def message(number: int, size: int) -> bytes:
    """A message of a transfer: every one is another."""
    return (number.to_bytes(4, "big") * (size // 4 + 1))[:size]


def relay_protocol(explanation) -> str | None:
    """How the relay is reached that the selected path begins at; None where it begins at no relay."""
    local = explanation.ice.selected.path.local
    return next((relay.path.protocol for relay in explanation.ice.relays if local in relay.relayed), None)


async def main() -> None:
    """Serve stdin until it ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 22)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    sessions: dict[int, Session] = {}

    def tell(line: dict) -> None:
        print(json.dumps(line), flush=True)

    while line := await reader.readline():
        request = json.loads(line)
        do, number = request.pop("do"), request.pop("id")
        settings = request.pop("settings", {})
        try:
            if number not in sessions:
                sessions[number] = Session(number, settings, tell)
            done = getattr(sessions[number], do)(**request)
            if done is not None:
                await done
            if do == "end":
                del sessions[number]
        except (SansRtcError, OSError) as error:
            tell({"id": number, "event": "error", "text": f"{do}: {error!r}"})
    for session in sessions.values():
        session.end()


if __name__ == "__main__":
    asyncio.run(main())
