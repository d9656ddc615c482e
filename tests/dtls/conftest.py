"""What the DTLS tests share: certificates, pairs of connections on a link, vectors, records and messages in short."""

import functools
import json
from pathlib import Path

import pytest

from sans_rtc.dtls import ApplicationData, Certificate, Connected, Connection, DtlsConfig, Role
from sans_rtc.dtls.handshake import HandshakeMessage, parse_fragments
from sans_rtc.dtls.messages import MESSAGES
from sans_rtc.dtls.wire import ContentType
from sans_rtc.errors import InvalidState
from sans_rtc.machine import Terminated
from sans_rtc.testing import Link, LinkConditions, SeededEntropy

VECTORS = Path(__file__).parents[2] / "rfc-vectors" / "dtls"
NOT_BEFORE = 1_790_000_000
LABEL = b"EXTRACTOR-dtls_srtp"


@functools.cache
def certificate(name):
    """A certificate, the same for the same name."""
    return Certificate.generate(SeededEntropy(f"certificate {name}"), NOT_BEFORE)


class Pair:
    """A client and a server on a link."""

    def __init__(
        self,
        config=None,
        server_config=None,
        *,
        seed=0,
        conditions=None,
        client_certificate=None,
        server_certificate=None,
        client_expects=None,
        server_expects=None,
    ):
        config = config or DtlsConfig()
        self.client_certificate = client_certificate or certificate("client")
        self.server_certificate = server_certificate or certificate("server")
        self.client = Connection(
            config,
            role=Role.CLIENT,
            certificate=self.client_certificate,
            peer_fingerprints=client_expects or [self.server_certificate.fingerprint()],
            entropy=SeededEntropy(f"client {seed}"),
        )
        self.server = Connection(
            server_config or config,
            role=Role.SERVER,
            certificate=self.server_certificate,
            peer_fingerprints=server_expects or [self.client_certificate.fingerprint()],
            entropy=SeededEntropy(f"server {seed}"),
        )
        self.link = Link(self.client, self.server, seed=seed, conditions=conditions or LinkConditions())

    @property
    def now(self):
        return self.link.now

    @property
    def ends(self):
        return self.link.ends

    def start(self):
        self.server.start(self.now)
        self.client.start(self.now)
        return self

    def is_connected(self):
        return self.client.state == "connected" and self.server.state == "connected"

    def is_over(self):
        return self.client.is_terminated and self.server.is_terminated

    def connect(self, within_s=60.0):
        self.start()
        self.link.run_until(self.is_connected, within_s=within_s)
        return self

    def run_to_the_end(self, within_s=120.0):
        """Until each end is connected or terminated."""
        self.start()
        settled = ("connected", "closed", "failed")
        self.link.run_until(lambda: all(end.state in settled for end in self.ends), within_s=within_s)
        self.link.run_for(2.0)
        return self

    def events(self, end, kind):
        return [event for event in self.link.events[end] if isinstance(event, kind)]

    def reason(self, end):
        ended = self.events(end, Terminated)
        return ended[0].reason if ended else None

    def connected(self, end):
        return self.events(end, Connected)

    def client_session(self):
        """The client's handshake state, for tests that make a dishonest peer of it."""
        return self.client._handshake._handshake._session

    def server_session(self):
        return self.server._handshake._handshake._session


def split(datagram):
    """The records of a datagram: (type, epoch, number, body), without opening any."""
    records = []
    while datagram:
        size = int.from_bytes(datagram[11:13], "big")
        numbers = int.from_bytes(datagram[3:11], "big")
        records.append((datagram[0], numbers >> 48, numbers & (1 << 48) - 1, datagram[13 : 13 + size]))
        datagram = datagram[13 + size :]
    return records


def plain_messages(datagrams):
    """(type, parsed body) of every unfragmented plaintext handshake message in some datagrams."""
    found = []
    for datagram in datagrams:
        for type_, epoch, _, body in split(datagram):
            if type_ == ContentType.HANDSHAKE and epoch == 0:
                for fragment in parse_fragments(body):
                    assert len(fragment.body) == fragment.length
                    found.append((fragment.type, MESSAGES[fragment.type].parse(fragment.body)))
    return found


def record(content_type, body, *, epoch=0, number=0, version=0xFEFD):
    """A plaintext record."""
    numbers = (epoch << 48 | number).to_bytes(8, "big")
    return bytes([content_type]) + version.to_bytes(2, "big") + numbers + len(body).to_bytes(2, "big") + body


def assert_refused(pair, end, reason, alert=None):
    """This end never was connected, exports nothing, delivers nothing, has ended for the reason and told the other."""
    pair.run_to_the_end()
    assert pair.reason(end) == reason
    assert pair.events(end, Connected) == []
    assert pair.events(end, ApplicationData) == []
    with pytest.raises(InvalidState):
        pair.ends[end].export_keying_material(LABEL, 60)
    assert not pair.connected(1 - end)
    if alert is not None:
        (ended,) = pair.events(1 - end, Terminated)
        assert (ended.reason, alert in ended.detail) == ("peer_alert", True)


class Tamper:
    """What an attacker on the path can do to datagrams."""

    @staticmethod
    def cut(datagram):
        """The records of a datagram, whole."""
        records = []
        while datagram:
            size = 13 + int.from_bytes(datagram[11:13], "big")
            records.append(datagram[:size])
            datagram = datagram[size:]
        return records

    @staticmethod
    def is_plain(record, type_):
        return record[0] == ContentType.HANDSHAKE and record[3:5] == b"\x00\x00" and record[13] == type_

    def without(self, datagram, type_):
        """The unprotected records of a datagram but for one message."""
        return b"".join([r for r in self.cut(datagram) if r[3:5] == b"\x00\x00" and not self.is_plain(r, type_)])

    def body_of(self, datagrams, type_):
        """The body of the first plaintext message of a type."""
        found = [r for datagram in datagrams for r in self.cut(datagram) if self.is_plain(r, type_)]
        return parse_fragments(found[0][13:])[0].body

    def replace(self, datagram, type_, change):
        """A datagram with the body of one plaintext message changed."""
        result = []
        for part in self.cut(datagram):
            if self.is_plain(part, type_):
                fragment = parse_fragments(part[13:])[0]
                message = HandshakeMessage(type_, fragment.message_seq, change(fragment.body)).serialize()
                part = part[:11] + len(message).to_bytes(2, "big") + message
            result.append(part)
        return b"".join(result)

    def on_the_path(self, pair, type_, change):
        """Change one message, parsed, on its way."""
        row = MESSAGES[type_]

        def rewrite(body):
            message = row.parse(body)
            change(message)
            return row.serialize(message)

        pair.link.filter = lambda end, datagram: self.replace(datagram, type_, rewrite)

    def hold_from(self, pair, end, type_):
        """Start, and run with every message for this end held back from the first of a type on."""

        def hold(sender, datagram):
            if sender == end:
                return datagram
            kept = []
            for part in self.cut(datagram):
                if part[0] != ContentType.HANDSHAKE or part[3:5] != b"\x00\x00" or part[13] == type_:
                    break
                kept.append(part)
            return b"".join(kept) or None

        pair.link.filter = hold
        pair.start()
        pair.link.run_for(0.05)


@pytest.fixture(scope="session")
def make_pair():
    return Pair


@pytest.fixture(scope="session")
def make_certificate():
    return certificate


@pytest.fixture(scope="session")
def make_record():
    return record


@pytest.fixture(scope="session")
def split_records():
    return split


@pytest.fixture(scope="session")
def read_messages():
    return plain_messages


@pytest.fixture(scope="session")
def read_vectors():
    return lambda name: json.loads((VECTORS / f"{name}.json").read_text())


@pytest.fixture(scope="session")
def export_label():
    return LABEL


@pytest.fixture(scope="session")
def refuses():
    return assert_refused


@pytest.fixture(scope="session")
def tamper():
    return Tamper()
