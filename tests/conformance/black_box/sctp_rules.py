"""Rules of SCTP over DTLS (RFC 9260, RFC 3758, RFC 6525, RFC 8261)."""

import os
import struct

from sans_rtc.sctp import RELIABLE, Reliability
from sans_rtc.sctp.chunks import ChunkType, Init, parse_chunk, serialize
from sans_rtc.sctp.params import Parameter, ParameterType, parse_reconfig
from sans_rtc.sctp.wire import Packet, parse_packet, serialize_chunk, serialize_packet
from sans_rtc.testing.strategies.sctp import resealed
from tests.conformance.black_box.channel_rules import BINARY, open_channel
from tests.conformance.black_box.rules import expect, rule
from tests.conformance.black_box.session import ANSWER_S, SILENCE_S

DATA, INIT_ACK, SACK, HEARTBEAT, HEARTBEAT_ACK = 0, 2, 3, 4, 5
ABORT, ERROR, RE_CONFIG, FORWARD_TSN = 6, 9, 130, 192
ADDRESSES = {ParameterType.IPV4_ADDRESS, ParameterType.IPV6_ADDRESS, ParameterType.SUPPORTED_ADDRESS_TYPES}
# The high bits of an unknown type: stop in silence, skip in silence, skip and report.
STOP, SKIP, SKIP_AND_REPORT = 0x3D, 0xBD, 0xFD
OUR_TAG, UNKNOWN_PARAMETER = 7_000_007, 0xFF0A
UNRECOGNIZED_CHUNK, SACK_S, RETRANSMISSION_S = 6, 0.2, 6.0


def packet_of(session, *chunks, tag=None):
    """A packet of these chunks on our association, under its tag or another."""
    session.need_sctp()
    head = session.sent_packets[-1][:8]
    number = int.from_bytes(head[4:], "big") if tag is None else tag
    return resealed(head[:4] + number.to_bytes(4, "big") + bytes(4) + b"".join(chunks))


def heartbeat(value):
    """A HEARTBEAT whose information is this."""
    return serialize_chunk(HEARTBEAT, 0, struct.pack(">HH", 1, 4 + len(value)) + value)


def is_answered(session, packet, value, within_s):
    """Whether the HEARTBEAT of this value in the packet is answered."""
    count = len(session.sctp)
    session.send_packet(packet)
    return session.wait(
        lambda: any(kind == HEARTBEAT_ACK and value in body for kind, _, body, _ in session.chunks(count)), within_s
    )


def expect_heartbeat(session):
    """The association goes on: a HEARTBEAT is answered."""
    value = os.urandom(8)
    expect(
        is_answered(session, packet_of(session, heartbeat(value)), value, ANSWER_S), "the association does not go on"
    )


def expect_silence(session, packet, value):
    """The HEARTBEAT in this packet is not answered, one in a good packet is."""
    expect(not is_answered(session, packet, value, SILENCE_S), "it is answered")
    expect_heartbeat(session)


def sacks(session, since):
    """The SACKs heard from an index on, with their times."""
    return [(parse_chunk(each[:3]), each[3]) for each in session.chunks(since) if each[0] == SACK]


def data_of(packet):
    """The DATA chunks of a packet, decoded."""
    return [parse_chunk(chunk) for chunk in packet.chunks if chunk[0] == DATA]


# -- before the association, over DTLS with the peer as its server -----------------------------------------------------


def refuse_init(session, init, tag):
    session.need_dtls()
    count = len(session.sctp)
    raw = serialize(init)
    chunk = (ChunkType.INIT, 0, raw[4:])
    session.send_packet(serialize_packet(Packet(5000, 5000, tag, [chunk])))
    session.rest(2 * SILENCE_S)
    expect(not any(each[0] == INIT_ACK for each in session.chunks(count)), "an INIT ACK")


@rule("dtls-server-connects", "init", "As the server it completes the handshake with our client", "RFC 8842 5")
def _server_connects(session):
    session.need_dtls()


@rule("sctp-init-zero-tag", "init", "An INIT whose initiate tag is zero gets no INIT ACK", "RFC4960-3.3.2-7-e072")
def _zero_tag(session):
    refuse_init(session, Init(0, 100_000, 10, 10, 1, []), 0)


@rule("sctp-init-wrong-tag", "init", "An INIT under a verification tag gets no INIT ACK", "RFC4960-8.5.1-2-1e42")
def _init_tag(session):
    refuse_init(session, Init(7, 100_000, 10, 10, 1, []), 4711)


def init_acks(session):
    """(packet, INIT ACK) of those heard after an INIT of ours with an unknown parameter that is to be reported."""
    if "init" not in session.notes:
        session.need_dtls()
        session.notes["init"] = len(session.sctp)
        chunk = serialize(Init(OUR_TAG, 100_000, 10, 10, 1, [Parameter(UNKNOWN_PARAMETER, b"what")]))
        session.send_packet(resealed(bytes.fromhex("13881388") + bytes(8) + chunk))
        session.wait(lambda: any(each[0] == INIT_ACK for each in session.chunks(session.notes["init"])))
    heard_since = session.sctp[session.notes["init"] :]
    packets = [heard.parsed for heard in heard_since if heard.parsed.chunks[0][0] == INIT_ACK]
    expect(packets, "no INIT ACK")
    return [(packet, parse_chunk(packet.chunks[0])) for packet in packets]


@rule("sctp-init-ack", "init", "INIT ACK has a State Cookie, stands alone, and under our initiate tag",
      "RFC4960-5.1-3-02b1", "RFC4960-5.1-8-752b", "RFC4960-8.5-1-4bd5")  # fmt: skip
def _init_ack(session):
    packet, chunk = init_acks(session)[0]
    expect(packet.verification_tag == OUR_TAG, f"tag {packet.verification_tag}")
    expect(len(packet.chunks) == 1, f"{len(packet.chunks)} chunks")
    expect(ParameterType.STATE_COOKIE in {each.type for each in chunk.parameters}, "no cookie")


@rule("sctp-unknown-parameter", "init", "INIT ACK reports an unknown parameter of INIT whose type asks for it",
      "RFC4960-3.2.2-1-f535")  # fmt: skip
def _unknown_parameter(session):
    _, chunk = init_acks(session)[0]
    reported = [each.value for each in chunk.parameters if each.type == ParameterType.UNRECOGNIZED_PARAMETER]
    expect(any(value.startswith(UNKNOWN_PARAMETER.to_bytes(2, "big")) for value in reported), "not reported")


@rule("sctp-forged-cookie", "init", "A COOKIE ECHO with a cookie that it did not make is discarded", "RFC 9260 5.1.5")
def _forged_cookie(session):
    _, chunk = init_acks(session)[0]
    count, cookie = (
        len(session.sctp),
        next(each.value for each in chunk.parameters if each.type == ParameterType.STATE_COOKIE),
    )
    forged = cookie[:-1] + bytes([cookie[-1] ^ 1])
    head = bytes.fromhex("13881388") + chunk.initiate_tag.to_bytes(4, "big") + bytes(4)
    session.send_packet(resealed(head + serialize_chunk(ChunkType.COOKIE_ECHO, 0, forged)))
    session.rest()
    expect(not any(each[0] == ChunkType.COOKIE_ACK for each in session.chunks(count)), "a COOKIE ACK")


@rule("sctp-shutdown", "init", "A SHUTDOWN is answered by SHUTDOWN ACK, and after its COMPLETE nothing comes",
      "RFC 9260 9.2")  # fmt: skip
def _shutdown(session):
    """The last of its scene."""
    association = session.need_sctp()
    count = len(session.sctp)
    association.close(session.now)
    session.flush()
    found = session.wait(lambda: any(each[0] == ChunkType.SHUTDOWN_ACK for each in session.chunks(count)), 3.0)
    expect(found, "no SHUTDOWN ACK")
    count = len(session.sctp)
    session.rest(2 * SILENCE_S)
    expect(len(session.sctp) == count, f"{len(session.sctp) - count} packets after the end")


# -- the association -----------------------------------------------------------------------------------------------


@rule("sctp-own-init", "main", "Its INIT or INIT ACK has streams, a tag, and no addresses", "RFC8261-6.1-3-8cca",
      "RFC8261-6.1-4-03cc", "RFC4960-3.3.2-9-9282")  # fmt: skip
def _own_init(session):
    session.need_sctp()
    found = [parse_chunk(each[:3]) for each in session.chunks() if each[0] in (1, INIT_ACK)]
    expect(found, "none was heard")
    for init in found:
        expect(init.initiate_tag and init.streams_outbound and init.streams_inbound, "a zero tag, or no streams")
        expect(not ADDRESSES & {parameter.type for parameter in init.parameters}, "addresses")


@rule("sctp-extensions", "main", "It announces FORWARD-TSN and RE-CONFIG", "DATA-CHANNEL-6.1-5-a340",
      "DATA-CHANNEL-6.1-4-800e")  # fmt: skip
def _extensions(session):
    session.need_sctp()
    init = next(parse_chunk(each[:3]) for each in session.chunks() if each[0] in (1, INIT_ACK))
    values = {parameter.type: parameter.value for parameter in init.parameters}
    extensions = values.get(ParameterType.SUPPORTED_EXTENSIONS, b"")
    is_partial = ParameterType.FORWARD_TSN_SUPPORTED in values or FORWARD_TSN in extensions
    expect(is_partial, "no FORWARD-TSN")
    expect(RE_CONFIG in extensions, "no RE-CONFIG")


@rule("sctp-heartbeat", "main", "A HEARTBEAT is answered with its own information", "RFC4960-8.3-2-60ed",
      "RFC4960-3.3.6-1-103a")  # fmt: skip
def _heartbeat(session):
    expect_heartbeat(session)


@rule("sctp-wrong-checksum", "main", "A packet with a wrong CRC32c is discarded", "RFC4960-6.8-3-9f20")
def _checksum(session):
    packet = packet_of(session, heartbeat(b"crc crc."))
    expect_silence(session, packet[:8] + b"\x12\x34\x56\x78" + packet[12:], b"crc crc.")


@rule("sctp-zero-checksum", "main", "A packet with a checksum of zero is discarded where that was not negotiated",
      "RFC 9653 5.1")  # fmt: skip
def _zero_checksum(session):
    packet = packet_of(session, heartbeat(b"crc zero"))
    expect_silence(session, packet[:8] + bytes(4) + packet[12:], b"crc zero")


@rule("sctp-wrong-tag", "main", "A packet under another verification tag is discarded", "RFC4960-8.5-2-3c1e")
def _wrong_tag(session):
    expect_silence(session, packet_of(session, heartbeat(b"tag tag."), tag=4711), b"tag tag.")


@rule("sctp-abort-wrong-tag", "main", "An ABORT under another verification tag is ignored", "RFC4960-8.5.1-6-26c9")
def _abort(session):
    session.send_packet(packet_of(session, serialize_chunk(ABORT, 0, b""), tag=4711))
    expect_heartbeat(session)


@rule("sctp-unknown-report", "main", "An unknown chunk whose type says so is skipped and reported", "RFC 9260 3.2")
def _report(session):
    count, value = len(session.sctp), b"reported"
    packet = packet_of(session, serialize_chunk(SKIP_AND_REPORT, 0, b"what"), heartbeat(value))
    expect(is_answered(session, packet, value, ANSWER_S), "the chunk after it is not processed")
    session.wait(lambda: any(each[0] == ERROR for each in session.chunks(count)), 0.5)
    causes = [each for each in session.chunks(count) if each[0] == ERROR]
    expect(causes, "no ERROR")
    expect(causes[0][2][:2] == bytes((0, UNRECOGNIZED_CHUNK)), "another cause")


@rule("sctp-unknown-skip", "main", "An unknown chunk whose type does not ask for a report is skipped in silence",
      "RFC 9260 3.2")  # fmt: skip
def _skip(session):
    count, value = len(session.sctp), b"skipped."
    packet = packet_of(session, serialize_chunk(SKIP, 0, b"what"), heartbeat(value))
    expect(is_answered(session, packet, value, ANSWER_S), "the chunk after it is not processed")
    expect(not any(each[0] == ERROR for each in session.chunks(count)), "an ERROR")


@rule("sctp-unknown-stop", "main", "At an unknown chunk whose type says so the packet is left", "RFC 9260 3.2")
def _stop(session):
    packet = packet_of(session, serialize_chunk(STOP, 0, b"what"), heartbeat(b"stopped."))
    expect_silence(session, packet, b"stopped.")


@rule("sctp-sack-time", "main", "DATA are acknowledged within 200 ms", "RFC4960-6.2-8-4772", "RFC4960-6.2-12-439a")
def _sack_time(session):
    stream = open_channel(session, "sack")
    took = []
    while len(took) < 3 and min(took, default=SACK_S + 1) > SACK_S:  # a busy machine may be late once
        session.rest(0.3)
        count, start = len(session.sctp), session.now
        session.association.send(stream, BINARY, b"acknowledge", RELIABLE, session.now)
        session.flush()
        expect(session.wait(lambda count=count: sacks(session, count)), "no SACK")
        took.append(sacks(session, count)[0][1] - start)
    expect(min(took) <= SACK_S, f"after {1000 * min(took):.0f} ms")
    return f"after {1000 * min(took):.0f} ms"


@rule("sctp-gap", "main", "A gap is reported at once, and what is behind it is not delivered before it is filled",
      "RFC4960-6.2-15-706c", "RFC4960-6.7-1-a543")  # fmt: skip
def _gap(session):
    stream = open_channel(session, "gap")
    session.rest(0.1)
    lost = []
    session.sctp_out = lambda packet: bool(lost) or not data_of(parse_packet(packet)) or lost.append(packet)
    count, events = len(session.sctp), len(session.events)
    for content in (b"first", b"second"):
        session.association.send(stream, BINARY, content, RELIABLE, session.now)
        session.flush()
    session.sctp_out = lambda packet: not data_of(parse_packet(packet))
    found = session.wait(lambda: any(sack.gaps for sack, _ in sacks(session, count)))
    early = [message.data for message in session.messages(events)]
    session.sctp_out = lambda packet: True
    for packet in lost:
        session.send_packet(packet)
    expect(found, "no SACK with a gap")
    expect(not early, f"{early} is echoed before the gap is filled")
    session.wait(lambda: len(session.messages(events)) == 2, RETRANSMISSION_S)
    told = [message.data for message in session.messages(events)]
    expect(told == [b"first", b"second"], f"{told} after it")


@rule(
    "sctp-duplicate", "main", "DATA that come twice are delivered once and reported as duplicate", "RFC4960-6.2-17-3a1c"
)
def _duplicate(session):
    stream = open_channel(session, "duplicate")
    session.rest(0.1)
    sent = []
    session.sctp_out = lambda packet: sent.append(packet) or True
    count, events = len(session.sctp), len(session.events)
    session.association.send(stream, BINARY, b"only once", RELIABLE, session.now)
    session.flush()
    session.sctp_out = lambda packet: True
    session.wait(lambda: session.messages(events))
    data = next(packet for packet in sent if data_of(parse_packet(packet)))
    session.send_packet(data)
    reported = session.wait(lambda: any(sack.duplicates for sack, _ in sacks(session, count)), 1.0)
    session.rest(0.1)
    expect(len(session.messages(events)) == 1, f"{len(session.messages(events))} echoes")
    expect(reported, "not reported")


@rule("sctp-bundled", "main", "Messages bundled in one packet come in their order", "RFC 9260 6.10")
def _bundled(session):
    stream = open_channel(session, "bundled")
    events = len(session.events)
    contents = [b"%d" % number for number in range(20)]
    for content in contents:
        session.association.send(stream, BINARY, content, RELIABLE, session.now)
    session.flush()
    expect(any(len(data_of(parse_packet(packet))) > 1 for packet in session.sent_packets), "we did not bundle")
    session.wait(lambda: len(session.messages(events)) >= len(contents), 3.0)
    expect([message.data for message in session.messages(events)] == contents, "another order, or some are missing")


@rule("sctp-retransmission", "main", "DATA that are lost are sent again", "RFC4960-6.1-12-2713", "RFC 9260 6.3.3")
def _retransmission(session):
    stream = open_channel(session, "lost")
    lost, events = [], len(session.events)
    session.sctp_in = lambda packet: bool(lost) or not data_of(packet) or lost.append(session.now)
    session.association.send(stream, BINARY, b"echo it again", RELIABLE, session.now)
    session.flush()
    found = session.wait(lambda: session.messages(events), RETRANSMISSION_S)
    session.sctp_in = lambda packet: True
    expect(lost, "no echo")
    expect(found, f"not within {RETRANSMISSION_S:.0f} s")
    return f"after {session.now - lost[0]:.2f} s"


@rule("sctp-forward-tsn", "main", "A FORWARD-TSN is followed: what was abandoned is not waited for", "RFC 3758 3.6")
def _forward_tsn(session):
    stream = open_channel(session, "forward")
    session.rest(0.1)
    events, out = len(session.events), []
    session.sctp_out = lambda packet: not data_of(parse_packet(packet))
    session.association.send(stream, BINARY, b"abandoned", Reliability(max_retransmits=0), session.now)
    session.flush()
    session.sctp_out = lambda packet: out.append(packet) or True
    session.association.send(stream, BINARY, b"after it", RELIABLE, session.now)
    session.flush()
    told = session.wait(lambda: session.messages(events), RETRANSMISSION_S)
    session.sctp_out = lambda packet: True
    expect(any(each[0] == FORWARD_TSN for packet in out for each in parse_packet(packet).chunks), "we sent none")
    expect(told, "the message after it is not echoed")
    expect(session.messages(events)[0].data == b"after it", "what was abandoned is echoed")


@rule("sctp-stream-reset", "main", "A reset of our stream is answered as performed", "RFC6525-5.2.2-9-fa45",
      "DATA-CHANNEL-6.7-1-9645")  # fmt: skip
def _reset(session):
    stream = open_channel(session, "reset")
    count = len(session.sctp)
    session.association.reset_streams([stream], session.now)
    session.flush()

    def items():
        raw = [parse_chunk(each[:3]) for each in session.chunks(count) if each[0] == RE_CONFIG]
        return [parse_reconfig(parameter) for chunk in raw for parameter in chunk.parameters]

    session.wait(lambda: any(getattr(item, "result", None) == 1 for item in items()), 3.0)
    results = [item.result for item in items() if hasattr(item, "result")]
    expect(1 in results, f"results {results}")
    is_back = session.wait(lambda: any(stream in getattr(item, "stream_ids", ()) for item in items()), 3.0)
    expect(is_back, "it does not reset its own direction")
