"""`python -m benchmarks turn`: small, to see that it measures what it says."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_benchmark_tells_the_cost_of_a_packet_and_of_an_allocation():
    command = [sys.executable, "-m", "benchmarks", "turn", "--json", "--rounds", "1", "--allocations", "3"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [*command, "--seconds", "0.2"], capture_output=True, text=True, timeout=60, cwd=ROOT, env=environment
    )
    assert (done.returncode, done.stderr) == (0, "")
    ours = json.loads(done.stdout)["rows"][0]
    assert (ours["server"], ours["allocations"]) == ("sans_rtc", 3)
    assert ours["packets_per_s"] > 0
    assert ours["kib_per_allocation"] >= 0
