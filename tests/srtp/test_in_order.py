"""The shortest way, which the next packet in order takes: it does what the long one does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.srtp import SrtpReceiver
from sans_rtc.srtp.streams import Stream

EXTENSION = (0xBEDE, b"\x11ab\x22cde\x00")
SETTINGS = [{}, {"mki": b"a"}, {"cryptex": "allowed"}, {"cryptex": "required"}, {"encrypted_extension_ids": {1, 2}}]
NAMES = ["plain", "mki", "cryptex", "required-cryptex", "encrypted-extensions"]
ORDERS = [[0, 1, 2, 3], [5, 6, 7], [0, 2, 1, 3, 4], [65534, 65535, 0, 1], [9, 10, 20, 11, 21, 12]]


@pytest.mark.parametrize("order", ORDERS, ids=["order", "later", "swapped", "wrap", "gaps"])
@pytest.mark.parametrize("chosen", SETTINGS, ids=NAMES)
@pytest.mark.parametrize("csrcs", [(), (1, 2)], ids=["without", "with"])
def test_packets_come_through_in_any_order(profile, tools, make_pair, chosen, order, csrcs):
    pair = make_pair(profile, **chosen)
    for number in order:
        packet = tools.rtp(number, extension=EXTENSION, csrcs=csrcs)
        assert pair.receive(pair.send(number, extension=EXTENSION, csrcs=csrcs)) == packet
    (stream,) = pair.receiver.explain().rtp
    assert stream.packet_count == len(order)


def test_next_packet_after_a_rekeying_is_under_the_new_key(profile, tools, make_pair):
    pair = make_pair(profile)
    pair.send(0)
    second = tools.master_of(profile, "second")
    pair.sender.rekey(second)
    receiver = SrtpReceiver(profile, second)
    assert [receiver.unprotect_rtp(pair.send(number)) for number in (1, 2)] == [tools.rtp(1), tools.rtp(2)]


@pytest.mark.parametrize("chosen", SETTINGS, ids=NAMES)
def test_forged_next_packet_changes_nothing(profile, tools, make_pair, chosen):
    pair = make_pair(profile, **chosen)
    first, second = [pair.send(number, extension=EXTENSION) for number in (0, 1)]
    pair.receive(first)
    before = tools.state_of(pair.receiver)
    assert pair.receive(second[:-6] + bytes((second[-6] ^ 1,)) + second[-5:]) == "authentication_failed"
    assert tools.state_of(pair.receiver) == before
    assert pair.receive(second) == tools.rtp(1, extension=EXTENSION)
    assert pair.receive(second) == "replayed"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.just(1), st.integers(-150, 150)), max_size=200), st.sampled_from([64, 100]))
def test_replay_list_is_a_set_of_the_last_ones(steps, size):
    stream = Stream(1, size)
    seen = set()
    at = 0
    for step in steps:
        at = max(0, at + step)
        is_fresh = at not in seen and at > max(seen, default=-1) - size
        assert stream.is_fresh(at) == is_fresh
        if is_fresh:
            stream.accept(at)
            seen.add(at)
    assert (stream.packet_count, stream.highest) == (len(seen), max(seen, default=-1))
