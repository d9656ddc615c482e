"""Connects pairs over seeded topologies:  python -m tests.nat --topologies 10000 --start 0 --jobs 2

Prints each seed that fails with its topology and where both ends stood, then how the pairs connected and how long it
took, in virtual time. The same seed gives the same run, to the byte; `--show` prints the topology of the first one.
"""

import argparse
import concurrent.futures
import sys
import time
from collections import Counter

from tests.nat.oracle import OUTCOMES
from tests.nat.session import TopologyError, simulate
from tests.nat.topology import draw_topology

SEEDS_PER_TASK = 50


def main():
    """Run the seeds; the exit status is 1 where one of them fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.nat", description="Connect pairs over seeded topologies.")
    parser.add_argument("--topologies", type=int, default=1000, metavar="N", help="how many")
    parser.add_argument("--start", type=int, default=0, metavar="SEED", help="the first one")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes at a time")
    parser.add_argument("--show", action="store_true", help="print the topology of the first one, and stop")
    arguments = parser.parse_args()
    if arguments.show:
        print(draw_topology(arguments.start))
        return 0
    began = time.perf_counter()
    seeds = range(arguments.start, arguments.start + arguments.topologies)
    tasks = [seeds[index : index + SEEDS_PER_TASK] for index in range(0, len(seeds), SEEDS_PER_TASK)]
    outcomes, failed = [], []
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs) as pool:
        for done, failures in pool.map(run_seeds, tasks):
            outcomes += done
            for seed, text in failures:
                failed.append(seed)
                print(text, end="\n\n", flush=True)
    print_figures(outcomes, failed, time.perf_counter() - began)
    return 1 if failed else 0


def run_seeds(seeds):
    """Simulate some seeds; return the outcomes, and (seed, text) of those that failed."""
    outcomes, failures = [], []
    for seed in seeds:
        try:
            outcomes.append(simulate(seed))
        except TopologyError as error:
            failures.append((seed, str(error)))
    return outcomes, failures


def print_figures(outcomes, failed, duration_s):
    """What has come of all topologies together."""
    kinds = Counter(outcome.outcome for outcome in outcomes)
    took = sorted((outcome.took_s, outcome.seed) for outcome in outcomes if outcome.took_s is not None)
    datagrams = sum(outcome.datagrams for outcome in outcomes)
    print(f"{len(outcomes) + len(failed)} topologies, {datagrams} datagrams, {duration_s:.0f} s")
    for kind in OUTCOMES:
        print(f"  {kind:18} {kinds[kind]:6}")
    if took:
        median, late, (slowest, seed) = took[len(took) // 2][0], took[int(len(took) * 0.99)][0], took[-1]
        print(f"  there and back: median {median:.2f} s, 99 % {late:.2f} s, longest {slowest:.2f} s (seed {seed})")
    print(f"failed: {failed}" if failed else "none failed")


if __name__ == "__main__":
    sys.exit(main())
