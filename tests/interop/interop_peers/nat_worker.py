"""A program inside one namespace that makes peer connections as it is told by lines of JSON on stdin.

    it is told, with "id" and the first time "settings"      it tells, with "id"
    {"do": "offer"}                                          {"event": "description", "type", "sdp"}
    {"do": "description", "kind", "sdp"}                     {"event": "candidate", "candidate": {...} or null}
    {"do": "candidate", "candidate"}                         {"event": "state", "state"}
    {"do": "ping"}                                           {"event": "pong", "took_s", "rtt_s"}
    {"do": "explain"}                                        {"event": "explained", "relay", "cause", "text"}
    {"do": "end"}                                            {"event": "ended"}

The end that offers makes a channel; the other sends every message back.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from sans_rtc.errors import SansRtcError
from sans_rtc_asyncio import ChannelClosed, ConnectionLost, PeerConnection


class Session:
    """One connection."""

    def __init__(self, number: int, settings: dict, tell) -> None:
        self.connection = PeerConnection(**settings)
        self._tell = lambda event, **fields: tell({"id": number, "event": event, **fields})
        self._channel = None
        self._began = time.monotonic()
        self._tasks = [asyncio.create_task(self._report_states())]
        self._pinged_at = 0.0

    async def offer(self) -> None:
        self._channel = self.connection.create_data_channel("data")
        self._tasks.append(asyncio.create_task(self._use(self._channel)))
        await self._describe()

    async def description(self, kind: str, sdp: str) -> None:
        await self.connection.set_remote_description({"type": kind, "sdp": sdp})
        if kind == "offer":
            self._tasks.append(asyncio.create_task(self._echo()))
            await self._describe()

    async def candidate(self, candidate: dict | None) -> None:
        await self.connection.add_ice_candidate(candidate)

    async def ping(self) -> None:
        self._pinged_at = time.monotonic()
        await self._channel.send("ping")

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
        self._tasks.append(asyncio.create_task(self._report_candidates()))

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
                async for message in channel:
                    await channel.send(message)
        except (ChannelClosed, ConnectionLost):
            pass


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
