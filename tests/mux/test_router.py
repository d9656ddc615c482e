"""Whose a datagram is: each rule with what must not happen."""

import pytest

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.peer.mux_config import MuxConfig
from sans_rtc.peer.mux_router import EARLY_PATHS_MAX, Router
from sans_rtc.peer.mux_stats import DiscardReason
from sans_rtc.peer.mux_transactions import LIFETIME_S, Transactions
from sans_rtc.stun.wire import MessageClass

HERE = Address("10.0.0.1", 3478)
PATHS = [Path(HERE, Address(f"10.1.0.{number}", 5000)) for number in range(9)]
DTLS = b"\x17\xfe\xfd" + bytes(40)


def payload(number, data=DTLS):
    return Datagram(data, PATHS[number])


def response(number, transaction_id=b"t" * 12):
    return Datagram(b"\x01\x01\x00\x00\x21\x12\xa4\x42" + transaction_id, PATHS[number])


def indication(number):
    return Datagram(b"\x00\x11\x00\x00\x21\x12\xa4\x42" + bytes(12), PATHS[number])


def our_request(number, transaction_id=b"t" * 12):
    return Datagram(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + transaction_id, PATHS[number])


@pytest.fixture
def router():
    return Router()


@pytest.fixture
def two(router, make_peer):
    """A router with peers 1 and 2, of which each has proven the path of its number."""
    peers = {key: make_peer((f"ufrag{key}",)) for key in (1, 2)}
    for key, peer in peers.items():
        router.add(key, peer)
        peer.prove(PATHS[key])
        router.follow(key)
    return peers


def keys(router, *datagrams, now=0.0):
    return [key for key, _ in router.sort(datagrams, now)]


# -- by path -----------------------------------------------------------------------------------------------------------


def test_payload_goes_to_the_peer_that_has_proven_its_path(router, two):
    assert keys(router, payload(2)) == [2]
    assert keys(router, payload(1)) == [1]


def test_payload_from_a_path_that_nobody_has_proven_goes_nowhere(router, two):
    assert keys(router, payload(3)) == []
    assert router.stats.discards == {DiscardReason.UNKNOWN_PATH: 1}


def test_path_that_is_not_proven_any_more_is_nobodys(router, two):
    two[1].lose(PATHS[1])
    router.follow(1)
    assert keys(router, payload(1)) == []


def test_nothing_that_merely_arrives_binds_a_path(router, two, make_request):
    for datagram in (make_request("ufrag1", "x123", path=PATHS[3]), response(3), indication(3), payload(3)):
        router.sort((datagram,), 0.0)
        router.follow(1)
    assert router.owner_of(PATHS[3]) is None
    assert keys(router, payload(3)) == []


def test_equal_paths_are_one_whoever_made_them(router, two):
    again = Path(HERE, Address("10.1.0.1", 5000))
    assert again is not PATHS[1]
    assert keys(router, Datagram(DTLS, again)) == [1]


def test_burst_is_parted_by_peers_each_in_order(router, two):
    burst = [payload(number, DTLS + bytes([index])) for index, number in enumerate([1, 1, 2, 1, 2, 2, 3, 1])]
    parts = dict(router.sort(burst, 0.0))
    assert {key: [datagram.data[-1] for datagram in part] for key, part in parts.items()} == {
        1: [0, 1, 3, 7],
        2: [2, 4, 5],
    }


def test_burst_of_one_peer_is_handed_on_as_it_is(router, two):
    burst = [payload(1)] * 50
    ((key, part),) = router.sort(burst, 0.0)
    assert key == 1
    assert part is burst


def test_stun_and_payload_of_one_path_keep_their_order(router, two, make_request):
    burst = [payload(1), make_request("ufrag1", "x123", path=PATHS[1]), payload(1), response(1), payload(1)]
    ((key, part),) = router.sort(burst, 0.0)
    assert key == 1
    assert list(part) == burst


def test_empty_burst_is_nothing(router, two):
    assert router.sort((), 0.0) == ()


# -- requests: by fragment ---------------------------------------------------------------------------------------------


def test_request_goes_to_the_peer_whose_fragment_it_names(router, two, make_request):
    assert keys(router, make_request("ufrag2", "x123", path=PATHS[5])) == [2]


def test_fragment_goes_before_the_path(router, two, make_request):
    """A NAT may have given the path to another client, whose check is not its former user's."""
    assert keys(router, make_request("ufrag2", "x123", path=PATHS[1])) == [2]


def test_fragments_of_both_generations_are_the_peers(router, two, make_request):
    two[1].local_ufrags = ("newer", "ufrag1")
    two[1].revision += 1
    router.follow(1)
    assert keys(router, make_request("newer", "x123"), make_request("ufrag1", "x123")) == [1]


def test_fragment_of_a_generation_that_is_over_still_is_no_strangers(router, two, make_request):
    for generation in range(10):
        two[1].local_ufrags = (f"generation{generation}",)
        two[1].revision += 1
        router.follow(1)
    assert keys(router, make_request("generation8", "x123")) == [1]
    assert keys(router, make_request("generation2", "x123")) == [], "only the last few are kept"
    assert router.sizes["ufrags"] == 6


def test_request_without_a_username_goes_by_its_path(router, two, make_request):
    bare = our_request(1)
    assert keys(router, bare) == [1]
    assert keys(router, our_request(3)) == []
    assert router.stats.discards == {DiscardReason.NOT_ADDRESSED: 1}


def test_fragment_of_a_peer_that_is_gone_is_a_strangers(router, two, make_request):
    router.remove(1)
    assert keys(router, make_request("ufrag1", "x123")) == []
    assert [stranger.local_ufrag for stranger in router.take_strangers()] == ["ufrag1"]


def test_fragment_that_a_restart_draws_twice_stays_with_its_owner(router, two, make_request):
    two[2].local_ufrags = ("ufrag1", "ufrag2")
    two[2].revision += 1
    router.follow(2)
    assert router.stats.ufrag_conflicts == 1
    assert keys(router, make_request("ufrag1", "x123")) == [1]
    router.remove(2)
    assert keys(router, make_request("ufrag1", "x123")) == [1]


# -- responses: by transaction, then by path ---------------------------------------------------------------------------


def test_answer_finds_the_one_who_asked_on_a_path_that_is_nobodys(router, two):
    router.note_sent(1, [our_request(7, b"a" * 12)], 0.0)
    router.note_sent(2, [our_request(7, b"b" * 12)], 0.0)
    assert keys(router, response(7, b"b" * 12)) == [2]
    assert keys(router, response(7, b"a" * 12)) == [1]


def test_answer_to_nothing_goes_nowhere(router, two):
    router.note_sent(1, [our_request(7, b"a" * 12)], 0.0)
    assert keys(router, response(7, b"c" * 12)) == []
    assert router.stats.discards == {DiscardReason.UNKNOWN_TRANSACTION: 1}


def test_answer_on_the_own_path_needs_no_memory(router, two):
    router.note_sent(1, [our_request(1)], 0.0)
    assert router.sizes["transactions"] == 0
    assert keys(router, response(1)) == [1]


def test_answer_to_one_peer_on_the_path_of_another_reaches_the_asker(router, two):
    router.note_sent(2, [our_request(1, b"b" * 12)], 0.0)
    assert keys(router, response(1, b"b" * 12)) == [2]


def test_answer_to_a_peer_that_is_gone_goes_nowhere(router, two):
    router.note_sent(1, [our_request(7)], 0.0)
    router.remove(1)
    assert keys(router, response(7)) == []


def test_indications_and_what_is_sent_besides_requests_are_not_remembered(router, two):
    router.note_sent(1, [indication(7), response(7), payload(7)], 0.0)
    assert router.sizes["transactions"] == 0


def test_indication_goes_by_its_path(router, two):
    assert keys(router, indication(1)) == [1]
    assert keys(router, indication(7)) == []


def test_transactions_are_forgotten_after_two_lifetimes_and_bounded():
    transactions = Transactions(100)
    transactions.add(b"first", 1, 0.0)
    transactions.add(b"second", 2, LIFETIME_S)
    assert transactions.find(b"first") == 1
    transactions.add(b"third", 3, 2 * LIFETIME_S)
    assert transactions.find(b"first") is None
    assert transactions.find(b"second") == 2
    for number in range(10_000):
        transactions.add(b"%d" % number, 4, 2 * LIFETIME_S)
    assert len(transactions) <= 100
    assert transactions.find(b"9999") == 4


# -- before a path is proven -------------------------------------------------------------------------------------------


def test_payload_from_a_path_that_a_peer_knows_goes_to_its_gate(router, two, make_request):
    two[1].known = {PATHS[3]}
    router.sort((make_request("ufrag1", "x123", path=PATHS[3]),), 0.0)
    two[1].revision += 1
    router.follow(1)
    assert keys(router, payload(3)) == [1]
    assert router.owner_of(PATHS[3]) is None


def test_payload_behind_its_request_in_one_burst_goes_to_the_same_peer(router, two, make_request):
    burst = (make_request("ufrag1", "x123", path=PATHS[3]), payload(3))
    ((key, part),) = router.sort(burst, 0.0)
    assert (key, list(part)) == (1, list(burst))
    router.follow(1)
    assert keys(router, payload(3)) == [], "the peer has not taken the request for authentic"


def test_request_with_a_known_fragment_from_a_strange_path_makes_nothing_known(router, two, make_request):
    router.sort((make_request("ufrag1", "x123", path=PATHS[3]),), 0.0)
    two[1].revision += 1
    router.follow(1)
    assert keys(router, payload(3)) == []
    assert router.sizes["early"] == 0


def test_known_paths_are_bounded_and_end_with_their_peer(router, two, make_request):
    paths = [Path(HERE, Address("10.2.0.1", port)) for port in range(1, 200)]
    two[1].known = set(paths)
    for path in paths:
        router.sort((make_request("ufrag1", "x123", path=path),), 0.0)
        two[1].revision += 1
        router.follow(1)
    assert router.sizes["early"] == EARLY_PATHS_MAX
    router.remove(1)
    assert router.sizes["early"] == 0


# -- two peers on one path ---------------------------------------------------------------------------------------------


def test_path_moves_to_the_peer_that_has_answered_there_later(router, two):
    two[1].answer(PATHS[1], 1.0)
    router.follow(1)
    two[2].answer(PATHS[1], 2.0)
    router.follow(2)
    assert keys(router, payload(1)) == [2]
    assert router.stats.paths_moved == 1


def test_path_does_not_move_to_a_peer_that_only_requests_prove_it_for(router, two):
    """Such a request may have a forged source, even if it comes from another peer's own user."""
    two[1].answer(PATHS[1], 1.0)
    router.follow(1)
    two[2].prove(PATHS[1])
    router.follow(2)
    assert keys(router, payload(1)) == [1]


def test_path_of_a_silent_peer_moves_to_one_that_is_not(router, two):
    two[1].answer(PATHS[1], 1.0)
    two[2].prove(PATHS[1])
    for key in two:
        router.follow(key)
    two[1].is_silent = True
    two[1].revision += 1
    router.follow(1)
    two[2].revision += 1
    router.follow(2)
    assert keys(router, payload(1)) == [2]


def test_path_goes_back_to_its_peer_when_that_answers_again(router, two):
    two[1].answer(PATHS[1], 1.0)
    two[2].answer(PATHS[1], 2.0)
    for key in two:
        router.follow(key)
    two[1].answer(PATHS[1], 3.0)
    router.follow(1)
    assert keys(router, payload(1)) == [1]


@pytest.mark.parametrize("is_removed", [True, False])
def test_path_that_its_peer_lets_go_of_becomes_its_rivals(router, two, is_removed):
    two[1].answer(PATHS[1], 5.0)
    router.follow(1)
    two[2].prove(PATHS[1])
    router.follow(2)
    if is_removed:
        router.remove(1)
    else:
        two[1].lose(PATHS[1])
        router.follow(1)
    assert keys(router, payload(1)) == [2]
    assert router.sizes["rivals"] == 0


def test_rival_that_gives_up_changes_nothing(router, two):
    two[2].prove(PATHS[1])
    router.follow(2)
    two[2].lose(PATHS[1])
    router.follow(2)
    assert keys(router, payload(1)) == [1]
    assert router.sizes["rivals"] == 0
    router.remove(1)
    assert router.owner_of(PATHS[1]) is None


# -- strangers ---------------------------------------------------------------------------------------------------------


def strangers(router, *requests, now=0.0):
    router.sort(requests, now)
    return [stranger.local_ufrag for stranger in router.take_strangers()]


def test_unknown_fragment_is_told_with_what_is_needed_to_take_it_up(router, make_request):
    asking = make_request("nobody", "someone", path=PATHS[3])
    router.sort((asking,), 0.0)
    (stranger,) = router.take_strangers()
    assert (stranger.local_ufrag, stranger.remote_ufrag) == ("nobody", "someone")
    assert stranger.path is PATHS[3]
    assert stranger.datagram is asking


def test_unknown_fragment_on_the_path_of_a_peer_is_told_too(router, two, make_request):
    """A client that begins anew from the same port must not have to wait until its former self is given up."""
    assert strangers(router, make_request("nobody", "someone", path=PATHS[1])) == ["nobody"]


def test_same_stranger_is_told_once_in_a_while(router, make_request):
    asking = make_request("nobody", "someone")
    assert strangers(router, asking) == ["nobody"]
    assert strangers(router, asking, now=4.9) == []
    assert strangers(router, asking, now=5.1) == ["nobody"]
    assert router.stats.discards == {DiscardReason.STRANGER_REPEATED: 1}


def test_stranger_without_a_fingerprint_is_not_told(router, make_request):
    assert strangers(router, make_request("nobody", "someone", fingerprint=False)) == []
    damaged = make_request("nobody", "someone")
    damaged.data = damaged.data[:-1] + bytes([damaged.data[-1] ^ 1])
    assert strangers(router, damaged) == []
    assert router.stats.discards == {DiscardReason.BAD_FINGERPRINT: 2}


def test_one_host_does_not_use_up_the_rate_of_all(router, make_request):
    flood = [
        make_request(f"nobody{number}", "someone", path=Path(HERE, Address("10.9.9.9", 1000 + number)))
        for number in range(200)
    ]
    assert len(strangers(router, *flood)) == MuxConfig().strangers_per_host_max
    assert strangers(router, make_request("other", "someone", path=PATHS[3])) == ["other"]


def test_strangers_that_wait_are_bounded(make_request):
    router = Router(MuxConfig(strangers_waiting_max=3))
    for number in range(10):
        router.sort((make_request(f"nobody{number}", "someone"),), 0.0)
    assert len(router.take_strangers()) == 3
    assert router.stats.discards == {DiscardReason.STRANGERS_WAITING: 7}


def test_no_stranger_is_told_where_none_is_wanted(make_request):
    router = Router(MuxConfig(strangers_per_s_max=0))
    assert strangers(router, make_request("nobody", "someone")) == []
    assert strangers(router, make_request("nobody", "someone"), now=1000.0) == []


# -- peers -------------------------------------------------------------------------------------------------------------


def test_fragment_of_another_peer_is_refused(router, two, make_peer):
    with pytest.raises(InvalidArgument):
        router.add(3, make_peer(("ufrag1",)))
    assert router.sizes["peers"] == 2


def test_key_of_another_peer_is_refused(router, two, make_peer):
    with pytest.raises(InvalidArgument):
        router.add(1, make_peer(("ufrag3",)))


def test_peers_are_bounded(make_peer):
    router = Router(MuxConfig(peer_count_max=1))
    router.add(1, make_peer(("one",)))
    with pytest.raises(LimitExceeded):
        router.add(2, make_peer(("two",)))


def test_nothing_of_a_peer_that_is_removed_stays(router, two):
    router.remove(1)
    router.remove(2)
    router.remove(3)
    assert set(router.sizes.values()) == {0}
    router.follow(1)


@pytest.mark.parametrize("field", ["peer_count_max", "transaction_count_max", "stranger_repeat_s"])
def test_bounds_that_cannot_be(field):
    with pytest.raises(InvalidArgument):
        MuxConfig(**{field: 0})
    with pytest.raises(InvalidArgument):
        MuxConfig(strangers_per_s_max=-1)


def test_message_classes_are_told_by_their_bits():
    """RFC 8489 section 5: C1 is the lowest bit of the first byte, C0 the fifth of the second."""
    assert [(value & 2) << 7 | (value & 1) << 4 for value in MessageClass] == [0x000, 0x010, 0x100, 0x110]
