"""The key schedule of TLS 1.3 as a bystander with the key log needs it: RFC 5869 and RFC 8448."""

import json
from pathlib import Path

import pytest

from sans_rtc.trace.records13 import expand_label, hkdf_expand

VECTORS = Path(__file__).parents[2] / "rfc-vectors" / "dtls"


def rows(name, key, label):
    data = json.loads((VECTORS / f"{name}.json").read_text())
    return [pytest.param(row, id=row[label]) for row in data[key]]


@pytest.mark.parametrize("row", rows("rfc5869", "vectors", "section"))
def test_hkdf_expands_to_the_known_keying_material(row):
    okm = bytes.fromhex(row["okm"])
    assert hkdf_expand(bytes.fromhex(row["prk"]), bytes.fromhex(row["info"]), len(okm), row["hash"]) == okm


@pytest.mark.parametrize("row", rows("rfc8448", "expanded", "name"))
def test_label_expands_to_the_secret_or_key_of_the_trace(row):
    output = bytes.fromhex(row["output"])
    secret, context = bytes.fromhex(row["secret"]), bytes.fromhex(row["context"])
    assert expand_label(secret, row["label"], context, len(output), "sha256", prefix=b"tls13 ") == output
    assert expand_label(secret, row["label"], context, len(output), "sha256") != output  # DTLS has a prefix of its own
