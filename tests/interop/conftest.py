"""Fixtures of the interop suite: peers that this project did not write, started once and used by every test.

SANS_RTC_REQUIRE_INTEROP=1     a peer that is not installed fails its tests; without it they are skipped
SANS_RTC_INTEROP_STDERR=1      shows what the peers write to stderr
"""

import asyncio
import inspect
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from interop_peers.absent import given_up_without
from interop_peers.chromium import Chromium
from interop_peers.coturn import Coturn
from interop_peers.firefox import Firefox
from interop_peers.lines import Aiortc
from interop_peers.local import LocalSession
from interop_peers.local_media import LocalMedia
from interop_peers.media import run_cases, seconds_of_media
from interop_peers.network import LoopbackNetwork
from interop_peers.pair import Pair
from interop_peers.pion import Pion

PEERS = {"chromium": Chromium, "firefox": Firefox, "aiortc": Aiortc, "pion": Pion}
ROLES = ("offers", "answers")

TEST_TIMEOUT_S = 60.0
MEDIA_CASES_AT_ONCE = 4


@pytest.fixture(scope="session")
def network():
    network = LoopbackNetwork()
    yield network
    network.close()


@pytest.fixture(scope="session")
def runner():
    """One event loop for the whole session, so that peers outlive a test."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def run(network, runner):
    """Run a coroutine inside the network, on the session's loop."""
    with network.entered():
        yield runner.run


@pytest.fixture(scope="module")
def inside(network):
    """A whole module inside the network."""
    with network.entered():
        yield


@pytest.fixture(scope="module")
def start_coturn(network, tmp_path_factory):
    """start_coturn(*options): a coturn with these lines in its configuration; ended with the module."""
    running = []

    def start(*options, **others):
        with network.entered(), given_up_without("coturn"):
            running.append(Coturn(tmp_path_factory.mktemp("coturn"), *options, **others))
        return running[-1]

    yield start
    for coturn in running:
        coturn.stop()


@pytest.fixture(scope="module")
def coturn(start_coturn):
    """One coturn for all tests of a module that leave it alive."""
    return start_coturn()


@pytest.fixture(scope="session")
def peers(request, runner, network):
    peers = {name: make() for name, make in PEERS.items()}
    if any("pion" in item.name for item in request.session.items):
        with network.entered():
            runner.run(peers["pion"].prepare())  # builds while the others are tested
    yield peers
    with network.entered():
        for peer in peers.values():
            runner.run(peer.stop())


@pytest.fixture(scope="session", params=[pytest.param(name, marks=pytest.mark.interop) for name in PEERS])
def peer(request, peers):
    """Every foreign peer in turn: pytest runs all tests of one before those of the next."""
    return peers[request.param]


@contextmanager
def skipped_without(peer, network):
    """Skip the test where the peer cannot be had; fail it where it must be had."""
    with given_up_without(peer.name):
        if peer.needs_namespace:
            network.require_alone()
        yield


@pytest.fixture
def theirs(peer, run, network):
    """A fresh connection of the foreign peer."""
    with skipped_without(peer, network):
        session = run(peer.open_session())
    yield session
    run(session.end())


@pytest.fixture
def open_ours(run):
    """Open a connection of this project with other settings than the defaults."""
    sessions = []

    def open_session(**settings):
        sessions.append(run(LocalSession.open(**settings)))
        return sessions[-1]

    yield open_session
    for session in sessions:
        run(session.end())


@pytest.fixture
def ours(open_ours):
    """A fresh connection of this project."""
    return open_ours()


@pytest.fixture(params=[f"peer-{role}" for role in ROLES])
def pair(request, ours, theirs):
    """Both, the foreign peer in one role and then in the other."""
    offerer, answerer = (theirs, ours) if request.param == "peer-offers" else (ours, theirs)
    return Pair(ours, theirs, offerer, answerer)


@pytest.fixture
def open_media(run):
    """Open a connection of this project that echoes media."""
    sessions = []

    def open_session(**settings):
        sessions.append(run(LocalMedia.open(**settings)))
        return sessions[-1]

    yield open_session
    for session in sessions:
        run(session.end())


@pytest.fixture
def media(open_media):
    """A fresh connection of this project that sends back the frames that come."""
    return open_media()


@pytest.fixture(scope="session")
def media_outcomes(request, runner, network, peers):
    """What came of cases of media: all of a peer that this run has selected at the first question, some at a time."""
    known = {}

    def outcome(peer_name, case):
        if (peer_name, case) not in known:
            params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
            cases = [each["case"] for each in params if "case" in each and each.get("name") == peer_name]
            with skipped_without(peers[peer_name], network), network.entered():
                outcomes = runner.run(run_cases(peers[peer_name], cases, seconds_of_media(), MEDIA_CASES_AT_ONCE))
            known.update({(peer_name, case): outcome for case, outcome in outcomes.items()})
        return known[peer_name, case]

    return outcome


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Run a test that is a coroutine, bounded; where it fails, say how both peers stand."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    given = [each for value in arguments.values() for each in (value if isinstance(value, tuple) else (value,))]
    pairs = [each for each in given if isinstance(each, Pair)]
    pyfuncitem.funcargs["run"](_bounded(pyfuncitem.obj(**arguments), pairs))
    return True


async def _bounded(test, pairs):
    try:
        async with asyncio.timeout(TEST_TIMEOUT_S):
            await test
    except BaseException:
        for pair in pairs:
            print(await pair.report())
        raise
