"""No vector without its origin: the table of rfc-vectors/README.md has every file, and nothing else."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
VECTORS = ROOT / "rfc-vectors"
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
# Requirements are no vectors; pages explain.
ELSEWHERE = ("requirements/",)


def rows():
    return ROW.findall((VECTORS / "README.md").read_text())


def test_every_vector_is_in_the_table_once():
    files = {str(path.relative_to(VECTORS)) for path in VECTORS.rglob("*") if path.is_file() and path.suffix != ".md"}
    listed = [name for name, *_ in rows()]
    assert len(listed) == len(set(listed))
    assert set(listed) == {name for name in files if not name.startswith(ELSEWHERE)}


def test_every_row_says_from_where_and_who_agrees():
    assert all(cell.strip() for row in rows() for cell in row)


def test_tests_that_the_table_names_are_there():
    text = (VECTORS / "README.md").read_text()
    for name in set(re.findall(r"`(test_\w+\.py)`", text)):
        assert (ROOT / "tests" / "interop" / name).is_file(), name
    for name in set(re.findall(r"`(tests/[\w/.]+)`", text)):
        assert (ROOT / name).exists(), name
