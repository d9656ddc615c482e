"""How results are shown: the facts of the machine, tables for people, and the figures of statistics."""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import sys
from collections.abc import Mapping, Sequence

from benchmarks.stack import STACKS

Cell = str | int | float | None


def machine_facts(stacks: Sequence[str]) -> dict[str, Cell]:
    """What the figures depend on besides the code: processors, load, Python, and the versions of the stacks."""
    facts: dict[str, Cell] = {
        "cpu_count": os.cpu_count(),
        "load_1_min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }
    for distribution in dict.fromkeys(name for stack in stacks for name in STACKS[stack][1]):
        try:
            facts[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            facts[distribution] = None
    return facts


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(ours: float | None, theirs: float | None) -> float | None:
    """`ours` over `theirs`; None where one is missing or theirs is zero."""
    return ours / theirs if ours is not None and theirs else None


def print_table(rows: Sequence[Mapping[str, Cell]], facts: Mapping[str, Cell]) -> None:
    """Print rows with the same keys below their names, then the facts of the machine."""
    names = list(rows[0])
    lines = [[name.replace("_", " ") for name in names], *([_shown(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    print()
    print(", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in facts.items()))
    sys.stdout.flush()


def _shown(value: Cell) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    if value >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if value < 10 else f"{value:.1f}"
