"""What is protected is unprotected to the same, in every profile, of every shape."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.srtp import CryptexPolicy, SrtpProfile
from sans_rtc.srtp.keys import derive_header_keys, derive_rtcp_keys, derive_rtp_keys
from sans_rtc.srtp.profile import PROFILES

EXTENSIONS = [None, (0xBEDE, b""), (0xBEDE, b"\x10a\x00\x00"), (0x1000, b"\x01\x01a\x00"), (0xABCD, b"1234")]


def test_rtp_of_every_shape_comes_back(profile, tools, make_pair):
    pair = make_pair(profile)
    number = 0
    for csrcs in ((), (1,), tuple(range(15))):
        for extension in EXTENSIONS:
            for payload in (b"", b"x", bytes(1200)):
                packet = tools.rtp(number, csrcs=csrcs, extension=extension, payload=payload, marker=number % 2 == 0)
                data = pair.sender.protect_rtp(packet)
                assert len(data) == len(packet) + pair.sender.rtp_overhead_bytes
                assert pair.receive(data) == packet
                number += 1


def test_padding_bit_changes_nothing(profile, tools, make_pair):
    pair = make_pair(profile)
    for number, extension in enumerate(EXTENSIONS):
        plain = tools.rtp(number, extension=extension, payload=b"abc\x00\x00\x03")
        packet = bytes((plain[0] | 0x20,)) + plain[1:]
        assert pair.receive(pair.sender.protect_rtp(packet)) == packet


def test_payload_does_not_show(profile, tools, make_pair):
    data = make_pair(profile).send(1, payload=b"nobody may read this")
    assert b"nobody may" not in data
    assert data[:12] == tools.rtp(1)[:12]


@pytest.mark.proves("RFC3711-3.4-4-1196")
@pytest.mark.parametrize("rest", [b"", b"\x22" * 24, bytes(1200)])
def test_rtcp_comes_back(profile, tools, make_pair, rest):
    pair = make_pair(profile)
    for _ in range(3):
        data = pair.sender.protect_rtcp(tools.rtcp(rest=rest))
        assert len(data) == 8 + len(rest) + pair.sender.rtcp_overhead_bytes
        assert data[:8] == tools.rtcp(rest=rest)[:8]
        assert not rest or rest not in data
        assert pair.receive_rtcp(data) == tools.rtcp(rest=rest)


@pytest.mark.proves("RFC3711-4.2-2-b092", "RFC3711-5.2-2-0709")
@pytest.mark.parametrize(
    ("number", "rtp", "rtcp"), [(1, 10, 14), (2, 4, 14), (3, 10, 14), (4, 4, 14), (7, 16, 20), (8, 16, 20)]
)
def test_overhead_of_each_profile(tools, make_pair, number, rtp, rtcp):
    sender = make_pair(SrtpProfile(number)).sender
    assert (sender.rtp_overhead_bytes, sender.rtcp_overhead_bytes) == (rtp, rtcp)


def test_every_profile_of_the_table_has_a_number():
    assert set(PROFILES) == set(SrtpProfile)


@pytest.mark.proves("RFC3711-3.2.1-8-d874", "RFC3711-3.2.1-9-742d", "RFC3711-3.2.3-1-7c59")
def test_ssrcs_are_kept_apart(profile, tools, make_pair):
    pair = make_pair(profile)
    for number in range(5):
        for ssrc in (1, 2, 0xFFFFFFFF, 0):
            packet = tools.rtp(number, ssrc=ssrc)
            assert pair.receive(pair.sender.protect_rtp(packet)) == packet
    assert {stream.ssrc: stream.packet_count for stream in pair.receiver.explain().rtp} == {
        1: 5, 2: 5, 0xFFFFFFFF: 5, 0: 5,
    }  # fmt: skip


def test_equal_packets_of_two_ssrcs_and_of_two_indices_look_different(profile, make_pair):
    pair = make_pair(profile)
    sealed = [pair.send(number, ssrc=ssrc, payload=bytes(32))[12:] for ssrc in (1, 2) for number in (5, 6)]
    assert len(set(sealed)) == 4


@pytest.mark.proves("RFC3711-3.2.1-7-b45e")
def test_rtp_and_rtcp_are_under_different_keys(profile, make_pair):
    keys = make_pair(profile).sender._keys
    row = PROFILES[profile]
    secrets = [
        secret
        for derived in (derive_rtp_keys, derive_rtcp_keys, derive_header_keys)
        for secret in (derived(row, keys.master).encryption, derived(row, keys.master).salt)
    ]
    assert len(set(secrets)) == 6


@settings(max_examples=100, deadline=None)
@given(
    number=st.sampled_from(SrtpProfile),
    csrcs=st.lists(st.integers(0, (1 << 32) - 1), max_size=15),
    extension=st.one_of(
        st.none(),
        st.tuples(
            st.sampled_from([0xBEDE, 0x1000, 0x100F, 0x1234, 0xC0DE]),
            st.binary(max_size=60).map(lambda body: body[: len(body) // 4 * 4]),
        ),
    ),
    payload=st.binary(max_size=300),
    sequence_number=st.integers(0, 65535),
    mki=st.binary(max_size=8),
    ids=st.frozensets(st.integers(1, 20), max_size=4),
    cryptex=st.sampled_from(["off", "allowed"]),
)
def test_any_packet_comes_back(tools, make_pair, number, csrcs, extension, payload, sequence_number, mki, ids, cryptex):
    pair = make_pair(number, mki=mki, encrypted_extension_ids=ids, cryptex=cryptex)
    packet = tools.rtp(sequence_number, csrcs=csrcs, extension=extension, payload=payload)
    try:
        data = pair.sender.protect_rtp(packet)
    except ValueError:
        assert ids and extension  # its elements reach beyond its end
        return
    expected = packet
    if cryptex == CryptexPolicy.ALLOWED:
        if extension and extension[0] == 0xC0DE:  # the mark of Cryptex is not to be sent by anybody else
            return
        if csrcs and extension is None:
            expected = tools.rtp(sequence_number, csrcs=csrcs, extension=(0xBEDE, b""), payload=payload)
    assert pair.receive(data) == expected
