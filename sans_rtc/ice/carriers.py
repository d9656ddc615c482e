"""All carriers of an agent: relays and TCP connections, between the real paths and those of pairs (see `wiring`).

    receive --unwrap--> datagrams of pairs           take_datagrams --wrap--> datagrams on real paths

What they report changes candidates and pairs: `proceed` carries that to the gatherer and the sessions.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from operator import is_

from sans_rtc.ice.base import Base
from sans_rtc.ice.config import IceConfig
from sans_rtc.ice.context import AgentContext
from sans_rtc.ice.events import ConnectionState, GatheringState
from sans_rtc.ice.gather import Gatherer
from sans_rtc.ice.generations import Generations
from sans_rtc.ice.payload import PayloadGate
from sans_rtc.ice.tcp_streams import TcpStreams
from sans_rtc.ice.wiring import StreamEvent, Wiring, is_binding
from sans_rtc.machine import Datagram, Path

_IN_USE = (ConnectionState.CONNECTED, ConnectionState.COMPLETED)


def is_carrying(config: IceConfig) -> bool:
    """True where an agent with this configuration may ever have a carrier."""
    return bool(config.turn_servers) or config.tcp.active or config.tcp.passive


class Carriers:
    """Unwraps what arrives, wraps what leaves, and draws the consequences of what carriers report."""

    def __init__(
        self, context: AgentContext, gatherer: Gatherer, generations: Generations, gate: PayloadGate, wiring: Wiring
    ) -> None:
        self.streams = TcpStreams(context.config.tcp, wiring, context.stats)
        self._config = context.config
        self._may_carry = is_carrying(context.config)
        self._datagrams = context.datagrams
        self._gatherer = gatherer
        self._relayed = gatherer.relayed
        self._generations = generations
        self._gate = gate
        self._wiring = wiring
        self._quiet_since = math.inf
        self._release_at = math.inf

    # -- datagrams ---------------------------------------------------------------------------------------------------

    def unwrap(self, datagrams: Sequence[Datagram], now: float) -> Sequence[Datagram]:
        """Replace what has come on real paths of carriers by the datagrams of pairs that were in it.

        The very sequence that was given where there is nothing of theirs in it.
        """
        routes = self._wiring.routes
        inner: list[Datagram] = []
        start, count = 0, len(datagrams)
        while start < count:
            path = datagrams[start].path
            end = start + 1
            while end < count and datagrams[end].path is path:
                end += 1
            run = datagrams[start:end]
            carrier = routes.get(path)
            if carrier is None:
                if end - start == count:
                    return datagrams
                inner += run
            elif path.protocol == "udp":
                bindings = [d for d in run if d.data and d.data[0] < 2 and is_binding(d.data)]
                inner += bindings
                inner += carrier.unwrap([d for d in run if d not in bindings] if bindings else run, now)
            else:
                inner += carrier.unwrap(run, now)
            start = end
        return inner

    def wrap(self, datagrams: Sequence[Datagram], now: float) -> Sequence[Datagram]:
        """Replace datagrams of pairs by those that leave on real paths, and add what carriers say themselves.

        The very sequence that was given where there is nothing for them in it, and they say nothing.
        """
        if not self._wiring.routes and not self._gatherer.tcp_bases:
            return datagrams
        outer: list[Datagram] = []
        path: Path | None = None
        relay, is_plain = None, False
        for datagram in datagrams:
            if datagram.path is not path:
                path = datagram.path
                relay = None if path.protocol == "tcp" else self._relayed.relay_of(path.local)
                is_plain = path.protocol == "udp" and path.local in self._gatherer.bases
            if is_plain:
                outer.append(datagram)
            elif relay is not None:
                relay.send(datagram, now)
            elif path.protocol == "tcp":
                framed = self.streams.wrap(datagram, now)
                if framed is not None:
                    outer.append(framed)
            # else its relay or its socket has just gone
        said = self.take_datagrams(now)
        if not said and len(outer) == len(datagrams) and all(map(is_, outer, datagrams)):
            return datagrams
        outer += said
        return outer

    def take_datagrams(self, now: float) -> list[Datagram]:
        """Hand over what carriers have to say themselves."""
        return [*self.streams.take_datagrams(), *self._relayed.take_datagrams(now)]

    def overhead_bytes(self, path: Path | None) -> int:
        """The most that is put around a datagram of this path on its way to the relay; 0 without one."""
        relay = None if path is None or path.protocol == "tcp" else self._relayed.relay_of(path.local)
        return 0 if relay is None or relay.client is None else relay.client.overhead_bytes

    # -- streams -----------------------------------------------------------------------------------------------------

    def stream_opened(self, path: Path, now: float) -> None:
        """One that was asked for is open, or somebody has connected to a listener; any other is not wanted."""
        carrier = self._wiring.routes.get(path)
        if carrier is not None:
            carrier.on_stream_opened(path, now)
        elif path.protocol == "tcp" and self._gatherer.is_listening(path.local):
            self.streams.accept(path, now)
        else:
            self._wiring.refuse(path)

    def stream_closed(self, path: Path, reason: str, now: float) -> None:
        """It has ended, or could not be opened; one that nobody knows was not needed any more."""
        carrier = self._wiring.routes.pop(path, None)
        if carrier is not None:
            carrier.on_stream_closed(path, reason, now)

    def take_stream_events(self) -> Sequence[StreamEvent]:
        """Hand over what the driver is to do about streams."""
        return self._wiring.events.take()

    @property
    def stream_paths(self) -> tuple[Path, ...]:
        """The streams that are open or were asked for."""
        return tuple(path for path in self._wiring.routes if path.protocol != "udp")

    # -- consequences ------------------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """Do what is due; the gatherer looks after its relays itself."""
        if self.streams.deadline <= now:
            self.streams.handle_timer(now)

    @property
    def has_news(self) -> bool:
        """True where what has just arrived wants `proceed`."""
        return self.streams.has_news or any(relay.has_news for relay in self._relayed.relays)

    def proceed(self, now: float) -> None:
        """What carriers report becomes candidates, and pairs that have failed or are gone."""
        self.streams.judge(self._generations.know)
        self._relayed.proceed(now)
        for base in self._relayed.take_gone():
            self.remove_base(base, now)
        for relay, host in self._relayed.take_refused():
            self._break([path for path in self._paths_on(relay.bases.values()) if path.remote.host == host], now)
        self._break(self.streams.take_broken(), now)

    def follow(self, state: ConnectionState, now: float) -> None:
        """After checks and nomination: permissions for new pairs, and what is no longer needed is given back."""
        if not self._may_carry:
            return  # this was two fifths of what a check on an idle path costs
        for path in self._paths_on(self._relayed.bases.values()):
            relay = self._relayed.relay_of(path.local)
            assert relay is not None
            relay.permit(path.remote.host, now)
        self.streams.retain(self._is_needed)
        self._break(self.streams.take_broken(), now)
        self._release_unused(state, now)
        self._release_at = self._when_to_release()

    def remove_base(self, base: Base, now: float) -> None:
        """A base is gone, and with it every pair on it."""
        for session in self._generations.sessions:
            session.remove_base(base, now)
        for datagram in self._datagrams.take():  # what was to leave from it has no way out any more
            if datagram.path.local != base.address or datagram.path.protocol != base.protocol:
                self._datagrams.append(datagram)
        self._gate.retain(self._generations.know)

    def close(self, now: float, *, is_graceful: bool) -> None:
        """The agent ends: what was sent goes out, then farewells to TURN servers; nobody waits for their answers."""
        last = list(self.wrap(self._datagrams.take(), now))
        self._relayed.close(now, is_graceful=is_graceful)
        self.streams.close_all()
        for path in list(self._wiring.routes):  # of allocations whose farewell is on its way
            if path.protocol != "udp":
                self._wiring.close(path)
        self._wiring.routes.clear()
        for datagram in (*last, *self.take_datagrams(now)):
            self._datagrams.append(datagram)

    @property
    def deadline(self) -> float:
        """When something is due."""
        return min(self.streams.deadline, self._relayed.deadline, self._release_at)

    # -- private -----------------------------------------------------------------------------------------------------

    def _paths_on(self, bases: Collection[Base]) -> list[Path]:
        if not bases:
            return []
        sessions = self._generations.sessions
        return [pair.path for session in sessions for pair in session.checklist if pair.local.base in bases]

    def _break(self, paths: Sequence[Path], now: float) -> None:
        for path in paths:
            for session in self._generations.sessions:
                session.break_path(path, now)

    def _is_needed(self, path: Path) -> bool:
        return any(session.wants(path) for session in self._generations.sessions)

    def _release_unused(self, state: ConnectionState, now: float) -> None:
        """Give back what only a search would need, once the search is long over; a restart asks for it again."""
        is_over = state in _IN_USE and self._generations.is_settled and self._gatherer.state is GatheringState.COMPLETE
        self._quiet_since = min(self._quiet_since, now) if is_over else math.inf
        if self._when_to_release() <= now:
            used = self._generations.used_pairs
            self._relayed.release([pair.local.base for pair in used], now)
            paths = {pair.path for pair in used}
            self.streams.release(paths.__contains__)
            self._break(self.streams.take_broken(), now)

    def _when_to_release(self) -> float:
        """When what is not used is given back; inf where there is nothing."""
        wait_s = self._config.relay_release_after_s
        if wait_s is None or self._quiet_since == math.inf:
            return math.inf
        used = self._generations.used_pairs
        bases, paths = [pair.local.base for pair in used], [pair.path for pair in used]
        is_any = self._relayed.has_unused(bases) or self.streams.has_unused(paths.__contains__)
        return self._quiet_since + wait_s if is_any else math.inf
