"""Certificates and fingerprints: made from entropy, to PEM and back, the peer's key found, weak hashes refused."""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.dtls import Certificate, Fingerprint, SignatureScheme
from sans_rtc.dtls.der import parse_public_key_info, serialize_element
from sans_rtc.dtls.fingerprint import matches_any, matches_signalled
from sans_rtc.dtls.signatures import choose_scheme, is_signature_valid, parse_certificate_key, sign
from sans_rtc.errors import InvalidArgument, Malformed, Unsupported, WireError
from sans_rtc.testing import SeededEntropy

DAY_S = 86400


def foreign_certificate(key, hash_=None):
    """A certificate as somebody else would make it, in PEM with its key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody else's, with a longer name")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, start, start + datetime.timedelta(days=30))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hash_)


def to_pem(key, certificate, encryption=None):
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())
    return pem + certificate.public_bytes(Encoding.PEM)


@pytest.fixture(scope="module")
def rsa_keys():
    return {bits: rsa.generate_private_key(public_exponent=65537, key_size=bits) for bits in (1024, 2048)}


def test_same_entropy_and_times_give_the_same_certificate():
    first, second = (Certificate.generate(SeededEntropy("x"), 1_790_000_000) for _ in range(2))
    assert first.der == second.der
    assert first.to_pem() == second.to_pem()
    assert Certificate.generate(SeededEntropy("y"), 1_790_000_000).der != first.der


@pytest.mark.proves("RFC5246-7.4.2-5-913d", "RFC5246-7.4.6-3-913d")
def test_certificate_is_a_self_signed_x509_version_3():
    certificate = Certificate.generate(SeededEntropy("x"), 1_790_000_000, 30 * DAY_S)
    parsed = x509.load_der_x509_certificate(certificate.der)
    parsed.verify_directly_issued_by(parsed)
    assert parsed.version is x509.Version.v3
    assert parsed.not_valid_before_utc.timestamp() == 1_790_000_000
    assert parsed.not_valid_after_utc.timestamp() == certificate.not_after == 1_790_000_000 + 30 * DAY_S
    assert parsed.public_key() == certificate.key.public_key()
    assert isinstance(parsed.public_key().curve, ec.SECP256R1)
    assert parsed.serial_number.bit_length() == 63


@pytest.mark.proves("RFC5763-6.1-4-0da8")
def test_certificate_names_nobody():
    """RFC 5763 section 6.1"""
    subjects = {
        x509.load_der_x509_certificate(Certificate.generate(SeededEntropy(i), 0).der).subject.rfc4514_string()
        for i in range(3)
    }
    assert subjects == {"CN=WebRTC"}


def test_certificate_beyond_2049_is_written_with_generalized_time():
    certificate = Certificate.generate(SeededEntropy("x"), 2_524_607_000, 10_000)  # over the end of 2049
    parsed = x509.load_der_x509_certificate(certificate.der)
    assert parsed.not_valid_before_utc.year == 2049
    assert parsed.not_valid_after_utc.timestamp() == 2_524_617_000


@pytest.mark.parametrize(("not_before", "lifetime_s"), [(-1, 10), (0, 0), (0, -5), (253402300799, 1)])
def test_certificate_with_impossible_times_is_an_invalid_argument(not_before, lifetime_s):
    with pytest.raises(InvalidArgument):
        Certificate.generate(SeededEntropy("x"), not_before, lifetime_s)


def test_pem_survives_the_round_trip(make_certificate):
    certificate = make_certificate("client")
    again = Certificate.from_pem(certificate.to_pem())
    assert (again.der, again.not_after, again.chain) == (certificate.der, certificate.not_after, ())
    assert again.key.private_numbers() == certificate.key.private_numbers()
    assert again.to_pem() == certificate.to_pem()


def test_pem_with_further_certificates_gives_a_chain(make_certificate):
    client, server = make_certificate("client"), make_certificate("server")
    further = x509.load_der_x509_certificate(server.der).public_bytes(Encoding.PEM)
    again = Certificate.from_pem(client.to_pem() + further)
    assert (again.der, again.chain) == (client.der, (server.der,))
    assert Certificate.from_pem(again.to_pem()).chain == (server.der,)


def test_rsa_pem_is_taken(rsa_keys):
    key = rsa_keys[2048]
    certificate = Certificate.from_pem(to_pem(key, foreign_certificate(key, hashes.SHA256())))
    assert certificate.key.key_size == 2048


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()])
def test_pem_of_other_curves_is_taken(curve):
    key = ec.derive_private_key(77, curve)
    certificate = Certificate.from_pem(to_pem(key, foreign_certificate(key, hashes.SHA256())))
    assert parse_certificate_key(certificate.der) == key.public_key()


def test_pem_that_cannot_be_used_is_an_invalid_argument(make_certificate, rsa_keys):
    client, server = make_certificate("client").to_pem(), make_certificate("server").to_pem()
    key_end = client.index(b"-----BEGIN CERTIFICATE")
    short, edwards = rsa_keys[1024], ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    p256 = make_certificate("client").key
    for pem in [
        b"",
        b"nonsense",
        client[:key_end],
        client[key_end:],
        client[:key_end] + server[server.index(b"-----BEGIN CERTIFICATE") :],
        to_pem(short, foreign_certificate(short, hashes.SHA256())),
        to_pem(edwards, foreign_certificate(edwards)),
        to_pem(p256, foreign_certificate(p256, hashes.SHA256()), BestAvailableEncryption(b"password")),
    ]:
        with pytest.raises(InvalidArgument):
            Certificate.from_pem(pem)


@pytest.mark.proves("RFC8122-5.1-2-5391")
@pytest.mark.parametrize(
    ("signed_with", "signalled"),
    [
        (hashes.SHA256(), ["sha-256"]),
        (hashes.SHA384(), ["sha-256", "sha-384"]),
        (hashes.SHA512(), ["sha-256", "sha-512"]),
        (hashes.SHA224(), ["sha-256"]),
    ],
)
def test_fingerprints_to_signal_are_sha_256_and_the_hash_of_the_signature(signed_with, signalled):
    key = ec.derive_private_key(77, ec.SECP384R1())
    certificate = Certificate.from_pem(to_pem(key, foreign_certificate(key, signed_with)))
    assert [each.algorithm for each in certificate.fingerprints] == signalled
    assert all(matches_signalled(certificate.der, [each]) for each in certificate.fingerprints)


def test_private_key_is_not_shown(make_certificate):
    assert "key" not in repr(make_certificate("client"))


def test_key_of_any_certificate_is_found(rsa_keys, make_certificate):
    for key in [rsa_keys[2048], *(ec.derive_private_key(5, c) for c in (ec.SECP256R1(), ec.SECP384R1()))]:
        der = foreign_certificate(key, hashes.SHA384()).public_bytes(Encoding.DER)
        assert parse_certificate_key(der) == key.public_key()
    assert parse_certificate_key(make_certificate("client").der) == make_certificate("client").key.public_key()


def test_certificate_with_another_kind_of_key_is_unsupported(rsa_keys):
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(32))
    koblitz = ec.derive_private_key(5, ec.SECP256K1())
    for key, hash_ in [(rsa_keys[1024], hashes.SHA256()), (edwards, None), (koblitz, hashes.SHA256())]:
        with pytest.raises(Unsupported):
            parse_certificate_key(foreign_certificate(key, hash_).public_bytes(Encoding.DER))


def with_key(algorithm, key):
    """A certificate around this key, as far as finding the key goes."""
    empty, serial_number = serialize_element(0x30), serialize_element(0x02, b"\x01")
    info = serialize_element(0x30, algorithm, serialize_element(0x03, b"\x00", key))
    return serialize_element(0x30, serialize_element(0x30, serial_number, empty, empty, empty, empty, info))


def test_oversized_rsa_key_is_refused_before_it_is_loaded():
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    with pytest.raises(Unsupported):
        parse_certificate_key(with_key(algorithm, b"\x30" + bytes(2000)))


@pytest.mark.parametrize("key", [b"", b"\x04", b"\x04" + bytes(64), b"\x04" + b"\xff" * 64])
def test_point_that_is_not_on_the_curve_is_malformed(key):
    algorithm = bytes.fromhex("301306072a8648ce3d020106082a8648ce3d030107")
    with pytest.raises(Malformed):
        parse_certificate_key(with_key(algorithm, key))


@pytest.mark.parametrize("key", [b"", b"\x30\x03\x02\x01\x05", b"\xff" * 200])
def test_malformed_rsa_key_is_a_wire_error(key):
    with pytest.raises(WireError):
        parse_certificate_key(with_key(bytes.fromhex("300d06092a864886f70d0101010500"), key))


def test_every_truncation_of_a_certificate_is_a_wire_error(make_certificate):
    der = make_certificate("client").der
    for size in range(len(der)):
        with pytest.raises(WireError):
            parse_public_key_info(der[:size])


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_certificate_or_a_wire_error(data):
    try:
        parse_certificate_key(data)
    except WireError:
        pass


@settings(deadline=None)
@given(position=st.integers(0, 276), value=st.integers(0, 255))
def test_any_damaged_certificate_is_a_certificate_or_a_wire_error(position, value):
    der = bytearray(Certificate.generate(SeededEntropy("damaged"), 0).der)
    der[position % len(der)] = value
    try:
        parse_certificate_key(bytes(der))
    except WireError:
        pass


def test_der_lengths_of_all_forms():
    assert serialize_element(4, b"x" * 127)[:2] == b"\x04\x7f"
    assert serialize_element(4, b"x" * 128)[:3] == b"\x04\x81\x80"
    assert serialize_element(4, b"x" * 256)[:4] == b"\x04\x82\x01\x00"


def test_fingerprint_survives_the_round_trip(make_certificate):
    for algorithm in ("sha-256", "sha-384", "sha-512"):
        fingerprint = make_certificate("client").fingerprint(algorithm)
        assert Fingerprint.parse(str(fingerprint)) == fingerprint
        assert str(fingerprint).startswith(f"{algorithm} ")


def test_fingerprint_is_that_of_openssl(make_certificate):
    der = make_certificate("client").der
    expected = x509.load_der_x509_certificate(der).fingerprint(hashes.SHA256())
    assert str(Fingerprint.of(der)) == "sha-256 " + expected.hex(":").upper()


def test_fingerprint_is_read_without_regard_to_case():
    text = "SHA-256 " + ":".join(["ab"] * 32)
    assert Fingerprint.parse(text) == Fingerprint("sha-256", b"\xab" * 32)


@pytest.mark.proves("RFC8122-5-2-b9be")
@pytest.mark.parametrize("name", ["sha-1", "SHA-1", "md5", "md2", "sha-224", "sha-3"])
def test_weak_or_unknown_hash_is_unsupported(name):
    with pytest.raises(Unsupported):
        Fingerprint.parse(f"{name} " + ":".join(["AB"] * 20))
    with pytest.raises(InvalidArgument):
        Fingerprint(name, bytes(20))
    with pytest.raises(InvalidArgument):
        Fingerprint.of(b"", name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha-256",
        "sha-256 ",
        "sha-256 AB",
        "sha-256 " + "AB" * 32,
        "sha-256 " + ":".join(["XY"] * 32),
        "sha-256 " + ":".join(["AB"] * 33),
        "sha-256 " + ":".join(["A"] * 32),
        "sha-256 " + ":".join(["+1"] * 32),
    ],
)
def test_malformed_fingerprint_is_a_wire_error(text):
    with pytest.raises(Malformed):
        Fingerprint.parse(text)


def test_fingerprint_of_the_wrong_length_is_an_invalid_argument():
    with pytest.raises(InvalidArgument):
        Fingerprint("sha-256", bytes(31))


def test_any_of_several_signalled_fingerprints_matches(make_certificate):
    client, server = make_certificate("client"), make_certificate("server")
    assert matches_signalled(client.der, [server.fingerprint(), client.fingerprint()])
    assert not matches_signalled(client.der, [server.fingerprint()])
    assert not matches_signalled(client.der, [])


@pytest.mark.proves("RFC8122-5.1-4-60e7")
def test_only_the_strongest_signalled_hash_counts(make_certificate):
    """RFC 8122 section 5.1: the set of the most preferred hash function."""
    client, server = make_certificate("client"), make_certificate("server")
    assert not matches_signalled(client.der, [client.fingerprint("sha-256"), server.fingerprint("sha-512")])
    assert matches_signalled(client.der, [server.fingerprint("sha-256"), client.fingerprint("sha-384")])


def test_any_pinned_fingerprint_matches_whatever_its_hash(make_certificate):
    client, server = make_certificate("client"), make_certificate("server")
    assert matches_any(client.der, [client.fingerprint("sha-256"), server.fingerprint("sha-512")])
    assert not matches_any(client.der, [server.fingerprint("sha-512")])


@pytest.mark.parametrize("scheme", SignatureScheme)
def test_signature_of_each_scheme_verifies_and_another_does_not(scheme, rsa_keys, make_certificate):
    from cryptography.hazmat.primitives.asymmetric import padding

    from sans_rtc.dtls.signatures import SCHEMES

    row = SCHEMES[scheme]
    key = rsa_keys[2048] if row.key_kind == "rsa" else make_certificate("client").key
    if row.is_pss:
        pss = padding.PSS(padding.MGF1(row.hash), row.hash.digest_size)
        signature = key.sign(b"data", pss, row.hash)
    else:
        signature = sign(key, scheme, b"data")
        assert signature == sign(key, scheme, b"data")
    assert is_signature_valid(key.public_key(), scheme, signature, b"data")
    assert not is_signature_valid(key.public_key(), scheme, signature, b"Data")
    assert not is_signature_valid(key.public_key(), scheme, signature[:-1], b"data")
    other = make_certificate("client").key if row.key_kind == "rsa" else rsa_keys[2048]
    assert not is_signature_valid(other.public_key(), scheme, signature, b"data")


@pytest.mark.parametrize("scheme", [0x0203, 0x0201, 0x0101, 0x0807, 0])
def test_signature_of_an_unknown_scheme_is_not_valid(scheme, make_certificate):
    key = make_certificate("client").key
    signature = key.sign(b"data", ec.ECDSA(hashes.SHA1()))
    assert not is_signature_valid(key.public_key(), scheme, signature, b"data")


@pytest.mark.proves("RFC5246-7.4.3-4-2fe3", "RFC5246-7.4.8-3-50e1")
def test_scheme_is_chosen_among_those_the_peer_accepts(rsa_keys, make_certificate):
    key = make_certificate("client").key
    assert choose_scheme(key, [0x0804, 0x0503, 0x0403]) is SignatureScheme.ECDSA_SHA256
    assert choose_scheme(key, [0x0804, 0x0503]) is SignatureScheme.ECDSA_SHA384
    assert choose_scheme(key, [0x0804, 0x0203]) is None
    # RSASSA-PSS would draw a salt from the system
    assert choose_scheme(rsa_keys[2048], [0x0804, 0x0501]) is SignatureScheme.RSA_PKCS1_SHA384


@pytest.mark.proves("RFC5246-7.4.8-3-50e1")
def test_scheme_of_another_kind_of_key_is_not_valid(rsa_keys):
    """An RSA signature under the name of an ECDSA scheme with the same hash."""
    key = rsa_keys[2048]
    signature = sign(key, SignatureScheme.RSA_PKCS1_SHA256, b"data")
    assert not is_signature_valid(key.public_key(), SignatureScheme.ECDSA_SHA256, signature, b"data")
