"""ClientHellos of Chromium and Firefox, as captured: DTLS 1.3 offers with a post-quantum share, in two datagrams.

Our answer is DTLS 1.2, whatever the order of datagrams and extensions.
"""

import pytest

from sans_rtc.dtls import Connection, DtlsConfig, Role
from sans_rtc.dtls.extensions import ExtensionType
from sans_rtc.dtls.handshake import HandshakeType
from sans_rtc.dtls.messages import parse_client_hello
from sans_rtc.dtls.wire import ProtocolVersion
from sans_rtc.testing import SeededEntropy

DOWNGRADE_SENTINELS = (b"DOWNGRD\x01", b"DOWNGRD\x00")  # RFC 8446 section 4.1.3
NAMES = ["chromium", "chromium_again", "firefox_without_pq", "firefox"]


@pytest.fixture
def hello(request, read_vectors):
    rows = {row["name"]: row for row in read_vectors("client_hellos")["hellos"]}
    return [bytes.fromhex(datagram) for datagram in rows[request.param]["datagrams"]]


@pytest.fixture
def make_server(make_certificate):
    def make(config=None):
        server = Connection(
            config or DtlsConfig(),
            role=Role.SERVER,
            certificate=make_certificate("server"),
            peer_fingerprints=[make_certificate("browser").fingerprint()],
            entropy=SeededEntropy("server"),
        )
        server.start(0.0)
        return server

    return make


def first_flight(datagrams):
    """What makes up one ClientHello."""
    return datagrams[:1] if len(datagrams) == 3 else datagrams[:2]


def assert_is_a_1_2_flight(messages):
    types = [type_ for type_, _ in messages]
    assert types == [
        HandshakeType.SERVER_HELLO,
        HandshakeType.CERTIFICATE,
        HandshakeType.SERVER_KEY_EXCHANGE,
        HandshakeType.CERTIFICATE_REQUEST,
        HandshakeType.SERVER_HELLO_DONE,
    ]
    answer, exchange = messages[0][1], messages[2][1]
    assert answer.version == ProtocolVersion.DTLS_1_2
    assert answer.cipher_suite == 0xC02B
    assert answer.extensions.supported_versions is None
    assert answer.extensions.extended_master_secret == b""
    assert answer.extensions.renegotiation_info == b""
    assert answer.random[-8:] not in DOWNGRADE_SENTINELS
    assert exchange.group == 0x001D
    return answer


@pytest.mark.parametrize("hello", NAMES, indirect=True)
@pytest.mark.parametrize("is_reversed", [False, True])
def test_hello_in_either_order_gets_a_1_2_flight(hello, is_reversed, make_server, read_messages):
    server = make_server()
    datagrams = first_flight(hello)
    for datagram in reversed(datagrams) if is_reversed else datagrams:
        assert server.take_datagrams(0.0) == ()
        server.receive(datagram, 0.0)
    answer = assert_is_a_1_2_flight(read_messages(server.take_datagrams(0.0)))
    assert answer.extensions.use_srtp.profiles == (7,)
    assert not server.stats.discards


@pytest.mark.parametrize("hello", ["firefox_without_pq"], indirect=True)
@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("at", [1, 100, 238])
def test_hello_cut_in_two_gets_a_1_2_flight(hello, is_reversed, at, make_server, read_messages, make_record):
    body = hello[0][13 + 12 :]
    head, size = hello[0][13:19], len(body)
    pieces = []
    for number, (start, end) in enumerate([(0, at), (at, size)]):
        fragment = head + start.to_bytes(3, "big") + (end - start).to_bytes(3, "big") + body[start:end]
        pieces.append(make_record(22, fragment, number=number, version=0xFEFF))
    server = make_server()
    for piece in reversed(pieces) if is_reversed else pieces:
        server.receive(piece, 0.0)
    assert_is_a_1_2_flight(read_messages(server.take_datagrams(0.0)))


@pytest.mark.parametrize("hello", NAMES, indirect=True)
def test_retransmissions_of_the_hello_bring_the_same_flight_again(hello, make_server, read_messages):
    server = make_server()
    for datagram in first_flight(hello):
        server.receive(datagram, 0.0)
    first = read_messages(server.take_datagrams(0.0))
    for datagram in hello[len(first_flight(hello)) :] or hello:
        server.receive(datagram, 0.06)
    assert read_messages(server.take_datagrams(0.06)) == first
    assert server.stats.flights_repeated == 1


@pytest.mark.parametrize("hello", NAMES[:2], indirect=True)
def test_fragments_of_two_transmissions_make_one_hello(hello, make_server, read_messages):
    server = make_server()
    server.receive(hello[1], 0.0)
    server.receive(hello[2], 0.05)
    assert_is_a_1_2_flight(read_messages(server.take_datagrams(0.05)))


@pytest.mark.parametrize("hello", NAMES, indirect=True)
def test_hello_with_cookies_on_gets_a_small_cookie_first(hello, make_server, read_messages):
    server = make_server(DtlsConfig(use_cookies=True))
    for datagram in first_flight(hello):
        server.receive(datagram, 0.0)
    ((type_, request),) = read_messages(server.take_datagrams(0.0))
    assert type_ == HandshakeType.HELLO_VERIFY_REQUEST
    assert len(request.cookie) == 32


@pytest.mark.parametrize("hello", NAMES, indirect=True)
def test_extensions_in_every_order_mean_the_same(hello, tamper, make_server):
    whole = rebuild(first_flight(hello), tamper)
    parsed = parse_client_hello(whole)
    assert ExtensionType.SUPPORTED_VERSIONS in parsed.extensions.types
    assert parsed.extensions.supported_versions[:2] == (0xFEFC, 0xFEFD)
    start = len(whole) - len(extensions_of(whole))
    parts = cut_extensions(extensions_of(whole)[2:])
    for shift in range(len(parts)):
        block = b"".join(parts[shift:] + parts[:shift])
        again = parse_client_hello(whole[:start] + len(block).to_bytes(2, "big") + block)
        again.extensions.unknown = tuple(sorted(again.extensions.unknown))
        parsed.extensions.unknown = tuple(sorted(parsed.extensions.unknown))
        assert again == parsed


def rebuild(datagrams, tamper):
    """The body of the ClientHello of which these are the fragments."""
    pieces = sorted((r[19:22], r[25:]) for d in datagrams for r in tamper.cut(d))
    return b"".join([body for _, body in pieces])


def extensions_of(body):
    offset = 34
    for prefix_size in (1, 1, 2, 1):
        offset += prefix_size + int.from_bytes(body[offset : offset + prefix_size], "big")
    return body[offset:]


def cut_extensions(block):
    parts = []
    while block:
        size = 4 + int.from_bytes(block[2:4], "big")
        parts.append(block[:size])
        block = block[size:]
    return parts


@pytest.mark.parametrize("hello", ["chromium"], indirect=True)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_fragments_with_a_strangers_among_them_recover(hello, position, make_server, make_record, read_messages):
    server = make_server()
    arrivals = hello[:4]
    arrivals.insert(position, make_record(22, b"\x01\x00\x00\x64" + bytes(5) + b"\x00\x00\x05junk!"))
    for datagram in arrivals:
        server.receive(datagram, 0.0)
    assert_is_a_1_2_flight(read_messages(server.take_datagrams(0.0)))
