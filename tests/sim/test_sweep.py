"""Sweeps: the same runs whatever ran before and wherever, and clusters that are left alone once enough is known."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from sans_rtc.peer import PeerConnection
from tests.sim.__main__ import dask_engine, main
from tests.sim.arena import run
from tests.sim.scenario import draw
from tests.sim.sweep import Batch, run_batch, run_batch_of, sweep

ROOT = Path(__file__).parents[2]
TELL_DIGESTS = """
import json
from tests.sim.arena import run
from tests.sim.scenario import draw
print(json.dumps([run(draw(seed)).digest for seed in {seeds}]))
"""


def first_with(*wanted, nats):
    """The scenario of the first seed with these actions, behind NATs or not."""
    scenarios = (draw(seed) for seed in range(500))
    return next(
        scenario
        for scenario in scenarios
        if any(scenario.nats) == nats and {*wanted} <= {what for _, _, what, *_ in scenario.actions}
    )


def test_runs_are_the_same_to_the_byte_in_another_process_after_others():
    """In another order and with other hashes of strings; a digest covers each datagram and its moment."""
    scenarios = [
        first_with("crash", "track", nats=True),
        first_with("crash", nats=False),
        first_with("rebind", nats=True),
    ]
    seeds = [scenario.seed for scenario in scenarios]
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    code = TELL_DIGESTS.format(seeds=[3, *seeds[::-1]])
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[1:] == [run(scenario).digest for scenario in scenarios[::-1]]


def test_digest_tells_runs_apart(monkeypatch):
    digest = run(draw(1)).digest
    assert digest != run(draw(1).reduced(without=("delay",))).digest
    take = PeerConnection.take_datagrams
    monkeypatch.setattr(PeerConnection, "take_datagrams", lambda self, now: take(self, now)[::-1])
    assert digest != run(draw(1)).digest


def test_digest_of_a_sweep_does_not_depend_on_the_order():
    batches = [Batch(seeds=1, digest=(1 << 64) - 1), Batch(seeds=2, digest=3), Batch(seeds=3, digest=5)]
    totals = []
    for order in (batches, batches[::-1]):
        total = Batch()
        for batch in order:
            total.add(batch)
        totals.append((total.seeds, total.digest))
    assert totals == [(6, 7), (6, 7)]
    assert run_batch(3, 2).digest == (run_batch(4, 1).digest + run_batch(3, 1).digest) % (1 << 64)


# -- a cluster ---------------------------------------------------------------------------------------------------------


class Cluster:
    """What is used of `distributed`: tasks are worked on when their results are waited for, the last one first."""

    def __init__(self):
        self.waiting = []
        self.most = 0
        self.clients = []

    def module(self):
        """A module of the name `distributed`."""
        cluster = self

        class Client:
            def __init__(self, address):
                cluster.clients.append(address)

            def __enter__(self):
                return self

            def __exit__(self, *_):
                cluster.clients.pop()
                cluster.waiting.clear()

            def map(self, function, arguments, *, pure):
                assert type(arguments) is list and not pure, "dask maps over lists, and remembers pure results"
                return [(function, argument) for argument in arguments]

        class Tasks:
            def __init__(self, tasks, *, with_results):
                assert with_results
                self.update(tasks)

            def update(self, tasks):
                cluster.waiting += tasks
                cluster.most = max(cluster.most, len(cluster.waiting))

            def __iter__(self):
                while cluster.waiting:
                    function, argument = cluster.waiting.pop()
                    yield None, function(argument)

        module = types.ModuleType("distributed")
        module.Client, module.as_completed = Client, Tasks
        return module


@pytest.fixture
def cluster(monkeypatch):
    found = Cluster()
    monkeypatch.setitem(sys.modules, "distributed", found.module())
    return found


def test_cluster_has_a_bounded_number_of_tasks_and_does_them_all(cluster, monkeypatch):
    monkeypatch.setattr("tests.sim.__main__.DASK_TASKS_MAX", 4)
    results = dask_engine("tcp://nowhere:8786")(lambda bounds: bounds, list(range(50)))
    assert sorted(results) == list(range(50))
    assert cluster.most == 4
    assert cluster.clients == []


def test_cluster_is_left_alone_after_the_first_failure(cluster, monkeypatch):
    def fail_in_the_middle(bounds):
        first, count = bounds
        return Batch(seeds=count, failures=[(first, "broken")] if first == 1000 else [])

    monkeypatch.setattr("tests.sim.sweep.run_batch_of", fail_in_the_middle)
    total, _ = sweep(0, 2000, engine=dask_engine("tcp://nowhere:8786"))
    assert total.failures == [(1000, "broken")]
    assert total.seeds < 2000
    assert (cluster.clients, cluster.waiting) == ([], [])


def test_failure_on_a_cluster_is_shrunk_here(cluster, monkeypatch, capsys):
    monkeypatch.setattr(PeerConnection, "close", lambda self, now: 1 / 0)
    monkeypatch.setattr("tests.sim.sweep.SHRINK_RUNS_MAX", 3)
    seed = next(seed for seed in range(50) if draw(seed).ending == "close")
    assert main(["--first", str(seed), "--seeds", "1", "--dask", "tcp://nowhere:8786"]) == 1
    printed = capsys.readouterr().out
    assert f"seed {seed} fails: ZeroDivisionError" in printed
    assert f"run it again: python -m tests.sim --seed {seed}" in printed


def test_function_for_a_cluster_is_found_there_by_its_name():
    assert f"{run_batch_of.__module__}.{run_batch_of.__qualname__}" == "tests.sim.sweep.run_batch_of"
