"""A process takes over a session from another: the program runs as it stands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(os.name != "posix", reason="passes a file descriptor on")
def test_transfer_goes_on_in_another_process():
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-B", str(ROOT / "examples" / "hand_over.py")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters")])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(
        r"200 of 200 messages, each once, in order;\na snapshot of \d+ bytes, taken after 60: ", done.stdout
    )
