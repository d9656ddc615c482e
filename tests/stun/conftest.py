"""What the STUN tests share: vectors, a client on a path, messages in short."""

import json
from pathlib import Path as FilePath

import pytest

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    BindingClient,
    BindingConfig,
    Message,
    MessageClass,
    Method,
    PasswordAlgorithm,
    long_term_key,
    short_term_key,
)
from sans_rtc.testing import SeededEntropy

VECTORS = FilePath(__file__).parents[2] / "rfc-vectors" / "stun"
TRANSACTION_ID = bytes(range(12))


def read_vectors():
    vectors = []
    for path in sorted(VECTORS.glob("rfc*.json")):
        for vector in json.loads(path.read_text())["vectors"]:
            vector["id"] = f"{path.stem} {vector['section']}"
            vector["data"] = bytes.fromhex("".join(vector["message"]).replace(" ", ""))
            vector["key"] = key_of(vector["credentials"])
            vectors.append(vector)
    return vectors


def key_of(credentials):
    if credentials["mechanism"] == "short-term":
        return short_term_key(credentials["password"])
    algorithm = PasswordAlgorithm[credentials["algorithm"]]
    return long_term_key(credentials["username"], credentials["realm"], credentials["password"], algorithm)


def pytest_generate_tests(metafunc):
    if "vector" in metafunc.fixturenames:
        vectors = read_vectors()
        metafunc.parametrize("vector", vectors, ids=[vector["id"] for vector in vectors])
    if "capture" in metafunc.fixturenames:
        captures = json.loads((VECTORS / "captures.json").read_text())["captures"]
        metafunc.parametrize("capture", captures, ids=[f"{c['peer']} {c['class']}" for c in captures])


@pytest.fixture
def request_of():
    """request_of(*(type, value)): a Binding request with a known transaction id."""

    def make(*attributes, message_class=MessageClass.REQUEST, method=Method.BINDING):
        return Message(message_class, method, TRANSACTION_ID, [Attribute(*pair) for pair in attributes])

    return make


@pytest.fixture
def raw():
    """raw(attributes, message_type=1): a message with these attribute bytes, its header in order."""

    def make(attributes=b"", message_type=1):
        length = len(attributes).to_bytes(2, "big")
        return message_type.to_bytes(2, "big") + length + b"\x21\x12\xa4\x42" + TRANSACTION_ID + attributes

    return make


@pytest.fixture
def path():
    return Path(Address("192.0.2.10", 50000), Address("198.51.100.1", 3478))


@pytest.fixture
def make_client(path):
    def make(config=None, seed=1, trace=None):
        return BindingClient(config or BindingConfig(), path=path, entropy=SeededEntropy(seed), trace=trace)

    return make


@pytest.fixture
def started(make_client):
    """A client that has sent its request at now=1000, and the datagram it sent."""
    client = make_client()
    client.start(1000.0)
    (datagram,) = client.take_datagrams(1000.0)
    return client, datagram


@pytest.fixture
def mapped(path):
    return Attribute(AttributeType.XOR_MAPPED_ADDRESS, Address("203.0.113.7", 61000))


@pytest.fixture
def answer(path):
    """answer(datagram, data): the datagram that brings data back over the same path."""
    return lambda datagram, data: Datagram(data, datagram.path)
