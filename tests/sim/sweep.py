"""Many seeds, on one core or several; the first that fails is shrunk to the few things that it takes."""

import contextlib
import gc
import itertools
import multiprocessing
import re
import time

import attrs

from tests.sim.arena import ScenarioError, run
from tests.sim.scenario import FEATURES, draw

# Seeds that a worker takes at a time: some seconds' worth.
BATCH = 50
# Objects after which the collector looks for garbage: a world has some ten thousand.
GARBAGE_MAX = 20_000
# Runs that shrinking may take.
SHRINK_RUNS_MAX = 200


@attrs.define
class Batch:
    """What has come of some seeds, in plain data, so that it can come from anywhere.

    digest    of all runs together, in whatever order they were made
    failures  (seed, first line of what was said)
    slowest   (virtual seconds until all was settled once faults had stopped, seed)
    """

    seeds: int = 0
    steps: int = 0
    datagrams: int = 0
    messages: int = 0
    frames: int = 0
    virtual_s: float = 0.0
    cpu_s: float = 0.0
    digest: int = 0
    slowest: tuple = (0.0, -1)
    failures: list = attrs.Factory(list)

    def add(self, other):
        """Count another one's in."""
        for name in ("seeds", "steps", "datagrams", "messages", "frames", "virtual_s", "cpu_s"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.digest = (self.digest + other.digest) % (1 << 64)
        self.slowest = max(self.slowest, other.slowest)
        self.failures += other.failures


def run_batch(first, count):
    """Run seeds one after another; a failure is noted, and does not end the batch."""
    batch, began = Batch(), time.thread_time()
    with _rare_collections():
        for seed in range(first, first + count):
            batch.add(_run_one(seed))
    batch.cpu_s = time.thread_time() - began
    return batch


def _run_one(seed):
    try:
        outcome = run(draw(seed))
    except ScenarioError as error:
        return Batch(seeds=1, failures=[(seed, str(error).splitlines()[0])])
    told = {name: getattr(outcome, name) for name in ("steps", "datagrams", "messages", "frames", "virtual_s")}
    return Batch(seeds=1, **told, digest=int(outcome.digest, 16), slowest=(outcome.progress_s, seed))


@contextlib.contextmanager
def _rare_collections():
    """Look for garbage in cycles once a world or two: each goes as a whole."""
    usual = gc.get_threshold()
    gc.set_threshold(GARBAGE_MAX, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def run_batch_of(bounds):
    """`run_batch` of a pair, for engines that map a function over a list."""
    return run_batch(*bounds)


def batches(first, count):
    """The (first, count) of each batch."""
    return [(start, min(BATCH, first + count - start)) for start in range(first, first + count, BATCH)]


def sweep(first, count, *, jobs=1, tell=lambda total, took_s: None, engine=None):
    """Run so many seeds until the first failure, or to the end; returns the total `Batch` and the seconds it took.

    tell    called with the total so far, after each batch
    engine  called as engine(run_batch_of, bounds) -> iterable of results; None: processes of this machine
    """
    total, began = Batch(), time.monotonic()
    with _engine(jobs) if engine is None else _Given(engine) as imap:
        for batch in imap(run_batch_of, batches(first, count)):
            total.add(batch)
            tell(total, time.monotonic() - began)
            if total.failures:
                break
    return total, time.monotonic() - began


@attrs.define
class _Given:
    """An engine that somebody else looks after."""

    call: object

    def __enter__(self):
        return self.call

    def __exit__(self, *_):
        return None


class _engine:  # noqa: N801  # a context manager that reads as a function
    """`map` in this process, or over processes."""

    def __init__(self, jobs):
        self._pool = multiprocessing.get_context("spawn").Pool(jobs) if jobs > 1 else None

    def __enter__(self):
        return map if self._pool is None else self._pool.imap

    def __exit__(self, *_):
        if self._pool is not None:
            self._pool.terminate()
            self._pool.join()


# -- shrinking ---------------------------------------------------------------------------------------------------------


def failure_of(scenario):
    """What a scenario's run says, in full; None where it passes."""
    try:
        run(scenario)
    except ScenarioError as error:
        return str(error)
    return None


def kind_of(said):
    """What tells failures apart."""
    return re.sub(r"\d+", "", said.splitlines()[0])


def shrink(scenario):
    """The scenario with everything taken out that its failure does not need, and what it says then.

    Features of the world go first, for what is left is quicker; then actions, in halves, quarters, down to single ones.
    A failure counts as the same one where its first line is, numbers aside.
    """
    tries = itertools.count()
    best, said = scenario, failure_of(scenario)
    assert said is not None, "it does not fail"
    kind = kind_of(said)

    def fails(only, without):
        nonlocal best, said
        if next(tries) >= SHRINK_RUNS_MAX:
            return False
        candidate = draw(scenario.seed).reduced(only=only, without=without)
        failure = failure_of(candidate)
        is_same = failure is not None and kind_of(failure) == kind
        if is_same:
            best, said = candidate, failure
        return is_same

    for feature in FEATURES:
        fails(best.only, (*best.without, feature))
    size = len(best.actions)
    while size >= 1:
        at = 0
        while at < len(best.actions):
            numbers = [action[0] for action in best.actions]
            if not fails(tuple(numbers[:at] + numbers[at + size :]), best.without):
                at += size
        size //= 2
    return best, said
