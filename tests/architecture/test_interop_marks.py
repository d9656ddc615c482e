"""`make interop` collects only files in which it finds the mark: no mark stands where it would not look."""

from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_marks_outside_the_folder_of_interop_stand_in_files_of_tests():
    marked = {path for path in TESTS.rglob("*.py") if "mark.interop" in path.read_text() and path != Path(__file__)}
    marked = {path for path in marked if TESTS / "interop" not in path.parents}
    assert marked
    assert [path for path in sorted(marked) if not path.name.startswith("test_")] == []
