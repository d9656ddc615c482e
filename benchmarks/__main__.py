"""The command `python -m benchmarks`: one benchmark a subcommand, each beside another stack where asked."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import datachannel, forward, media, mux, pairs, record, soak, srtp, turn
from benchmarks.media_stack import MEDIA_PEERS
from benchmarks.processes import WorkerFailed
from benchmarks.report import Cell, machine_facts, print_table
from benchmarks.soak_link import Weather
from benchmarks.stack import PEERS

# subcommand: (help, pairs or echoes in each round where --count is not given)
PAIR_BENCHMARKS = {
    "connect": ("time and processor time to set up a pair of peers", 30),
    "rtt": ("round trip of a 100-byte message", 1000),
    "memory": ("memory for each idle connected peer", 40),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark and print what it found; 1 where a measured process failed."""
    args = _parser().parse_args(arguments)
    if args.profile:
        Path(args.profile).mkdir(parents=True, exist_ok=True)
    try:
        rows = _rows(args)
    except WorkerFailed as error:
        print(f"{args.name}: {error}", file=sys.stderr)
        return 1
    facts = machine_facts([stack for stack in ("sans_rtc", args.vs) if stack])
    if args.json:
        print(
            json.dumps({"benchmark": args.name, "peer": args.vs, "rounds": args.rounds, "machine": facts, "rows": rows})
        )
    else:
        print_table(rows, facts)
    found = [problem for row in rows for problem in soak.problems(row)] if args.name == "soak" else []
    for problem in found:
        print(f"{args.name}: {problem}", file=sys.stderr)
    return 1 if found else 0


def _rows(args: argparse.Namespace) -> list[dict[str, Cell]]:
    if args.name == "datachannel":
        transfer = datachannel.Options(args.seconds, args.warm_up, args.rounds, args.profile)
        return datachannel.measure(args.vs, args.sizes, transfer)
    if args.name == "record":
        return _record_rows(args)
    if args.name == "media":
        video = media.Options(args.seconds, args.warm_up, args.rounds, args.profile, not args.no_most)
        return media.measure(args.vs, args.rates, video)
    if args.name == "forward":
        return forward.measure(forward.Options(args.rate, args.subscribers, args.seconds, args.warm_up, args.most))
    if args.name == "mux":
        durations = (args.idle, args.seconds, args.warm_up, args.settle, args.check)
        return mux.measure(mux.Options(args.peers, *durations, args.profile))
    if args.name == "turn":
        return turn.measure(turn.Options(args.allocations, args.seconds, args.size, args.burst, args.rounds))
    if args.name == "srtp":
        return srtp.measure(srtp.Options(args.count, args.rounds, args.sizes))
    if args.name == "soak":
        return soak.measure(soak.Options(args.minutes, Weather(args.loss, args.jitter), args.relay))
    profile = str(Path(args.profile).resolve() / args.name) if args.profile else ""
    options = pairs.Options(args.count, args.rounds, profile)
    match args.name:
        case "connect":
            return pairs.measure_connect(args.vs, options)
        case "rtt":
            return pairs.measure_rtt(args.vs, options)
        case _:
            return pairs.measure_memory(args.vs, options, is_traced=args.tracemalloc)


def _record_rows(args: argparse.Namespace) -> list[dict[str, Cell]]:
    if args.replay:
        return [record.measure_replay(args.replay)]
    return record.measure(args.sizes, datachannel.Options(args.seconds, args.warm_up, args.rounds, args.profile))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    subparsers = parser.add_subparsers(dest="name", required=True, metavar="NAME")
    transfer = _subparser(subparsers, "datachannel", "throughput of a data channel between two processes")
    transfer.add_argument("--seconds", type=_positive, default=3.0, help="duration of each transfer (3)")
    transfer.add_argument("--warm-up", type=_positive, default=1.0, metavar="SECONDS", help="before it counts (1)")
    sizes = ",".join(str(size) for size in datachannel.SIZES_BYTES)
    transfer.add_argument("--sizes", type=_sizes, default=sizes, help=f"message sizes in bytes ({sizes})")
    recorded = _subparser(subparsers, "record", "what a recording costs, and how fast it is replayed")
    recorded.add_argument("--seconds", type=_positive, default=3.0, help="duration of each transfer (3)")
    recorded.add_argument("--warm-up", type=_positive, default=1.0, metavar="SECONDS", help="before it counts (1)")
    recorded.add_argument("--sizes", type=_sizes, default=sizes, help=f"message sizes in bytes ({sizes})")
    recorded.add_argument("--replay", type=_count, metavar="N", help="replay a session of so many datagrams instead")
    many = _subparser(subparsers, "mux", "memory, idle cost and speed of many peers on one UDP port")
    many.add_argument("--peers", type=_count, default=1000, help="peers on the port (1000)")
    many.add_argument("--idle", type=_positive, default=10.0, metavar="SECONDS", help="how long nothing happens (10)")
    many.add_argument("--seconds", type=_positive, default=3.0, help="duration of each transfer (3)")
    many.add_argument("--warm-up", type=_positive, default=1.0, metavar="SECONDS", help="before it counts (1)")
    many.add_argument("--settle", type=_positive, default=3.0, metavar="SECONDS", help="after the set-up (3)")
    relay = _subparser(subparsers, "turn", "cost of a TURN server's allocations and packets, coturn's beside it")
    relay.add_argument("--allocations", type=_count, default=500, help="at the same time (500)")
    relay.add_argument("--seconds", type=_positive, default=5.0, help="duration of each exchange (5)")
    relay.add_argument("--size", type=_count, default=1000, help="bytes of a packet (1000)")
    relay.add_argument("--burst", type=_count, default=1, help="packets that a client sends at once (1)")
    rates = ",".join(f"{rate:g}" for rate in media.RATES_MBIT_S)
    video = _subparser(
        subparsers, "media", "RTP packets of video through whole peers, between two processes", MEDIA_PEERS
    )
    video.add_argument("--seconds", type=_positive, default=3.0, help="duration of each transfer (3)")
    video.add_argument("--warm-up", type=_positive, default=2.0, metavar="SECONDS", help="before it counts (2)")
    video.add_argument("--rates", type=_rates, default=rates, help=f"Mbit/s of video ({rates})")
    video.add_argument("--no-most", action="store_true", help="do not search for the highest rate")
    hall = _subparser(subparsers, "forward", "one video stream to many subscribers: how many a core bears")
    hall.add_argument("--rate", type=_positive, default=2.5, metavar="MBIT_S", help="of the stream (2.5)")
    hall.add_argument("--subscribers", type=_count, default=10, help="to begin with (10)")
    hall.add_argument("--most", type=_count, default=400, help="that are tried (400)")
    hall.add_argument("--seconds", type=_positive, default=4.0, help="of the stream (4)")
    hall.add_argument("--warm-up", type=_positive, default=1.0, metavar="SECONDS", help="before it counts (1)")
    protection = _subparser(subparsers, "srtp", "cost of protecting and unprotecting a packet, pylibsrtp's beside it")
    protection.add_argument("--count", type=_count, default=2000, help="packets in each round (2000)")
    packets = ",".join(str(size) for size in srtp.SIZES_BYTES)
    protection.add_argument("--sizes", type=_sizes, default=packets, help=f"bytes of an RTP packet ({packets})")
    protection.set_defaults(rounds=20)
    long = _subparser(subparsers, "soak", "minutes of checked messages over a bad link and a relay")
    long.add_argument("--minutes", type=_positive, default=10.0, help="how long (10)")
    long.add_argument("--loss", type=float, default=10.0, metavar="PERCENT", help="of datagrams, each way (10)")
    long.add_argument("--jitter", type=float, default=50.0, metavar="MS", help="of the delay, beside 20 ms (50)")
    relays = [*soak.RELAYS, "none"]
    long.add_argument("--relay", choices=relays, nargs="?", const="ours", default="ours", help="what relays (ours)")
    many.add_argument("--check", type=_positive, default=1.0, metavar="SECONDS", help="between liveness checks (1)")
    for name, (summary, count) in PAIR_BENCHMARKS.items():
        one = _subparser(subparsers, name, summary)
        unit = "echoes" if name == "rtt" else "pairs"
        one.add_argument("--count", type=_count, default=count, help=f"{unit} in each round ({count})")
        if name == "memory":
            one.add_argument(
                "--tracemalloc", action="store_true", help="also what Python's own allocator counts; slower"
            )
    return parser


def _subparser(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    peers: Sequence[str] = PEERS,
) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=summary, description=summary)
    parser.add_argument("--vs", choices=peers, default=None, help="another stack to measure in the same run")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--rounds", type=_count, default=2, help="how often each stack has its turn (2)")
    parser.add_argument(
        "--profile", default="", metavar="FOLDER", help="write profiles of the measured processes there"
    )
    return parser


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise ValueError(text)
    return value


def _positive(text: str) -> float:
    if not (value := float(text)) > 0:
        raise ValueError(text)
    return value


def _rates(text: str) -> list[float]:
    rates = [float(item) for item in text.split(",")]
    if not all(0 < rate < 10_000 for rate in rates):
        raise ValueError(text)
    return rates


def _sizes(text: str) -> list[int]:
    return [_count(item) for item in text.split(",")]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # whoever reads has had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
