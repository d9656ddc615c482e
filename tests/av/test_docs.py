"""Every block of Python in docs/media-files.md runs as it stands, in a process of its own, and is quiet."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("av", reason="PyAV is not installed: pip install 'sans-rtc[av]'")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "media-files.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_example_runs_and_is_quiet_on_stderr(number, tmp_path):
    paths = os.pathsep.join([str(ROOT), str(ROOT / "adapters"), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", BLOCKS[number]],
        env={**os.environ, "PYTHONPATH": paths},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    # In development mode asyncio tells of steps over 0.1 s, which a busy machine has, whatever the page says.
    said = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert (done.returncode, said) == (0, [])


def test_page_has_an_example_of_each_part():
    assert all(any(name in block for block in BLOCKS) for name in ("new_encoder", "new_decoder", "Player", "Recorder"))


def test_table_of_files_is_that_of_the_code():
    from sans_rtc_av.containers import FILE_FORMATS

    rows = {row[0].strip("` "): row[1] for row in re.findall(r"^\| (`\.\w+`) \| ([^|]*) \|", PAGE, re.MULTILINE)}
    said = {suffix: frozenset(re.findall(r"\w+", names)) for suffix, names in rows.items()}
    assert said == {suffix: row.copies for suffix, row in FILE_FORMATS.items()}
