import pytest
from hypothesis import given
from hypothesis import strategies as st

from sans_rtc.datachannel.wire import (
    AckMessage,
    ChannelType,
    OpenMessage,
    parse_dcep,
    serialize_dcep,
)
from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported, WireError
from sans_rtc.sctp.config import RELIABLE, Reliability

# DATA_CHANNEL_OPEN of Chromium for createDataChannel("chat"), laid out by hand from RFC 8832 section 5.1:
# type 3, reliable, priority 256, parameter 0, label of 4 bytes, no protocol.
OPEN_CHAT = bytes.fromhex("03 00 0100 00000000 0004 0000") + b"chat"


def test_open_has_the_layout_of_rfc_8832_5_1():
    assert serialize_dcep(OpenMessage("chat", "", RELIABLE)) == OPEN_CHAT
    assert parse_dcep(OPEN_CHAT) == OpenMessage("chat", "", RELIABLE)


def test_ack_is_one_byte():
    assert serialize_dcep(AckMessage()) == b"\x02"
    assert parse_dcep(b"\x02") == AckMessage()


@pytest.mark.proves("DATA-PROTOCOL-5.1-1-bdb8")
@pytest.mark.parametrize(
    ("reliability", "channel_type", "parameter"),
    [
        (Reliability(), ChannelType.RELIABLE, 0),
        (Reliability(ordered=False), ChannelType.RELIABLE_UNORDERED, 0),
        (Reliability(max_retransmits=3), ChannelType.PARTIAL_RELIABLE_REXMIT, 3),
        (Reliability(ordered=False, max_retransmits=0), ChannelType.PARTIAL_RELIABLE_REXMIT_UNORDERED, 0),
        (Reliability(lifetime_s=0.25), ChannelType.PARTIAL_RELIABLE_TIMED, 250),
        (Reliability(ordered=False, lifetime_s=2.0), ChannelType.PARTIAL_RELIABLE_TIMED_UNORDERED, 2000),
    ],
)
def test_every_channel_type_of_rfc_8832_5_1(reliability, channel_type, parameter):
    data = serialize_dcep(OpenMessage("x", "p", reliability))
    assert (data[1], int.from_bytes(data[4:8])) == (channel_type, parameter)
    assert parse_dcep(data) == OpenMessage("x", "p", reliability)


@pytest.mark.proves("DATA-PROTOCOL-5.1-1-bdb8")
def test_parameter_of_a_reliable_channel_is_ignored():
    data = OPEN_CHAT[:4] + bytes.fromhex("00000007") + OPEN_CHAT[8:]
    assert parse_dcep(data) == OpenMessage("chat", "", RELIABLE)


@pytest.mark.parametrize("length", range(len(OPEN_CHAT)))
def test_truncated_open_is_truncated(length):
    with pytest.raises(Truncated):
        parse_dcep(OPEN_CHAT[:length])


@pytest.mark.parametrize("channel_type", [0x03, 0x7F, 0x83, 0xFF])
def test_unknown_channel_type_is_unsupported(channel_type):
    with pytest.raises(Unsupported):
        parse_dcep(OPEN_CHAT[:1] + bytes([channel_type]) + OPEN_CHAT[2:])


def test_unknown_message_type_is_unsupported():
    with pytest.raises(Unsupported):
        parse_dcep(b"\x04" + OPEN_CHAT[1:])


def test_label_that_is_not_utf8_is_malformed():
    with pytest.raises(Malformed):
        parse_dcep(OPEN_CHAT[:-1] + b"\xff")


def test_label_over_its_length_field_is_refused_locally():
    with pytest.raises(InvalidArgument):
        serialize_dcep(OpenMessage("x" * 65_536, "", RELIABLE))


reliabilities = (
    st.builds(Reliability, ordered=st.booleans())
    | st.builds(Reliability, ordered=st.booleans(), max_retransmits=st.integers(0, 2**32 - 1))
    | st.builds(Reliability, ordered=st.booleans(), lifetime_s=st.integers(0, 2**32 - 1).map(lambda ms: ms / 1000))
)


@given(st.builds(OpenMessage, st.text(max_size=200), st.text(max_size=200), reliabilities, st.integers(0, 65_535)))
def test_parse_is_the_inverse_of_serialize(message):
    assert parse_dcep(serialize_dcep(message)) == message


@given(st.binary(max_size=64))
def test_any_bytes_raise_nothing_but_wire_error(data):
    try:
        parse_dcep(data)
    except WireError:
        pass


@pytest.mark.parametrize(
    "message",
    [
        OpenMessage("", "", RELIABLE, priority=1 << 16),
        OpenMessage("", "", RELIABLE, priority=-1),
        OpenMessage("", "", Reliability(max_retransmits=1 << 32)),
        OpenMessage("", "", Reliability(lifetime_s=(1 << 32) / 1000)),
    ],
)
def test_number_over_its_field_is_refused_locally(message):
    with pytest.raises(InvalidArgument):
        serialize_dcep(message)
