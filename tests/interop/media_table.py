"""Prints what came of audio and video with every foreign peer that is installed, as the table of docs/interop.md.

    python -m tests.interop.media_table [--seconds 20] [--peer chromium]... [--at-once 3] [--write]

Each row is one connection over loopback: the peer sends pictures and a tone, this project sends back what comes without
decoding it, and the peer counts what it decodes. `--write` puts the table into the page. The exit status is 1 where a
row has a problem.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from interop_peers.chromium import Chromium
from interop_peers.firefox import Firefox
from interop_peers.lines import Aiortc
from interop_peers.media import Case, Outcome, run_cases
from interop_peers.media_cases import cases_in_table
from interop_peers.network import LoopbackNetwork
from interop_peers.pion import Pion
from interop_peers.processes import Missing

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "interop.md"
BEGIN, END = "<!-- table: python -m tests.interop.media_table --write -->", "<!-- end of the table -->"

PEERS = {"chromium": Chromium, "firefox": Firefox, "aiortc": Aiortc, "pion": Pion}
TELLING = ("chromium",)
"""Those that count what was sent to them again."""
SECONDS = 20.0
AT_ONCE = 3

COLUMNS = (
    "peer",
    "role",
    "video",
    "SRTP",
    "loss",
    "echoed",
    "frames sent / decoded",
    "freezes",
    "packets lost / dropped by us",
    "sent again",
    "audio packets sent / back",
    "verdict",
)


def row_of(peer: str, outcome: Outcome) -> tuple[str, ...]:
    """One outcome in the order of COLUMNS."""
    case = outcome.case
    freezes = f"{outcome.freezes} ({outcome.frozen_s:.1f} s)" if outcome.freezes else "0"
    return (
        peer,
        case.role,
        outcome.codec,
        outcome.srtp,
        f"{case.loss:.0%}",
        case.echo,
        f"{outcome.sent} / {outcome.decoded}",
        freezes,
        f"{outcome.lost + outcome.audio_lost} / {outcome.injected}",
        str(outcome.repaired) if peer in TELLING else "",
        f"{outcome.audio_sent} / {outcome.audio_received}",
        "; ".join(outcome.problems) or "good",
    )


def row_of_error(peer: str, case: Case, error: Exception) -> tuple[str, ...]:
    """A case that did not come to an end."""
    profile = "" if case.profile is None else case.profile.name
    fields = (peer, case.role, case.video, profile, f"{case.loss:.0%}", case.echo)
    return (*fields, *[""] * (len(COLUMNS) - len(fields) - 1), f"{type(error).__name__}: {error}".splitlines()[0])


async def rows(names: Sequence[str], seconds: float, at_once: int) -> list[tuple[str, ...]]:
    """Run all cases of all peers, one peer after the other."""
    table: list[tuple[str, ...]] = []
    for name in names:
        print(name, file=sys.stderr)
        host = PEERS[name]()
        try:
            outcomes = await run_cases(host, cases_in_table(name), seconds, at_once)
        except Missing as missing:
            print(f"{name}: {missing}", file=sys.stderr)
            continue
        finally:
            await host.stop()
        for case, outcome in outcomes.items():
            is_outcome = isinstance(outcome, Outcome)
            table.append(row_of(name, outcome) if is_outcome else row_of_error(name, case, outcome))
    return table


def markdown(table: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """The lines of the table."""
    for line in (COLUMNS, ("---",) * len(COLUMNS), *table):
        yield "| " + " | ".join(line) + " |"


def write(lines: str) -> None:
    """Put the table between its marks in the page."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{lines}\n\n{END}{after}")


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of media in each row")
    parser.add_argument("--peer", action="append", choices=PEERS, help="only this one; may be given again")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="connections at the same time")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    network = LoopbackNetwork()
    try:
        with network.entered():
            table = asyncio.run(rows(options.peer or list(PEERS), options.seconds, options.at_once))
    finally:
        network.close()
    lines = "\n".join(markdown(table))
    print(lines)
    if options.write:
        write(lines)
    return 0 if all(line[-1] == "good" for line in table) else 1


if __name__ == "__main__":
    sys.exit(main())
