"""This project's own connection behind the interface of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import attrs

from interop_peers.messages import Message, content, digest
from interop_peers.session import WAIT_TIMEOUT_S, PeerError, Session
from sans_rtc.errors import SansRtcError
from sans_rtc.ice.config import IceConfig
from sans_rtc.peer.config import PeerConfig
from sans_rtc_asyncio import DataChannel, Description, PeerConnection


class LocalSession(Session):
    """One `sans_rtc_asyncio.PeerConnection` in the process of the tests, for data."""

    name = "ours"

    def __init__(self, connection: PeerConnection) -> None:
        super().__init__()
        self.connection = connection
        self._open: dict[str, DataChannel] = {}
        self._echoed: set[str] = set()
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, **ice: float) -> LocalSession:
        """Make a connection on loopback; `ice` are fields of IceConfig that shall differ from the defaults."""
        config = PeerConfig(ice=attrs.evolve(IceConfig(), **ice), accepts_media=False)
        session = cls(PeerConnection(config, bind="127.0.0.1"))
        session._start(session._report_states())
        session._start(session._report_channels())
        return session

    async def request(self, do: str, **arguments: object) -> object:
        try:
            return await getattr(self, "_on_" + do.replace("-", "_"))(**arguments)
        except SansRtcError as error:
            raise PeerError(f"{type(error).__name__}: {error}") from error

    async def end(self) -> None:
        self.connection.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.bug is not None:
            raise self.bug

    async def until_generation(self, number: int) -> None:
        """Wait until data travel on a path of this ICE generation: 0, and one more with every restart."""
        async with asyncio.timeout(WAIT_TIMEOUT_S):
            while True:
                selected = self.connection.explain().ice.selected
                if selected is not None and selected.generation == number:
                    return
                await asyncio.sleep(0.01)

    # -- requests ------------------------------------------------------------------------------------------------------

    async def _on_offer(self, trickle: bool, restart: bool) -> dict[str, str]:
        if restart:
            self.connection.restart_ice()
        return await self._describe(await self.connection.create_offer(), trickle)

    async def _on_answer(self, sdp: str, trickle: bool) -> dict[str, str]:
        await self.connection.set_remote_description({"type": "offer", "sdp": sdp})
        return await self._describe(await self.connection.create_answer(), trickle)

    async def _on_accept(self, sdp: str) -> None:
        await self.connection.set_remote_description({"type": "answer", "sdp": sdp})

    async def _on_candidate(self, candidate: dict | None) -> None:
        await self.connection.add_ice_candidate(candidate)

    async def _on_create_channel(self, label: str, **options: object) -> None:
        lifetime_ms = options.get("maxPacketLifeTime")
        channel = self.connection.create_data_channel(
            label,
            ordered=options["ordered"],
            protocol=options["protocol"],
            max_retransmits=options.get("maxRetransmits"),
            max_packet_life_time_s=None if lifetime_ms is None else lifetime_ms / 1000,
            negotiated_id=options.get("negotiated"),
        )
        self._start(self._report_channel(channel))

    async def _on_send_all(self, label: str, messages: list[list]) -> None:
        for message in messages:
            await self._open[label].send(content(Message(*message)))

    async def _on_echo(self, label: str) -> None:
        self._echoed.add(label)

    async def _on_close_channel(self, label: str) -> None:
        await self._open[label].close()

    async def _on_close(self) -> None:
        await self.connection.close()

    async def _on_describe(self) -> str:
        return f"{self.connection.connection_state}\n{self.connection.explain()}"

    # -- events --------------------------------------------------------------------------------------------------------

    async def _describe(self, description: Description, trickle: bool) -> dict[str, str]:
        await self.connection.set_local_description(description)
        if not trickle:
            await self.connection.gathering_complete()
            description = self.connection.local_description or description
        else:
            self._start(self._report_candidates())
        return {"sdp": description.sdp}

    async def _report_states(self) -> None:
        connection = self.connection
        async for state in connection.connection_states():
            self.on_event({"event": "state", "connection": str(state), "ice": str(connection.ice_connection_state)})

    async def _report_candidates(self) -> None:
        async for candidate in self.connection.local_candidates():
            self.on_event({"event": "candidate", "candidate": candidate.as_dict()})
        self.on_event({"event": "candidate", "candidate": None})

    async def _report_channels(self) -> None:
        async for channel in self.connection.incoming_channels():
            self._start(self._report_channel(channel))

    async def _report_channel(self, channel: DataChannel) -> None:
        await channel.opened()
        label = channel.label
        self._open[label] = channel
        info = self.connection.session.machine.channel(channel._inbox.handle)
        self.on_event(
            {
                "event": "open",
                "label": label,
                "id": channel.id,
                "ordered": info.ordered,
                "protocol": channel.protocol,
                "maxRetransmits": info.max_retransmits,
                "maxPacketLifeTime": None if info.lifetime_s is None else round(info.lifetime_s * 1000),
            }
        )
        try:
            async for message in channel:
                self.on_event({"event": "received", "label": label, "messages": [digest(message)]})
                if label in self._echoed:
                    await channel.send(message)
        finally:
            self.on_event({"event": "closed", "label": label})

    def _start(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        task.add_done_callback(self._on_done)
        self._tasks.append(task)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, SansRtcError):
            self.on_bug(error)
