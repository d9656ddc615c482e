"""The Python ends of the page's connections: one session a page, few at a time, none for longer than it is used.

A session answers the page's offer, takes its candidates, hands out its own, and serves the channels that the page
opens (`demo_services`) and the audio and video that it sends (`demo_media`).
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus

import attrs

from sans_rtc.errors import LocalError
from sans_rtc_asyncio import DataChannel, PeerConnection
from sans_rtc_demo.demo_guard import RequestRefused
from sans_rtc_demo.demo_media import MediaService, sources
from sans_rtc_demo.demo_services import SERVICES
from sans_rtc_net.candidates import IceCandidate
from sans_rtc_net.errors import ChannelClosed, ConnectionLost


@attrs.frozen(slots=True)
class SessionLimits:
    """How much of this machine the pages may use together.

    session_count_max    connections at a time; more are refused with 503
    channel_count_max    open channels of one session; more are closed at once
    candidate_count_max  candidates taken from one page
    ended_count_max      sessions that can still be explained after their end; the oldest are forgotten
    idle_s               a session that has received nothing for so long is closed (an open page sends all the time)
    long_poll_s          how long a question for new candidates waits for one
    close_s              how long a graceful end may take before it is made at once
    """

    session_count_max: int = 16
    channel_count_max: int = 8
    candidate_count_max: int = 256
    ended_count_max: int = 8
    idle_s: float = 60.0
    long_poll_s: float = 10.0
    close_s: float = 0.5


class Session:
    """One page's connection. `run` is its life; the rest are the page's requests."""

    def __init__(
        self, peer: PeerConnection, limits: SessionLimits, on_closed: Callable[[PeerConnection], None] | None = None
    ) -> None:
        self.id = secrets.token_urlsafe(16)
        self._peer = peer
        self._on_closed = on_closed
        self._limits = limits
        self._media = MediaService(peer, self._note_use)
        self._remote_candidate_count = 0
        self._local_candidates: list[IceCandidate] = []
        self._local_candidates_changed = asyncio.Condition()
        self._is_gathering_over = False
        self._channel_count = 0
        self._used_at = asyncio.get_running_loop().time()

    async def answer(self, offer: str) -> str:
        """Take the SDP of the page's offer and give that of the answer; RequestRefused where the offer is no good."""
        try:
            await self._peer.set_remote_description({"type": "offer", "sdp": offer})
            self._media.accept()
            await self._peer.set_local_description()
        except LocalError as error:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, f"The offer cannot be answered: {error}") from error
        except OSError as error:
            text = f"Python could not open a socket: {error}"
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, text) from error
        answer = self._peer.local_description
        assert answer is not None
        return answer.sdp

    async def run(self) -> None:
        """Serve the connection until it ends, or until the page has been silent for too long."""
        try:
            async with asyncio.TaskGroup() as tasks:
                collecting = tasks.create_task(self._collect_local_candidates())
                serving = tasks.create_task(self._serve_channels(tasks))
                media = tasks.create_task(self._media.run())
                await self._idle_or(serving)
                for task in (collecting, serving, media):
                    task.cancel()
                await self.close()  # every service ends with its channel
        finally:
            await self.close()

    async def add_candidates(self, candidates: Sequence[Mapping[str, object]]) -> None:
        """Take candidates of the page, as its browser makes them; RequestRefused on one that is no good."""
        self._remote_candidate_count += len(candidates)
        if self._remote_candidate_count > self._limits.candidate_count_max:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "Too many candidates.")
        for candidate in candidates:
            try:
                await self._peer.add_ice_candidate(candidate)
            except LocalError as error:
                raise RequestRefused(HTTPStatus.BAD_REQUEST, f"The candidate is not understood: {error}") from error

    async def local_candidates(self, after: int) -> tuple[Sequence[IceCandidate], bool]:
        """Our candidates from number `after` on, waiting for one to come; and whether these were the last."""
        async with self._local_candidates_changed:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.long_poll_s):
                    await self._local_candidates_changed.wait_for(
                        lambda: self._is_gathering_over or len(self._local_candidates) > after
                    )
        return self._local_candidates[after:], self._is_gathering_over

    def explain(self) -> dict[str, str]:
        """What the peer says about itself: the whole text, and its sentence on the likely cause of trouble."""
        explanation = self._peer.explain()
        return {"text": str(explanation), "likely_cause": explanation.likely_cause}

    def statistics(self) -> dict[str, object]:
        """What the peer counts, with the W3C's names; and where its picture comes from, and could."""
        return {"source": self._media.source, "sources": sources(), "stats": list(self._peer.get_stats().values())}

    def choose_source(self, source: object) -> None:
        """Send a picture from another source; RequestRefused for what is none."""
        if not isinstance(source, str) or source not in sources():
            raise RequestRefused(HTTPStatus.BAD_REQUEST, f"The source is one of {', '.join(sources())}.")
        self._media.choose(source)

    async def close(self) -> None:
        """End the connection, gracefully if that is quick; idempotent."""
        try:
            async with asyncio.timeout(self._limits.close_s):
                await self._peer.close()
        except TimeoutError:
            self._peer.abort()
        if self._on_closed is not None:
            self._on_closed(self._peer)
        await self._end_gathering()

    async def _collect_local_candidates(self) -> None:
        async for candidate in self._peer.local_candidates():
            async with self._local_candidates_changed:
                self._local_candidates.append(candidate)
                self._local_candidates_changed.notify_all()
        await self._end_gathering()

    async def _end_gathering(self) -> None:
        async with self._local_candidates_changed:
            self._is_gathering_over = True
            self._local_candidates_changed.notify_all()

    async def _serve_channels(self, tasks: asyncio.TaskGroup) -> None:
        with suppress(ConnectionLost):
            async for channel in self._peer.incoming_channels():
                tasks.create_task(self._serve(channel))

    async def _serve(self, channel: DataChannel) -> None:
        is_served = channel.label in SERVICES and self._channel_count < self._limits.channel_count_max
        self._channel_count += 1
        try:
            async with channel:
                if is_served:
                    await SERVICES[channel.label](channel, self._note_use)
        except (ChannelClosed, ConnectionLost):
            pass  # it ended under the service
        finally:
            self._channel_count -= 1

    def _note_use(self) -> None:
        self._used_at = asyncio.get_running_loop().time()

    async def _idle_or(self, serving: asyncio.Task[None]) -> None:
        clock = asyncio.get_running_loop().time
        while (remaining_s := self._used_at + self._limits.idle_s - clock()) > 0:
            done, _ = await asyncio.wait([serving], timeout=remaining_s)
            if done:
                return


class Sessions:
    """All sessions of the server, up to the limit.

    on_closed  called with the peer of a session that has ended; more than once at times
    """

    def __init__(
        self,
        make_peer: Callable[[], PeerConnection],
        limits: SessionLimits,
        on_closed: Callable[[PeerConnection], None] | None = None,
    ) -> None:
        self._make_peer = make_peer
        self._limits = limits
        self._on_closed = on_closed
        self._sessions: dict[str, tuple[Session, asyncio.Task[None]]] = {}
        self._ended: deque[Session] = deque(maxlen=limits.ended_count_max)
        self._is_closed = False

    async def open(self, offer: str) -> tuple[Session, str]:
        """Make a session that answers the offer; RequestRefused when there are too many or the offer is no good."""
        self._refuse_if_closed()
        if len(self._sessions) >= self._limits.session_count_max:
            text = "Too many pages are connected already. Close one of them, then reconnect."
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, text)
        session = Session(self._make_peer(), self._limits, self._on_closed)
        run = asyncio.create_task(session.run())
        self._sessions[session.id] = session, run
        run.add_done_callback(lambda _: self._on_ended(session))
        try:
            return session, await session.answer(offer)
        except RequestRefused:
            await self._end(session, run)
            raise

    def find(self, session_id: str) -> Session:
        """The session of this name; RequestRefused when it has ended or never was."""
        session, _ = self._sessions.get(session_id, (None, None))
        if session is None:
            raise RequestRefused(HTTPStatus.NOT_FOUND, "This connection has ended.")
        return session

    def explain(self, session_id: str) -> dict[str, str]:
        """What the peer of a session says about itself, also for a while after its end; RequestRefused as `find`."""
        self._refuse_if_closed()
        for session in self._ended:
            if session.id == session_id:
                return session.explain()
        return self.find(session_id).explain()

    async def close(self, session_id: str) -> None:
        """End one session; nothing happens when it has ended already."""
        if session_id in self._sessions:
            await self._end(*self._sessions[session_id])

    async def close_all(self) -> None:
        """End every session, all at the same time, and make no more."""
        self._is_closed = True
        await asyncio.gather(*(self._end(*item) for item in list(self._sessions.values())))

    def _refuse_if_closed(self) -> None:
        # A page that asks why its connection has ended is told so, however long the server itself still answers.
        if self._is_closed:
            raise RequestRefused(HTTPStatus.SERVICE_UNAVAILABLE, "The demo is ending.")

    async def _end(self, session: Session, run: asyncio.Task[None]) -> None:
        run.cancel()
        await asyncio.wait([run])
        await session.close()  # a run that is cancelled before its first step closes nothing

    def _on_ended(self, session: Session) -> None:
        del self._sessions[session.id]
        self._ended.append(session)
