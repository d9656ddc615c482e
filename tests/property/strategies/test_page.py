"""The blocks of Python in docs/strategies.md run as they stand, and its tables name all that there is."""

import re
from pathlib import Path

import pytest

from sans_rtc.testing import strategies

PAGE = (Path(__file__).parents[3] / "docs" / "strategies.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_example_runs(number):
    exec(compile(BLOCKS[number], f"block {number}", "exec"), {"__name__": "page"})


def test_page_names_every_strategy():
    unnamed = [name for name in strategies.__all__ if name not in PAGE]
    assert unnamed == ["ChannelEnd", "ProtectedRtp", "allow_misuse"]


def test_core_does_not_import_hypothesis():
    """Only this package needs the extra."""
    core = Path(strategies.__file__).parents[2]
    users = [path for path in core.rglob("*.py") if re.search(r"(?m)^\s*(from|import) hypothesis", path.read_text())]
    assert users and all("testing" in path.parts or path.name == "pytest_plugin.py" for path in users)
