"""The one interface that all peers of the suite have, and what is common to them.

A `Host` is a program (a browser, a process) that has `Session`s; a session is one peer connection. Subclasses bring
`request`s to the peer and hand `on_event` what it reports; everything else is the same for all.

    request                                                   event
    open                                                      candidate  candidate: {...} | None
    create-channel  label, ordered, maxRetransmits, ...       state      connection, ice
    offer           trickle, restart -> {"sdp": ...}
    answer          trickle, sdp -> {"sdp": ...}              open       label, id, ordered, protocol, ...
    accept          sdp                                       closed     label
    candidate       candidate: {...} | None                   received   label, messages: [[kind, size, hash], ...]
    send-all, echo, close-channel   label, ...
    add-media, describe, close
"""

from __future__ import annotations

import asyncio
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from interop_peers.messages import Digest, Message
from interop_peers.processes import Process

REQUEST_TIMEOUT_S = 20.0
WAIT_TIMEOUT_S = 15.0


class PeerError(Exception):
    """A peer refused a request, or is not there any more."""


class Session(ABC):
    """One connection of one peer."""

    name = "?"
    largest = 262_144
    """The largest message that the peer takes, bytes."""
    can_restart = True
    """Whether it knows ICE restarts."""
    can_be_denied_media = True
    """Whether it takes an answer that rejects its audio and video."""
    lacks: frozenset[str] = frozenset()
    """Requests of media.py that it does not know, and numbers that are not in its statistics."""

    def __init__(self) -> None:
        self.candidates: asyncio.Queue[dict | None] = asyncio.Queue()
        self.channels: dict[str, dict] = {}
        self.closed_channels: set[str] = set()
        self.received: dict[str, list[Digest]] = {}
        self.states: list[tuple[str, str]] = []
        self.history: list[tuple[float, str]] = []
        self.is_closing = False
        self.bug: BaseException | None = None
        self._changed = asyncio.Event()

    @abstractmethod
    async def request(self, do: str, **arguments: object) -> object:
        """Bring one request to the peer and return its answer; PeerError where it refuses."""

    @abstractmethod
    async def end(self) -> None:
        """Give back what the session holds; after `kill` as well."""

    async def kill(self) -> None:
        """End the peer as a crash would: not a packet more."""
        raise NotImplementedError

    @property
    def process(self) -> Process:
        """The program that the session lives in."""
        raise NotImplementedError

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the peer's program for the length of the block; it does not notice."""
        process = self.process
        process.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.signal(signal.SIGCONT)

    # -- descriptions ----------------------------------------------------------------------------------------------

    async def offer(self, *, trickle: bool = True, restart: bool = False) -> str:
        """Make an offer and apply it.

        trickle  candidates come later; without it the offer holds every one
        restart  ask for new paths (ICE restart)
        """
        return (await self.request("offer", trickle=trickle, restart=restart))["sdp"]

    async def answer(self, offer: str, *, trickle: bool = True) -> str:
        """Apply an offer and answer it."""
        return (await self.request("answer", sdp=offer, trickle=trickle))["sdp"]

    async def accept(self, answer: str) -> None:
        """Apply an answer."""
        await self.request("accept", sdp=answer)

    async def add_candidate(self, candidate: dict | None) -> None:
        """Take one candidate of the other side; None: there are no more."""
        await self.request("candidate", candidate=candidate)

    # -- channels --------------------------------------------------------------------------------------------------

    async def create_channel(
        self,
        label: str,
        *,
        ordered: bool = True,
        max_retransmits: int | None = None,
        lifetime_ms: int | None = None,
        protocol: str = "",
        negotiated: int | None = None,
    ) -> None:
        """Create a channel; with `negotiated`, its id, the other side creates it too."""
        options = {"ordered": ordered, "protocol": protocol, "maxRetransmits": max_retransmits}
        options |= {"maxPacketLifeTime": lifetime_ms, "negotiated": negotiated}
        given = {key: value for key, value in options.items() if value is not None}
        await self.request("create-channel", label=label, **given)

    async def add_media(self) -> None:
        """Want audio and video too, from the next offer on; only foreign peers can."""
        await self.request("add-media")

    async def send_all(self, label: str, messages: Sequence[Message]) -> None:
        """Make the messages at the peer and send them, not faster than they leave."""
        await self.request("send-all", label=label, messages=[list(message) for message in messages])

    async def echo(self, label: str) -> None:
        """Send back every message of a channel from now on."""
        await self.request("echo", label=label)

    async def close_channel(self, label: str) -> None:
        """Close one channel."""
        await self.request("close-channel", label=label)

    # -- the end ---------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close the connection politely."""
        self.is_closing = True
        await self.request("close")

    async def describe(self) -> object:
        """Say in what state the peer is, for a person."""
        return await self.request("describe")

    # -- what the peer has reported --------------------------------------------------------------------------------

    def on_event(self, event: dict) -> None:
        """Take one event from the peer; subclasses call it."""
        kind, label = event["event"], event.get("label", "")
        if kind == "candidate":
            self.candidates.put_nowait(event["candidate"])
        elif kind == "state":
            self.states.append((event["connection"], event["ice"]))
        elif kind == "open":
            self.channels[label] = event
        elif kind == "closed":
            self.closed_channels.add(label)
        elif kind == "received":
            self.received.setdefault(label, []).extend(Digest(*message) for message in event["messages"])
        if kind != "received":
            shown = {key: value for key, value in event.items() if key != "event"}
            self.history.append((asyncio.get_running_loop().time(), f"{kind} {shown}"))
        self._changed.set()

    def on_bug(self, error: BaseException) -> None:
        """Fail whoever waits: the session itself is broken."""
        self.bug = self.bug or error
        self._changed.set()

    async def until(self, condition: Callable[[], bool], what: str, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Wait until a condition on the above holds; TimeoutError names what did not happen."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    if self.bug is not None:
                        raise self.bug
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"{self.name}: no {what} within {timeout_s} s") from None

    async def until_open(self, label: str) -> dict:
        """Wait for a channel and return what the peer says of it."""
        await self.until(lambda: label in self.channels, f"channel {label!r}")
        return self.channels[label]

    async def until_closed(self, label: str) -> None:
        """Wait until a channel has closed."""
        await self.until(lambda: label in self.closed_channels, f"end of channel {label!r}")

    async def until_received(self, label: str, count: int, timeout_s: float = WAIT_TIMEOUT_S) -> list[Digest]:
        """Wait for `count` messages on a channel and return them all."""
        got = self.received.setdefault(label, [])
        try:
            await self.until(lambda: len(got) >= count, f"{count} messages on {label!r}", timeout_s)
        except TimeoutError as error:
            raise TimeoutError(f"{error}, only {len(got)}") from None
        return got

    async def until_state(self, *states: str, timeout_s: float = WAIT_TIMEOUT_S) -> None:
        """Wait until the connection has been in one of the states."""
        seen = self.states
        await self.until(lambda: any(state[0] in states for state in seen), "/".join(states), timeout_s)


class Host(ABC):
    """A program that has sessions; started when the first is asked for, kept for the next."""

    name = "?"
    needs_namespace = False
    """True where it offers loopback addresses only if there are no others."""
    asks_once = False
    """True where it asks for a lost packet again only when it has lost another one: until then it shows nothing."""

    @abstractmethod
    async def open_session(self, configuration: dict | None = None) -> Session:
        """Start the program where it does not run, and make a fresh connection in it; Missing without the program.

        configuration  what a browser makes its RTCPeerConnection with; others have only their defaults
        """

    @abstractmethod
    async def stop(self) -> None:
        """End the program, by force after a moment."""
