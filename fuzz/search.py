"""Searching with atheris (libFuzzer): coverage of sans_rtc alone decides what is worth keeping."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

from fuzz.runs import FOUND, cpu_minutes_of, search_and_note
from fuzz.table import CORPUS, FINDS, load, names

# A run that takes longer is a finding: the slowest regular one takes two seconds, ten times as long with coverage, and
# longer beside other work.
RUN_S_MAX = 120
MEMORY_MB_MAX = 1024
INPUT_BYTES_MAX = 4096
# Of what is kept in the corpus.
NAME_LENGTH = 12
# Of a long search's finds a part is looked at, small and large: each is run line by line.
DISTILLED_MAX = 40


def search(name: str, minutes: float) -> int:
    """Search one target in this process, which libFuzzer ends; what breaks it lies in fuzz/finds/NAME.*."""
    import atheris

    finds = FINDS / name
    for folder in (finds, CORPUS / name):
        folder.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["sans_rtc"]):
        target = load(name)
    for seed in target.seeds():
        if len(seed) <= INPUT_BYTES_MAX:
            (finds / hashlib.sha1(seed).hexdigest()).write_bytes(seed)
    flags = [
        f"-max_total_time={max(1, round(60 * minutes))}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-timeout={RUN_S_MAX}",
        f"-rss_limit_mb={MEMORY_MB_MAX}",
        f"-artifact_prefix={finds.parent}/{name}.",
        "-print_final_stats=1",
    ]
    atheris.Setup([f"fuzz {name}", *flags, str(finds), str(CORPUS / name)], target.run)
    atheris.Fuzz()
    return 0


def search_all(minutes: float, up_to: float = math.inf) -> int:
    """One target after the other, each in a process of its own; 1 where one has found something.

    up_to  minutes of CPU time that a target's runs shall come to, noted ones included; who has had them is left out
    """
    failed = []
    for name in names():
        lacking = up_to - cpu_minutes_of(name)
        if lacking <= 0:
            continue
        print(f"== {name}", flush=True)
        if search_and_note(name, min(minutes, lacking)):
            failed.append(name)
    print(f"broken: {', '.join(failed)}" if failed else "nothing found")
    return 1 if failed else 0


def distil(name: str, count: int) -> int:
    """Bring the corpus to so many files: those that were findings once, and the smallest that reach the most steps."""
    from fuzz.reach import steps_reached

    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    load(name)
    reached = {path: steps_reached(name, path.read_bytes()) for path in _inputs(name)}
    kept = [path for path in reached if path.name.startswith(FOUND)]
    covered = set().union(*(reached.pop(path) for path in kept))
    while reached and len(kept) < count:
        best = max(reached, key=lambda path: (len(reached[path] - covered), -path.stat().st_size))
        if not reached[best] - covered:
            break
        covered |= reached.pop(best)
        kept.append(best)
    inputs = {path.name if path.name.startswith(FOUND) else path.name[:NAME_LENGTH]: path.read_bytes() for path in kept}
    for path in folder.iterdir():
        path.unlink()
    for file_name, data in inputs.items():
        (folder / file_name).write_bytes(data)
    print(f"{name}: {len(inputs)} files reach {len(covered)} steps between lines of sans_rtc")
    return 0


def _inputs(name: str) -> Iterator[Path]:
    """The corpus and the finds, small ones first; thinned where there are many."""
    for folder in (CORPUS / name, FINDS / name):
        if folder.is_dir() and any(folder.iterdir()):
            paths = sorted(folder.iterdir(), key=lambda path: path.stat().st_size)
            yield from paths[:: -(-len(paths) // DISTILLED_MAX)]
