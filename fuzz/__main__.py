"""Fuzz one target, all in turn, or see which there are.

python -m fuzz                            the names of the targets
python -m fuzz TARGET [--minutes N]       search for inputs that break it, from its corpus and its seeds
python -m fuzz all [--minutes N]          one target after the other; --up-to M: those that have had less than M
python -m fuzz TARGET --replay FILE...    run it on these inputs; needs no atheris
python -m fuzz TARGET --keep N            make the corpus of the N inputs that reach the most; needs no atheris
python -m fuzz --table                    write what all searches came to into docs/fuzzing.md
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
from pathlib import Path

from fuzz.runs import search_and_note, write_table
from fuzz.search import distil, search, search_all
from fuzz.table import load, names

_NEEDS_ATHERIS = (
    "atheris is not installed, and without it nothing can be searched: pip install 'sans-rtc[fuzz]'. "
    "The corpus is replayed without it: pytest tests/fuzz"
)


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0 where nothing was found."""
    options = _parser().parse_args(arguments)
    if options.table:
        write_table()
        return 0
    if options.target is None:
        print("\n".join(names()))
        return 0
    if options.target != "all" and options.target not in names():
        print(f"there is no target {options.target!r}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    if options.replay:
        for path in options.replay:
            load(options.target).run(path.read_bytes())
        return 0
    if options.keep is not None:
        return distil(options.target, options.keep)
    if importlib.util.find_spec("atheris") is None:
        print(_NEEDS_ATHERIS, file=sys.stderr)
        return 2
    if options.target == "all":
        return search_all(options.minutes, options.up_to)
    return (search if options.here else search_and_note)(options.target, options.minutes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Coverage-guided fuzzing of sans_rtc.")
    parser.add_argument("target", nargs="?", help="a target, or all; without it the names of the targets")
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to search each target")
    parser.add_argument(
        "--up-to", type=float, default=math.inf, help="leave out who has had so many CPU minutes already"
    )
    parser.add_argument("--replay", type=Path, nargs="+", metavar="FILE", help="run the target on these inputs only")
    parser.add_argument("--keep", type=int, metavar="N", help="distil the search's finds into the corpus")
    parser.add_argument("--table", action="store_true", help="write the table of all searches into docs/fuzzing.md")
    parser.add_argument("--here", action="store_true", help="search in this process, and note nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
