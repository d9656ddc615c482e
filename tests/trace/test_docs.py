"""The examples of docs/determinism.md run as they stand."""

import re
from pathlib import Path

import pytest

from sans_rtc.trace import RecordKind

PAGE = (Path(__file__).parents[2] / "docs" / "determinism.md").read_text()


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_example_runs(block):
    exec(compile(block, "docs/determinism.md", "exec"), {"__name__": "example"})


def test_page_names_every_kind_of_record():
    for kind in RecordKind:
        assert f"| {kind.value} {kind.name} |" in PAGE
