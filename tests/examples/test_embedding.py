"""The same echo under every loop: each program runs as it stands, where its library is installed."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "embedding"
LINES_MAX = 60
# Program, its arguments, and the library it needs.
PROGRAMS = [
    ("echo_blocking.py", [], "sans_rtc_net"),
    ("echo_asyncio.py", [], "sans_rtc_asyncio"),
    ("echo_trio.py", [], "trio"),
    ("echo_anyio.py", ["asyncio"], "anyio"),
    ("echo_anyio.py", ["trio"], "trio"),
    ("echo_qt.py", [], "PySide6"),
    ("echo_twisted.py", [], "twisted"),
]


@pytest.mark.parametrize(("program", "arguments", "library"), PROGRAMS)
def test_program_echoes_and_is_quiet_on_stderr(program, arguments, library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: pip install sans-rtc[trio,anyio,embedding]")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "adapters"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-B", str(FOLDER / program), *arguments],
        env={**os.environ, "PYTHONPATH": paths, "QT_QPA_PLATFORM": "offscreen"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    # asyncio's debug mode remarks on steps that a busy machine made slow.
    said = [line for line in done.stderr.splitlines() if not re.match(r"Executing .* took [\d.]+ seconds", line)]
    assert (done.returncode, said) == (0, [])
    assert re.fullmatch(r"'\S+' came back after \d+\.\d ms\n", done.stdout)


def test_every_program_is_run_and_short():
    programs = sorted(FOLDER.glob("*.py"))
    assert [path.name for path in programs] == sorted({program for program, _, _ in PROGRAMS})
    assert {path.name: len(path.read_text().splitlines()) for path in programs if _line_count(path) > LINES_MAX} == {}


def _line_count(path):
    return len(path.read_text().splitlines())
