"""Runs seeded sessions:  python -m tests.sim --seeds 1000 --start 0

Prints each seed that fails with its plan and where everything stood, and the figures of all. The same seed gives the
same session, to the byte; `--plan` prints the plan of the first one.
"""

import argparse
import sys

from tests.sim.plan import draw_plan
from tests.sim.session import SimulationError, simulate


def main():
    """Run the seeds; the exit status is 1 where one of them fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description="Simulate whole sessions from seeds.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--start", type=int, default=0, help="the first one")
    parser.add_argument("--plan", action="store_true", help="print the plan of the first one, and stop")
    arguments = parser.parse_args()
    if arguments.plan:
        print(draw_plan(arguments.start))
        return 0
    outcomes, failed = [], []
    for seed in range(arguments.start, arguments.start + arguments.seeds):
        try:
            outcomes.append(simulate(seed))
        except SimulationError as error:
            failed.append(seed)
            print(error, end="\n\n", flush=True)
    print_figures(outcomes, failed)
    return 1 if failed else 0


def print_figures(outcomes, failed):
    """What all sessions have done together."""
    messages, datagrams = (sum(getattr(outcome, name) for outcome in outcomes) for name in ("messages", "datagrams"))
    hours = sum(outcome.virtual_s for outcome in outcomes) / 3600
    print(f"{len(outcomes)} sessions, {hours:.1f} hours of virtual time, {messages} messages, {datagrams} datagrams")
    if outcomes:
        slowest = max(outcomes, key=lambda outcome: outcome.progress_s)
        print(f"slowest to settle once faults had stopped: {slowest.progress_s:.1f} s, seed {slowest.seed}")
    if failed:
        print(f"failed: {failed}")


if __name__ == "__main__":
    sys.exit(main())
