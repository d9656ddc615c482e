"""The example of a server with many peers on one port runs as it stands."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_visitors_of_the_example_are_echoed_on_one_port():
    paths = os.pathsep.join([str(ROOT), str(ROOT / "adapters"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "error", str(ROOT / "examples" / "many_peers.py")]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    said = [line.split(" on ") for line in done.stdout.splitlines()]
    assert sorted(word for word, _ in said) == [f"visitor {number}" for number in range(10)]
    assert len({address for _, address in said}) == 1
