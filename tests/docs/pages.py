"""What is in the pages of the documentation: their blocks of Python, and what comes of running one."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "adapters"), os.environ.get("PYTHONPATH", "")]),
}


def blocks(page):
    """All blocks of Python of a page, by its path below the root."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def run_block(code, *, cwd=None):
    """Run it in a process of its own; its exit status, and what it said on stderr."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code],
        env=ENVIRONMENT,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, said(done.stderr)


def said(stderr):
    """Its lines, without those in which asyncio's debug mode remarks on steps that a busy machine made slow."""
    return [line for line in stderr.splitlines() if not line.startswith("Executing <")]
