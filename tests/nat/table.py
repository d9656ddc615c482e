"""Connects every pair of hosts over real NATs in network namespaces, and writes the table into the documentation.

    python -m tests.nat.table [--print] [--server ours]

Needs root, `ip` and `nft`, and coturn for `--server coturn`. The exit status is 1 where a pair is not as it must be;
then nothing is written.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "nat-traversal.md"
BEGIN, END = "<!-- table: python -m tests.nat.table -->", "<!-- end of the table -->"
AT_ONCE = 6

sys.path[:0] = [str(ROOT / "tests" / "interop"), str(ROOT / "adapters")]


def main():
    """Measure, compare and write."""
    from interop_peers.namespaces import NamespacesRefused
    from interop_peers.nat_lab import KINDS, NatLab
    from interop_peers.nat_matrix import connect_all
    from interop_peers.nat_table import must_be, outcome_of, table_of
    from interop_peers.processes import Missing

    parser = argparse.ArgumentParser(prog="python -m tests.nat.table", description=__doc__.splitlines()[0])
    parser.add_argument("--print", action="store_true", help="print the table and leave the documentation as it is")
    parser.add_argument("--server", choices=["coturn", "ours"], default="coturn", help="what relays")
    arguments = parser.parse_args()
    kinds = [kind for kind in KINDS if kind != "UDP for 5 s"]
    pairs = list(itertools.combinations_with_replacement(kinds, 2))
    try:
        with (
            tempfile.TemporaryDirectory() as directory,
            NatLab(Path(directory), kinds, server=arguments.server) as lab,
        ):
            results = asyncio.run(connect_all(lab.commands, lab.settings, pairs, at_once=AT_ONCE))
    except (NamespacesRefused, Missing) as refusal:
        print(f"no table: {refusal}", file=sys.stderr)
        return 1
    table = table_of(kinds, results)
    print(table)
    wrong = [pair for pair in pairs if outcome_of(results[pair]) != must_be(*pair)]
    for pair in wrong:
        print(f"{' and '.join(pair)}: {outcome_of(results[pair])}, must be {must_be(*pair)}", file=sys.stderr)
    if not wrong and not arguments.print:
        write(table)
    return 1 if wrong else 0


def write(table):
    """Put the table between its marks in the documentation."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
