"""Rules of data channels (RFC 8831, RFC 8832). The peer echoes what comes on a channel."""

import os

from sans_rtc.datachannel.wire import AckMessage, OpenMessage, parse_dcep, serialize_dcep
from sans_rtc.errors import WireError
from sans_rtc.sctp import RELIABLE, Message, Reliability
from sans_rtc.sctp.chunks import FLAG_UNORDERED, parse_chunk
from tests.conformance.black_box.rules import NotRun, expect, rule
from tests.conformance.black_box.session import MESSAGE_BYTES_MAX

DCEP, STRING, BINARY, STRING_EMPTY, BINARY_EMPTY = 50, 51, 53, 56, 57
DATA, FORWARD_TSN = 0, 192
ANSWER_S, ABANDON_S = 3.0, 6.0


def dcep_of(message):
    """The DCEP message that a message is, or None."""
    if not isinstance(message, Message) or message.ppid != DCEP:
        return None
    try:
        return parse_dcep(message.data)
    except WireError:
        return None


def send(session, stream, ppid, data, reliability=RELIABLE):
    """A message of ours."""
    session.association.send(stream, ppid, data, reliability, session.now)
    session.flush()


def next_stream(session):
    """A stream identifier of ours: odd where we are the DTLS server; each once."""
    session.need_sctp()
    session._given += 1
    return 2 * session._given + (session.setup == "passive")


def open_channel(session, label, reliability=RELIABLE, protocol=""):
    """Open a channel and return its stream, once it is acknowledged."""
    stream, events = next_stream(session), len(session.events)
    send(session, stream, DCEP, serialize_dcep(OpenMessage(label, protocol, reliability)))

    def is_acknowledged():
        new = session.messages(events)
        return any(each.stream_id == stream and isinstance(dcep_of(each), AckMessage) for each in new)

    if not session.wait(is_acknowledged, ANSWER_S):
        raise NotRun("a channel is not acknowledged")
    return stream


def echoes(session, stream, since):
    """(ppid, data) of what came back on a stream."""
    found = [each for each in session.messages(since) if each.stream_id == stream and each.ppid != DCEP]
    return [(each.ppid, each.data) for each in found]


def expect_echo(session, stream, ppid, data, within_s=ANSWER_S):
    """What is sent comes back as it was."""
    events = len(session.events)
    send(session, stream, ppid, data)
    expect(session.wait(lambda: echoes(session, stream, events), within_s), "no echo")
    told = echoes(session, stream, events)[0]
    expect(told[0] == ppid, f"the echo has PPID {told[0]}")
    expect(told[1] == data, f"the echo has {len(told[1])} bytes, or other ones")


@rule(
    "dcep-acknowledged",
    "main",
    "DATA_CHANNEL_OPEN is acknowledged on its stream",
    "RFC 8832 6",
    "DATA-PROTOCOL-6-2-8b73",
)
def _acknowledged(session):
    session.need_sctp()
    try:
        open_channel(session, "first", protocol="chat")
    except NotRun as reason:
        expect(False, str(reason))
    session.wait(lambda: any(each["label"] == "first" for each in session.foreign.said("channel")), 1.0)
    labels = [each["label"] for each in session.foreign.said("channel")]
    expect("first" in labels, f"the label is told as {labels}")


@rule("dcep-data-at-once", "main", "Data that follow DATA_CHANNEL_OPEN at once are taken", "DATA-PROTOCOL-6-7-8b46")
def _at_once(session):
    stream, events = next_stream(session), len(session.events)
    session.association.send(stream, DCEP, serialize_dcep(OpenMessage("eager", "", RELIABLE)), RELIABLE, session.now)
    send(session, stream, BINARY, b"eager")
    expect(session.wait(lambda: echoes(session, stream, events), ANSWER_S), "no echo")


@rule("channel-string", "main", "A string comes back as a string", "RFC 8831 8", "RFC 8831 6.6")
def _string(session):
    expect_echo(session, open_channel(session, "string"), STRING, "Grüße, 你好 🌍".encode())


@rule("channel-binary", "main", "Bytes come back as bytes", "RFC 8831 8")
def _binary(session):
    expect_echo(session, open_channel(session, "binary"), BINARY, bytes(range(256)))


@rule("channel-empty-string", "main", "An empty string comes back as one, under its own PPID", "RFC 8831 6.6")
def _empty_string(session):
    expect_echo(session, open_channel(session, "empty string"), STRING_EMPTY, b"\0")


@rule("channel-empty-binary", "main", "Empty bytes come back as such, under their own PPID", "RFC 8831 6.6")
def _empty_binary(session):
    expect_echo(session, open_channel(session, "empty binary"), BINARY_EMPTY, b"\0")


@rule("channel-unknown-ppid", "main", "A message of an unknown PPID does not end the association", "RFC 8831 6.6")
def _unknown_ppid(session):
    stream = open_channel(session, "unknown")
    send(session, stream, 4711, b"what")
    session.rest(0.1)
    expect_echo(session, open_channel(session, "after"), BINARY, b"it goes on")


@rule("channel-large", "main", "A message of many packets comes back intact", "RFC 9260 6.9")
def _large(session):
    expect_echo(session, open_channel(session, "large"), BINARY, os.urandom(MESSAGE_BYTES_MAX), within_s=6.0)


@rule("channel-many", "main", "Two hundred messages come back in their order", "RFC 9260 6.6")
def _many(session):
    stream, events = open_channel(session, "many"), len(session.events)
    contents = [b"%d " % number + os.urandom(number) for number in range(200)]
    for content in contents:
        send(session, stream, BINARY, content)
    session.wait(lambda: len(echoes(session, stream, events)) >= len(contents), 6.0)
    told = [data for _, data in echoes(session, stream, events)]
    expect(told == contents, f"{len(told)} of {len(contents)}, or another order")


@rule("channel-unordered", "main", "On an unordered channel it sends unordered", "DATA-PROTOCOL-6-8-86f3",
      "DATA-CHANNEL-6.6-1-4004")  # fmt: skip
def _unordered(session):
    stream = open_channel(session, "unordered", Reliability(ordered=False))
    count, events = len(session.sctp), len(session.events)
    send(session, stream, BINARY, b"in any order", Reliability(ordered=False))
    expect(session.wait(lambda: echoes(session, stream, events), ANSWER_S), "no echo")
    chunks = [parse_chunk(each[:3]) for each in session.chunks(count) if each[0] == DATA]
    flags = [chunk.flags & FLAG_UNORDERED for chunk in chunks if chunk.stream_id == stream and chunk.ppid == BINARY]
    expect(all(flags), "the U flag is not set")


@rule("channel-partial", "main", "On a channel without retransmissions what is lost is abandoned by FORWARD-TSN",
      "RFC 3758 3.5", "DATA-CHANNEL-6.6-1-4004")  # fmt: skip
def _partial(session):
    stream = open_channel(session, "partial", Reliability(max_retransmits=0))
    session.rest(0.1)
    lost, count = [], len(session.sctp)

    def drop(packet):
        chunks = [parse_chunk(chunk) for chunk in packet.chunks if chunk[0] == DATA]
        is_echo = any(chunk.stream_id == stream and chunk.ppid == BINARY for chunk in chunks)
        return not is_echo or lost.append(packet)

    session.sctp_in = drop
    send(session, stream, BINARY, b"once", Reliability(max_retransmits=0))
    found = session.wait(lambda: any(each[0] == FORWARD_TSN for each in session.chunks(count)), ABANDON_S)
    session.sctp_in = lambda packet: True
    expect(lost, "no echo")
    expect(found, f"no FORWARD-TSN within {ABANDON_S:.0f} s; the echo was sent {len(lost)} times")
    expect(len(lost) == 1, f"sent {len(lost)} times")


@rule("dcep-own-open", "main", "Its own DATA_CHANNEL_OPEN: right parity, ordered, PPID 50", "DATA-PROTOCOL-6-5-557e",
      "DATA-PROTOCOL-6-1-677e", "DATA-PROTOCOL-6-3-f797")  # fmt: skip
def _own_open(session):
    session.need_sctp()
    count, events = len(session.sctp), len(session.events)
    session.foreign.say("create-channel", label="theirs", ordered=False, max_retransmits=3)

    def opens():
        return [each for each in session.messages(events) if isinstance(dcep_of(each), OpenMessage)]

    expect(session.wait(opens, ANSWER_S), "no DATA_CHANNEL_OPEN")
    opened, message = opens()[0], dcep_of(opens()[0])
    send(session, opened.stream_id, DCEP, serialize_dcep(AckMessage()))
    is_even_expected = session.setup == "passive"
    expect((opened.stream_id % 2 == 0) == is_even_expected, f"stream {opened.stream_id}")
    expect(message.label == "theirs", f"label {message.label!r}")
    expect(message.reliability == Reliability(ordered=False, max_retransmits=3), f"{message.reliability}")
    chunks = [parse_chunk(each[:3]) for each in session.chunks(count) if each[0] == DATA]
    flags = [chunk.flags & FLAG_UNORDERED for chunk in chunks if chunk.ppid == DCEP]
    expect(not any(flags), "it is sent unordered")


@rule("channel-max-message-size", "main", "A message longer than our a=max-message-size is not sent", "RFC 8841 6.1")
def _max_message(session):
    open_channel(session, "limit")
    session.wait(lambda: any(each["label"] == "limit" for each in session.foreign.said("channel")), 1.0)
    events = len(session.events)
    session.foreign.say("send", label="limit", text="x" * (MESSAGE_BYTES_MAX + 1))
    session.foreign.say("send", label="limit", text="short")
    session.wait(lambda: any(each.data == b"short" for each in session.messages(events)), ANSWER_S)
    sizes = [len(each.data) for each in session.messages(events)]
    expect(max(sizes, default=0) <= MESSAGE_BYTES_MAX, f"a message of {max(sizes, default=0)} bytes")
    if not sizes:
        raise NotRun("nothing that it is asked to send comes")


@rule("channel-close", "main", "A channel that it is asked to close is reset", "DATA-CHANNEL-6.7-1-9645")
def _close(session):
    from sans_rtc.sctp import IncomingStreamsReset

    stream, events = open_channel(session, "closing"), len(session.events)
    session.wait(lambda: any(each["label"] == "closing" for each in session.foreign.said("channel")), 1.0)
    session.foreign.say("close-channel", label="closing")

    def is_reset():
        new = session.events[events:]
        return any(isinstance(event, IncomingStreamsReset) and stream in event.stream_ids for event in new)

    expect(session.wait(is_reset, ANSWER_S), "no reset")


@rule("dtls-close-notify", "main", "After our close_notify it ends too: it answers it, or says that it is closed",
      "RFC 5246 7.2.1")  # fmt: skip
def _close_notify(session):
    """The last of its scene."""
    connection = session.need_dtls()
    count = len(session.dtls)
    connection.close(session.now)
    session.flush()

    def has_ended():
        states = {line["connection"] for line in session.foreign.said("state")}
        is_answered = any(heard.data[0] == 21 for heard in session.dtls[count:])
        return is_answered or states & {"closed", "failed"} or session.foreign.said("closed")

    expect(session.wait(has_ended, ANSWER_S), "it goes on")
