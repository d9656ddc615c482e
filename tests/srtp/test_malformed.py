"""What is not RTP or RTCP, field by field: refused to the caller, discarded from the peer."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.srtp import SrtpProfile

FIXED = bytes.fromhex("8060000100000000cafebabe")
NOT_RTP = {
    "empty": b"",
    "11 bytes": FIXED[:11],
    "version 0": b"\x00" + FIXED[1:] + bytes(20),
    "version 1": b"\x40" + FIXED[1:] + bytes(20),
    "version 3": b"\xc0" + FIXED[1:] + bytes(20),
    "csrc missing": b"\x81" + FIXED[1:],
    "csrc cut": b"\x82" + FIXED[1:] + bytes(7),
    "15 csrcs, 14 there": b"\x8f" + FIXED[1:] + bytes(56),
    "extension header missing": b"\x90" + FIXED[1:],
    "extension header cut": b"\x90" + FIXED[1:] + b"\xbe\xde\x00",
    "extension missing": b"\x90" + FIXED[1:] + b"\xbe\xde\x00\x01",
    "extension cut": b"\x90" + FIXED[1:] + b"\xbe\xde\x00\x02" + bytes(7),
    "extension endless": b"\x90" + FIXED[1:] + b"\xbe\xde\xff\xff" + bytes(100),
    "extension header behind csrc missing": b"\x91" + FIXED[1:] + bytes(4),
    "extension header behind csrc cut": b"\x91" + FIXED[1:] + bytes(4) + b"\xbe\xde\x00",
    "extension behind csrc cut": b"\x91" + FIXED[1:] + bytes(4) + b"\xbe\xde\x00\x01" + bytes(3),
}


@pytest.mark.parametrize("packet", NOT_RTP.values(), ids=NOT_RTP.keys())
@pytest.mark.parametrize("cryptex", ["off", "required"])
def test_sender_refuses_what_is_not_rtp_and_nothing_changes(kind, tools, make_pair, packet, cryptex):
    pair = make_pair(kind, cryptex=cryptex)
    with pytest.raises(InvalidArgument):
        pair.sender.protect_rtp(packet)
    assert tools.state_of(pair.sender) == ({}, {}, {})


@pytest.mark.parametrize("packet", NOT_RTP.values(), ids=NOT_RTP.keys())
@pytest.mark.parametrize("cryptex", ["off", "required"])
def test_receiver_discards_what_is_not_rtp(profile, tools, make_pair, packet, cryptex):
    """Whatever follows the header counts as tag, so that the header reaches into it."""
    pair = make_pair(profile, cryptex=cryptex)
    reason = "malformed" if len(packet) >= 12 else "truncated"
    assert pair.receive(packet + bytes(pair.sender.rtp_overhead_bytes)) in (reason, "truncated")
    assert pair.receive(packet) in ("malformed", "truncated", "authentication_failed")
    assert tools.state_of(pair.receiver) == ({}, {}, {})


def test_shortest_rtp_packets_of_each_shape_are_taken(profile, tools, make_pair):
    pair = make_pair(profile)
    shapes = [
        tools.rtp(0, payload=b""),
        tools.rtp(1, payload=b"", csrcs=(1,)),
        tools.rtp(2, payload=b"", extension=(0xBEDE, b"")),
        tools.rtp(3, payload=b"", csrcs=(1,), extension=(0xBEDE, b"")),
        tools.rtp(4, payload=b"xyz"),
    ]
    for packet in shapes:
        assert pair.receive(pair.sender.protect_rtp(packet)) == packet


@pytest.mark.parametrize("packet", [b"", b"\x81\xc9\x00\x01abc", b"\x01\xc9\x00\x01abcd", b"\xc1\xc9\x00\x01abcd"])
def test_sender_refuses_what_is_not_rtcp_and_nothing_changes(kind, tools, make_pair, packet):
    pair = make_pair(kind)
    with pytest.raises(InvalidArgument):
        pair.sender.protect_rtcp(packet)
    assert tools.state_of(pair.sender) == ({}, {}, {})


def test_receiver_discards_rtcp_of_another_version(profile, tools, make_pair):
    pair = make_pair(profile)
    data = pair.sender.protect_rtcp(tools.rtcp())
    for version in (0, 1, 3):
        assert pair.receive_rtcp(bytes((version << 6 | data[0] & 0x3F,)) + data[1:]) == "malformed"


def test_receiver_discards_what_is_shorter_than_the_shortest(profile, tools, make_pair):
    pair = make_pair(profile)
    shortest, rtcp = pair.send(1, payload=b""), pair.sender.protect_rtcp(tools.rtcp(rest=b""))
    for size in range(len(shortest)):
        assert pair.receive(shortest[:size]) == "truncated"
    for size in range(len(rtcp)):
        assert pair.receive_rtcp(rtcp[:size]) == "truncated"
    assert pair.receive(shortest) is not None
    assert pair.receive_rtcp(rtcp) is not None


@pytest.mark.proves("RFC3711-4.1.1-5-8135")
def test_packets_are_as_long_as_a_datagram_can_be(profile, tools, make_pair):
    pair = make_pair(profile)
    room = 65535 - 12 - pair.sender.rtp_overhead_bytes
    assert pair.receive(pair.send(1, payload=bytes(room))) == tools.rtp(1, payload=bytes(room))
    with pytest.raises(InvalidArgument, match="fit"):
        pair.send(2, payload=bytes(room + 1))
    assert pair.receive(b"\x80" + bytes(65535)) == "too_long"

    room = 65535 - 8 - pair.sender.rtcp_overhead_bytes
    assert pair.receive_rtcp(pair.sender.protect_rtcp(tools.rtcp(rest=bytes(room // 4 * 4)))) is not None
    with pytest.raises(InvalidArgument, match="fit"):
        pair.sender.protect_rtcp(tools.rtcp(rest=bytes(room // 4 * 4 + 4)))
    assert pair.receive_rtcp(b"\x80" + bytes(65535)) == "too_long"


@pytest.mark.parametrize("profile", [SrtpProfile.AES128_CM_SHA1_32])
def test_shortest_packet_of_all_is_12_bytes_of_header_and_4_of_tag(profile, make_pair):
    pair = make_pair(profile)
    data = pair.send(1, payload=b"")
    assert len(data) == 16
    assert pair.receive(data) is not None
