"""Certificates and the fingerprints that descriptions tell of them: RFC 5763 section 6.1, RFC 8122 section 5.1."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from sans_rtc import dtls
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import FINGERPRINT


def signed_with_sha384():
    key = ec.derive_private_key(4711, ec.SECP384R1())
    name, start = x509.Name([]), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, start, start + datetime.timedelta(days=30))
    return dtls.Certificate(builder.sign(key, hashes.SHA384()).public_bytes(Encoding.DER), key, 0)


def signalled(peer):
    """The fingerprints of a description."""
    return [str(each) for each in parse_description(peer.local_description.sdp).media[0].lines.all(FINGERPRINT)]


@pytest.mark.proves("RFC8122-5.1-2-5391")
def test_description_has_the_fingerprint_by_sha_256_and_by_the_hash_of_the_signature(make_pair):
    certificate = signed_with_sha384()
    pair = make_pair(certificates=(certificate, None))
    handle, _ = pair.connect()
    pair.peers[0].send(handle, b"data", pair.now)
    pair.link.run_for(1.0)
    assert signalled(pair.peers[0]) == [str(certificate.fingerprint(name)) for name in ("sha-256", "sha-384")]
    assert [line.partition(" ")[0] for line in signalled(pair.peers[1])] == ["sha-256"]
    assert pair.messages[1] == [b"data"]


@pytest.mark.proves("RFC5763-6.1-2-01f9")
def test_each_connection_has_a_certificate_of_its_own_unless_given_one(make_pair):
    pairs = [make_pair(seed=seed) for seed in (1, 2)]
    for pair in pairs:
        pair.connect()
    assert len({signalled(peer)[0] for pair in pairs for peer in pair.peers}) == 4
