"""The one interface that every machine of the library has, and the few types they share.

    inputs    receive, handle_timer, close, and the protocol's own verbs: do all the work, return None
    outputs   take_datagrams, take_events: what has come of it, handed over once
    reads     deadline, is_terminated: pure

A driver feeds inputs, takes datagrams, then events, then reads `deadline`; repeats while events came; then sleeps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import attrs

UNARMED = math.inf
"""The deadline of a machine that waits for nothing."""

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
Event = TypeVar("Event", covariant=True)


class Machine(Protocol[In, Out, Event]):
    """A protocol with timers as a pure state machine: bytes and time in, bytes and events out.

    `now` is seconds on one monotonic scale of the caller's choice, never decreasing, always the last argument.
    """

    def receive(self, datagram: In, now: float) -> None:
        """Take one datagram that arrived; whatever it holds, nothing is raised."""

    def handle_timer(self, now: float) -> None:
        """Do what is due; every timer with deadline <= now fires."""

    def close(self, now: float) -> None:
        """Begin a graceful end; idempotent."""

    def take_datagrams(self, now: float) -> Sequence[Out]:
        """Hand over what is to be sent, in sending order; the one place that packetises."""

    def take_events(self) -> Sequence[Event]:
        """Hand over what has happened since the last call, in order."""

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run, in seconds; math.inf when nothing is armed."""

    @property
    def is_terminated(self) -> bool:
        """True once `Terminated` has been queued or taken."""


TransportProtocol: TypeAlias = Literal["udp", "tcp", "tls"]


class Address(NamedTuple):
    """An IP address in text form (an IPv6 zone after `%`) and a port of 0 to 65535. Equal to the plain tuple."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def family(self) -> Literal[4, 6]:
        """4 or 6, the version of IP."""
        return 6 if ":" in self.host else 4


@attrs.frozen(slots=True, cache_hash=True)
class Path:
    """Where a datagram travels: the local socket's address, the remote address, and the transport.

    Made once per address pair and shared by all its datagrams, so that comparing two is mostly comparing identity.

    protocol  "udp", or "tcp" and "tls" for a stream: then `Datagram.data` is a piece of it, cut anywhere on the way in,
              and a whole frame on the way out
    stream    tells apart several streams between the same two addresses; chosen by the machine that asks for one, so
              that it has a name before its local port is known (`local.port` is 0 then)
    """

    local: Address
    remote: Address
    protocol: TransportProtocol = "udp"
    stream: int = 0

    def reversed(self) -> Path:
        """The same path as the other end sees it."""
        return Path(self.remote, self.local, self.protocol, self.stream)


@attrs.define(slots=True, unsafe_hash=False)
class Datagram:
    """The bytes of one datagram, its path, and its ECN field (RFC 3168: 0 not ECT, 1 ECT(1), 2 ECT(0), 3 CE).

    dont_fragment  to be sent whole or not at all: it asks whether the path takes its size (RFC 8899)
    """

    data: bytes
    path: Path
    ecn: int = 0
    dont_fragment: bool = False


@attrs.define(slots=True)
class Terminated:
    """The last event of every machine, exactly once.

    reason  a member of the machine's `TerminationReason`, a StrEnum
    detail  one sentence for a person, never needed by a program
    """

    reason: str
    detail: str = ""


@attrs.define(slots=True)
class TraceRecord:
    """One step of a machine, for people and tools. Never holds a secret.

    layer   "stun", "ice", "dtls", "sctp", "datachannel", "peer"
    name    what happened, in the RFC's words: "check_sent", "flight_retransmitted"
    at      seconds, the `now` of the input that caused it
    fields  plain values
    """

    layer: str
    name: str
    at: float
    fields: Mapping[str, object]


Trace: TypeAlias = Callable[[TraceRecord], None]
"""What a machine calls with its trace records, where one was given."""
