"""A process takes over a session from another: the program runs as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


pytestmark = pytest.mark.skipif(os.name != "posix", reason="passes file descriptors on")


def run(name):
    return subprocess.run(
        [sys.executable, "-X", "dev", "-B", str(ROOT / "examples" / name)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_transfer_goes_on_in_another_process():
    done = run("hand_over.py")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(
        r"200 of 200 messages, each once, in order;\na snapshot of \d+ bytes, taken after 60: ", done.stdout
    )


def test_transfer_goes_on_in_another_loop_of_another_process():
    done = run("hand_over_asyncio.py")
    # Of the development mode: how long a step of the loop has taken on a busy machine.
    warnings = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert (done.returncode, warnings) == (0, [])
    assert done.stdout == "the other process has read the last 140, all in order\n"
