"""Encrypted headers: extensions one by one (RFC 6904) and altogether (Cryptex, RFC 9335)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument
from sans_rtc.srtp import CryptexPolicy, SrtpConfig, SrtpReceiver

SECRET = b"\x11ab\x22cde\x00\x35fghijk\x00"  # one-byte form: ids 1, 2, padding, 3
TWO_BYTES = b"\x01\x02ab\x00\x02\x00\x03\x05fghij\x00\x00"  # ids 1, padding, 2 empty, 3


def extension_of(data):
    start = 16 + 4 * (data[0] & 0x0F)
    return data[start : start + 4 * int.from_bytes(data[start - 2 : start], "big")]


# RFC 6904


@pytest.mark.proves("RTP-USAGE-5.2.2-2-2497", "RTP-USAGE-5.2.3-1-33cd")
def test_only_the_values_of_the_chosen_extensions_change(profile, tools, make_pair):
    pair = make_pair(profile, encrypted_extension_ids={1, 3})
    data = pair.send(1, extension=(0xBEDE, SECRET))
    sent = extension_of(data)
    changed = [at for at in range(len(SECRET)) if sent[at] != SECRET[at]]
    assert set(changed) <= {1, 2, 9, 10, 11, 12, 13, 14}
    assert len(changed) > 4
    assert pair.receive(data) == tools.rtp(1, extension=(0xBEDE, SECRET))


@pytest.mark.parametrize("profile_bits", [0x1000, 0x1001, 0x100F])
def test_two_byte_form_is_encrypted_whatever_its_appbits(profile, tools, make_pair, profile_bits):
    pair = make_pair(profile, encrypted_extension_ids={1, 2, 3})
    data = pair.send(1, csrcs=(1, 2, 3), extension=(profile_bits, TWO_BYTES))
    sent = extension_of(data)
    assert {at for at in range(len(TWO_BYTES)) if sent[at] != TWO_BYTES[at]} <= {2, 3, 9, 10, 11, 12, 13}
    assert sent != TWO_BYTES
    assert pair.receive(data) == tools.rtp(1, csrcs=(1, 2, 3), extension=(profile_bits, TWO_BYTES))


@pytest.mark.parametrize(
    "extension", [None, (0xBEDE, b""), (0xBEDE, b"\x41a\x00\x00"), (0xABCD, SECRET), (0x1010, SECRET)]
)
def test_packet_without_a_chosen_extension_keeps_its_header(profile, tools, make_pair, extension):
    pair = make_pair(profile, encrypted_extension_ids={1, 3})
    packet = tools.rtp(1, extension=extension)
    data = pair.sender.protect_rtp(packet)
    assert data[: len(packet) - 7] == packet[:-7]
    assert pair.receive(data) == packet


def test_what_follows_id_15_is_ignored(profile, tools, make_pair):
    body = b"\x10a\xf0b\x10c\x00\x00"
    pair = make_pair(profile, encrypted_extension_ids={1})
    data = pair.send(1, extension=(0xBEDE, body))
    assert extension_of(data)[2:] == body[2:]
    assert pair.receive(data) == tools.rtp(1, extension=(0xBEDE, body))


@pytest.mark.parametrize(
    "extension",
    [(0xBEDE, b"\x13abc"), (0xBEDE, b"\x00\x00\x00\x10"), (0x1000, b"\x01\x03ab"), (0x1000, b"\x00\x00\x00\x01")],
)
def test_element_beyond_the_end_is_refused_to_the_caller_and_discarded_from_the_peer(tools, make_pair, extension):
    pair = make_pair(encrypted_extension_ids={1})
    with pytest.raises(InvalidArgument):
        pair.send(1, extension=extension)
    careless = make_pair()
    assert pair.receive(careless.send(1, extension=extension)) == "malformed_extension"
    assert pair.receive(careless.send(2)) == tools.rtp(2)


def test_header_is_authentic_as_it_stands_on_the_wire(profile, make_pair):
    """One who does not know which extensions are encrypted still accepts the packet, with them encrypted."""
    pair = make_pair(profile, encrypted_extension_ids={1}, receiver_config=SrtpConfig())
    data = pair.send(1, extension=(0xBEDE, b"\x12abc"))
    opened = pair.receive(data)
    assert extension_of(opened) == extension_of(data)
    assert opened.endswith(b"payload")


def test_same_value_in_two_packets_looks_different(kind, make_pair):
    pair = make_pair(kind, encrypted_extension_ids={1})
    assert len({extension_of(pair.send(number, extension=(0xBEDE, b"\x12abc"))) for number in range(20)}) == 20


# RFC 9335


@pytest.mark.parametrize(("plain", "marked"), [(0xBEDE, b"\xc0\xde"), (0x1000, b"\xc2\xde")])
@pytest.mark.parametrize("csrcs", [(), (0xAAAAAAAA,), (0xAAAAAAAA,) * 15])
def test_cryptex_hides_csrcs_ids_lengths_and_values(profile, tools, make_pair, plain, marked, csrcs):
    pair = make_pair(profile, cryptex="required")
    body = SECRET if plain == 0xBEDE else TWO_BYTES
    packet = tools.rtp(1, csrcs=csrcs, extension=(plain, body))
    data = pair.sender.protect_rtp(packet)
    at = 12 + 4 * len(csrcs)
    assert data[:12] == packet[:12]
    assert data[at : at + 4] == marked + packet[at + 2 : at + 4]
    assert extension_of(data) != body
    assert b"\xaa\xaa\xaa\xaa" not in data
    assert len(data) == len(packet) + pair.sender.rtp_overhead_bytes
    assert pair.receive(data) == packet


def test_csrcs_alone_get_an_empty_extension_that_stays(profile, tools, make_pair):
    pair = make_pair(profile, cryptex="allowed")
    data = pair.send(1, csrcs=(1, 2))
    assert (data[0], data[20:24]) == (0x92, b"\xc0\xde\x00\x00")
    assert len(data) == 12 + 8 + 7 + pair.sender.rtp_overhead_bytes_max
    assert pair.receive(data) == tools.rtp(1, csrcs=(1, 2), extension=(0xBEDE, b""))


@pytest.mark.parametrize("policy", CryptexPolicy)
def test_packet_with_nothing_to_hide_is_as_ever(profile, tools, make_pair, policy):
    plain = make_pair(profile).send(1)
    pair = make_pair(profile, cryptex=policy)
    assert pair.send(1) == plain
    assert pair.receive(plain) == tools.rtp(1)


@pytest.mark.parametrize("extension", [(0xABCD, b"1234"), (0x1001, b"\x01\x01a\x00")])
def test_extension_that_cryptex_cannot_mark_is_sent_without_it_or_refused(profile, tools, make_pair, extension):
    pair = make_pair(profile, cryptex="allowed")
    assert pair.receive(pair.send(1, extension=extension)) == tools.rtp(1, extension=extension)
    with pytest.raises(InvalidArgument):
        make_pair(profile, cryptex="required").send(1, extension=extension)


@pytest.mark.parametrize("shape", [{"csrcs": (1,)}, {"extension": (0xBEDE, SECRET)}, {"extension": (0xABCD, b"1234")}])
def test_receiver_that_requires_cryptex_discards_what_should_have_used_it(profile, tools, make_pair, shape):
    pair = make_pair(profile, receiver_config=SrtpConfig(cryptex="required"))
    assert pair.receive(pair.send(1, **shape)) == "cryptex_required"
    assert tools.state_of(pair.receiver) == ({}, {}, {})


def test_receiver_that_allows_cryptex_takes_packets_without(profile, tools, make_pair):
    pair = make_pair(profile, receiver_config=SrtpConfig(cryptex="allowed"))
    packet = tools.rtp(1, csrcs=(1,), extension=(0xBEDE, SECRET))
    assert pair.receive(pair.sender.protect_rtp(packet)) == packet


def test_mark_of_cryptex_cannot_be_changed(profile, tools, make_pair):
    pair = make_pair(profile, cryptex="allowed")
    data = pair.send(1, csrcs=(1,), extension=(0xBEDE, SECRET))
    for mark in (b"\xbe\xde", b"\xc2\xde", b"\x10\x00"):
        assert pair.receive(data[:16] + mark + data[18:]) == "authentication_failed"
    assert tools.state_of(pair.receiver) == ({}, {}, {})
    assert pair.receive(data) is not None


def test_packet_under_cryptex_does_not_use_rfc_6904_as_well(profile, tools, make_pair):
    both = make_pair(profile, cryptex="allowed", encrypted_extension_ids={1, 3})
    only = make_pair(profile, cryptex="allowed")
    packet = tools.rtp(1, extension=(0xBEDE, SECRET))
    data = both.sender.protect_rtp(packet)
    assert data == only.sender.protect_rtp(packet)
    assert both.receive(data) == packet


def test_packet_that_cryptex_cannot_mark_falls_back_to_rfc_6904(kind, tools, make_pair):
    pair = make_pair(kind, cryptex="allowed", encrypted_extension_ids={1})
    packet = tools.rtp(1, extension=(0x1001, b"\x01\x02ab"))
    data = pair.sender.protect_rtp(packet)
    assert data[16:18] == b"\x01\x02" and data[18:20] != b"ab"
    assert pair.receive(data) == packet


def test_cryptex_with_an_mki_and_over_a_wrap(profile, tools, make_pair):
    pair = make_pair(profile, cryptex="required", mki=b"key1")
    for number in (65534, 65535, 0, 1):
        packet = tools.rtp(number, csrcs=(1, 2), extension=(0xBEDE, SECRET))
        assert pair.receive(pair.sender.protect_rtp(packet)) == packet


@settings(max_examples=100, deadline=None)
@given(
    body=st.binary(max_size=64).map(lambda body: body[: len(body) // 4 * 4]),
    mark=st.sampled_from([0xC0DE, 0xC2DE]),
    csrcs=st.lists(st.integers(0, (1 << 32) - 1), max_size=15),
    ids=st.frozensets(st.integers(1, 255), max_size=5),
)
def test_authentic_peer_may_send_any_header(tools, make_pair, body, mark, csrcs, ids):
    """Marks of Cryptex where nothing is encrypted so, elements cut off: a packet or a discard, never an exception."""
    sender = make_pair()
    receiver = SrtpReceiver(7, sender.master, SrtpConfig(cryptex="allowed", encrypted_extension_ids=ids))
    for number, profile_bits in enumerate((mark, 0xBEDE, 0x1000)):
        data = sender.send(number, csrcs=csrcs, extension=(profile_bits, body))
        receiver.unprotect_rtp(data)
    assert sum(receiver.stats.discards.values()) + sum(s.packet_count for s in receiver.explain().rtp) >= 3
