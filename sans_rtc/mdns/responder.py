"""Publishes `.local` names by multicast (RFC 6762 sections 6, 8 and 10), as ICE needs it to hide host addresses.

    publish  -> announced twice, a second apart, on every local address    query -> response with the addresses
    withdraw -> said goodbye to (TTL 0)

The names are version 4 UUIDs, so they are not probed for and not defended (draft-ietf-rtcweb-mdns-ice-candidates
section 3.1.1 step 4): a host on the link that claims one of them can keep others from resolving it, and no more.

A response goes to the group, where its record has not gone there within the second (section 6); to the asker alone
where it asks for that and the group has lately heard the answer (section 5.4), or asks from another port than 5353 (a
simple resolver, section 6.7). Nothing else that arrives is answered, and all answers together have a rate.
deviation: section 7.2 has a responder wait where a query is truncated, since known answers may follow. Here it is
answered at once: it has one record for each name, and a suppressed answer would save one packet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from typing import TypeAlias

import attrs

from sans_rtc.entropy import Entropy, draw_fraction
from sans_rtc.errors import InvalidArgument, LimitExceeded, WireError
from sans_rtc.machine import Address, Datagram, Path, Terminated, Trace, TraceRecord
from sans_rtc.mdns.config import ResponderConfig
from sans_rtc.mdns.events import ResponderDiscardReason, TerminationReason
from sans_rtc.mdns.groups import MDNS_PORT, group_path
from sans_rtc.mdns.wire import (
    CLASS_ANY,
    CLASS_IN,
    DnsMessage,
    Question,
    Record,
    RecordType,
    address_record,
    name_key,
    nsec_record,
    parse_message,
    serialize_message,
    serialize_name,
)
from sans_rtc.outbox import Outbox

# Section 8.3: "at least two unsolicited responses, one second apart".
ANNOUNCEMENT_COUNT = 2
ANNOUNCEMENT_INTERVAL_S = 1.0
# Section 6: a record is not multicast again on one link before a second has passed; section 8.1 asks it of probes less.
MULTICAST_INTERVAL_S = 1.0
PROBE_INTERVAL_S = 0.25
# Section 6.7: the TTL told to simple resolvers.
LEGACY_TTL_S = 10

_REASON = ResponderDiscardReason
_Identity: TypeAlias = tuple[bytes, int, bytes]


@attrs.define(slots=True)
class ResponderStats:
    """Counters of a responder; `discards` by ResponderDiscardReason."""

    announcements_sent: int = 0
    responses_sent: int = 0
    goodbyes_sent: int = 0
    discards: dict[str, int] = attrs.field(factory=dict)


@attrs.define(slots=True, eq=False)
class _Publication:
    """A name that is ours.

    announce_at   when it is announced next; inf: it has been told often enough
    multicast_at  when a record of a type was last sent to the group, by local address and type
    """

    name: str
    hosts: tuple[str, ...]
    announce_at: float
    announcements_left: int = ANNOUNCEMENT_COUNT
    multicast_at: dict[tuple[Address, int], float] = attrs.Factory(dict)


class Responder:
    """Answers for names of ours, as a Machine[Datagram, Datagram, Terminated].

    config    TTL and limits
    entropy   the spread of announcements is drawn from it
    trace     called with a TraceRecord at each step, where given
    """

    def __init__(self, config: ResponderConfig, *, entropy: Entropy, trace: Trace | None = None) -> None:
        self.stats = ResponderStats()
        self._config = config
        self._entropy = entropy
        self._trace = trace
        self._paths: dict[Address, Path] = {}
        self._published: dict[bytes, _Publication] = {}
        self._credit = float(config.responses_per_s_max)
        self._credit_at = -math.inf
        self._datagrams: Outbox[Datagram] = Outbox()
        self._events: Outbox[Terminated] = Outbox()
        self._is_terminated = False

    # --- inputs

    def add_local_address(self, address: Address, now: float) -> None:
        """Answer on this address too: that of a bound UDP socket that hears the group, port 5353.

        Effects   all names are announced there
        Errors    LimitExceeded beyond local_address_count_max; InvalidArgument for a host that is not an IP address
        """
        if self._is_terminated or address in self._paths:
            return
        if len(self._paths) >= self._config.local_address_count_max:
            raise LimitExceeded(f"{len(self._paths)} local addresses are the most")
        path = self._paths[address] = group_path(address)
        for publication in self._published.values():
            self._tell([publication], path, now)

    def remove_local_address(self, address: Address, now: float) -> None:
        """Answer there no more; no effect where it was not added."""
        self._paths.pop(address, None)
        for publication in self._published.values():
            for key in [key for key in publication.multicast_at if key[0] == address]:
                del publication.multicast_at[key]

    def publish(self, name: str, hosts: Sequence[str], now: float) -> None:
        """Give a name that ends in `.local` these IP addresses, and announce it; addresses it had before are replaced.

        Errors   InvalidArgument for what is no such name, or not 1 to host_count_max IP addresses; LimitExceeded beyond
                 name_count_max
        """
        if self._is_terminated:
            return
        key = name_key(name)
        if not key.endswith(b".local"):
            raise InvalidArgument(f"{name!r} does not end in .local")
        serialize_name(name)
        plain = tuple(dict.fromkeys(map(_plain_host, hosts)))
        if not 1 <= len(plain) <= self._config.host_count_max:
            raise InvalidArgument(f"{len(plain)} addresses for a name; 1 to {self._config.host_count_max} may be given")
        if key not in self._published and len(self._published) >= self._config.name_count_max:
            raise LimitExceeded(f"{len(self._published)} names are the most")
        self._published[key] = _Publication(name, plain, now)
        self._announce_due(now)

    def withdraw(self, name: str, now: float) -> None:
        """Answer for a name no more, and say goodbye to it; no effect where it was not published."""
        publication = self._published.pop(name_key(name), None)
        if publication is not None and not self._is_terminated:
            self._say_goodbye([publication])

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram that arrived; what asks nothing of ours is discarded and counted."""
        if self._is_terminated:
            return
        path = self._paths.get(datagram.path.local)
        if path is None:
            self._discard(_REASON.UNKNOWN_LOCAL_ADDRESS, now)
            return
        try:
            query = parse_message(datagram.data)
        except WireError:
            self._discard(_REASON.MALFORMED, now)
            return
        # Sections 18.3 and 18.11: an opcode or response code other than zero is silently ignored.
        if query.is_response or query.opcode or query.response_code:
            self._discard(_REASON.NOT_A_QUERY, now)
            return
        self._on_query(query, datagram.path, path, now)

    def handle_timer(self, now: float) -> None:
        """Announce what is due."""
        if not self._is_terminated:
            self._announce_due(now)

    def close(self, now: float) -> None:
        """Say goodbye to every name, and end."""
        if not self._is_terminated:
            self._say_goodbye(list(self._published.values()))
            self._terminate(TerminationReason.CLOSED)

    def abort(self, now: float) -> None:
        """End at once; caches on the link forget the names when their time is over."""
        if not self._is_terminated:
            self._terminate(TerminationReason.ABORTED)

    # --- outputs

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Hand over announcements, responses and goodbyes."""
        return self._datagrams.take()

    def take_events(self) -> Sequence[Terminated]:
        """Hand over what has happened."""
        return self._events.take()

    # --- reads

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run, in seconds; math.inf while nothing is to be announced."""
        if self._is_terminated:
            return math.inf
        return min([publication.announce_at for publication in self._published.values()], default=math.inf)

    @property
    def is_terminated(self) -> bool:
        """True once `Terminated` has been queued or taken."""
        return self._is_terminated

    @property
    def has_names(self) -> bool:
        """True while a name is published."""
        return bool(self._published)

    @property
    def names(self) -> tuple[str, ...]:
        """The names that are published."""
        return tuple([publication.name for publication in self._published.values()])

    # --- private: announcing

    def _announce_due(self, now: float) -> None:
        due = [publication for publication in self._published.values() if publication.announce_at <= now]
        for publication in due:
            publication.announcements_left -= 1
            spread_s = ANNOUNCEMENT_INTERVAL_S * (1.0 + draw_fraction(self._entropy) / 4)
            publication.announce_at = now + spread_s if publication.announcements_left else math.inf
        for path in self._paths.values():
            self._tell(due, path, now)

    def _tell(self, publications: Sequence[_Publication], path: Path, now: float) -> None:
        """Send names to the group unasked."""
        for batch in _batches(publications, self._config.names_per_message_max):
            records: list[Record] = []
            for publication in batch:
                for record in self._records(publication):
                    publication.multicast_at[path.local, record.type] = now
                    records.append(record)
            self._send(_response(records), path)
            self.stats.announcements_sent += 1

    def _say_goodbye(self, publications: Sequence[_Publication]) -> None:
        for path in self._paths.values():
            for batch in _batches(publications, self._config.names_per_message_max):
                records = [
                    attrs.evolve(record, ttl_s=0)
                    for publication in batch
                    for record in self._records(publication)
                    if (path.local, record.type) in publication.multicast_at
                ]
                if records:
                    self._send(_response(records), path)
                    self.stats.goodbyes_sent += 1

    def _records(self, publication: _Publication) -> list[Record]:
        return [address_record(publication.name, host, self._config.ttl_s) for host in publication.hosts]

    # --- private: answering

    def _on_query(self, query: DnsMessage, source: Path, group: Path, now: float) -> None:
        asked = [
            (question, publication)
            for question in query.questions
            if question.record_class in (CLASS_IN, CLASS_ANY)
            and (publication := self._published.get(name_key(question.name))) is not None
        ]
        if not asked:
            self._discard(_REASON.NOT_OURS, now)
        elif source.remote.port != MDNS_PORT:
            self._answer_simple_resolver(query, asked, source, now)
        else:
            self._answer(query, asked, source, group, now)

    def _answer_simple_resolver(
        self, query: DnsMessage, asked: Sequence[tuple[Question, _Publication]], source: Path, now: float
    ) -> None:
        """Section 6.7: by unicast, the id and the questions repeated, a short TTL, no cache-flush bit."""
        if not self._may_respond(now):
            return
        records = [record for question, publication in asked for record in self._answers(question, publication)]
        answers = [
            attrs.evolve(record, ttl_s=min(record.ttl_s, LEGACY_TTL_S), flushes_cache=False) for record in records
        ]
        questions = [attrs.evolve(question, wants_unicast=False) for question, _ in asked]
        self._send(attrs.evolve(_response(answers), id=query.id, questions=questions), source)
        self.stats.responses_sent += 1

    def _answer(
        self,
        query: DnsMessage,
        asked: Sequence[tuple[Question, _Publication]],
        source: Path,
        group: Path,
        now: float,
    ) -> None:
        by_unicast: dict[_Identity, Record] = {}
        by_multicast: dict[_Identity, Record] = {}
        interval_s = PROBE_INTERVAL_S if query.authorities else MULTICAST_INTERVAL_S
        for question, publication in asked:
            for record in self._answers(question, publication):
                told_at = publication.multicast_at.get((group.local, record.type), -math.inf)
                # Section 5.4: by unicast only while the caches on the link have it from not too long ago.
                is_unicast = question.wants_unicast and now - told_at < self._config.ttl_s / 4
                if _is_known(record, query.answers):
                    self._discard(_REASON.KNOWN_ANSWER, now)
                elif is_unicast:
                    by_unicast[_identity(record)] = record
                elif now - told_at < interval_s:
                    self._discard(_REASON.TOO_SOON, now)
                else:
                    by_multicast[_identity(record)] = record
                    publication.multicast_at[group.local, record.type] = now
        for records, path in ((by_unicast, source), (by_multicast, group)):
            if records and self._may_respond(now):
                self._send(_response(list(records.values())), path)
                self.stats.responses_sent += 1

    def _answers(self, question: Question, publication: _Publication) -> list[Record]:
        """The records of the type; where the name has none of it, the one that says so (section 6.1)."""
        records = self._records(publication)
        matching = [record for record in records if question.type in (record.type, RecordType.ANY)]
        if matching:
            return matching
        return [nsec_record(publication.name, {record.type for record in records}, self._config.ttl_s)]

    def _may_respond(self, now: float) -> bool:
        """Take one response out of the rate, where there is one left."""
        rate = self._config.responses_per_s_max
        self._credit = min(rate, self._credit + rate * (now - self._credit_at))
        self._credit_at = now
        if self._credit < 1.0:
            self._discard(_REASON.RATE_LIMITED, now)
            return False
        self._credit -= 1.0
        return True

    def _send(self, message: DnsMessage, path: Path) -> None:
        self._datagrams.append(Datagram(serialize_message(message), path))

    def _discard(self, reason: ResponderDiscardReason, now: float) -> None:
        self.stats.discards[reason] = self.stats.discards.get(reason, 0) + 1
        if self._trace is not None:
            self._trace(TraceRecord("mdns", "discarded", now, {"reason": reason.value}))

    def _terminate(self, reason: TerminationReason) -> None:
        self._is_terminated = True
        self._published.clear()
        self._events.append(Terminated(reason))


def _response(records: list[Record]) -> DnsMessage:
    """Section 18: id zero, authoritative; who asked is not told to the group."""
    return DnsMessage(is_response=True, is_authoritative=True, answers=records)


def _identity(record: Record) -> _Identity:
    return name_key(record.name), record.type, record.data


def _is_known(record: Record, known_answers: Iterable[Record]) -> bool:
    """Section 7.1: the asker knows it, and for at least half of its time to come."""
    key = name_key(record.name)
    return any(
        known.type == record.type
        and known.data == record.data
        and 2 * known.ttl_s >= record.ttl_s
        and name_key(known.name) == key
        for known in known_answers
    )


def _batches(publications: Sequence[_Publication], size: int) -> list[Sequence[_Publication]]:
    return [publications[start : start + size] for start in range(0, len(publications), size)]


def _plain_host(host: str) -> str:
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError as error:
        raise InvalidArgument(f"not an IP address: {host!r}") from error
