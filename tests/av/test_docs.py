"""Every block of Python in docs/media-files.md runs as it stands, in a process of its own, and is quiet."""

import re

import pytest

from tests.docs.pages import ROOT, blocks, run_block

pytest.importorskip("av", reason="PyAV is not installed: pip install 'sans-rtc[av]'")

PAGE = (ROOT / "docs" / "media-files.md").read_text()
BLOCKS = blocks("docs/media-files.md")


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_example_runs_and_is_quiet_on_stderr(number, tmp_path):
    assert run_block(BLOCKS[number], cwd=tmp_path) == (0, [])


def test_page_has_an_example_of_each_part():
    assert all(any(name in block for block in BLOCKS) for name in ("new_encoder", "new_decoder", "Player", "Recorder"))


def test_table_of_files_is_that_of_the_code():
    from sans_rtc_av.containers import FILE_FORMATS

    rows = {row[0].strip("` "): row[1] for row in re.findall(r"^\| (`\.\w+`) \| ([^|]*) \|", PAGE, re.MULTILINE)}
    said = {suffix: frozenset(re.findall(r"\w+", names)) for suffix, names in rows.items()}
    assert said == {suffix: row.copies for suffix, row in FILE_FORMATS.items()}
