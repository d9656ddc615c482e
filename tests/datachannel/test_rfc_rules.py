"""Rules of RFC 8831 and 8832 that no other test is about."""

import pytest

from sans_rtc.datachannel import ChannelMessage, ChannelOptions
from sans_rtc.datachannel.wire import OpenMessage, PayloadProtocol, serialize_dcep
from sans_rtc.sctp import RELIABLE


@pytest.mark.proves("DATA-PROTOCOL-6-1-677e")
def test_open_of_an_unreliable_channel_is_itself_ordered_and_reliable(connected, transport):
    connected().create("x", ChannelOptions(ordered=False, max_retransmits=0), 0.0)
    ((stream_id, ppid, _, reliability),) = transport.sent
    assert (stream_id, ppid, reliability) == (0, 50, RELIABLE)


@pytest.mark.proves("DATA-CHANNEL-6.6-5-0b60")
@pytest.mark.parametrize(("ppid", "data"), [(56, ""), (57, b"")])
def test_content_of_an_empty_message_is_ignored(connected, ppid, data):
    channels = connected()
    channels.on_message(1, PayloadProtocol.DCEP, serialize_dcep(OpenMessage("theirs", "", RELIABLE)), 0.0)
    channels.take_events()
    channels.on_message(1, ppid, b"ignore me", 0.0)
    (event,) = channels.take_events()
    assert isinstance(event, ChannelMessage) and event.data == data


@pytest.mark.parametrize("data", [b"", b"\x09", b"\x03\x77", serialize_dcep(OpenMessage("x", "", RELIABLE))[:-1]])
def test_open_that_makes_no_sense_is_not_acknowledged(connected, transport, data):
    channels = connected()
    channels.on_message(1, PayloadProtocol.DCEP, data, 0.0)
    assert (transport.sent, transport.resets) == ([], [1])
