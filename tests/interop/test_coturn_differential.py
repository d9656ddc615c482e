"""The same seeded requests to coturn and to our server: both answer each in the same way, but for what a table names.

A request of every kind, right and wrong, in an order drawn from the seed, from one client to each server. What is
compared is the class of the answer, its error code, and which attributes that mean something stand in it.
"""

import contextlib
import random
import socket
import time

import attrs
import pytest
from interop_peers.coturn import REALM, STEP_S_MAX

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    Message,
    MessageClass,
    Method,
    PasswordAlgorithm,
    long_term_key,
    serialize_message,
)
from sans_rtc.testing import SeededEntropy
from tests.turn_server.conftest import CLIENT, LISTENER, Client, Site

pytestmark = [pytest.mark.interop, pytest.mark.usefixtures("inside")]

SEEDS = range(12)
STEPS = 40
PEERS = [Address("192.0.2.77", 4000), Address("192.0.2.77", 4001), Address("198.51.100.3", 9)]
PEER_6 = Address("2001:db8::77", 4000)
CHANNELS = [0x4000, 0x4001, 0x3FFF, 0x8000]
UNKNOWN_REQUIRED = 0x7ABC
COMPARED = {
    AttributeType.XOR_MAPPED_ADDRESS, AttributeType.XOR_RELAYED_ADDRESS, AttributeType.RESERVATION_TOKEN,
    AttributeType.LIFETIME, AttributeType.ERROR_CODE, AttributeType.UNKNOWN_ATTRIBUTES, AttributeType.REALM,
    AttributeType.NONCE, AttributeType.MESSAGE_INTEGRITY,
}  # fmt: skip


class CoturnSite:
    """coturn, asked over UDP; a Binding after each request tells that no answer will come to it."""

    def __init__(self, address, seed):
        self.entropy = SeededEntropy(f"differential {seed}")
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(STEP_S_MAX)
        self.socket.connect(address)
        self._wait_until_it_answers()

    def _wait_until_it_answers(self):
        """It listens over UDP a little later than over TCP, for which it was waited."""
        self.socket.settimeout(0.1)
        for _ in range(round(STEP_S_MAX / 0.1)):
            with contextlib.suppress(OSError):
                self.socket.send(serialize_message(Message(MessageClass.REQUEST, Method.BINDING, self.entropy(12), [])))
                self.socket.recv(2048)
                break
            time.sleep(0.02)
        self.socket.settimeout(STEP_S_MAX)

    def receive(self, data, path):
        barrier = Message(MessageClass.REQUEST, Method.BINDING, self.entropy(12), [])
        self.socket.send(data)
        self.socket.send(serialize_message(barrier))
        answers, is_request = [], not data[0] & 1 and not data[1] & 0x10
        has_passed = False
        # A password that is asked for the first time is looked up in another thread, and the Binding overtakes it.
        while not has_passed or (is_request and not answers):
            answer = self.socket.recv(2048)
            if answer[8:20] == barrier.transaction_id:
                has_passed = True
            else:
                answers.append(answer)
        return [Datagram(each, path) for each in answers]


class Asker(Client):
    """A client of either server, whose realm is coturn's."""

    @property
    def key(self):
        return long_term_key(self.name, REALM, self.password, PasswordAlgorithm.MD5)

    def ask(self, method, *attributes, **wrong):
        """A request with credentials, some of which may be wrong or missing."""
        if self.nonce is None:
            self.take_challenge(self.bare(Method.ALLOCATE, ("REQUESTED_TRANSPORT", 17)))
        message = self.message(method, attributes)
        items = {"USERNAME": self.name, "REALM": self.realm, "NONCE": self.nonce, **wrong}
        message.attributes += [Attribute(AttributeType[name], value) for name, value in items.items() if value]
        return self.exchange(message, key=self.key)


@attrs.frozen
class Difference:
    """Why coturn answers otherwise; `differs_within`: attributes, too."""

    why: str
    differs_within: bool = False


_EARLY = Difference(
    "coturn looks for an allocation before it looks at the credentials, and its 437 proves nothing; RFC 8656 section "
    "7.2 begins with the credentials",
    differs_within=True,
)
_ATTRIBUTES_FIRST = Difference(
    "coturn reads the attributes before it looks for the allocation; RFC 8656 section 5 has 437 where there is none"
)
# what was asked, our code, coturn's code: everything else is the same
KNOWN = {
    ("allocate", 437, 437): _EARLY,
    ("ask_wrongly", 400, 437): _EARLY,
    ("ask_wrongly", 401, 437): _EARLY,
    ("ask_wrongly", 438, 437): _EARLY,
    ("ask_nakedly", 401, 437): _EARLY,
    ("bind", 437, 400): _ATTRIBUTES_FIRST,
    ("permit", 437, 400): _ATTRIBUTES_FIRST,
    ("allocate", 442, 400): Difference("RFC 8656 section 7.2 has 442 for a transport that is not supported"),
    ("allocate", 508, 404): Difference("RFC 8656 section 7.2 has 508 for a token that nobody holds"),
}


def ask_wrongly(asker, rng):
    """Credentials that are not right in one way."""
    wrong = rng.choice(
        [
            {"NONCE": b"f00d" * 8},
            {"NONCE": ""},
            {"USERNAME": ""},
            {"REALM": ""},
            {"password": "x"},
        ]
    )
    if "password" in wrong:
        asker.password = "other"
        try:
            return asker.ask(Method.ALLOCATE, ("REQUESTED_TRANSPORT", 17))
        finally:
            asker.password = "secret"
    return asker.ask(Method.ALLOCATE, ("REQUESTED_TRANSPORT", 17), **wrong)


def allocate(asker, rng):
    attributes = rng.choice(
        [
            [("REQUESTED_TRANSPORT", 17)],
            [("REQUESTED_TRANSPORT", 17), ("LIFETIME", rng.choice([600, 3600, 100_000]))],
            [("REQUESTED_TRANSPORT", 99)],
            [],
            [("REQUESTED_TRANSPORT", 17), ("EVEN_PORT", False)],
            [("REQUESTED_TRANSPORT", 17), ("EVEN_PORT", True), ("RESERVATION_TOKEN", bytes(8))],
            [("REQUESTED_TRANSPORT", 17), ("RESERVATION_TOKEN", b"unknown!")],
            [("REQUESTED_TRANSPORT", 17), ("REQUESTED_ADDRESS_FAMILY", 1)],
        ]
    )
    return asker.ask(Method.ALLOCATE, *attributes)


def refresh(asker, rng):
    return asker.ask(Method.REFRESH, *rng.choice([[], [("LIFETIME", 600)], [("LIFETIME", 99_999)]]))


def permit(asker, rng):
    peers = rng.choice([[], PEERS[:1], PEERS[:2], PEERS, [PEER_6]])
    return asker.ask(Method.CREATE_PERMISSION, *[("XOR_PEER_ADDRESS", peer) for peer in peers])


def bind(asker, rng):
    attributes = [("CHANNEL_NUMBER", rng.choice(CHANNELS)), ("XOR_PEER_ADDRESS", rng.choice(PEERS))]
    return asker.ask(Method.CHANNEL_BIND, *rng.choice([attributes, attributes, attributes[:1], attributes[1:]]))


def ask_for_binding(asker, rng):
    attributes = rng.choice([[], [], [Attribute(UNKNOWN_REQUIRED, b"?")]])
    message = Message(MessageClass.REQUEST, Method.BINDING, asker.site.entropy(12), attributes)
    return asker.exchange(message, fingerprint=rng.random() < 0.5)


def ask_nakedly(asker, rng):
    method = rng.choice([Method.ALLOCATE, Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND])
    return asker.bare(method, *rng.choice([[], [("REQUESTED_TRANSPORT", 17)]]))


def send(asker, rng):
    peer = Attribute(AttributeType.XOR_PEER_ADDRESS, rng.choice(PEERS))
    message = Message(MessageClass.INDICATION, Method.SEND, asker.site.entropy(12), [peer])
    message.attributes.append(Attribute(AttributeType.DATA, b"data"))
    return asker.exchange(message)


KINDS = [ask_wrongly, allocate, allocate, refresh, permit, bind, bind, ask_for_binding, ask_nakedly, send]


def shape(reply):
    """What of an answer is compared."""
    if reply is None:
        return None
    kinds = sorted({item.type.name for item in reply.message.attributes if item.type in COMPARED})
    return reply.message.message_class.name, reply.code, tuple(kinds)


def answers_of(site, path, seed):
    """One line of what was asked and what came, for each step."""
    rng, asker = random.Random(seed), Asker(site, path, realm=REALM)
    return [(kind.__name__, shape(kind(asker, rng))) for kind in (rng.choice(KINDS) for _ in range(STEPS))]


@pytest.fixture(scope="module")
def runs(inside, coturn):
    """What both have answered, by seed: pairs of ours and theirs."""
    path, found = Path(LISTENER, CLIENT), {}
    for seed in SEEDS:
        site = CoturnSite(coturn.address("udp"), seed)
        with site.socket:
            theirs = answers_of(site, path, seed)
        found[seed] = list(zip(answers_of(Site(seed=seed, realm=REALM), path, seed), theirs, strict=True))
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_both_servers_answer_the_same(runs, seed):
    assert [pair for pair in runs[seed] if not is_same(*pair)] == []


def test_both_servers_refuse_an_unknown_user(coturn):
    """On a path of its own: coturn lets a path that has named one user name no other."""
    path = Path(LISTENER, CLIENT)
    site = CoturnSite(coturn.address("udp"), "mallory")
    with site.socket:
        answers = [
            shape(Asker(each, path, name="mallory", realm=REALM).ask(Method.ALLOCATE, ("REQUESTED_TRANSPORT", 17)))
            for each in (site, Site(realm=REALM))
        ]
    assert answers == [("ERROR_RESPONSE", 401, ("ERROR_CODE", "NONCE", "REALM"))] * 2


def test_every_difference_that_is_told_is_there(runs):
    """The table stays true: where coturn has mended something, it is noticed."""
    different = [(ours[0], ours[1][1], theirs[1][1]) for run in runs.values() for ours, theirs in run if ours != theirs]
    assert set(different) == KNOWN.keys()


def is_same(ours, theirs):
    """Both have answered alike, or in a way that a row of the table tells."""
    if ours == theirs:
        return True
    (kind, our_answer), (_, their_answer) = ours, theirs
    if our_answer is None or their_answer is None:
        return False
    row = KNOWN.get((kind, our_answer[1], their_answer[1]))
    return (
        row is not None
        and our_answer[0] == their_answer[0]
        and (row.differs_within or our_answer[2] == their_answer[2])
    )
