"""Resolves `.local` names by multicast (RFC 6762 section 5), as ICE needs it for the candidates of browsers.

    resolve -> query, again by the schedule -> NameResolved or NameUnresolved

Queries go from every local address to 224.0.0.251 or ff02::fb, port 5353, and ask for A and AAAA. A response counts
when it comes from port 5353 (RFC 6762 section 6) to one of our addresses and tells something about a name that was
asked for. Anybody on the link can answer: what an address is worth is for ICE to find out, by its authenticated checks.

The driver binds port 5353, shared, and joins the groups. An address with another port works too: its queries are those
of a simple resolver (RFC 6762 section 5.1), whose answers come by unicast and repeat the query's id (section 6.7).
Browsers need the former: Chromium 156 answers a query of one question, within milliseconds, to the group, never by
unicast, the same name at most once a second, and not at all a query of several questions or from another port.

RFC 6762 section 11 wants the source address of a response checked to be on the link: `set_networks` says which are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from ipaddress import ip_address

import attrs

from sans_rtc.entropy import Entropy, draw_uint
from sans_rtc.errors import InvalidArgument, LimitExceeded, WireError
from sans_rtc.machine import Address, Datagram, Path, Terminated, Trace, TraceRecord
from sans_rtc.mdns.cache import Cache
from sans_rtc.mdns.config import MdnsConfig
from sans_rtc.mdns.events import (
    DiscardReason,
    MdnsEvent,
    NameResolved,
    NameUnresolved,
    TerminationReason,
    UnresolvedReason,
)
from sans_rtc.mdns.groups import MDNS_PORT, Network, group_path, is_on_link, parse_networks
from sans_rtc.mdns.wire import (
    CLASS_IN,
    DnsMessage,
    Question,
    Record,
    RecordType,
    name_key,
    parse_message,
    serialize_message,
    serialize_name,
)
from sans_rtc.outbox import Outbox


@attrs.define(slots=True)
class QuerierStats:
    """Counters of a querier; `discards` by DiscardReason."""

    queries_sent: int = 0
    names_resolved: int = 0
    names_unresolved: int = 0
    discards: dict[str, int] = attrs.field(factory=dict)


@attrs.define(slots=True)
class _Resolution:
    """A name that is being asked for."""

    name: str
    key: bytes
    give_up_at: float
    next_query_at: float
    query_count: int = 0


class Querier:
    """Asks the link for the addresses of names, as a Machine[Datagram, Datagram, MdnsEvent].

    config    schedule and limits
    entropy   the id of queries from ports other than 5353 is drawn from it
    trace     called with a TraceRecord at each step, where given
    """

    def __init__(self, config: MdnsConfig, *, entropy: Entropy, trace: Trace | None = None) -> None:
        self.stats = QuerierStats()
        self._config = config
        self._trace = trace
        self._unicast_id = draw_uint(entropy, 16)
        self._paths: dict[Address, Path] = {}
        self._networks: dict[Address, tuple[Network, ...]] = {}
        self._pending: dict[str, _Resolution] = {}
        self._round: list[_Resolution] = []  # names to be asked for at the next take_datagrams, from all addresses
        self._catch_up: dict[Address, list[_Resolution]] = {}  # names to be asked for then from new addresses alone
        self._next_round_at = -math.inf
        self._cache = Cache(config)
        self._events: Outbox[MdnsEvent] = Outbox()
        self._is_terminated = False

    # --- inputs

    def add_local_address(self, address: Address, now: float) -> None:
        """Ask from this address too: that of a bound UDP socket, its port 5353 or another.

        Effects   names that are pending are asked for from here, too
        Errors    LimitExceeded beyond local_address_count_max; InvalidArgument for a host that is not an IP address
        """
        if self._is_terminated or address in self._paths:
            return
        if len(self._paths) >= self._config.local_address_count_max:
            raise LimitExceeded(f"{len(self._paths)} local addresses are the most")
        self._paths[address] = group_path(address)
        asked = [resolution for resolution in self._pending.values() if resolution.query_count]
        if asked:
            self._catch_up[address] = asked
        self._ask_due(now)

    def remove_local_address(self, address: Address, now: float) -> None:
        """Ask from this address no more; no effect where it was not added."""
        self._paths.pop(address, None)
        self._networks.pop(address, None)
        self._catch_up.pop(address, None)

    def set_networks(self, address: Address, networks: Iterable[str], now: float) -> None:
        """Say which networks ("192.0.2.0/24") are on the link of a local address: others are not heard there.

        networks  none: nobody knows, and everything is taken
        Errors    InvalidArgument for what is no network; no effect where the address was not added
        """
        parsed = parse_networks(networks)
        if address in self._paths:
            self._networks[address] = parsed

    def resolve(self, name: str, now: float) -> None:
        """Find the addresses of a name that ends in `.local`; the answer is an event with the name as written here.

        Effects   answered at once from what is known; no effect while the name is pending
        Errors    InvalidArgument for what is no such name; LimitExceeded beyond name_count_max
        """
        if self._is_terminated or name in self._pending:
            return
        key = name_key(name)
        if not key.endswith(b".local"):
            raise InvalidArgument(f"{name!r} does not end in .local")
        serialize_name(name)
        hosts = self._cache.hosts(key, now)
        if hosts:
            self._resolved(name, hosts, now)
            return
        if len(self._pending) >= self._config.name_count_max:
            raise LimitExceeded(f"{len(self._pending)} names at once are the most")
        self._pending[name] = _Resolution(name, key, now + self._config.timeout_s, now)
        self._ask_due(now)

    def cancel(self, name: str, now: float) -> None:
        """Ask for a name no more; no event follows. No effect where it is not pending."""
        self._pending.pop(name, None)

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram that arrived, by multicast or unicast; what tells nothing is discarded and counted."""
        if self._is_terminated:
            return
        local = datagram.path.local
        if local not in self._paths:
            self._discard(DiscardReason.UNKNOWN_LOCAL_ADDRESS, now)
            return
        if not is_on_link(datagram.path.remote.host, self._networks.get(local, ())):
            self._discard(DiscardReason.OFF_LINK, now)
            return
        # RFC 6762 section 6: a response from any other source port is ignored.
        if datagram.path.remote.port != MDNS_PORT:
            self._discard(DiscardReason.WRONG_PORT, now)
            return
        try:
            message = parse_message(datagram.data)
        except WireError:
            self._discard(DiscardReason.MALFORMED, now)
            return
        reason = self._reason_to_discard(message, local)
        if reason is not None:
            self._discard(reason, now)
            return
        self._on_response(message, now)

    def handle_timer(self, now: float) -> None:
        """Give up names whose time is over, and ask again for those that are due."""
        for resolution in [r for r in self._pending.values() if r.give_up_at <= now]:
            reason = UnresolvedReason.TIMED_OUT if resolution.query_count else UnresolvedReason.NO_NETWORK
            self._unresolved(resolution.name, reason, now)
        self._ask_due(now)

    def close(self, now: float) -> None:
        """End; names that are pending are unresolved."""
        self._terminate(TerminationReason.CLOSED, now)

    def abort(self, now: float) -> None:
        """End at once; names that are pending are unresolved."""
        self._terminate(TerminationReason.ABORTED, now)

    # --- outputs

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Hand over the queries that are due, the same from each local address."""
        if not self._round and not self._catch_up:
            return ()
        asked, catch_up = self._round, self._catch_up
        self._round, self._catch_up = [], {}
        datagrams: list[Datagram] = []
        for address, path in self._paths.items():
            names = {r.name: r for r in (*catch_up.get(address, ()), *asked) if self._is_pending(r)}
            datagrams += self._queries(names.values(), path)
        self.stats.queries_sent += len(datagrams)
        if self._trace is not None and datagrams:
            self._trace(TraceRecord("mdns", "queried", now, {"names": tuple([r.name for r in asked])}))
        return datagrams

    def take_events(self) -> Sequence[MdnsEvent]:
        """Hand over what has happened."""
        return self._events.take()

    # --- reads

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run, in seconds; math.inf while no name is pending."""
        if not self._pending:
            return math.inf
        give_up_at = min([r.give_up_at for r in self._pending.values()])
        if not self._paths:
            return give_up_at
        next_query_at = min([r.next_query_at for r in self._pending.values()])
        return min(give_up_at, max(next_query_at, self._next_round_at))

    @property
    def is_terminated(self) -> bool:
        """True once `Terminated` has been queued or taken."""
        return self._is_terminated

    @property
    def pending_names(self) -> tuple[str, ...]:
        """The names that are being asked for."""
        return tuple(self._pending)

    # --- private, in the order called

    def _ask_due(self, now: float) -> None:
        """Put the names that are due into the next round of queries, as many as it takes."""
        if not self._paths:
            return
        for resolution in self._pending.values():
            if resolution.next_query_at > now:
                continue
            if not self._round and now < self._next_round_at:
                return
            if not self._round or len(self._round) >= self._config.names_per_round_max:
                self._next_round_at = now + self._config.query_pace_s
            if len(self._round) >= self._config.names_per_round_max:
                return
            self._round.append(resolution)
            resolution.query_count += 1
            resolution.next_query_at = self._next_query_at(resolution, now)

    def _next_query_at(self, resolution: _Resolution, now: float) -> float:
        if resolution.query_count >= self._config.query_count_max:
            return math.inf
        return now + self._config.query_interval_s * 2.0 ** (resolution.query_count - 1)

    def _is_pending(self, resolution: _Resolution) -> bool:
        return self._pending.get(resolution.name) is resolution

    def _queries(self, asked: Iterable[_Resolution], path: Path) -> list[Datagram]:
        is_full_participant = path.local.port == MDNS_PORT
        message_id = 0 if is_full_participant else self._unicast_id
        wants_unicast = is_full_participant and self._config.wants_unicast_response
        # One question a message, for what is said of browsers above.
        return [
            Datagram(serialize_message(DnsMessage(message_id, questions=[question])), path)
            for resolution in asked
            for question in _questions(resolution.name, wants_unicast and resolution.query_count == 1)
        ]

    def _reason_to_discard(self, message: DnsMessage, local: Address) -> DiscardReason | None:
        if not message.is_response:
            return DiscardReason.QUERY
        # RFC 6762 sections 18.3 and 18.11: an opcode or response code other than zero is silently ignored.
        if message.opcode or message.response_code:
            return DiscardReason.ERROR_RESPONSE
        if local.port != MDNS_PORT and message.id != self._unicast_id:
            return DiscardReason.WRONG_ID
        return None

    def _on_response(self, message: DnsMessage, now: float) -> None:
        waiting: dict[bytes, list[_Resolution]] = {}
        for resolution in self._pending.values():
            waiting.setdefault(resolution.key, []).append(resolution)
        found: dict[bytes, dict[str, None]] = {}
        is_useful = False
        for record in (*message.answers, *message.additionals):
            key = name_key(record.name)
            if record.type not in (RecordType.A, RecordType.AAAA) or record.record_class != CLASS_IN:
                continue
            if key in waiting or self._cache.knows(key):
                is_useful = True
                self._on_record(record, key, found, now)
        if not is_useful:
            self._discard(DiscardReason.NOT_ASKED, now)
        for key, hosts in found.items():
            for resolution in waiting.get(key, ()):
                del self._pending[resolution.name]
                self._resolved(resolution.name, tuple(hosts), now)

    def _on_record(self, record: Record, key: bytes, found: dict[bytes, dict[str, None]], now: float) -> None:
        host = record.host
        if host is None or not _is_usable(host):
            self._discard(DiscardReason.UNUSABLE_ADDRESS, now)
            return
        if record.ttl_s == 0:
            self._cache.withdraw(key, host, now)
            return
        if record.flushes_cache:
            self._cache.withdraw_older(key, ":" in host, now)
        hosts = found.setdefault(key, {})
        if len(hosts) >= self._config.host_count_max or not self._cache.add(key, host, record.ttl_s, now):
            self._discard(DiscardReason.TOO_MANY_HOSTS, now)
            return
        hosts[host] = None

    def _resolved(self, name: str, hosts: tuple[str, ...], now: float) -> None:
        self.stats.names_resolved += 1
        self._events.append(NameResolved(name, hosts))
        if self._trace is not None:
            self._trace(TraceRecord("mdns", "resolved", now, {"name": name, "hosts": hosts}))

    def _unresolved(self, name: str, reason: UnresolvedReason, now: float) -> None:
        del self._pending[name]
        self.stats.names_unresolved += 1
        self._events.append(NameUnresolved(name, reason))
        if self._trace is not None:
            self._trace(TraceRecord("mdns", "unresolved", now, {"name": name, "reason": reason.value}))

    def _discard(self, reason: DiscardReason, now: float) -> None:
        self.stats.discards[reason] = self.stats.discards.get(reason, 0) + 1
        if self._trace is not None:
            self._trace(TraceRecord("mdns", "discarded", now, {"reason": reason.value}))

    def _terminate(self, reason: TerminationReason, now: float) -> None:
        if self._is_terminated:
            return
        for name in list(self._pending):
            self._unresolved(name, UnresolvedReason.CLOSED, now)
        self._is_terminated = True
        self._round.clear()
        self._catch_up.clear()
        self._cache.clear()
        self._events.append(Terminated(reason))


def _questions(name: str, wants_unicast: bool) -> tuple[Question, Question]:
    return Question(name, RecordType.A, wants_unicast), Question(name, RecordType.AAAA, wants_unicast)


def _is_usable(host: str) -> bool:
    """False for an address that is never one machine's own."""
    parsed = ip_address(host)
    return not (parsed.is_unspecified or parsed.is_multicast or host == "255.255.255.255")
