"""Vectors: the PRF, the exporter, and a session between two Firefoxes with the keys that NSS logged."""

import hashlib

import pytest

from sans_rtc.dtls import CipherSuite, DtlsConfig, DtlsStats, Fingerprint
from sans_rtc.dtls.alert import AlertDescription, parse_alert
from sans_rtc.dtls.ciphers import ChaChaProtection
from sans_rtc.dtls.handshake import HandshakeType, parse_fragments
from sans_rtc.dtls.keys import SessionKeys, prf
from sans_rtc.dtls.messages import MESSAGES
from sans_rtc.dtls.record import RecordLayer
from sans_rtc.dtls.signatures import is_signature_valid, parse_certificate_key
from sans_rtc.dtls.wire import ContentType


@pytest.mark.parametrize("index", [0, 1])
def test_prf_gives_the_known_output(read_vectors, index):
    vector = read_vectors("prf")["vectors"][index]
    output = bytes.fromhex(vector["output"])
    secret, seed = bytes.fromhex(vector["secret"]), bytes.fromhex(vector["seed"])
    assert prf(secret, vector["label"].encode(), seed, len(output), vector["hash"]) == output


@pytest.mark.parametrize("index", [0, 1, 2])
def test_exporter_gives_what_openssls_prf_gives(read_vectors, index):
    session = read_vectors("exporter")
    keys = SessionKeys(
        CipherSuite(session["cipher_suite"]),
        bytes.fromhex(session["master_secret"]),
        bytes.fromhex(session["client_random"]),
        bytes.fromhex(session["server_random"]),
    )
    vector = session["vectors"][index]
    context = None if vector["context"] is None else bytes.fromhex(vector["context"])
    output = bytes.fromhex(vector["output"])
    assert keys.export(vector["label"].encode(), len(output), context) == output


def test_chacha_nonce_is_the_iv_with_the_record_number_folded_in():
    """RFC 7905 section 2, against the AEAD of `cryptography` used directly."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    key, iv, numbers = bytes(range(32)), bytes(range(100, 112)), 1 << 48 | 0x0102030405
    record = ChaChaProtection(key, iv).seal(23, numbers, b"data")
    padded = bytes(4) + numbers.to_bytes(8, "big")
    nonce = bytes(a ^ b for a, b in zip(iv, padded, strict=True))
    additional = numbers.to_bytes(8, "big") + b"\x17\xfe\xfd\x00\x04"
    assert record[:13] == b"\x17\xfe\xfd" + numbers.to_bytes(8, "big") + b"\x00\x14"
    assert record[13:] == ChaCha20Poly1305(key).encrypt(nonce, b"data", additional)


class FirefoxSession:
    """The capture, its plaintext handshake messages, and record layers that read each side."""

    def __init__(self, data):
        self.rows = data["datagrams"]
        self.key_log_line = f"CLIENT_RANDOM {data['client_random']} {data['master_secret']}"
        self.messages = {}
        self.raw = []
        for row in self.rows[:3]:
            layer = RecordLayer(DtlsConfig(), DtlsStats())
            for content_type, epoch, _, body in layer.open(bytes.fromhex(row["datagram"])):
                if content_type == ContentType.HANDSHAKE and epoch == 0:
                    for fragment in parse_fragments(body):
                        assert len(fragment.body) == fragment.length
                        self.messages[row["sender"], fragment.type] = MESSAGES[fragment.type].parse(fragment.body)
                        self.raw.append(body[:12] + fragment.body)
        hello, answer = self.messages["client", 1], self.messages["server", 2]
        suite, master = CipherSuite(data["cipher_suite"]), bytes.fromhex(data["master_secret"])
        self.keys = SessionKeys(suite, master, hello.random, answer.random)
        self.layers = {}
        for sender, protection in zip(("client", "server"), self.keys.protections(), strict=True):
            self.layers[sender] = RecordLayer(DtlsConfig(), DtlsStats())
            self.layers[sender].install_read(1, protection)

    def opened(self, row):
        """The protected records of a row."""
        return [r for r in self.layers[row["sender"]].open(bytes.fromhex(row["datagram"])) if r[1] == 1]


@pytest.fixture
def firefox(read_vectors):
    return FirefoxSession(read_vectors("firefox_dtls12"))


@pytest.mark.proves("RFC5246-6.2.3.3-2-2dc3")
def test_every_firefox_record_opens_to_what_tshark_shows(firefox):
    compared = 0
    for row in firefox.rows:
        records = firefox.opened(row)
        if "plaintext" in row:
            assert [data.hex() for _, _, _, data in records] == [row["plaintext"]]
            compared += 1
    assert compared == 21
    for layer in firefox.layers.values():
        assert not layer._stats.discards


def test_firefoxes_end_with_close_notify(firefox):
    opened = [record for row in firefox.rows for record in firefox.opened(row)]
    alerts = [parse_alert(data) for content_type, _, _, data in opened if content_type == ContentType.ALERT]
    assert [alert.description for alert in alerts] == [AlertDescription.CLOSE_NOTIFY] * 2


def test_firefoxes_finished_messages_are_what_the_key_schedule_gives(firefox):
    transcript = b"".join(firefox.raw)
    for index, sender in ((2, "client"), (3, "server")):
        ((content_type, _, _, data),) = firefox.opened(firefox.rows[index])
        assert content_type == ContentType.HANDSHAKE
        (finished,) = parse_fragments(data)
        assert finished.type == HandshakeType.FINISHED
        assert finished.body == firefox.keys.verify_data(sender, hashlib.sha256(transcript).digest())
        transcript += data


def test_firefoxes_signatures_verify_by_the_keys_of_their_certificates(firefox):
    exchange = firefox.messages["server", HandshakeType.SERVER_KEY_EXCHANGE]
    (server_der,) = firefox.messages["server", HandshakeType.CERTIFICATE].certificates
    signed = firefox.keys.client_random + firefox.keys.server_random + exchange.params()
    assert is_signature_valid(parse_certificate_key(server_der), exchange.scheme, exchange.signature, signed)
    verify = firefox.messages["client", HandshakeType.CERTIFICATE_VERIFY]
    (client_der,) = firefox.messages["client", HandshakeType.CERTIFICATE].certificates
    assert is_signature_valid(
        parse_certificate_key(client_der), verify.scheme, verify.signature, b"".join(firefox.raw[:-1])
    )
    assert Fingerprint.of(server_der) != Fingerprint.of(client_der)


def test_key_log_line_is_the_one_that_nss_wrote(firefox):
    assert firefox.keys.key_log_line() == firefox.key_log_line


def test_firefoxes_hellos_are_read(firefox):
    hello, answer = firefox.messages["client", 1], firefox.messages["server", 2]
    assert hello.extensions.use_srtp.profiles == (7, 8, 1, 2)
    assert hello.extensions.supported_groups == (29, 23, 24)
    assert answer.extensions.use_srtp.profiles == (7,)
    assert answer.extensions.extended_master_secret == b""
    assert dict(answer.extensions.unknown).keys() == {16, 28}
