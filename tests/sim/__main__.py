"""Simulates seeded worlds:  python -m tests.sim --seeds 100000 --jobs 2 [--first SEED]

Each seed is a small world: two peers, NATs, a network that misbehaves, and what their applications do; every oracle of
`sans_rtc.testing.oracles` looks on. The first seed that fails is shrunk, and printed with the one line that runs it
again; the exit status is 1 then. The same seed gives the same run, to the byte.

    --seed 7 [--only 0,3] [--without loss,nat]   one world, whole or shrunk, and what comes of it
    --show                                       with --seed: what it consists of
    --dask tcp://HOST:8786                       spread over the workers of a dask cluster (docs/simulation.md)
    --sessions                                   the longer sessions of `tests.sim.session` instead
"""

import argparse
import itertools
import sys

from tests.sim.scenario import FEATURES, draw
from tests.sim.session import SimulationError, simulate
from tests.sim.sweep import failure_of, shrink, sweep

TELL_EVERY = 1000
# Tasks that wait in a cluster or are being worked on: enough for some hundred workers.
DASK_TASKS_MAX = 1000


def main(arguments=None):
    """Run the seeds; the exit status is 1 where one of them fails."""
    asked = _parser().parse_args(arguments)
    if asked.seed is not None:
        return run_one(asked)
    if asked.sessions:
        return run_sessions(asked.first, asked.seeds)
    return run_many(asked)


def _parser():
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description="Simulate worlds from seeds.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, help="this one alone")
    parser.add_argument("--only", type=_numbers, help="with --seed: these of its actions, by number; none: none")
    parser.add_argument("--without", type=_features, default=(), help=f"with --seed: some of {','.join(FEATURES)}")
    parser.add_argument("--show", action="store_true", help="with --seed: print what it consists of, and stop")
    parser.add_argument("--dask", metavar="ADDRESS", help="of the scheduler of a dask cluster")
    parser.add_argument("--sessions", action="store_true", help="longer sessions, without media and crashes")
    return parser


def _numbers(text):
    return () if text == "none" else tuple(map(int, text.split(",")))


def _features(text):
    names = tuple(text.split(","))
    if not set(names) <= set(FEATURES):
        raise argparse.ArgumentTypeError(f"known are {', '.join(FEATURES)}")
    return names


def run_one(asked):
    """One world, in full."""
    scenario = draw(asked.seed).reduced(only=asked.only, without=asked.without)
    if asked.show:
        print(scenario)
        return 0
    said = failure_of(scenario)
    print(said or f"seed {asked.seed} passes")
    return 1 if said else 0


def run_many(asked):
    """Seeds until one fails."""
    engine = None if asked.dask is None else dask_engine(asked.dask)
    total, took_s = sweep(asked.first, asked.seeds, jobs=asked.jobs, tell=_tell, engine=engine)
    print_figures(total, took_s)
    if not total.failures:
        return 0
    seed, said = min(total.failures)
    print(f"\nseed {seed} fails: {said}\nshrinking...", flush=True)
    smallest, said = shrink(draw(seed))
    print(f"{said}\n\nrun it again: {smallest.command}")
    return 1


def dask_engine(address):
    """The workers of a dask cluster: each takes some seeds at a time. Results come as they are ready.

    The cluster holds a bounded number of tasks, and none of them once nobody wants more results.
    """
    from distributed import Client, as_completed

    def imap(function, bounds):
        waiting = iter(bounds)
        with Client(address) as client:
            first = client.map(function, list(itertools.islice(waiting, DASK_TASKS_MAX)), pure=False)
            tasks = as_completed(first, with_results=True)
            for _, batch in tasks:
                tasks.update(client.map(function, list(itertools.islice(waiting, 1)), pure=False))
                yield batch

    return imap


def _tell(total, took_s):
    if total.seeds % TELL_EVERY == 0:
        print(f"{total.seeds} seeds, {total.seeds / took_s:.1f} a second", flush=True)


def print_figures(total, took_s):
    """What all seeds have done together."""
    rate, cpu_ms = total.seeds / max(took_s, 1e-9), 1000 * total.cpu_s / max(total.seeds, 1)
    print(f"{total.seeds} seeds in {took_s:.0f} s, {rate:.1f} seeds a second, {cpu_ms:.1f} ms of CPU a seed")
    print(
        f"{total.virtual_s / 3600:.1f} hours of virtual time, {total.steps} steps looked at, "
        f"{total.datagrams} datagrams, {total.messages} messages, {total.frames} frames"
    )
    print(f"digest of all runs: {total.digest:016x}")
    slowest_s, seed = total.slowest
    print(f"slowest to settle once faults had stopped: {slowest_s:.1f} s, seed {seed}")
    print(f"failed: {sorted(seed for seed, _ in total.failures) or 'none'}")


def run_sessions(first, count):
    """The sessions of `tests.sim.session`."""
    outcomes, failed = [], []
    for seed in range(first, first + count):
        try:
            outcomes.append(simulate(seed))
        except SimulationError as error:
            failed.append(seed)
            print(error, end="\n\n", flush=True)
    messages, datagrams = (sum(getattr(outcome, name) for outcome in outcomes) for name in ("messages", "datagrams"))
    hours = sum(outcome.virtual_s for outcome in outcomes) / 3600
    print(f"{len(outcomes)} sessions, {hours:.1f} hours of virtual time, {messages} messages, {datagrams} datagrams")
    print(f"failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
