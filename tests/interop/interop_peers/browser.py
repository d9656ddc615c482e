"""What Chromium and Firefox have in common: a page with page.js in it, asked many times a second for its events."""

from __future__ import annotations

import asyncio
import itertools
import json
from abc import abstractmethod
from pathlib import Path

from interop_peers.processes import Process
from interop_peers.session import REQUEST_TIMEOUT_S, Host, PeerError, Session

PAGE_URL = Path(__file__).with_name("page.html").as_uri()
"""A file: is a secure context to both browsers, and Chromium gives such a page loopback candidates."""

POLL_INTERVAL_S = 0.02


class BrowserSession(Session):
    """One RTCPeerConnection in the page."""

    def __init__(self, host: BrowserHost, number: int) -> None:
        super().__init__()
        self.name = host.name
        self._host, self._number = host, number
        self._requests = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[object]] = {}

    async def request(self, do: str, **arguments: object) -> object:
        number = next(self._requests)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        body = json.dumps(arguments)
        await self._host.evaluate(f"rtc.request({self._number}, {number}, {json.dumps(do)}, {body})")
        async with asyncio.timeout(REQUEST_TIMEOUT_S):
            return await answer

    @property
    def process(self) -> Process:
        return self._host.process

    async def kill(self) -> None:
        await self._host.crash()

    async def end(self) -> None:
        await self._host.forget(self._number)

    def take(self, message: dict) -> None:
        """Take an answer or an event that the page had."""
        if "event" in message:
            self.on_event(message)
            return
        answer = self._waiting.pop(message["id"], None)
        if answer is None or answer.done():
            return
        if "error" in message:
            answer.set_exception(PeerError(message["error"]))
        else:
            answer.set_result(message["value"])


class BrowserHost(Host):
    """A browser with one page; a new page, or a new browser, after a crash."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._sessions: dict[int, BrowserSession] = {}
        self._poller: asyncio.Task[None] | None = None

    @property
    @abstractmethod
    def process(self) -> Process:
        """The running browser."""

    @abstractmethod
    async def load_page(self) -> None:
        """Start the browser where it does not run, and load PAGE_URL."""

    @abstractmethod
    async def evaluate(self, expression: str) -> object:
        """Evaluate an expression in the page and return its value."""

    @abstractmethod
    async def crash(self) -> None:
        """End the page without letting it say goodbye."""

    async def open_session(self, configuration: dict | None = None) -> Session:
        if self._poller is None or self._poller.done():
            await self.load_page()
            self._poller = asyncio.create_task(self._poll())
        number = next(self._numbers)
        await self.evaluate(f"rtc.open({number}, {json.dumps(configuration or {})})")
        session = self._sessions[number] = BrowserSession(self, number)
        return session

    async def forget(self, number: int) -> None:
        """Drop a session."""
        if self._sessions.pop(number, None) is not None:
            await self.evaluate(f"rtc.end({number})")

    async def stop_polling(self) -> None:
        """Leave the page alone from now on; its sessions are lost."""
        self._sessions.clear()
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.wait([self._poller])

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            if not self._sessions:
                continue
            taken = await self.evaluate("rtc.takeEvents()")
            assert isinstance(taken, dict)
            for number, messages in taken.items():
                for message in messages:
                    if session := self._sessions.get(int(number)):
                        session.take(message)
