"""Reading whom a check is for: it agrees with the whole parser, and nothing else gets through."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import WireError
from sans_rtc.peer.mux_username import addressed_ufrags
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute, Message, MessageClass, Method, parse_message, serialize_message

UFRAGS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=":"), min_size=4, max_size=40)


def request(username, *, message_class=MessageClass.REQUEST, method=Method.BINDING, before=()):
    attributes = [*before, Attribute(AttributeType.USERNAME, username)]
    return serialize_message(Message(message_class, method, b"t" * 12, attributes), fingerprint=True)


@settings(max_examples=100, deadline=None)
@given(UFRAGS, UFRAGS, st.integers(0, 20))
def test_both_fragments_are_read_wherever_the_attribute_stands(local, remote, count):
    before = [Attribute(0xF000 + number, bytes(number)) for number in range(count)]
    assert addressed_ufrags(request(f"{local}:{remote}", before=before)) == (local, remote)


def test_other_messages_and_other_names_are_nobodys():
    assert addressed_ufrags(request("abcd:efgh")) == ("abcd", "efgh")
    assert addressed_ufrags(request("abcd:efgh", message_class=MessageClass.INDICATION)) is None
    assert addressed_ufrags(request("abcd:efgh", message_class=MessageClass.SUCCESS_RESPONSE)) is None
    assert addressed_ufrags(request("abcd:efgh", method=Method.ALLOCATE)) is None
    for name in ("abcd", "abcd:", ":abcd", "abc:defg", "abcd:ef h", "abcd:é" + "e" * 9, "a" * 257 + ":abcd"):
        assert addressed_ufrags(request(name)) is None
    assert addressed_ufrags(request("a" * 256 + ":" + "b" * 251)) is not None


def test_more_attributes_than_a_parser_takes_are_not_walked():
    before = [Attribute(0xF000 + number, b"") for number in range(64)]
    assert addressed_ufrags(request("abcd:efgh", before=before)) is None


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120))
def test_any_bytes_are_taken_in_peace(data):
    addressed_ufrags(data)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_requests_are_read_only_where_the_parser_reads_the_same(data):
    whole = bytearray(request("abcd:efgh"))
    for position, bit in data.draw(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 7)), max_size=4)):
        whole[position] ^= 1 << bit
    damaged = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    read = addressed_ufrags(damaged)
    if read is None:
        return
    try:
        message = parse_message(damaged)
    except WireError:
        return  # it judges what stands behind the name as well
    assert message.value(AttributeType.USERNAME) == ":".join(read)
