"""What the parts of one server share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.machine import Address, Datagram, Path, Trace, TraceRecord
from sans_rtc.outbox import Outbox
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute, Message, error_response, serialize_message, success_response
from sans_rtc.turn.server.allocation import Allocation
from sans_rtc.turn.server.authentication import Identity
from sans_rtc.turn.server.config import ServerConfig
from sans_rtc.turn.server.deadlines import Deadlines, Waking
from sans_rtc.turn.server.events import RelayUnneeded, ServerEvent
from sans_rtc.turn.server.peers import PeerGate
from sans_rtc.turn.server.ports import PortPool
from sans_rtc.turn.server.stats import ServerStats


@attrs.define(slots=True, eq=False)
class ServerContext:
    """Configuration, counters and outboxes of one server, its ports and its deadlines."""

    config: ServerConfig
    entropy: Entropy
    trace: Trace | None
    ports: PortPool
    gate: PeerGate
    stats: ServerStats = attrs.field(factory=ServerStats)
    datagrams: Outbox[Datagram] = attrs.field(factory=Outbox)
    events: Outbox[ServerEvent] = attrs.field(factory=Outbox)
    deadlines: Deadlines[Waking] = attrs.field(factory=Deadlines)
    _inward: dict[str, str] = attrs.field(factory=dict, init=False)
    _outward: dict[str, str] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        for external in self.config.external_hosts:
            local = self.config.relay_host(Address(external, 0).family)
            assert local is not None
            self._inward[external], self._outward[local] = local, external

    def inward(self, peer: Address) -> Address:
        """Where a peer's address is on this side of a 1:1 NAT: other relays of this server are on this side."""
        local = self._inward.get(peer.host) if self._inward else None
        return peer if local is None else Address(local, peer.port)

    def outward(self, address: Address) -> Address:
        """A relay's address as everybody else knows it."""
        external = self._outward.get(address.host) if self._outward else None
        return address if external is None else Address(external, address.port)

    def send_response(self, response: Message, path: Path, identity: Identity | None, *, fingerprint: bool) -> None:
        """Queue a response; proven by the key of the request, where it had one.

        fingerprint  the request had FINGERPRINT, so its sender may need it in the response (RFC 8489 section 7)
        """
        error = response.value(AttributeType.ERROR_CODE)
        if error is not None:
            self.stats.errors_sent[error.code] = self.stats.errors_sent.get(error.code, 0) + 1
        if identity is None:
            data = serialize_message(response, fingerprint=fingerprint)
        else:
            data = serialize_message(response, key=identity.key, algorithm=identity.algorithm, fingerprint=fingerprint)
        self.datagrams.append(Datagram(data, path))

    def close_relay(self, address: Address, protocol: Literal["udp", "tcp"]) -> None:
        """A relay's socket is needed no more, and its port can be another's."""
        self.ports.release(address)
        self.events.append(RelayUnneeded(address, protocol))

    def note(self, name: str, now: float, path: Path, **fields: object) -> None:
        """Trace one step; call it only where there is a trace."""
        assert self.trace is not None
        self.trace(TraceRecord("turn-server", name, now, {"client": str(path.remote), **fields}))


@attrs.define(slots=True, eq=False)
class Request:
    """A request whose maker is known.

    allocation   of the path on which it came
    fingerprint  it has FINGERPRINT, and so gets one
    """

    message: Message
    path: Path
    identity: Identity
    allocation: Allocation | None
    fingerprint: bool

    def refuse(self, code: int, reason: str = "") -> Message:
        """The error response with this code; `reason` says more than the code's own phrase."""
        return error_response(self.message, code, reason)

    def refuse_attribute(self, code: AttributeType) -> Message:
        """The response to a request with an attribute that this server cannot heed."""
        return error_response(self.message, 420, unknown=(code,))

    def succeed(self, attributes: list[Attribute] | None = None) -> Message:
        """The success response."""
        return success_response(self.message, attributes)


Handler: TypeAlias = Callable[[Request, float], Message | None]
"""Handles an authenticated request of one method; None: the response comes later, or there is nothing to say."""
