"""A pytest plugin: fixtures for tests of programs built on the machines (docs/testing-your-app.md).

pytest loads it by its entry point wherever this library is installed; nothing else imports it, and it imports the
testing tools only when a fixture is asked for.

    rtc_seed       what everything random of the test comes from: of its own for each test, the same at every run
    rtc_entropy    rtc_entropy("label"): an `Entropy` of the seed, a stream of its own for each label
    rtc_network    a virtual network, empty
    rtc_call       rtc_call(conditions=..., configs=...): two peers on two hosts of a network, with oracles looking on
    rtc_connected  two peers that are connected, with an open channel: a `Channel`; its `call` has the rest

`--rtc-seed SEED` gives all tests another seed; what a failed test used is told in its report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from sans_rtc.dtls import Certificate
    from sans_rtc.peer import PeerConfig
    from sans_rtc.testing import Call, Channel, LinkConditions, Network, SeededEntropy


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--rtc-seed`."""
    group = parser.getgroup("sans_rtc", "WebRTC in virtual time")
    group.addoption("--rtc-seed", default="", help="what everything random in the rtc_ fixtures comes from")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Say of a test that failed which seed it had."""
    report: pytest.TestReport = yield  # type: ignore[assignment]  # a wrapper is sent what the others return
    if report.failed and "rtc_seed" in getattr(item, "fixturenames", ()):
        seed = item.config.getoption("--rtc-seed")
        report.sections.append(("sans_rtc", f"seed: {_seed_of(seed, item.nodeid)!r}"))
    return report  # type: ignore[return-value]  # as above


def _seed_of(asked: str, node_id: str) -> str:
    """The name of the test, not of the folder that it was started in, and what was asked for."""
    return f"{asked}/{node_id.rpartition('::')[2]}"


@pytest.fixture
def rtc_seed(request: pytest.FixtureRequest) -> str:
    """What everything random of this test comes from."""
    return _seed_of(request.config.getoption("--rtc-seed"), request.node.nodeid)


@pytest.fixture
def rtc_entropy(rtc_seed: str) -> Callable[[str], SeededEntropy]:
    """Makes streams of seeded entropy, by label."""
    from sans_rtc.testing import SeededEntropy

    return lambda label: SeededEntropy(f"{rtc_seed}/{label}")


@pytest.fixture
def rtc_network(rtc_seed: str) -> Network:
    """A virtual network of this test's seed."""
    from sans_rtc.testing import Network

    return Network(seed=rtc_seed)


@pytest.fixture(scope="session")
def _rtc_certificates() -> tuple[Certificate, Certificate]:
    """Made once: making one is a third of a handshake."""
    from sans_rtc.dtls import Certificate
    from sans_rtc.testing import SeededEntropy

    first, second = (Certificate.generate(SeededEntropy(f"certificate {end}"), 0) for end in (0, 1))
    return first, second


@pytest.fixture
def rtc_call(rtc_seed: str, _rtc_certificates: tuple[Certificate, Certificate]) -> Iterator[Callable[..., Call]]:
    """Makes calls between two hosts; at the end of the test each end is looked at once more."""
    from sans_rtc.testing import Call

    calls: list[Call] = []

    def make(
        *,
        conditions: LinkConditions | None = None,
        configs: tuple[PeerConfig | None, PeerConfig | None] = (None, None),
        signalling_s: float = 0.01,
    ) -> Call:
        call = Call.on_two_hosts(
            seed=f"{rtc_seed}/{len(calls)}",
            conditions=conditions,
            configs=configs,
            certificates=_rtc_certificates,
            signalling_s=signalling_s,
        )
        calls.append(call)
        return call

    yield make
    for call in calls:
        call.network.flush()


@pytest.fixture
def rtc_connected(rtc_call: Callable[..., Call]) -> Channel:
    """Two connected peers with a channel "data" that is open at both ends."""
    return rtc_call().connect()
