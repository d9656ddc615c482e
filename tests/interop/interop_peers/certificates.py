"""Certificates of the kinds that `Certificate.generate` does not make."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sans_rtc.dtls import Certificate


def make_rsa_certificate(serial: int) -> Certificate:
    """Self-signed, valid from yesterday for 30 days. NSS refuses two of one issuer with one serial number."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "peer")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(name, name, key.public_key(), serial, start, start + datetime.timedelta(days=30))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Certificate.from_pem(pem + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
