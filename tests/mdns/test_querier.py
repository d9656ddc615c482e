"""The querier: queries and their times, answers and what must not count as one, cache, limits, bad links."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.mdns import MdnsConfig, NameResolved, NameUnresolved, Querier
from sans_rtc.mdns.wire import (
    DnsMessage,
    Question,
    Record,
    RecordType,
    address_record,
    name_key,
    parse_message,
    serialize_message,
)
from sans_rtc.testing import ContractMonitor, Link, LinkConditions, SeededEntropy

LOCAL = Address("192.0.2.10", 5353)
RESPONDER = Address("192.0.2.20", 5353)
PATH = Path(LOCAL, RESPONDER)
GROUP = Address("224.0.0.251", 5353)


def questions(datagram):
    return parse_message(datagram.data).questions


def asked(querier, now):
    """The names asked for now, once for both families, by destination."""
    names = {}
    for datagram in querier.take_datagrams(now):
        names.setdefault(datagram.path.remote, {}).update((q.name, None) for q in questions(datagram))
    return {remote: list(each) for remote, each in names.items()}


# --- queries


def test_query_asks_for_each_family_in_its_own_message_by_multicast_with_id_zero(make_querier, name):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    datagrams = querier.take_datagrams(1000.0)
    assert {datagram.path for datagram in datagrams} == {Path(LOCAL, Address("224.0.0.251", 5353))}
    # Chromium answers only a query of a single question; the one for A comes first.
    assert [parse_message(datagram.data) for datagram in datagrams] == [
        DnsMessage(questions=[Question(name, RecordType.A)]),
        DnsMessage(questions=[Question(name, RecordType.AAAA)]),
    ]


@pytest.mark.parametrize(
    ("local", "group"),
    [
        (Address("2001:db8::1", 5353), Address("ff02::fb", 5353)),
        (Address("fe80::1%eth0", 5353), Address("ff02::fb%eth0", 5353)),
    ],
)
def test_query_goes_to_the_group_of_its_family(make_querier, name, local, group):
    querier = make_querier(local)
    querier.resolve(name, 1000.0)
    assert [d.path for d in querier.take_datagrams(1000.0)] == [Path(local, group)] * 2


def test_query_goes_from_every_local_address(make_querier, name):
    addresses = [LOCAL, Address("10.0.0.1", 5353), Address("2001:db8::1", 5353)]
    querier = make_querier(*addresses)
    querier.resolve(name, 1000.0)
    assert [d.path.local for d in querier.take_datagrams(1000.0)][::2] == addresses
    assert querier.stats.queries_sent == 6


def test_paths_are_made_once_and_shared(make_querier, name):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    first = querier.take_datagrams(1000.0)[0].path
    querier.handle_timer(1001.0)
    assert querier.take_datagrams(1001.0)[0].path is first


def test_names_asked_for_together_go_in_one_round(make_querier):
    querier = make_querier()
    for label in "abc":
        querier.resolve(f"{label}.local", 1000.0)
    asked_for = [(q.name, q.type) for d in querier.take_datagrams(1000.0) for q in questions(d)]
    assert asked_for == [(f"{label}.local", type_) for label in "abc" for type_ in (1, 28)]


def test_name_is_asked_for_at_intervals_that_double_then_given_up(make_querier, name):
    querier = make_querier(query_count_max=4, timeout_s=9.0)
    querier.resolve(name, 1000.0)
    times, now = [], 1000.0
    while querier.deadline < math.inf:
        querier.handle_timer(now)
        times += [now - 1000.0 for _ in querier.take_datagrams(now)[::2]]
        now = querier.deadline
    assert times == [0.0, 1.0, 3.0, 7.0]
    assert querier.take_events() == [NameUnresolved(name, "timed_out")]
    assert querier.stats.names_unresolved == 1


def test_default_schedule_ends_after_five_seconds(make_querier, name):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.handle_timer(1004.999)
    assert querier.take_events() == ()
    querier.handle_timer(1005.0)
    assert querier.take_events() == [NameUnresolved(name, "timed_out")]


def test_late_timer_asks_once(make_querier, name):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.take_datagrams(1000.0)
    querier.handle_timer(1004.5)
    assert len(querier.take_datagrams(1004.5)) == 2
    assert querier.deadline == 1005.0


def test_unicast_response_is_wanted_on_the_first_query_only_and_only_where_configured(make_querier, name):
    for wants, expected in ((False, [False, False]), (True, [True, False])):
        querier = make_querier(wants_unicast_response=wants)
        querier.resolve(name, 1000.0)
        bits = [questions(querier.take_datagrams(1000.0)[0])[0].wants_unicast]
        querier.handle_timer(1001.0)
        bits.append(questions(querier.take_datagrams(1001.0)[0])[0].wants_unicast)
        assert bits == expected


def test_name_asked_for_twice_is_asked_for_once(make_querier, name):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.resolve(name, 1000.0)
    assert len(querier.take_datagrams(1000.0)) == 2
    assert querier.pending_names == (name,)


def test_address_added_later_asks_for_what_is_pending_and_the_others_stay_silent(make_querier, name):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.take_datagrams(1000.0)
    later = Address("10.0.0.1", 5353)
    querier.add_local_address(later, 1000.1)
    assert [d.path.local for d in querier.take_datagrams(1000.1)] == [later] * 2
    assert querier.deadline == 1001.0


def test_without_an_address_nothing_is_asked_until_one_comes(name):
    querier = Querier(MdnsConfig(), entropy=SeededEntropy(1))
    querier.resolve(name, 1000.0)
    assert querier.take_datagrams(1000.0) == ()
    assert querier.deadline == 1005.0
    querier.add_local_address(LOCAL, 1002.0)
    assert asked(querier, 1002.0) == {GROUP: [name]}


def test_without_an_address_the_name_is_given_up_for_that(name):
    querier = Querier(MdnsConfig(), entropy=SeededEntropy(1))
    querier.resolve(name, 1000.0)
    querier.handle_timer(1005.0)
    assert querier.take_events() == [NameUnresolved(name, "no_network")]


def test_removed_address_asks_and_hears_no_more(make_querier, name, answer):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.remove_local_address(LOCAL, 1000.0)
    querier.remove_local_address(LOCAL, 1000.0)
    assert querier.take_datagrams(1000.0) == []
    querier.receive(answer(name, "192.0.2.20"), 1000.1)
    assert querier.stats.discards == {"unknown_local_address": 1}


def test_cancelled_name_is_forgotten(make_querier, name, answer):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.cancel(name, 1000.0)
    querier.cancel(name, 1000.0)
    assert querier.take_datagrams(1000.0) == [] and querier.deadline == math.inf
    querier.receive(answer(name, "192.0.2.20"), 1000.1)
    assert querier.take_events() == ()


# --- answers


@pytest.mark.parametrize("hosts", [["192.0.2.20"], ["2001:db8::20"], ["192.0.2.20", "2001:db8::20", "10.0.0.1"]])
def test_answer_resolves_the_name_with_all_its_addresses(make_querier, name, answer, hosts):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.receive(answer(name, *hosts), 1000.1)
    assert querier.take_events() == [NameResolved(name, tuple(hosts))]
    assert querier.deadline == math.inf and querier.stats.names_resolved == 1


def test_answer_counts_in_the_additional_section_too(make_querier, name):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    message = DnsMessage(is_response=True, additionals=[address_record(name, "192.0.2.20", 120)])
    querier.receive(Datagram(serialize_message(message), PATH), 1000.1)
    assert querier.take_events() == [NameResolved(name, ("192.0.2.20",))]


def test_name_is_told_as_it_was_asked_whatever_the_case_of_the_answer(make_querier, answer):
    querier = make_querier()
    for spelled in ("Test.local", "test.LOCAL", "test.local."):
        querier.resolve(spelled, 1000.0)
    querier.receive(answer("TEST.local", "192.0.2.20"), 1000.1)
    assert [event.name for event in querier.take_events()] == ["Test.local", "test.LOCAL", "test.local."]


def test_one_response_resolves_several_names(make_querier):
    querier = make_querier()
    records = [address_record(f"{label}.local", f"10.0.0.{i}", 120) for i, label in enumerate("abc")]
    for label in "cab":
        querier.resolve(f"{label}.local", 1000.0)
    querier.receive(Datagram(serialize_message(DnsMessage(is_response=True, answers=records)), PATH), 1000.1)
    assert {e.name: e.hosts for e in querier.take_events()} == {
        "a.local": ("10.0.0.0",), "b.local": ("10.0.0.1",), "c.local": ("10.0.0.2",),
    }  # fmt: skip


def test_duplicated_record_is_told_once(make_querier, name, answer):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.receive(answer(name, "192.0.2.20", "192.0.2.20"), 1000.1)
    assert querier.take_events() == [NameResolved(name, ("192.0.2.20",))]


def test_late_or_duplicated_response_says_nothing_new(make_querier, name, answer):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.receive(answer(name, "192.0.2.20"), 1000.1)
    querier.receive(answer(name, "192.0.2.20"), 1000.2)
    assert len(querier.take_events()) == 1


def test_answer_before_the_query_left_saves_the_query(make_querier, name, answer):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.receive(answer(name, "192.0.2.20"), 1000.0)
    assert querier.take_datagrams(1000.0) == []


CHROMIUM_ANSWER = (
    "000084000000000100000001"
    "2432646263333466652d383161612d346530612d383166372d663065343864373665616638056c6f63616c00"
    "00018001000000780004" "0a090001"
    "2432646263333466652d383161612d346530612d383166372d663065343864373665616638056c6f63616c00"
    "002f8001000000780005" "c046000140"
)  # fmt: skip
CHROMIUM_DENIAL_OF_AAAA = (
    "000084000000000100000001"
    "2432646263333466652d383161612d346530612d383166372d663065343864373665616638056c6f63616c00"
    "002f8001000000780005" "c00c000140"
    "2432646263333466652d383161612d346530612d383166372d663065343864373665616638056c6f63616c00"
    "00018001000000780004" "0a090001"
)  # fmt: skip


@pytest.mark.parametrize("data", [CHROMIUM_ANSWER, CHROMIUM_DENIAL_OF_AAAA])
def test_answer_of_chromium_156_resolves_its_candidate(make_querier, data):
    querier = make_querier()
    querier.resolve("2dbc34fe-81aa-4e0a-81f7-f0e48d76eaf8.local", 1000.0)
    querier.receive(Datagram(bytes.fromhex(data), PATH), 1000.1)
    assert querier.take_events() == [NameResolved("2dbc34fe-81aa-4e0a-81f7-f0e48d76eaf8.local", ("10.9.0.1",))]


# --- what must not count as an answer


def not_an_answer(querier, name, datagram, reason):
    querier.resolve(name, 1000.0)
    querier.receive(datagram, 1000.1)
    assert querier.take_events() == ()
    assert querier.pending_names == (name,)
    assert querier.stats.discards == {reason: 1}


@pytest.mark.parametrize("port", [0, 53, 5352, 50000])
def test_response_from_another_port_does_not_count(make_querier, name, answer, port):
    datagram = answer(name, "192.0.2.20", path=Path(LOCAL, Address("192.0.2.20", port)))
    not_an_answer(make_querier(), name, datagram, "wrong_port")


def test_response_to_another_socket_does_not_count(make_querier, name, answer):
    datagram = answer(name, "192.0.2.20", path=Path(Address("192.0.2.11", 5353), RESPONDER))
    not_an_answer(make_querier(), name, datagram, "unknown_local_address")


def test_empty_datagram_from_an_unrelated_address_does_not_count(make_querier, name):
    unrelated = Path(Address("10.0.0.1", 1), Address("10.0.0.2", 2))
    not_an_answer(make_querier(), name, Datagram(b"", unrelated), "unknown_local_address")


@pytest.mark.parametrize("data", [b"", b"\0" * 11, b"\xff" * 40])
def test_bytes_that_are_no_message_do_not_count(make_querier, name, data):
    not_an_answer(make_querier(), name, Datagram(data, PATH), "malformed")


def test_query_does_not_count_even_with_known_answers(make_querier, name):
    message = DnsMessage(questions=[Question(name, 1)], answers=[address_record(name, "192.0.2.20", 120)])
    not_an_answer(make_querier(), name, Datagram(serialize_message(message), PATH), "query")


@pytest.mark.parametrize("header", [{"opcode": 1}, {"response_code": 3}])
def test_response_with_an_opcode_or_error_does_not_count(make_querier, name, answer, header):
    not_an_answer(make_querier(), name, answer(name, "192.0.2.20", **header), "error_response")


@pytest.mark.parametrize("other", ["other.local", "x.1f4712db-ea17-4bcf-a596-105139dfd8bf.local", "local", ""])
def test_answer_about_another_name_does_not_count(make_querier, name, answer, other):
    not_an_answer(make_querier(), name, answer(other, "192.0.2.20"), "not_asked")


@pytest.mark.parametrize("host", ["0.0.0.0", "224.0.0.1", "255.255.255.255", "::", "ff02::1"])
def test_address_that_is_nobodys_does_not_count(make_querier, name, answer, host):
    not_an_answer(make_querier(), name, answer(name, host), "unusable_address")


@pytest.mark.parametrize(
    "record",
    [
        Record("", RecordType.A, 120, bytes(3) + b"\1\1"),
        Record("", RecordType.AAAA, 120, bytes([192, 0, 2, 20])),
        Record("", RecordType.A, 120, b""),
    ],
)
def test_address_record_of_another_size_does_not_count(make_querier, name, record):
    record.name = name
    message = DnsMessage(is_response=True, answers=[record])
    not_an_answer(make_querier(), name, Datagram(serialize_message(message), PATH), "unusable_address")


@pytest.mark.parametrize("kind", [{"type": RecordType.TXT}, {"type": RecordType.NSEC}, {"record_class": 3}])
def test_record_of_another_type_or_class_does_not_count(make_querier, name, kind):
    values = {"type": RecordType.A, "record_class": 1, **kind}
    record = Record(name, values["type"], 120, bytes([192, 0, 2, 20]), record_class=values["record_class"])
    message = DnsMessage(is_response=True, answers=[record])
    not_an_answer(make_querier(), name, Datagram(serialize_message(message), PATH), "not_asked")


def test_goodbye_is_no_answer(make_querier, name, answer):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.receive(answer(name, "192.0.2.20", ttl_s=0), 1000.1)
    assert querier.take_events() == () and querier.pending_names == (name,)


def test_record_in_the_authority_section_is_no_answer(make_querier, name):
    message = DnsMessage(is_response=True, authorities=[address_record(name, "192.0.2.20", 120)])
    not_an_answer(make_querier(), name, Datagram(serialize_message(message), PATH), "not_asked")


# --- a port of its own: a simple resolver

EPHEMERAL = Address("192.0.2.10", 40000)


def test_query_from_another_port_has_an_id_and_its_answer_must_repeat_it(make_querier, name, answer):
    querier = make_querier(EPHEMERAL)
    querier.resolve(name, 1000.0)
    message_id = parse_message(querier.take_datagrams(1000.0)[0].data).id
    assert message_id == int.from_bytes(SeededEntropy(1)(2), "big")
    path = Path(EPHEMERAL, RESPONDER)
    querier.receive(answer(name, "192.0.2.66", path=path, id=message_id ^ 1), 1000.1)
    assert querier.take_events() == () and querier.stats.discards == {"wrong_id": 1}
    querier.receive(answer(name, "192.0.2.20", path=path, id=message_id), 1000.2)
    assert querier.take_events() == [NameResolved(name, ("192.0.2.20",))]


def test_query_from_another_port_does_not_set_the_unicast_bit(make_querier, name):
    querier = make_querier(EPHEMERAL, wants_unicast_response=True)
    querier.resolve(name, 1000.0)
    assert not questions(querier.take_datagrams(1000.0)[0])[0].wants_unicast


# --- cache


@pytest.fixture
def resolved(make_querier, name, answer):
    """A querier that knows the name since 1000.0, and one way to ask it what it knows."""
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.take_datagrams(1000.0)
    querier.receive(answer(name, "192.0.2.20"), 1000.0)
    querier.take_events()
    return querier


def known(querier, name, now):
    querier.resolve(name, now)
    querier.cancel(name, now)
    return [event.hosts for event in querier.take_events()]


def test_answer_is_kept_until_its_ttl_ends(resolved, name):
    assert known(resolved, name, 1119.9) == [("192.0.2.20",)]
    assert known(resolved, name, 1120.0) == []


def test_answer_is_never_kept_longer_than_configured(make_querier, name, answer):
    querier = make_querier(ttl_s_max=10.0)
    querier.resolve(name, 1000.0)
    querier.receive(answer(name, "192.0.2.20", ttl_s=2**31 - 1), 1000.0)
    querier.take_events()
    assert known(querier, name, 1009.9) == [("192.0.2.20",)]
    assert known(querier, name, 1010.0) == []


def test_kept_answer_costs_no_query(resolved, name):
    resolved.resolve(name, 1010.0)
    assert resolved.take_datagrams(1010.0) == () and len(resolved.take_events()) == 1


def test_goodbye_ends_a_kept_answer_after_a_second(resolved, name, answer):
    resolved.receive(answer(name, "192.0.2.20", ttl_s=0), 1010.0)
    assert known(resolved, name, 1010.9) == [("192.0.2.20",)]
    assert known(resolved, name, 1011.0) == []


def test_announcement_renews_a_kept_answer(resolved, name, answer):
    resolved.receive(answer(name, "192.0.2.20"), 1100.0)
    assert known(resolved, name, 1219.9) == [("192.0.2.20",)]


def test_cache_flush_ends_older_addresses_of_the_family_after_a_second(resolved, name, answer):
    resolved.receive(answer(name, "2001:db8::1", flushes_cache=True), 1010.0)
    assert known(resolved, name, 1012.0) == [("192.0.2.20", "2001:db8::1")]
    resolved.receive(answer(name, "192.0.2.21", flushes_cache=True), 1012.0)
    assert known(resolved, name, 1013.0) == [("2001:db8::1", "192.0.2.21")]


def test_cache_flush_spares_the_addresses_that_came_with_it_or_just_before(make_querier, name, answer):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    querier.receive(answer(name, "192.0.2.20", "192.0.2.21"), 1000.0)
    querier.receive(answer(name, "192.0.2.22"), 1000.5)
    querier.take_events()
    assert known(querier, name, 1010.0) == [("192.0.2.20", "192.0.2.21", "192.0.2.22")]


def test_expired_addresses_leave_their_place_to_others(make_querier, name, answer):
    querier = make_querier(host_count_max=1)
    for now, host in ((1000.0, "192.0.2.20"), (1200.0, "192.0.2.21")):
        querier.resolve(name, now)
        querier.receive(answer(name, host), now)
        assert querier.take_events() == [NameResolved(name, (host,))]
    assert querier.stats.discards == {}


def test_address_without_cache_flush_is_added(resolved, name, answer):
    resolved.receive(answer(name, "192.0.2.21", flushes_cache=False), 1010.0)
    assert known(resolved, name, 1012.0) == [("192.0.2.20", "192.0.2.21")]


def test_name_that_nobody_asked_for_is_not_kept(resolved, answer):
    resolved.receive(answer("other.local", "192.0.2.66"), 1010.0)
    assert known(resolved, "other.local", 1010.0) == []


# --- limits and misuse


@pytest.mark.parametrize(
    "wrong", ["", "local", ".local", "a.local.x", "example.org", "a..local", "x" * 64 + ".local", "\ud800.local",
              "a.locaĺ", ".".join(["x" * 60] * 5) + ".local"]
)  # fmt: skip
def test_what_is_no_local_name_is_refused_and_changes_nothing(make_querier, wrong):
    querier = make_querier()
    with pytest.raises(InvalidArgument):
        querier.resolve(wrong, 1000.0)
    assert querier.pending_names == () and querier.take_datagrams(1000.0) == ()


def test_more_names_than_the_limit_are_refused_until_one_is_done(make_querier, answer):
    querier = make_querier(name_count_max=2)
    querier.resolve("a.local", 1000.0)
    querier.resolve("b.local", 1000.0)
    with pytest.raises(LimitExceeded):
        querier.resolve("c.local", 1000.0)
    assert querier.pending_names == ("a.local", "b.local")
    querier.receive(answer("a.local", "192.0.2.20"), 1000.1)
    querier.resolve("c.local", 1000.2)
    assert querier.pending_names == ("b.local", "c.local")


def test_more_addresses_than_the_limit_are_refused(make_querier):
    querier = make_querier(local_address_count_max=1)
    querier.add_local_address(LOCAL, 1000.0)
    with pytest.raises(LimitExceeded):
        querier.add_local_address(Address("10.0.0.1", 5353), 1000.0)


def test_local_address_must_be_an_address(make_querier):
    with pytest.raises(InvalidArgument):
        make_querier().add_local_address(Address("a.local", 5353), 1000.0)


def test_rounds_of_queries_are_paced(make_querier):
    querier = make_querier(names_per_round_max=2, query_pace_s=0.1)
    for label in "abcde":
        querier.resolve(f"{label}.local", 1000.0)
    rounds, now = [], 1000.0
    while len(rounds) < 3:
        querier.handle_timer(now)
        rounds += [(round(now - 1000, 3), names) for names in asked(querier, now).values()]
        now = querier.deadline
    assert rounds == [(0.0, ["a.local", "b.local"]), (0.1, ["c.local", "d.local"]), (0.2, ["e.local"])]


def test_timer_settles_where_the_driver_does_not_take(make_querier):
    querier = make_querier(names_per_round_max=1)
    for label in "abc":
        querier.resolve(f"{label}.local", 1000.0)
    for step in range(40):
        now = 1000.0 + step / 10
        querier.handle_timer(now)
        assert querier.deadline > now
    assert len(querier.take_datagrams(1004.0)) == 2


def test_addresses_of_a_name_are_bounded(make_querier, name, answer):
    querier = make_querier(host_count_max=2)
    querier.resolve(name, 1000.0)
    querier.receive(answer(name, "10.0.0.1", "10.0.0.2", "10.0.0.3"), 1000.1)
    assert querier.take_events() == [NameResolved(name, ("10.0.0.1", "10.0.0.2"))]
    querier.receive(answer(name, "10.0.0.4", flushes_cache=False), 1000.2)
    assert querier.stats.discards == {"too_many_hosts": 2}
    assert known(querier, name, 1000.3) == [("10.0.0.1", "10.0.0.2")]


@pytest.mark.parametrize(("limit", "kept"), [(0, []), (1, ["c"]), (2, ["b", "c"])])
def test_cache_is_bounded_and_lets_the_first_to_expire_go(make_querier, answer, limit, kept):
    querier = make_querier(cache_name_count_max=limit)
    for index, label in enumerate("abc"):
        querier.resolve(f"{label}.local", 1000.0 + index)
        querier.receive(answer(f"{label}.local", "10.0.0.1"), 1000.0 + index)
    assert len(querier.take_events()) == 3
    assert [label for label in "abc" if known(querier, f"{label}.local", 1005.0)] == kept


@pytest.mark.parametrize(
    "values",
    [
        {"query_count_max": 0}, {"query_interval_s": 0.9}, {"timeout_s": 0.0}, {"timeout_s": math.inf},
        {"name_count_max": 0}, {"names_per_round_max": 0}, {"query_pace_s": 0.0},
        {"local_address_count_max": 0}, {"cache_name_count_max": -1}, {"host_count_max": 0}, {"ttl_s_max": -1.0},
        {"timeout_s": math.nan},
    ],
)  # fmt: skip
def test_configuration_out_of_range_is_refused(values):
    with pytest.raises(InvalidArgument):
        MdnsConfig(**values)


# --- ends


@pytest.mark.parametrize(("verb", "reason"), [("close", "closed"), ("abort", "aborted")])
def test_end_unresolves_what_is_pending_and_nothing_follows(make_querier, name, answer, verb, reason):
    querier = make_querier()
    querier.resolve(name, 1000.0)
    getattr(querier, verb)(1000.1)
    getattr(querier, verb)(1000.2)
    querier.resolve("other.local", 1000.3)
    querier.receive(answer(name, "192.0.2.20"), 1000.3)
    querier.add_local_address(Address("10.0.0.1", 5353), 1000.3)
    querier.handle_timer(1010.0)
    assert querier.take_events() == [NameUnresolved(name, "closed"), Terminated(reason)]
    assert querier.is_terminated and querier.deadline == math.inf
    assert querier.take_datagrams(1010.0) == () and querier.take_events() == ()


def test_trace_tells_each_step(make_querier, name, answer):
    records = []
    querier = make_querier(trace=records.append)
    querier.resolve(name, 1000.0)
    querier.take_datagrams(1000.0)
    querier.receive(Datagram(b"", PATH), 1000.1)
    querier.receive(answer(name, "192.0.2.20"), 1000.2)
    querier.resolve("other.local", 1000.2)
    querier.close(1000.3)
    assert [(r.layer, r.name) for r in records] == [
        ("mdns", "queried"),
        ("mdns", "discarded"),
        ("mdns", "resolved"),
        ("mdns", "unresolved"),
    ]


# --- simulation and properties


class Responder:
    """The other end of a link: knows one name."""

    deadline = math.inf
    is_terminated = False

    def __init__(self, name, host):
        self.name, self.host, self.datagrams = name, host, []

    def receive(self, datagram, now):
        try:
            message = parse_message(datagram.data)
        except ValueError:
            return
        if any(name_key(q.name) == name_key(self.name) for q in message.questions):
            response = DnsMessage(is_response=True, answers=[address_record(self.name, self.host, 120)])
            self.datagrams.append(Datagram(serialize_message(response), Path(RESPONDER, LOCAL)))

    def take_datagrams(self, now):
        taken, self.datagrams = self.datagrams, []
        return taken

    def take_events(self):
        return ()


@pytest.mark.parametrize("seed", range(40))
def test_name_is_resolved_or_given_up_over_a_bad_link(make_querier, name, seed):
    monitor = ContractMonitor(make_querier())
    conditions = LinkConditions(loss=0.2, duplication=0.3, reordering=0.3, corruption=0.05)
    link = Link(monitor, Responder(name, "192.0.2.20"), seed=seed, conditions=conditions)
    monitor.machine.resolve(name, link.now)
    took = link.run_until(lambda: bool(link.events[0]), within_s=6.0)
    assert took <= 5.0
    link.run_until_idle()
    monitor.check(link.now)
    assert len(link.events[0]) == 1


@pytest.mark.parametrize("seed", range(20))
def test_answer_is_right_over_a_link_that_only_loses(make_querier, name, seed):
    querier = make_querier(query_count_max=8, timeout_s=600.0)
    link = Link(querier, Responder(name, "192.0.2.20"), seed=seed, conditions=LinkConditions(loss=0.3))
    querier.resolve(name, link.now)
    link.run_until(lambda: bool(link.events[0]), within_s=300.0)
    assert link.events[0] == [NameResolved(name, ("192.0.2.20",))]


LABELS = st.sampled_from("abcde")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["resolve", "cancel", "answer", "noise", "handle_timer", "add", "remove", "take", "close"],
        ),
        LABELS,
        st.sampled_from([0.0, 0.01, 0.5, 1.0, 3.0, 130.0]),
        st.integers(0, 2),
    ),
    max_size=60,
)
QUERIER = MdnsConfig(name_count_max=3, cache_name_count_max=2, host_count_max=2, names_per_round_max=2)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.binary(max_size=60))
def test_querier_keeps_the_contract_and_its_bounds_whatever_comes(steps, noise):
    querier = Querier(QUERIER, entropy=SeededEntropy(1))
    monitor = ContractMonitor(querier)
    now, open_names = 1000.0, set()
    for verb, label, pause, number in steps:
        now += pause
        name = f"{label}.local"
        address = Address(f"192.0.2.{number}", 5353)
        path = Path(address, RESPONDER)
        if verb == "resolve":
            try:
                querier.resolve(name, now)
            except LimitExceeded:
                pass
            else:
                if not querier.is_terminated:
                    open_names.add(name)
        elif verb == "cancel":
            querier.cancel(name, now)
            if name not in [getattr(e, "name", None) for e in querier._events._items]:
                open_names.discard(name)
        elif verb == "answer":
            records = [address_record(name, f"10.0.{number}.{i}", 120 * number) for i in range(number + 1)]
            data = serialize_message(DnsMessage(is_response=True, answers=records))
            monitor.receive(Datagram(data, path), now)
        elif verb == "noise":
            monitor.receive(Datagram(b"\0\0\x84\0" + noise, path), now)
        elif verb == "add":
            querier.add_local_address(address, now)
        elif verb == "remove":
            querier.remove_local_address(address, now)
        elif verb == "take":
            monitor.take_datagrams(now)
            for event in monitor.take_events():
                open_names.discard(getattr(event, "name", None))
        else:
            getattr(monitor, verb)(now)
        assert len(querier.pending_names) <= QUERIER.name_count_max
        assert len(querier._cache) <= QUERIER.cache_name_count_max
        assert len(querier._round) <= QUERIER.names_per_round_max
    monitor.take_datagrams(now)
    monitor.check(now)
    now += 1000.0
    monitor.handle_timer(now)
    for event in monitor.take_events():
        open_names.discard(getattr(event, "name", None))
    assert open_names == set()
    assert querier.deadline == math.inf


def test_response_from_beyond_the_link_is_not_believed(make_querier, name, answer):
    querier = make_querier()
    querier.set_networks(LOCAL, ["192.0.2.0/24"], 1000.0)
    querier.resolve(name, 1000.0)
    querier.receive(answer(name, "192.0.2.66", path=Path(LOCAL, Address("203.0.113.5", 5353))), 1000.0)
    assert querier.take_events() == ()
    assert querier.stats.discards == {"off_link": 1}
    querier.receive(answer(name, "192.0.2.20"), 1000.0)
    assert querier.take_events() == [NameResolved(name, ("192.0.2.20",))]
