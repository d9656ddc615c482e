"""What searches have come to: one line of `runs.jsonl` for each, and the table of docs/fuzzing.md made of them.

libFuzzer tells executions and coverage when it ends; the operating system tells the CPU time of its process.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import attrs

from fuzz.table import CORPUS, HERE, names

RUNS = HERE / "runs.jsonl"
DOCUMENT = HERE.parent / "docs" / "fuzzing.md"
BEGIN, END = "<!-- runs -->\n", "<!-- end of runs -->\n"
FOUND = "found-"
_EXECUTIONS = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")
_PROGRESS = re.compile(rb"^#(\d+)\s.*\bcov: (\d+) ft: (\d+)", re.MULTILINE)


@attrs.frozen
class Run:
    """One search.

    edges     of sans_rtc that were reached, corpus and seeds included
    features  edges by how often, as libFuzzer counts them
    status    of the process: 0 where nothing was found
    """

    target: str
    cpu_s: float
    executions: int
    edges: int
    features: int
    status: int


def search_and_note(name: str, minutes: float) -> int:
    """Search in a process of its own, show what it says, and note what it came to; returns its status."""
    before = _cpu_s()
    command = [sys.executable, "-m", "fuzz", name, "--minutes", str(minutes), "--here"]
    said = bytearray()
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        for line in process.stderr:
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
            if len(line) < 1000:
                said += line
    note(make_run(name, bytes(said), _cpu_s() - before, process.returncode))
    return process.returncode


def make_run(name: str, said: bytes, cpu_s: float, status: int) -> Run:
    """A run by what libFuzzer said of it."""
    progress = _PROGRESS.findall(said)
    last = [int(number) for number in progress[-1]] if progress else [0, 0, 0]
    total = _EXECUTIONS.search(said)
    return Run(name, round(cpu_s, 1), int(total[1]) if total else last[0], last[1], last[2], status)


def note(run: Run, path: Path = RUNS) -> None:
    """Write it behind the others."""
    with path.open("a") as file:
        file.write(json.dumps(attrs.asdict(run)) + "\n")


def table(runs: list[Run]) -> str:
    """Of all targets: what all their runs took and did, what the best of them reached, and what was ever found."""
    lines = ["| target | CPU time | executions | edges | findings |", "| --- | ---: | ---: | ---: | ---: |"]
    for name in names():
        of_it = [run for run in runs if run.target == name]
        cpu_s, executions = sum(run.cpu_s for run in of_it), sum(run.executions for run in of_it)
        edges = max((run.edges for run in of_it), default=0)
        findings = len(list((CORPUS / name).glob(f"{FOUND}*")))
        lines.append(f"| `{name}` | {cpu_s:,.0f} s | {executions:,} | {edges:,} | {findings} |")
    cpu_s, executions = sum(run.cpu_s for run in runs), sum(run.executions for run in runs)
    lines.append(f"| together | {cpu_s:,.0f} s | {executions:,} | | |")
    return "\n".join(lines) + "\n"


def read_runs(path: Path = RUNS) -> list[Run]:
    """All that were noted."""
    return [Run(**json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def cpu_minutes_of(name: str) -> float:
    """What all runs of a target have taken."""
    return sum(run.cpu_s for run in read_runs() if run.target == name) / 60


def write_table() -> None:
    """Put the table into docs/fuzzing.md."""
    text = DOCUMENT.read_text()
    head, rest = text.split(BEGIN)
    DOCUMENT.write_text(f"{head}{BEGIN}\n{table(read_runs())}\n{END}{rest.split(END)[1]}")


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
