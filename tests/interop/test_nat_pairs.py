"""Real NATs in network namespaces: every pair of hosts connects as it must, through coturn and through our own server.

The table of docs/nat-traversal.md is made of the same runs:  python -m tests.nat.table
"""

import asyncio
import itertools

import pytest
from interop_peers.absent import give_up
from interop_peers.namespaces import NamespacesRefused
from interop_peers.nat_lab import KINDS, NatLab
from interop_peers.nat_matrix import Attempt, Worker, connect_all
from interop_peers.nat_table import must_be, outcome_of
from interop_peers.processes import Missing

from tests.nat.oracle import TCP, TLS

pytestmark = pytest.mark.interop

LASTING = [kind for kind in KINDS if kind != "UDP for 5 s"]
PAIRS = list(itertools.combinations_with_replacement(LASTING, 2))
# With our server in coturn's place: each way to it, over both versions of IP.
OUR_PAIRS = [
    ("open", "symmetric"),
    ("symmetric", "symmetric"),
    ("symmetric", "IPv6 only"),
    ("IPv6 only", "UDP blocked"),
    ("UDP blocked", "UDP blocked"),
    ("symmetric", "TLS only"),
    ("TLS only", "TLS only"),
]
AT_ONCE = 6
# A firewall lets UDP through for 5 s; then silence shows it in 3 s, and another path is found.
UDP_S = 5.0
BACK_S_MAX = 45.0
OUTLIVING = {"open": TCP, "UDP for 5 s": TCP, "TLS only": TLS}


@pytest.fixture(scope="module")
def make_lab(tmp_path_factory):
    """Build a lab; all of them are taken down at the end of the module."""
    labs = []

    def make(kinds, server="coturn"):
        try:
            labs.append(NatLab(tmp_path_factory.mktemp("lab"), kinds, server=server).__enter__())
        except NamespacesRefused as refusal:
            pytest.skip(str(refusal))
        except Missing as missing:
            give_up(f"coturn: {missing}")
        return labs[-1]

    yield make
    for lab in labs:
        lab.close()


@pytest.fixture(scope="module")
def results(make_lab):
    """Every pair, connected once."""
    lab = make_lab(LASTING)
    return asyncio.run(connect_all(lab.commands, lab.settings, PAIRS, at_once=AT_ONCE))


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_pair_connects_as_it_must(pair, results):
    result = results[pair]
    assert outcome_of(result) == must_be(*pair), "\n".join([*result.errors, *result.texts])


def test_relay_only_peers_connect_whatever_is_between_them(make_lab):
    lab = make_lab(["full cone", "TLS only"])
    pairs = [("full cone", "full cone"), ("full cone", "TLS only")]
    results = asyncio.run(
        connect_all(lab.commands, lambda kind: lab.settings(kind, is_relay_only=True), pairs, at_once=2)
    )
    assert [results[pair].relays for pair in pairs] == [("udp", "udp"), ("udp", "tls")]


def test_our_server_does_what_coturn_does(make_lab):
    lab = make_lab(sorted({kind for pair in OUR_PAIRS for kind in pair}), server="ours")
    results = asyncio.run(connect_all(lab.commands, lab.settings, OUR_PAIRS, at_once=AT_ONCE))
    assert {pair: outcome_of(result) for pair, result in results.items()} == {
        pair: must_be(*pair) for pair in OUR_PAIRS
    }, "\n".join(text for result in results.values() for text in (*result.errors, *result.texts))


@pytest.fixture(scope="module")
def outlived(make_lab):
    """Sessions that lose UDP after 5 s, all at once: whether a message went there and back later, and how."""
    lab = make_lab(["UDP for 5 s", "open", "TLS only"])

    async def live(number, first, second, settings):
        attempt = Attempt(number, first, second, settings)
        assert await attempt.through(), "\n".join((await attempt.explain()).texts)
        await asyncio.sleep(UDP_S + 0.5)  # what the test is about is that this time passes
        is_back = await attempt.ping(BACK_S_MAX)
        await attempt.until_settled()
        return is_back, await attempt.explain()

    async def live_all():
        workers = {kind: [await Worker.start(kind, command) for command in lab.commands[kind]] for kind in lab.commands}
        try:
            tasks = {}
            for number, other in enumerate(OUTLIVING, 1):
                settings = (lab.settings("UDP for 5 s"), lab.settings(other))
                # The firewall counts from a host's first datagram, so they begin together.
                tasks[other] = asyncio.create_task(live(number, workers["UDP for 5 s"][0], workers[other][1], settings))
            return {other: await task for other, task in tasks.items()}
        finally:
            for worker in itertools.chain.from_iterable(workers.values()):
                await worker.kill()

    return asyncio.run(live_all())


@pytest.mark.parametrize("other", OUTLIVING)
def test_session_outlives_a_firewall_that_drops_udp_after_5_s(other, outlived):
    is_back, result = outlived[other]
    assert is_back, "\n".join(result.texts)
    assert outcome_of(result) == OUTLIVING[other], "\n".join(result.texts)
