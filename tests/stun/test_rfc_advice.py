"""Rules of RFC 5389 and 8489 that no other test is about."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.stun import Attribute, AttributeType, Message, MessageClass, Method, serialize_message
from sans_rtc.stun.transaction import RetransmissionSchedule


def message(type, value):
    return Message(MessageClass.REQUEST, Method.BINDING, bytes(12), [Attribute(type, value)])


@pytest.mark.proves("RFC5389-15.8-1-190e")
def test_nonce_has_763_bytes_at_most():
    assert serialize_message(message(AttributeType.NONCE, bytes(763)))
    with pytest.raises(InvalidArgument):
        serialize_message(message(AttributeType.NONCE, bytes(764)))


@pytest.mark.proves("RFC5389-7.2.1-6-e9e6")
def test_rto_is_kept_to_the_millisecond():
    schedule = RetransmissionSchedule(rto_s=0.123)
    assert [round(1000 * schedule.wait_after(count)) for count in (1, 2, 3)] == [123, 246, 492]
