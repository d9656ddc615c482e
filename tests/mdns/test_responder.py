"""The responder: what it announces, which queries it answers and how, and what it never does (RFC 6762)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.mdns import MdnsConfig, NameResolved, Querier, Responder, ResponderConfig
from sans_rtc.mdns.wire import (
    DnsMessage,
    Question,
    RecordType,
    address_record,
    parse_message,
    serialize_message,
)
from sans_rtc.testing import ContractMonitor, SeededEntropy

LOCAL = Address("192.0.2.10", 5353)
ASKER = Address("192.0.2.20", 5353)
SIMPLE = Address("192.0.2.20", 40_000)
GROUP = Address("224.0.0.251", 5353)
TO_GROUP = Path(LOCAL, GROUP)
NAME = "1f4712db-ea17-4bcf-a596-105139dfd8bf.local"
START = 1000.0


def make(*addresses, config=None, published=((NAME, ("192.0.2.10",)),)):
    responder = Responder(config or ResponderConfig(), entropy=SeededEntropy(1))
    for address in addresses or (LOCAL,):
        responder.add_local_address(address, START)
    for name, hosts in published:
        responder.publish(name, hosts, START)
    return responder


def told(responder, now=START):
    """What is said now: (path, message)."""
    return [(datagram.path, parse_message(datagram.data)) for datagram in responder.take_datagrams(now)]


def settled(*addresses, **options):
    """A responder whose announcements are over, and the moment when caches have just heard them."""
    responder = make(*addresses, **options)
    responder.take_datagrams(START)
    while responder.deadline < math.inf:
        now = responder.deadline
        responder.handle_timer(now)
        responder.take_datagrams(now)
    return responder, START + 10.0


def ask(responder, now, *questions, source=ASKER, local=LOCAL, **fields):
    query = DnsMessage(questions=list(questions) or [Question(NAME, RecordType.A)], **fields)
    responder.receive(Datagram(serialize_message(query), Path(local, source)), now)
    return told(responder, now)


# announcing


@pytest.mark.proves("MDNS-ICE-3.1.1-2-23a1")
def test_name_is_announced_twice_a_second_apart_without_being_probed_for():
    responder = make()
    assert told(responder) == []  # a query in the first second has an answer that the group has not heard
    times = []
    for _ in range(ANNOUNCED):
        now = responder.deadline
        times.append(now)
        responder.handle_timer(now)
        ((path, message),) = told(responder, now)
        assert path == TO_GROUP and message.is_response and message.is_authoritative and not message.id
        assert message.answers == [address_record(NAME, "192.0.2.10", 120)]
        assert not message.questions
    assert responder.deadline == math.inf
    assert 1.0 <= times[0] - START <= 1.25 and 1.0 <= times[1] - times[0] <= 1.25


ANNOUNCED = 2


def test_query_before_the_first_announcement_is_answered_at_once_and_stands_for_it():
    responder = make()
    assert ask(responder, START + 0.001)
    now = responder.deadline
    responder.handle_timer(now)
    assert told(responder, now)  # more than a second later
    responder = make()
    assert ask(responder, START + 0.9)
    now = responder.deadline
    responder.handle_timer(now)
    assert told(responder, now) == []  # section 6: not again within the second


def test_name_is_announced_on_every_address_and_on_those_that_come_later():
    responder, now = make(LOCAL, Address("10.0.0.1", 5353)), START + 1.25
    responder.handle_timer(now)
    assert {path.local.host for path, _ in told(responder, now)} == {"192.0.2.10", "10.0.0.1"}
    responder, now = settled()
    responder.add_local_address(Address("2001:db8::1", 5353), now)
    assert Address("ff02::fb", 5353) in [path.remote for path, _ in told(responder, now)]


def test_names_published_together_share_announcements():
    names = [(f"name-{index}.local", ("192.0.2.1",)) for index in range(20)]
    responder = make(published=names, config=ResponderConfig(records_per_message_max=8))
    responder.handle_timer(START + 1.3)
    assert [len(message.answers) for _, message in told(responder, START + 1.3)] == [8, 8, 4]


def test_announcements_and_goodbyes_of_many_names_have_a_pace():
    names = [(f"name-{index}.local", ("192.0.2.1",)) for index in range(100)]
    config = ResponderConfig(names_per_round_max=30, announcement_pace_s=0.5)
    responder = make(published=names, config=config)
    now, counts = START + 1.3, []
    while responder.deadline < math.inf:
        responder.handle_timer(now)
        counts.append(sum(len(message.answers) for _, message in told(responder, now)))
        assert responder.deadline >= now + 0.5
        now = responder.deadline if responder.deadline < math.inf else now
    assert max(counts) == 30 and sum(counts) == 200
    responder.close(now)
    assert [len(message.answers) for _, message in told(responder, now)] == [12] * 8 + [4]


def test_name_published_again_as_it_is_is_not_told_again():
    responder, now = settled()
    responder.publish(NAME, ["192.0.2.10"], now)
    assert told(responder, now) == [] and responder.deadline == math.inf


def test_name_that_nobody_has_heard_of_is_not_said_goodbye_to():
    responder = make()
    responder.withdraw(NAME, START + 0.5)
    assert told(responder, START + 0.5) == [] and responder.deadline == math.inf


def test_goodbyes_of_one_moment_share_a_message():
    names = [(f"name-{index}.local", ("192.0.2.1",)) for index in range(3)]
    responder, now = settled(published=names)
    for name, _ in names:
        responder.withdraw(name, now)
    ((_, message),) = told(responder, now)
    assert [record.ttl_s for record in message.answers] == [0, 0, 0]


def test_new_addresses_of_a_name_replace_the_old():
    responder, now = settled(published=[(NAME, ("192.0.2.10", "192.0.2.11"))])
    responder.publish(NAME, ["192.0.2.11", "2001:db8::9"], now)
    (_, goodbye), (_, message) = told(responder, now)
    (record,) = goodbye.answers
    assert (record.host, record.ttl_s, record.flushes_cache) == ("192.0.2.10", 0, False)
    assert [record.host for record in message.answers] == ["192.0.2.11", "2001:db8::9"]
    assert all(record.flushes_cache for record in message.answers)


def test_withdrawn_name_is_said_goodbye_to_and_not_answered_for():
    responder, now = settled()
    responder.withdraw(NAME, now)
    ((path, message),) = told(responder, now)
    assert path == TO_GROUP and [record.ttl_s for record in message.answers] == [0]
    assert ask(responder, now) == []
    responder.withdraw(NAME, now)
    assert told(responder, now) == []


def test_close_says_goodbye_to_every_name_and_abort_to_none():
    responder, now = settled()
    responder.close(now)
    assert [record.ttl_s for _, message in told(responder, now) for record in message.answers] == [0]
    assert responder.take_events() == [Terminated("closed")]
    responder, now = settled()
    responder.abort(now)
    assert told(responder, now) == []
    assert responder.deadline == math.inf


# answering


def test_question_is_answered_to_the_group():
    responder, now = settled()
    ((path, message),) = ask(responder, now)
    assert path == TO_GROUP
    assert (message.id, message.questions) == (0, [])
    assert message.answers == [address_record(NAME, "192.0.2.10", 120)]


@pytest.mark.parametrize("name", [NAME.upper(), NAME + "."])
def test_other_spelling_is_the_same_name(name):
    responder, now = settled()
    assert ask(responder, now, Question(name, RecordType.A))


def test_type_that_the_name_has_not_is_denied():
    responder, now = settled()
    ((_, message),) = ask(responder, now, Question(NAME, RecordType.AAAA))
    (record,) = message.answers
    assert record.type == RecordType.NSEC
    assert record.data.endswith(b"\x05local\0" + bytes((0, 1, 0x40)))  # A, and nothing else


def test_denial_for_ipv6_only_lists_aaaa():
    responder, now = settled(published=[(NAME, ("2001:db8::1",))])
    ((_, message),) = ask(responder, now)
    assert message.answers[0].data.endswith(bytes((0, 4, 0, 0, 0, 0x08)))


def test_any_type_gets_all_addresses():
    responder, now = settled(published=[(NAME, ("192.0.2.1", "2001:db8::1"))])
    ((_, message),) = ask(responder, now, Question(NAME, RecordType.ANY))
    assert [record.host for record in message.answers] == ["192.0.2.1", "2001:db8::1"]


def test_both_families_asked_in_one_query_get_one_response():
    responder, now = settled(published=[(NAME, ("192.0.2.1", "2001:db8::1"))])
    ((_, message),) = ask(responder, now, Question(NAME, RecordType.A), Question(NAME, RecordType.AAAA))
    assert [record.host for record in message.answers] == ["192.0.2.1", "2001:db8::1"]


def test_both_families_asked_one_after_the_other_are_both_answered_at_once():
    responder, now = settled(published=[(NAME, ("192.0.2.1", "2001:db8::1"))])
    for record_type, host in ((RecordType.A, "192.0.2.1"), (RecordType.AAAA, "2001:db8::1")):
        ((_, message),) = ask(responder, now, Question(NAME, record_type))
        assert [record.host for record in message.answers] == [host]


def test_wish_for_unicast_is_granted_while_the_group_has_heard_it_lately():
    responder, now = settled()
    ((path, message),) = ask(responder, now, Question(NAME, RecordType.A, wants_unicast=True))
    assert path == Path(LOCAL, ASKER) and message.answers
    ((path, _),) = ask(responder, now + 40.0, Question(NAME, RecordType.A, wants_unicast=True))
    assert path == TO_GROUP  # a quarter of the TTL is over


def test_response_by_unicast_has_the_id_of_its_query():
    responder, now = settled()
    ((path, message),) = ask(responder, now, Question(NAME, RecordType.A, wants_unicast=True), id=77)
    assert (path.remote, message.id, message.questions) == (ASKER, 77, [])
    ((path, message),) = ask(responder, now + 100.0, id=77)
    assert (path.remote, message.id) == (GROUP, 0)


@pytest.mark.parametrize("source", [ASKER, SIMPLE])
@pytest.mark.parametrize("repeats", [1, 200])
def test_query_of_many_questions_is_answered_in_a_bounded_way(source, repeats):
    hosts = [f"192.0.2.{index}" for index in range(1, 65)]
    names = [(f"name-{index}.local", hosts) for index in range(50)]
    responder, now = settled(published=names, config=ResponderConfig(host_count_max=64))
    chosen = [names[0][0]] * repeats if repeats > 1 else [name for name, _ in names]
    responses = ask(responder, now, *[Question(name, RecordType.ANY) for name in chosen], source=source)
    assert 1 <= len(responses) <= 8 * 64 / 12 + 1
    assert all(len(message.answers) <= 12 and len(message.questions) <= 8 for _, message in responses)
    assert ("too_many_questions" in responder.stats.discards) is (repeats == 1)


def test_simple_resolver_gets_its_id_and_question_back_with_a_short_ttl():
    responder, now = settled()
    ((path, message),) = ask(responder, now, id=77, source=SIMPLE)
    assert path == Path(LOCAL, SIMPLE)
    assert (message.id, message.questions) == (77, [Question(NAME, RecordType.A)])
    assert [(record.ttl_s, record.flushes_cache) for record in message.answers] == [(10, False)]


def test_known_answer_is_not_repeated():
    responder, now = settled()
    assert ask(responder, now, answers=[address_record(NAME, "192.0.2.10", 60)]) == []
    assert responder.stats.discards["known_answer"] == 1
    assert ask(responder, now, answers=[address_record(NAME, "192.0.2.10", 59)]) != []


def test_known_answer_with_another_address_does_not_keep_ours_back():
    responder, now = settled()
    assert ask(responder, now, answers=[address_record(NAME, "192.0.2.66", 120)])


def test_record_is_not_multicast_twice_within_a_second():
    responder, now = settled()
    assert ask(responder, now)
    assert ask(responder, now + 0.9) == []
    assert responder.stats.discards["too_soon"] == 1
    assert ask(responder, now + 1.0)


def test_probe_of_another_is_answered_sooner():
    responder, now = settled()
    ask(responder, now)
    assert ask(responder, now + 0.3, authorities=[address_record(NAME, "192.0.2.66", 120)])


def test_answers_are_per_link():
    other = Address("10.0.0.1", 5353)
    responder, now = settled(LOCAL, other)
    assert ask(responder, now)
    ((path, _),) = ask(responder, now, local=other, source=Address("10.0.0.2", 5353))
    assert path.local == other


# links


OFF_LINK = Address("203.0.113.5", 5353)


@pytest.mark.parametrize(
    ("source", "is_answered"),
    [
        (ASKER, True),
        (SIMPLE, True),
        (Address("fe80::7", 5353), True),
        (Address("169.254.3.4", 5353), True),
        (OFF_LINK, False),
        (Address("203.0.113.5", 40_000), False),
        (Address("2001:db8:1::1", 5353), False),
    ],
)
def test_query_from_beyond_the_link_is_not_answered(source, is_answered):
    responder, now = settled()
    responder.set_networks(LOCAL, ["192.0.2.0/24", "2001:db8:0::/64"], now)
    assert bool(ask(responder, now, source=source)) is is_answered
    assert responder.stats.discards == ({} if is_answered else {"off_link": 1})
    responder.set_networks(LOCAL, [], now)
    assert ask(responder, now + 2.0, source=source)


def test_address_of_one_link_is_not_told_on_another():
    other = Address("10.0.0.1", 5353)
    names = [(NAME, ("192.0.2.10",)), ("other.local", ("10.0.0.1",)), ("nowhere.local", ("198.51.100.1",))]
    responder = make(LOCAL, other, published=names)
    responder.set_networks(LOCAL, ["192.0.2.0/24"], START)
    responder.set_networks(other, ["10.0.0.0/8"], START)
    responder.handle_timer(START + 1.3)
    heard = {path.local: [record.name for record in message.answers] for path, message in told(responder, START + 1.3)}
    assert heard == {LOCAL: [NAME, "nowhere.local"], other: ["other.local", "nowhere.local"]}
    assert ask(responder, START + 9, local=other, source=Address("10.0.0.2", 5353)) == []
    assert (
        ask(responder, START + 9, Question(NAME, RecordType.AAAA), local=other, source=Address("10.0.0.2", 5353)) == []
    )
    responder.close(START + 9)
    assert {path.local: [r.name for r in m.answers] for path, m in told(responder, START + 9)} == heard


def test_network_that_is_none_is_refused():
    with pytest.raises(InvalidArgument):
        make().set_networks(LOCAL, ["192.0.2.0/33"], START)


# what is not answered


@pytest.mark.parametrize("source", [ASKER, SIMPLE])
def test_names_of_others_are_not_answered_for(source):
    responder, now = settled()
    assert ask(responder, now, Question("printer.local", RecordType.A), source=source) == []
    assert responder.stats.discards == {"not_ours": 1}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"is_response": True}, "not_a_query"),
        ({"opcode": 4}, "not_a_query"),
        ({"response_code": 1}, "not_a_query"),
    ],
)
def test_what_is_no_query_is_discarded(fields, reason):
    responder, now = settled()
    assert ask(responder, now, **fields) == []
    assert responder.stats.discards == {reason: 1}


def test_datagram_on_an_address_that_is_not_ours_is_discarded():
    responder, now = settled()
    assert ask(responder, now, local=Address("10.9.9.9", 5353)) == []
    assert responder.stats.discards == {"unknown_local_address": 1}


def test_other_class_is_not_ours():
    responder, now = settled()
    assert ask(responder, now, Question(NAME, RecordType.A, record_class=3)) == []


def test_claim_of_a_stranger_takes_no_name_away():
    responder, now = settled()
    claim = DnsMessage(is_response=True, answers=[address_record(NAME, "192.0.2.66", 120)])
    responder.receive(Datagram(serialize_message(claim), Path(LOCAL, ASKER)), now)
    ((_, message),) = ask(responder, now)
    assert message.answers[0].host == "192.0.2.10"


def test_flood_of_queries_is_answered_at_a_rate():
    responder, now = settled(config=ResponderConfig(responses_per_s_max=10.0))
    count = sum(bool(ask(responder, now + index / 1000, source=SIMPLE)) for index in range(1000))
    assert 10 <= count <= 21
    assert responder.stats.discards["rate_limited"] == 1000 - count


@given(st.binary(max_size=300), st.sampled_from([ASKER, SIMPLE]))
def test_any_bytes_are_survived_and_answered_with_nothing(data, source):
    responder, now = settled()
    monitor = ContractMonitor(responder)
    monitor.receive(Datagram(data, Path(LOCAL, source)), now)
    monitor.check(now)
    assert monitor.take_datagrams(now) == ()


# misuse and limits


@pytest.mark.parametrize(
    ("name", "hosts"),
    [("example.org", ["192.0.2.1"]), (NAME, []), (NAME, ["example.org"]), ("." + NAME, ["192.0.2.1"])],
)
def test_wrong_argument_raises_and_changes_nothing(name, hosts):
    responder = make(published=())
    with pytest.raises(InvalidArgument):
        responder.publish(name, hosts, START)
    assert responder.names == () and told(responder) == []


def test_bounds_are_kept():
    responder = make(config=ResponderConfig(name_count_max=1, host_count_max=1, local_address_count_max=1))
    with pytest.raises(LimitExceeded):
        responder.publish("other.local", ["192.0.2.1"], START)
    with pytest.raises(InvalidArgument):
        responder.publish(NAME, ["192.0.2.1", "192.0.2.2"], START)
    with pytest.raises(LimitExceeded):
        responder.add_local_address(Address("10.0.0.1", 5353), START)


def test_after_the_end_nothing_has_an_effect():
    responder, now = settled()
    responder.abort(now)
    responder.take_events()
    responder.publish("other.local", ["192.0.2.1"], now)
    responder.add_local_address(Address("10.0.0.1", 5353), now)
    assert ask(responder, now) == [] and responder.take_events() == ()


# with the querier


@pytest.mark.parametrize("wants_unicast", [False, True])
def test_querier_resolves_what_the_responder_publishes(wants_unicast):
    responder, now = settled(published=[(NAME, ("192.0.2.10", "2001:db8::10"))])
    querier = Querier(MdnsConfig(wants_unicast_response=wants_unicast), entropy=SeededEntropy(2))
    querier.add_local_address(ASKER, now)
    querier.resolve(NAME, now)
    for datagram in querier.take_datagrams(now):
        responder.receive(Datagram(datagram.data, Path(LOCAL, ASKER)), now)
    for datagram in responder.take_datagrams(now):
        querier.receive(Datagram(datagram.data, Path(ASKER, LOCAL)), now)
    (event,) = querier.take_events()
    assert isinstance(event, NameResolved) and "192.0.2.10" in event.hosts
