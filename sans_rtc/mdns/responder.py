"""Publishes `.local` names by multicast (RFC 6762 sections 6, 8 and 10), as ICE needs it to hide host addresses.

    publish  -> announced after a second and again a second later, on every link
    query    -> response with the addresses
    withdraw -> said goodbye to (TTL 0), where the link has heard of it

The names are version 4 UUIDs, so they are not probed for and not defended (draft-ietf-rtcweb-mdns-ice-candidates
section 3.1.1 step 4): a host on the link that claims one of them can keep others from resolving it, and no more.

A peer asks for a name as soon as it has the candidate, within milliseconds, and a browser asks once. So the first
announcement waits: had the group heard it already, section 6 would have the first query ignored for a second.

A response goes to the group, where its record has not gone there within the second (section 6); to the asker alone
where it asks for that and the group has lately heard the answer (section 5.4), or asks from another port than 5353 (a
simple resolver, section 6.7). Nothing else that arrives is answered, least of all what comes from beyond the link
(section 5.5): the peer that a name was told to would get the address behind it. All answers together have a rate, and
so have all announcements.

deviation: section 7.2 has a responder wait where a query is truncated, since known answers may follow. Here it is
answered at once: it has one record for each name, and a suppressed answer would save one packet.
deviation: section 6.2 would have the records of the other version of IP come along. A question for them would then go
unanswered for a second, and browsers ask for both in two messages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import attrs

from sans_rtc.entropy import Entropy, draw_fraction
from sans_rtc.errors import InvalidArgument, LimitExceeded, WireError
from sans_rtc.machine import Address, Datagram, Path, Terminated, Trace, TraceRecord
from sans_rtc.mdns.config import ResponderConfig
from sans_rtc.mdns.events import ResponderDiscardReason, TerminationReason
from sans_rtc.mdns.groups import MDNS_PORT, group_path, is_on_link, parse_networks, plain_host
from sans_rtc.mdns.publications import Link, Publication
from sans_rtc.mdns.responses import Rate, ResponderStats, is_known, response
from sans_rtc.mdns.wire import (
    CLASS_ANY,
    CLASS_IN,
    DnsMessage,
    Question,
    Record,
    RecordType,
    name_key,
    nsec_record,
    parse_message,
    serialize_message,
    serialize_name,
)
from sans_rtc.outbox import Outbox

# Before the first announcement, and between that and the second (section 8.3); up to a quarter longer.
ANNOUNCEMENT_INTERVAL_S = 1.0
# Section 6: a record is not multicast again on one link before a second has passed; section 8.1 asks it of probes less.
MULTICAST_INTERVAL_S = 1.0
PROBE_INTERVAL_S = 0.25
# Section 6.7: the TTL told to simple resolvers.
LEGACY_TTL_S = 10

_REASON = ResponderDiscardReason


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
        self._links: dict[Address, Link] = {}
        self._published: dict[bytes, Publication] = {}
        self._announcing: dict[bytes, Publication] = {}
        self._due_at = math.inf  # no announcement is due before
        self._next_round_at = -math.inf
        self._goodbyes: dict[Link, list[Record]] = {}
        self._rate = Rate(config.responses_per_s_max)
        self._datagrams: Outbox[Datagram] = Outbox()
        self._events: Outbox[Terminated] = Outbox()
        self._is_terminated = False

    # --- inputs

    def add_local_address(self, address: Address, now: float) -> None:
        """Answer on this address too: that of a bound UDP socket that hears the group, port 5353.

        Effects   all names are announced there
        Errors    LimitExceeded beyond local_address_count_max; InvalidArgument for a host that is not an IP address
        """
        if self._is_terminated or address in self._links:
            return
        if len(self._links) >= self._config.local_address_count_max:
            raise LimitExceeded(f"{len(self._links)} local addresses are the most")
        self._links[address] = Link(group_path(address))
        for publication in self._published.values():
            publication.announce_again(now)
        self._announcing = dict(self._published)
        self._due_at = -math.inf
        self._announce_due(now)

    def remove_local_address(self, address: Address, now: float) -> None:
        """Answer there no more; no effect where it was not added."""
        link = self._links.pop(address, None)
        if link is not None:
            self._goodbyes.pop(link, None)
            for publication in self._published.values():
                publication.forget_link(address)

    def set_networks(self, address: Address, networks: Iterable[str], now: float) -> None:
        """Say which networks ("192.0.2.0/24") are on the link of a local address.

        networks  none: nobody knows, and everybody is answered
        Effects   who is not on the link is not answered (section 5.5), and is not told addresses of other links
        Errors    InvalidArgument for what is no network; no effect where the address was not added
        """
        parsed = parse_networks(networks)
        if address in self._links:
            self._links[address].networks = parsed

    def publish(self, name: str, hosts: Sequence[str], now: float) -> None:
        """Give a name that ends in `.local` these IP addresses, and announce it.

        Effects  addresses it had before are replaced, and said goodbye to; none where they are the same
        Errors   InvalidArgument for what is no such name, or not 1 to host_count_max IP addresses; LimitExceeded beyond
                 name_count_max
        """
        if self._is_terminated:
            return
        key = name_key(name)
        if not key.endswith(b".local"):
            raise InvalidArgument(f"{name!r} does not end in .local")
        serialize_name(name)
        plain = tuple(dict.fromkeys(map(plain_host, hosts)))
        if not 1 <= len(plain) <= self._config.host_count_max:
            raise InvalidArgument(f"{len(plain)} addresses for a name; 1 to {self._config.host_count_max} may be given")
        known = self._published.get(key)
        if known is None and len(self._published) >= self._config.name_count_max:
            raise LimitExceeded(f"{len(self._published)} names are the most")
        if known is not None and known.hosts == plain:
            return
        if known is None:
            publication = Publication(name, plain, now + self._interval_s())
        else:
            self._say_goodbye(known, plain)
            publication = known.replaced_by(plain, now)
        self._published[key] = self._announcing[key] = publication
        self._due_at = min(self._due_at, publication.announce_at)
        self._announce_due(now)

    def withdraw(self, name: str, now: float) -> None:
        """Answer for a name no more, and say goodbye to it; no effect where it was not published."""
        key = name_key(name)
        publication = self._published.pop(key, None)
        if publication is not None and not self._is_terminated:
            self._announcing.pop(key, None)
            self._say_goodbye(publication)

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram that arrived; what asks nothing of ours is discarded and counted."""
        if self._is_terminated:
            return
        link = self._links.get(datagram.path.local)
        if link is None:
            self._discard(_REASON.UNKNOWN_LOCAL_ADDRESS, now)
            return
        if not is_on_link(datagram.path.remote.host, link.networks):
            self._discard(_REASON.OFF_LINK, now)
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
        self._on_query(query, datagram.path, link, now)

    def handle_timer(self, now: float) -> None:
        """Announce what is due."""
        if not self._is_terminated:
            self._announce_due(now)

    def close(self, now: float) -> None:
        """Say goodbye to every name, and end."""
        if not self._is_terminated:
            for publication in self._published.values():
                self._say_goodbye(publication)
            self._terminate(TerminationReason.CLOSED)

    def abort(self, now: float) -> None:
        """End at once; caches on the link forget the names when their time is over."""
        if not self._is_terminated:
            self._terminate(TerminationReason.ABORTED)

    # --- outputs

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Hand over announcements, responses and goodbyes."""
        self._send_goodbyes()
        return self._datagrams.take()

    def take_events(self) -> Sequence[Terminated]:
        """Hand over what has happened."""
        return self._events.take()

    # --- reads

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run, in seconds; math.inf while nothing is to be announced."""
        if not self._announcing or not self._links:
            return math.inf
        return max(self._next_round_at, self._due_at)

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
        """Announce what is due, as much as a round takes."""
        if not self._links or now < max(self._due_at, self._next_round_at):
            return
        due = [(key, publication) for key, publication in self._announcing.items() if publication.announce_at <= now]
        due = due[: self._config.names_per_round_max]
        for key, publication in due:
            publication.announcements_left -= 1
            publication.announce_at = now + self._interval_s()
            if not publication.announcements_left:
                del self._announcing[key]
        self._due_at = min([publication.announce_at for publication in self._announcing.values()], default=math.inf)
        if not due:  # what was has been withdrawn
            return
        self._next_round_at = now + self._config.announcement_pace_s
        self._send_goodbyes()
        for link in self._links.values():
            self._announce([publication for _, publication in due], link, now)

    def _interval_s(self) -> float:
        return ANNOUNCEMENT_INTERVAL_S * (1.0 + draw_fraction(self._entropy) / 4)

    def _announce(self, publications: Iterable[Publication], link: Link, now: float) -> None:
        """Send names to the group unasked, but not what it has heard within the second."""
        records: list[Record] = []
        for publication in publications:
            for record in self._records(publication, link):
                if now - publication.told_at(record, link) >= MULTICAST_INTERVAL_S:
                    publication.note_told(record, link, now)
                    records.append(record)
        self.stats.announcements_sent += self._send(response(records), link.path)

    def _say_goodbye(self, publication: Publication, besides: Sequence[str] = ()) -> None:
        for link in self._links.values():
            records = publication.goodbyes(link, besides=besides)
            if records:
                self._goodbyes.setdefault(link, []).extend(records)

    def _send_goodbyes(self) -> None:
        if self._goodbyes:
            for link, records in self._goodbyes.items():
                self.stats.goodbyes_sent += self._send(response(records), link.path)
            self._goodbyes.clear()

    def _records(self, publication: Publication, link: Link) -> list[Record]:
        return publication.records(link, tuple(self._links.values()), self._config.ttl_s)

    # --- private: answering

    def _on_query(self, query: DnsMessage, source: Path, link: Link, now: float) -> None:
        asked = self._asked(query, now)
        if not asked:
            self._discard(_REASON.NOT_OURS, now)
        elif source.remote.port != MDNS_PORT:
            self._answer_simple_resolver(query, asked, source, link, now)
        else:
            self._answer(query, asked, source, link, now)

    def _asked(self, query: DnsMessage, now: float) -> list[tuple[Question, Publication]]:
        """The questions for names of ours, each once; those beyond the bound are for another query."""
        asked: dict[tuple[bytes, int], tuple[Question, Publication]] = {}
        for question in query.questions:
            key = name_key(question.name)
            publication = self._published.get(key)
            if publication is None or question.record_class not in (CLASS_IN, CLASS_ANY):
                continue
            if len(asked) >= self._config.questions_max and (key, question.type) not in asked:
                self._discard(_REASON.TOO_MANY_QUESTIONS, now)
                break
            asked.setdefault((key, question.type), (question, publication))
        return list(asked.values())

    def _answer_simple_resolver(
        self, query: DnsMessage, asked: Sequence[tuple[Question, Publication]], source: Path, link: Link, now: float
    ) -> None:
        """Section 6.7: by unicast, the id and the questions repeated, a short TTL, no cache-flush bit; one message."""
        records = [record for question, publication in asked for record in self._answers(question, publication, link)]
        if not records or not self._may_respond(now):
            return
        answers = [
            attrs.evolve(record, ttl_s=min(record.ttl_s, LEGACY_TTL_S), flushes_cache=False)
            for record in records[: self._config.records_per_message_max]
        ]
        questions = [attrs.evolve(question, wants_unicast=False) for question, _ in asked]
        message = attrs.evolve(response(answers), id=query.id, questions=questions)
        self.stats.responses_sent += self._send(message, source)

    def _answer(
        self,
        query: DnsMessage,
        asked: Sequence[tuple[Question, Publication]],
        source: Path,
        link: Link,
        now: float,
    ) -> None:
        by_unicast: list[Record] = []
        by_multicast: list[Record] = []
        told: list[tuple[Publication, Record]] = []
        interval_s = PROBE_INTERVAL_S if query.authorities else MULTICAST_INTERVAL_S
        for question, publication in asked:
            for record in self._answers(question, publication, link):
                told_at = publication.told_at(record, link)
                # Section 5.4: by unicast only while the caches on the link have it from not too long ago.
                is_unicast = question.wants_unicast and now - told_at < self._config.ttl_s / 4
                if record in by_unicast or record in by_multicast:
                    continue
                if is_known(record, query.answers):
                    self._discard(_REASON.KNOWN_ANSWER, now)
                elif is_unicast:
                    by_unicast.append(record)
                elif now - told_at < interval_s:
                    self._discard(_REASON.TOO_SOON, now)
                else:
                    by_multicast.append(record)
                    told.append((publication, record))
        if by_unicast and self._may_respond(now):
            # Section 18.1: the id of a response by unicast is that of the query.
            self.stats.responses_sent += self._send(attrs.evolve(response(by_unicast), id=query.id), source)
        if by_multicast and self._may_respond(now):
            self.stats.responses_sent += self._send(response(by_multicast), link.path)
            for publication, record in told:
                publication.note_told(record, link, now)

    def _answers(self, question: Question, publication: Publication, link: Link) -> list[Record]:
        """The records of the type; where the name has none of it, the one that says so (section 6.1)."""
        records = self._records(publication, link)
        matching = [record for record in records if question.type in (record.type, RecordType.ANY)]
        if matching or not records:
            return matching
        return [nsec_record(publication.name, {record.type for record in records}, self._config.ttl_s)]

    def _may_respond(self, now: float) -> bool:
        """Take one response out of the rate, where there is one left."""
        if self._rate.take(now):
            return True
        self._discard(_REASON.RATE_LIMITED, now)
        return False

    def _send(self, message: DnsMessage, path: Path) -> int:
        """Send a message in as many pieces as its answers need; returns how many."""
        size = self._config.records_per_message_max
        pieces = [message.answers[start : start + size] for start in range(0, len(message.answers), size)]
        for answers in pieces:
            self._datagrams.append(Datagram(serialize_message(attrs.evolve(message, answers=answers)), path))
        return len(pieces)

    def _discard(self, reason: ResponderDiscardReason, now: float) -> None:
        self.stats.discards[reason] = self.stats.discards.get(reason, 0) + 1
        if self._trace is not None:
            self._trace(TraceRecord("mdns", "discarded", now, {"reason": reason.value}))

    def _terminate(self, reason: TerminationReason) -> None:
        self._is_terminated = True
        self._published.clear()
        self._announcing.clear()
        self._events.append(Terminated(reason))
