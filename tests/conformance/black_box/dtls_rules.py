"""Rules of DTLS (RFC 6347, RFC 8122, RFC 5764)."""

import os

from sans_rtc import dtls
from sans_rtc.dtls.ciphers import RECORD_HEADER
from sans_rtc.dtls.extensions import Extensions
from sans_rtc.dtls.handshake import HandshakeMessage, HandshakeType, parse_fragments
from sans_rtc.dtls.messages import MESSAGES, ClientHello
from sans_rtc.errors import WireError
from sans_rtc.machine import Terminated
from sans_rtc.sctp.wire import Packet, serialize_packet
from tests.conformance.black_box.rules import NotRun, expect, rule

HANDSHAKE, ALERT, DATA = 22, 21, 23
RETRANSMISSION_S, REFUSAL_S = 3.0, 4.0
# An INIT that anybody would answer: tag 1, a window, ten streams either way, TSN 1.
INIT = bytes.fromhex("00000001 00100000 000a 000a 00000001")
DTLS_1_0, DTLS_1_2 = 0xFEFF, 0xFEFD
SUITES = (0xC02B, 0xC02F, 0xC02C, 0xC030)
UNKNOWN_EXTENSION = 0x5A5A


def records(session, since=0):
    """(content type, epoch and number, content) of all records heard, from an index on."""
    found = []
    for heard in session.dtls[since:]:
        offset = 0
        while offset + RECORD_HEADER.size <= len(heard.data):
            kind, _, numbers, size = RECORD_HEADER.unpack_from(heard.data, offset)
            offset += RECORD_HEADER.size
            found.append((kind, numbers, heard.data[offset : offset + size]))
            offset += size
    return found


def handshakes(session, kind, since=0):
    """(record number, message number, body) of whole handshake messages of a type in epoch 0."""
    found = []
    for content_type, numbers, content in records(session, since):
        if content_type == HANDSHAKE and not numbers >> 48:
            try:
                fragments = parse_fragments(content)
            except WireError:
                continue
            for each in fragments:
                if each.type == kind and len(each.body) == each.length:
                    found.append((numbers, each.message_seq, each.body))
    return found


def types_heard(session):
    """The types of the handshake messages heard, fragments too."""
    found = set()
    for content_type, numbers, content in records(session):
        if content_type == HANDSHAKE and not numbers >> 48:
            found.add(content[0])
    return found


def alerts(session):
    """(level, description) of the alerts that were not protected."""
    return [tuple(content) for kind, numbers, content in records(session) if kind == ALERT and not numbers >> 48]


def hello_of(body):
    return MESSAGES[HandshakeType.CLIENT_HELLO].parse(body)


@rule("dtls-client-retransmits", "main", "The first flight is sent again when nothing answers, as a new record",
      "RFC 6347 4.2.4")  # fmt: skip
def _client_retransmits(session):
    session.need_ice()
    expect(session.wait(lambda: len(handshakes(session, 1)) >= 2, 2 * RETRANSMISSION_S), "one ClientHello only")
    first, second = handshakes(session, 1)[:2]
    expect(first[2] == second[2], "the second differs")
    expect(second[0] > first[0], "the record has no new number")
    return f"{session.dtls[1].at - session.dtls[0].at:.2f} s after the first"


@rule(
    "dtls-client-hello", "main", "ClientHello: version 1.2, ECDHE, no compression", "RFC8261-5-2-6e39", "RFC 8827 6.5"
)
def _client_hello(session):
    session.need_ice()
    session.wait(lambda: handshakes(session, 1), RETRANSMISSION_S)
    hello = hello_of(handshakes(session, 1)[0][2])
    expect(hello.version == DTLS_1_2, f"version {hello.version:#06x}")
    expect(hello.compression_methods == b"\0", "compression is offered")
    expect(set(hello.cipher_suites) & set(SUITES), "no suite of ECDHE with AES-GCM")


@rule("dtls-cookie", "main", "A HelloVerifyRequest is answered by the same ClientHello with the cookie",
      "RFC6347-4.2.1-1-48a7", "RFC6347-4.2.1-5-05b7", "RFC6347-4.2.1-15-8e78")  # fmt: skip
def _cookie(session):
    session.need_dtls()
    hellos = [hello_of(body) for _, _, body in handshakes(session, 1)]
    cookies = [hello for hello in hellos if hello.cookie]
    expect(cookies, "no ClientHello has the cookie")
    first, again = hellos[0], cookies[0]
    for name in ("version", "random", "session_id", "cipher_suites", "compression_methods"):
        expect(getattr(first, name) == getattr(again, name), f"{name} is another")


@rule("dtls-client-certificate", "main", "The client shows the certificate that was signalled, and proves it",
      "RFC8122-6.2-3-b5e2")  # fmt: skip
def _client_certificate(session):
    session.need_dtls()
    return "checked by our server"


@rule("dtls-bad-mac", "main", "A record that is not authentic is discarded, and the association goes on",
      "RFC6347-4.1.2.1-1-cb55", "RFC6347-4.1.2.6-6-9bb7")  # fmt: skip
def _bad_mac(session):
    from tests.conformance.black_box.sctp_rules import expect_heartbeat

    session.need_sctp()
    session.send_raw(RECORD_HEADER.pack(DATA, DTLS_1_2, 1 << 48 | 9999, 60) + os.urandom(60))
    expect_heartbeat(session)


@rule("dtls-unprotected", "main", "Data, alerts and hellos of epoch 0 are discarded once it is connected",
      "RFC6347-4.1.2.7-1-7638", "RFC 6347 4.1")  # fmt: skip
def _unprotected(session):
    from tests.conformance.black_box.sctp_rules import expect_heartbeat

    session.need_sctp()
    session.send_raw(RECORD_HEADER.pack(DATA, DTLS_1_2, 77, 30) + os.urandom(30))
    session.send_raw(RECORD_HEADER.pack(ALERT, DTLS_1_2, 78, 2) + b"\x02\x28")
    session.rest(0.1)
    expect_heartbeat(session)


@rule("dtls-replay", "main", "A record that comes again is discarded", "RFC 6347 4.1.2.6")
def _replay(session):
    from tests.conformance.black_box.sctp_rules import HEARTBEAT_ACK, heartbeat, packet_of

    session.need_sctp()
    sent = []
    session.dtls_out = lambda datagram: sent.append(datagram) or True
    count = len(session.sctp)
    session.send_packet(packet_of(session, heartbeat(b"once only")))
    session.dtls_out = lambda datagram: True
    for datagram in sent[-1:] * 3:
        session.send_raw(datagram)
    session.rest()
    answers = [each for each in session.chunks(count) if each[0] == HEARTBEAT_ACK and each[2].endswith(b"once only")]
    expect(len(answers) == 1, f"{len(answers)} answers")


# -- the peer as the server, which a hand-made ClientHello talks to ----------------------------------------------------


def send_hello(session, version=DTLS_1_2, cookie=b"", random=None, number=0):
    """A ClientHello with an unknown extension; returns its random."""
    random = random or os.urandom(32)
    extensions = Extensions(
        supported_groups=(29, 23),
        ec_point_formats=(0,),
        signature_algorithms=(0x0403, 0x0401, 0x0804),
        extended_master_secret=b"",
        renegotiation_info=b"",
        unknown=((UNKNOWN_EXTENSION, b"what"), (0x1A1A, b"")),
    )
    hello = ClientHello(version, random, b"", cookie, SUITES, b"\0", extensions)
    body = MESSAGES[HandshakeType.CLIENT_HELLO].serialize(hello)
    content = HandshakeMessage(1, number, body).serialize()
    record_version = DTLS_1_0 if version == DTLS_1_0 else DTLS_1_2
    session.send_raw(RECORD_HEADER.pack(HANDSHAKE, record_version, number, len(content)) + content)
    return random


def greet(session):
    """Say hello, with the cookie where one is asked for, until a ServerHello comes; the detail of how."""
    session.need_ice()
    random, how = send_hello(session), "without a cookie"
    if not session.wait(lambda: types_heard(session) & {2, 3}, RETRANSMISSION_S):
        random = send_hello(session)
        session.wait(lambda: types_heard(session) & {2, 3}, RETRANSMISSION_S)
    if 3 in types_heard(session) and 2 not in types_heard(session):
        body = handshakes(session, 3)[-1][2]
        send_hello(
            session, cookie=MESSAGES[HandshakeType.HELLO_VERIFY_REQUEST].parse(body).cookie, random=random, number=1
        )
        how = "after a HelloVerifyRequest"
        session.wait(lambda: 2 in types_heard(session), RETRANSMISSION_S)
    return how


@rule("dtls-unknown-extension", "server", "Unknown extensions of a ClientHello are ignored", "RFC 5246 7.4.1.4")
def _unknown_extension(session):
    how = greet(session)
    expect(2 in types_heard(session), f"no ServerHello; alerts {alerts(session)}")
    bodies = handshakes(session, 2)
    expect(bodies, "the ServerHello is in fragments")
    hello = MESSAGES[HandshakeType.SERVER_HELLO].parse(bodies[0][2])
    expect(not {UNKNOWN_EXTENSION, 0x1A1A} & set(hello.extensions.types), "they are in its ServerHello")
    expect(hello.cipher_suite in SUITES, f"suite {hello.cipher_suite:#06x} was not offered")
    return how


@rule("dtls-requests-certificate", "server", "The server asks the client for a certificate", "RFC8122-6.2-4-6372")
def _requests_certificate(session):
    session.need_ice()
    expect(session.wait(lambda: 14 in types_heard(session), RETRANSMISSION_S), "no ServerHelloDone")
    expect(13 in types_heard(session), "no CertificateRequest")


@rule("dtls-server-retransmits", "server", "The server's flight is sent again when nothing answers", "RFC 6347 4.2.4")
def _server_retransmits(session):
    session.need_ice()
    if 14 not in types_heard(session):
        raise NotRun("no flight to be sent again")
    count = len(handshakes(session, 14))
    expect(session.wait(lambda: len(handshakes(session, 14)) > count, 2 * RETRANSMISSION_S), "it is sent once")


@rule("dtls-old-version", "old", "A ClientHello of DTLS 1.0 is refused", "RFC 8827 6.5")
def _old_version(session):
    session.need_ice()
    session.rest(0.1)
    send_hello(session, version=DTLS_1_0)
    session.wait(lambda: types_heard(session) & {2, 3} or alerts(session), 1.0)
    if 3 in types_heard(session):
        body = handshakes(session, 3)[-1][2]
        cookie = MESSAGES[HandshakeType.HELLO_VERIFY_REQUEST].parse(body).cookie
        send_hello(session, version=DTLS_1_0, cookie=cookie, number=1)
        session.wait(lambda: 2 in types_heard(session) or alerts(session), 1.0)
    expect(2 not in types_heard(session), "a ServerHello")
    return f"alerts {alerts(session)}" if alerts(session) else "silence"


# -- a certificate that was not signalled ------------------------------------------------------------------------------


def expect_not_connected(session):
    """Our certificate is not the signalled one. Whoever looks at it after the handshake only must take nothing then."""
    session.need_ice()
    session.start_dtls()
    connection = session.connection
    session.wait(lambda: connection.state is not dtls.ConnectionState.CONNECTING, REFUSAL_S)
    if connection.state is dtls.ConnectionState.CONNECTED:
        session.send_packet(serialize_packet(Packet(5000, 5000, 0, [(1, 0, INIT)])))
    session.wait(lambda: connection.is_terminated, 1.0)
    told = [line["connection"] for line in session.foreign.said("state")]
    expect("connected" not in told, "it says that it is connected")
    expect(not session.sctp, "SCTP packets come")
    ends = [event.detail for event in session.events if isinstance(event, Terminated)]
    return ends[-1] if ends else f"after the handshake; it tells the states {', '.join(told)}"


@rule("dtls-client-wrong-fingerprint", "wrong-server", "The client takes nothing from a server of another certificate",
      "RFC8122-6.2-2-8414")  # fmt: skip
def _client_checks(session):
    return expect_not_connected(session)


@rule("dtls-server-wrong-fingerprint", "wrong-client", "The server takes nothing from a client of another certificate",
      "RFC8122-6.2-7-146b", "RFC8122-6.2-4-6372")  # fmt: skip
def _server_checks(session):
    return expect_not_connected(session)
