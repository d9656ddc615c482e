"""Each rule that keeps a forger out: what is not authentic changes nothing, nothing is taken or sent twice."""

import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument
from sans_rtc.srtp import SrtpProfile, SrtpReceiver, ciphers

# A flipped sequence number may be one that was taken, or too old.
REFUSED = ("authentication_failed", "malformed", "replayed", "too_old")


def flips(data, bits):
    for bit in bits:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def packets_of_each_shape(tools, begin=100):
    yield tools.rtp(begin)
    yield tools.rtp(begin + 1, csrcs=(1, 2), extension=(0xBEDE, b"\x10a\x20b"))
    yield tools.rtp(begin + 2, extension=(0x1000, b"\x01\x02ab"), payload=b"")


@pytest.mark.proves("RFC3711-3.3-4-28e2", "RFC3711-4.2-3-7b58")
@pytest.mark.parametrize("settings_", [{}, {"cryptex": "allowed"}, {"encrypted_extension_ids": {1}}])
def test_any_flipped_bit_of_rtp_is_refused_and_changes_no_state(profile, tools, make_pair, settings_):
    pair = make_pair(profile, **settings_)
    pair.receive(pair.send(99))
    for packet in packets_of_each_shape(tools):
        data = pair.sender.protect_rtp(packet)
        before = tools.state_of(pair.receiver)
        for forged in flips(data, range(8 * len(data))):
            assert pair.receive(forged) in REFUSED
        assert tools.state_of(pair.receiver) == before
        assert pair.receive(data) is not None


def test_any_flipped_bit_of_the_first_rtp_packet_makes_no_stream(profile, tools, make_pair):
    pair = make_pair(profile)
    data = pair.send(1)
    for forged in flips(data, range(8 * len(data))):
        assert pair.receive(forged) in ("authentication_failed", "malformed")
    assert tools.state_of(pair.receiver) == ({}, {}, {})
    assert pair.receive(data) == tools.rtp(1)


@pytest.mark.parametrize("accepts", [False, True])
def test_any_flipped_bit_of_rtcp_is_refused_and_changes_no_state(profile, tools, make_pair, accepts):
    pair = make_pair(profile, accepts_unencrypted_rtcp=accepts)
    data = pair.sender.protect_rtcp(tools.rtcp())
    for forged in flips(data, range(8 * len(data))):
        assert pair.receive_rtcp(forged) in ("authentication_failed", "malformed", "unencrypted_rtcp")
    assert tools.state_of(pair.receiver) == ({}, {}, {})
    assert pair.receive_rtcp(data) == tools.rtcp()


@pytest.mark.proves("RFC5764-5.2-4-e4b4", "RFC3711-3.3-4-28e2")
def test_packet_under_another_key_is_refused(profile, tools, make_pair):
    pair = make_pair(profile)
    stranger = SrtpReceiver(profile, tools.master_of(profile, "another"))
    assert tools.outcome(stranger, stranger.unprotect_rtp, pair.send(1)) == "authentication_failed"
    rtcp = pair.sender.protect_rtcp(tools.rtcp())
    assert tools.outcome(stranger, stranger.unprotect_rtcp, rtcp) == "authentication_failed"
    assert tools.state_of(stranger) == ({}, {}, {})


def test_packet_under_the_same_key_and_another_salt_does_not_come_through(profile, tools, make_pair):
    pair = make_pair(profile)
    other = type(pair.master)(pair.master.key, bytes(len(pair.master.salt)))
    assert SrtpReceiver(profile, other).unprotect_rtp(pair.send(1)) is None


@pytest.mark.proves("RFC3711-3.3-3-75ef", "RFC3711-3.3.2-4-6d08", "RFC3711-3.3.2-1-3ee9")
def test_replayed_rtp_is_refused(profile, make_pair):
    pair = make_pair(profile)
    packets = [pair.send(number) for number in (65533, 65534, 65535, 0, 1, 2)]
    assert None not in [pair.receive(data) for data in packets]
    assert {pair.receive(data) for data in packets} == {"replayed"}
    assert {pair.receive(data) for data in reversed(packets)} == {"replayed"}


@pytest.mark.proves("RFC3711-3.3-3-75ef", "RFC3711-3.3.2-1-3ee9")
def test_replayed_rtcp_is_refused(profile, tools, make_pair):
    pair = make_pair(profile)
    packets = [pair.sender.protect_rtcp(tools.rtcp()) for _ in range(5)]
    for data in reversed(packets):
        assert pair.receive_rtcp(data) == tools.rtcp()
    assert {pair.receive_rtcp(data) for data in packets} == {"replayed"}


@pytest.mark.proves("RFC3711-3.3.2-2-4897", "RFC3711-3.3.2-3-4fdf")
@pytest.mark.parametrize("size", [64, 100, 1024])
def test_window_takes_the_late_inside_and_refuses_the_older(kind, make_pair, size):
    pair = make_pair(kind, replay_window_size=size)
    packets = [pair.send(number) for number in range(size + 2)]
    assert pair.receive(packets[1]) is not None
    assert pair.receive(packets[-1]) is not None  # size + 1
    assert pair.receive(packets[0]) == "too_old"
    assert pair.receive(packets[1]) == "too_old"
    assert pair.receive(packets[2]) is not None
    assert pair.receive(packets[2]) == "replayed"


@pytest.mark.parametrize("size", [64, 100])
def test_window_of_rtcp_takes_the_late_inside_and_refuses_the_older(kind, tools, make_pair, size):
    pair = make_pair(kind, replay_window_size=size)
    packets = [pair.sender.protect_rtcp(tools.rtcp()) for _ in range(size + 1)]
    assert pair.receive_rtcp(packets[-1]) is not None
    assert pair.receive_rtcp(packets[0]) == "too_old"
    assert pair.receive_rtcp(packets[1]) is not None
    assert pair.receive_rtcp(packets[1]) == "replayed"


@pytest.mark.proves("RFC3711-3.2.1-1-920e")
def test_rollover_counter_cannot_be_moved_by_a_forgery(profile, tools, make_pair):
    """Forged sequence numbers of every height, then the genuine stream goes on, over a wrap."""
    pair = make_pair(profile)
    for number in (65500, 65501):
        pair.receive(pair.send(number))
    before = tools.state_of(pair.receiver)
    genuine = pair.send(65502)
    for sequence_number in range(0, 65536, 257):
        forged = genuine[:2] + sequence_number.to_bytes(2, "big") + genuine[4:]
        assert pair.receive(forged) in ("authentication_failed", "too_old", "replayed")
    assert tools.state_of(pair.receiver) == before
    assert pair.receive(genuine) == tools.rtp(65502)
    for number in (65535, 0, 1):
        assert pair.receive(pair.send(number)) == tools.rtp(number)


def test_index_of_rtcp_cannot_be_moved_by_a_forgery(profile, tools, make_pair):
    pair = make_pair(profile)
    pair.receive_rtcp(pair.sender.protect_rtcp(tools.rtcp()))
    before = tools.state_of(pair.receiver)
    data = pair.sender.protect_rtcp(tools.rtcp())
    at = len(data) - (4 if profile >= 7 else 14)
    assert data[at : at + 4] == b"\x80\0\0\1"
    for index in (2, 1 << 20, (1 << 31) - 1):
        forged = data[:at] + (index | 1 << 31).to_bytes(4, "big") + data[at + 4 :]
        assert pair.receive_rtcp(forged) == "authentication_failed"
    assert tools.state_of(pair.receiver) == before
    assert pair.receive_rtcp(data) == tools.rtcp()


@pytest.mark.proves("RFC3711-4.2-1-3699")
def test_same_packet_of_another_rollover_counter_is_refused(profile, tools, make_pair):
    """The tag covers the rollover counter, which is not on the wire."""
    pair = make_pair(profile)
    data = pair.send(100)
    pair.receiver.set_rollover_counter(tools.SSRC, 7)
    assert pair.receive(data) == "authentication_failed"


@pytest.mark.proves("RFC3711-4.2-2-b092")
def test_truncated_tag_is_refused(profile, tools, make_pair):
    pair = make_pair(profile)
    data, rtcp = pair.send(1), pair.sender.protect_rtcp(tools.rtcp())
    for cut in range(1, pair.sender.rtp_overhead_bytes + 1):
        assert pair.receive(data[:-cut]) in ("authentication_failed", "truncated")
    for cut in range(1, pair.sender.rtcp_overhead_bytes + 1):
        assert pair.receive_rtcp(rtcp[:-cut]) in ("authentication_failed", "truncated", "unencrypted_rtcp")
    assert tools.state_of(pair.receiver) == ({}, {}, {})


def test_tag_followed_by_more_is_refused(profile, tools, make_pair):
    pair = make_pair(profile)
    assert pair.receive(pair.send(1) + b"\0") == "authentication_failed"
    pair = make_pair(profile, accepts_unencrypted_rtcp=True)
    rtcp = pair.sender.protect_rtcp(tools.rtcp())
    assert pair.receive_rtcp(rtcp + b"\xff") == "authentication_failed"


@pytest.mark.proves(
    "RFC3711-3.4-9-fb2a",
    "RFC3711-3.4-13-9d6b",
    "RFC3711-9.5-3-80f3",
    "RFC3711-9.5-8-3960",
    "RFC3711-3.1-5-d490",
    "RFC3711-7.5-1-27fa",
    "RFC3711-9.5-2-b297",
)
def test_packet_without_a_tag_is_refused(profile, tools, make_pair):
    pair = make_pair(profile, accepts_unencrypted_rtcp=True)
    assert pair.receive(tools.rtp(1, payload=bytes(100))) == "authentication_failed"
    assert pair.receive_rtcp(tools.rtcp()) == "authentication_failed"


def test_rtp_is_not_taken_for_rtcp_nor_rtcp_for_rtp(profile, tools, make_pair):
    pair = make_pair(profile, accepts_unencrypted_rtcp=True)
    assert pair.receive_rtcp(pair.send(1, payload=bytes(40))) == "authentication_failed"
    assert pair.receive(pair.sender.protect_rtcp(tools.rtcp())) in ("authentication_failed", "malformed")


def test_ssrc_of_a_packet_cannot_be_changed_to_another_known_one(profile, tools, make_pair):
    pair = make_pair(profile)
    for ssrc in (1, 2):
        pair.receive(pair.send(10, ssrc=ssrc))
    data = pair.send(11, ssrc=1)
    assert pair.receive(data[:8] + b"\0\0\0\2" + data[12:]) == "authentication_failed"
    assert pair.receive(data) == tools.rtp(11, ssrc=1)


def test_ssrc_that_collides_is_refused_under_the_other_end_s_key(profile, tools, make_pair):
    """RFC 5764 section 5.1.2: only the packets of the source whose key it is are processed."""
    pair, stranger = make_pair(profile), make_pair(profile)
    stranger.sender.rekey(tools.master_of(profile, "stranger"))
    assert pair.receive(pair.send(10)) is not None
    assert pair.receive(stranger.send(11)) == "authentication_failed"
    assert pair.receive(pair.send(11)) is not None


def test_tags_are_compared_in_constant_time(tools, make_pair, monkeypatch):
    compared = []

    class Spy:
        @staticmethod
        def compare_digest(one, other):
            compared.append((len(one), len(other)))
            return hmac.compare_digest(one, other)

    monkeypatch.setattr(ciphers, "hmac", Spy)
    for number, size in ((1, 10), (2, 4)):
        pair = make_pair(SrtpProfile(number))
        pair.receive(pair.send(1))
        pair.receive_rtcp(pair.sender.protect_rtcp(tools.rtcp()))
        assert compared == [(size, size), (10, 10)]
        compared.clear()


@pytest.mark.proves("RFC3711-4.1.1-6-a4e6", "RFC3711-4.1.1-7-6b18", "RFC3711-9.1-1-1063", "RFC3711-9.2-6-b04a")
def test_sequence_number_is_not_sent_twice_not_even_with_the_same_payload(profile, tools, make_pair):
    pair = make_pair(profile)
    first = pair.send(1)
    pair.send(2)
    before = tools.state_of(pair.sender)
    for payload in (b"payload", b"another"):
        with pytest.raises(InvalidArgument, match="sent"):
            pair.send(1, payload=payload)
        with pytest.raises(InvalidArgument, match="sent"):
            pair.send(2, payload=payload)
    assert tools.state_of(pair.sender) == before
    assert pair.receive(first) == tools.rtp(1)


def test_sender_takes_the_late_inside_its_window_once_and_refuses_the_older(kind, make_pair):
    pair = make_pair(kind, replay_window_size=64)
    pair.send(0)
    pair.send(100)
    pair.send(37)
    for number in (37, 36, 0):
        with pytest.raises(InvalidArgument):
            pair.send(number)


@pytest.mark.proves("RFC3711-4.1.1-6-a4e6", "RFC3711-4.1.1-7-6b18", "RFC3711-9.1-1-1063", "RFC3711-9.2-6-b04a")
@settings(max_examples=100, deadline=None)
@given(st.sampled_from(SrtpProfile), st.lists(st.integers(0, 65535), max_size=80))
def test_no_two_packets_are_ever_sent_with_the_same_nonce(tools, make_pair, number, sequence_numbers):
    """Equal payloads under different nonces look different, whatever numbers the caller comes up with."""
    pair = make_pair(number)
    sealed = []
    for sequence_number in sequence_numbers:
        try:
            sealed.append(pair.send(sequence_number, payload=bytes(32))[12:44])
        except InvalidArgument:
            continue
    assert len(set(sealed)) == len(sealed)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(SrtpProfile), st.lists(st.binary(max_size=80), max_size=20), st.booleans())
def test_arbitrary_bytes_neither_raise_nor_change_anything(tools, make_pair, number, datagrams, is_unusual):
    settings_ = {"cryptex": "allowed", "encrypted_extension_ids": {1}, "accepts_unencrypted_rtcp": True}
    pair = make_pair(number, **(settings_ if is_unusual else {}))
    for data in datagrams:
        for shaped in (data, b"\x80" + data, b"\x9f" + data, b"\x90\x60\x00\x01" + data):
            assert pair.receiver.unprotect_rtp(shaped) is None
            assert pair.receiver.unprotect_rtcp(shaped) is None
    assert tools.state_of(pair.receiver) == ({}, {}, {})
    assert sum(pair.receiver.stats.discards.values()) == 8 * len(datagrams)
