"""Master key identifiers: carried, selected by, bounded; several master keys; changing the key of a running stream."""

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.srtp import MASTER_KEY_COUNT_MAX, MasterKey, SrtpReceiver, SrtpSender


def is_aead(profile):
    return profile >= 7


@pytest.mark.proves("RFC5764-4.1-3-3811", "RFC5764-4.1.3-5-9464")
@pytest.mark.parametrize("mki", [b"\x01", b"\xe1\xf9\x7a\x0d", bytes(128)])
def test_every_packet_carries_the_mki(profile, tools, make_pair, mki):
    pair = make_pair(profile, mki=mki)
    tag_bytes = pair.sender._keys.transform.rtp_after_mki_bytes
    data, rtcp = pair.send(1), pair.sender.protect_rtcp(tools.rtcp())
    assert data[len(data) - tag_bytes - len(mki) : len(data) - tag_bytes] == mki
    tag_bytes = 0 if is_aead(profile) else 10
    assert rtcp[len(rtcp) - tag_bytes - len(mki) : len(rtcp) - tag_bytes] == mki
    assert pair.receive(data) == tools.rtp(1)
    assert pair.receive_rtcp(rtcp) == tools.rtcp()


def test_overhead_counts_the_mki(profile, tools, make_pair):
    bare, marked = make_pair(profile).sender, make_pair(profile, mki=b"1234").sender
    assert marked.rtp_overhead_bytes == bare.rtp_overhead_bytes + 4
    assert marked.rtcp_overhead_bytes == bare.rtcp_overhead_bytes + 4


@pytest.mark.proves("RFC5764-5.2-2-aa5f")
def test_packet_with_an_unknown_mki_is_discarded(profile, tools, make_pair):
    pair = make_pair(profile, mki=b"ab")
    stranger = SrtpSender(profile, MasterKey(pair.master.key, pair.master.salt, b"cd"))
    assert pair.receive(stranger.protect_rtp(tools.rtp(1))) == "unknown_mki"
    assert pair.receive_rtcp(stranger.protect_rtcp(tools.rtcp())) == "unknown_mki"


@pytest.mark.proves("RFC5764-5.2-2-aa5f")
def test_packet_without_the_mki_is_discarded(profile, tools, make_pair):
    pair = make_pair(profile, mki=b"ab")
    bare = SrtpSender(profile, MasterKey(pair.master.key, pair.master.salt))
    assert pair.receive(bare.protect_rtp(tools.rtp(1))) == "unknown_mki"


def test_packet_with_an_mki_that_nobody_agreed_upon_is_discarded(profile, make_pair):
    marked, bare = make_pair(profile, mki=b"ab"), make_pair(profile)
    assert bare.receive(marked.send(1)) == "authentication_failed"


def test_key_of_another_mki_does_not_open_a_packet(profile, tools, make_pair):
    """The MKI is not authenticated, but it selects the key that does."""
    pair = make_pair(profile, mki=b"a")
    pair.receiver.add_master_key(tools.master_of(profile, "second", b"b"))
    data = pair.send(1)
    at = len(data) - pair.sender._keys.transform.rtp_after_mki_bytes - 1
    assert pair.receive(data[:at] + b"b" + data[at + 1 :]) == "authentication_failed"
    assert pair.receive(data) == tools.rtp(1)


@pytest.mark.proves("RFC5764-4.1.3-1-3d3e", "RFC3711-3.3.1-8-c4d7", "RFC3711-3.4-8-c814")
def test_rekeying_keeps_indices_counting_and_late_packets_of_the_old_key_still_come(profile, tools, make_pair):
    pair = make_pair(profile, mki=b"a")
    late = [pair.send(number) for number in (65534, 65535)]
    late_rtcp = pair.sender.protect_rtcp(tools.rtcp())
    second = tools.master_of(profile, "second", b"b")
    pair.receiver.add_master_key(second)
    pair.sender.rekey(second)
    assert pair.receive(pair.send(0)) == tools.rtp(0)
    assert pair.sender.explain().rtp[0].rollover_counter == 1
    assert [pair.receive(data)[2:4] for data in late] == [b"\xff\xfe", b"\xff\xff"]
    assert pair.receive_rtcp(pair.sender.protect_rtcp(tools.rtcp())) == tools.rtcp()
    assert pair.receive_rtcp(late_rtcp) == tools.rtcp()
    assert pair.receiver.explain().rtcp[0].sequence_number == 1

    pair.receiver.remove_master_key(b"a")
    assert pair.receive(late[0]) == "unknown_mki"
    assert pair.receive(pair.send(1)) == tools.rtp(1)


@pytest.mark.proves("RFC3711-3.1-4-c77b")
def test_replay_under_another_key_is_not_fresh(tools, make_pair):
    pair = make_pair(mki=b"a")
    data = pair.send(5)
    pair.receive(data)
    pair.receiver.add_master_key(tools.master_of(pair.profile, "second", b"b"))
    assert pair.receive(data) == "replayed"


def test_sequence_number_sent_under_the_old_key_is_not_sent_under_the_new(tools, make_pair):
    pair = make_pair(mki=b"a")
    pair.send(5)
    pair.sender.rekey(tools.master_of(pair.profile, "second", b"b"))
    with pytest.raises(InvalidArgument):
        pair.send(5)


@pytest.mark.proves("RFC3711-3.2.1-2-b60e")
def test_rekeying_with_the_key_in_use_or_with_other_sizes_is_refused(tools, make_pair):
    pair = make_pair(mki=b"a")
    refused = [
        pair.master,
        MasterKey(pair.master.key, pair.master.salt, b"b"),
        tools.master_of(pair.profile, "second"),
        tools.master_of(pair.profile, "second", b"bb"),
        tools.master_of(1, "second", b"b"),
    ]
    for master in refused:
        with pytest.raises(InvalidArgument):
            pair.sender.rekey(master)
    assert pair.receive(pair.send(1)) == tools.rtp(1)


@pytest.mark.proves("RFC3711-3.2.1-2-b60e")
def test_master_keys_of_a_receiver_are_bounded_and_told_apart(tools, make_pair):
    pair = make_pair(mki=b"\0")
    for number in range(1, MASTER_KEY_COUNT_MAX):
        pair.receiver.add_master_key(tools.master_of(pair.profile, number, bytes((number,))))
    with pytest.raises(LimitExceeded):
        pair.receiver.add_master_key(tools.master_of(pair.profile, "more", b"\xff"))
    pair.receiver.remove_master_key(b"\1")
    for mki in (b"\0", b"", b"\0\0"):
        with pytest.raises(InvalidArgument):
            pair.receiver.add_master_key(tools.master_of(pair.profile, "more", mki))
    with pytest.raises(InvalidArgument):
        pair.receiver.remove_master_key(b"\1")
    pair.receiver.add_master_key(tools.master_of(pair.profile, "more", b"\xff"))


def test_receiver_without_mki_has_one_key_and_no_receiver_has_none(tools, make_pair):
    with pytest.raises(InvalidState):
        make_pair().receiver.add_master_key(tools.master_of(7, "second"))
    with pytest.raises(InvalidState):
        make_pair().receiver.remove_master_key(b"")


@pytest.mark.parametrize("end", [SrtpSender, SrtpReceiver])
def test_mki_is_of_128_bytes_at_most(end, tools):
    with pytest.raises(InvalidArgument):
        end(7, tools.master_of(7, mki=bytes(129)))
