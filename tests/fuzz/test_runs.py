"""What a search came to is read off what libFuzzer says, and added up for each target."""

from fuzz.runs import Run, make_run, note, read_runs, table
from fuzz.table import names

SAID = b"""#2\tINITED cov: 3 ft: 3 corp: 1/1b exec/s: 0 rss: 40Mb
#4096\tpulse  cov: 113 ft: 278 corp: 104/3017b lim: 43 exec/s: 2048 rss: 49Mb
#162743\tDONE   cov: 114 ft: 280 corp: 106/3057b lim: 1594 exec/s: 23249 rss: 49Mb
stat::number_of_executed_units: 162744
"""


def test_run_has_executions_and_the_last_coverage():
    assert make_run("rtp", SAID, 5.06, 0) == Run("rtp", 5.1, 162_744, 114, 280, 0)


def test_run_that_broke_off_has_what_was_told_last():
    assert make_run("rtp", SAID.rpartition(b"stat")[0], 1.0, 77) == Run("rtp", 1.0, 162_743, 114, 280, 77)


def test_run_that_said_nothing_is_none():
    assert make_run("rtp", b"", 0.0, 1) == Run("rtp", 0.0, 0, 0, 0, 1)


def test_runs_are_read_as_they_were_noted(tmp_path):
    runs = [Run("rtp", 5.1, 10, 2, 3, 0), Run("stun", 1.0, 7, 9, 9, 0)]
    for run in runs:
        note(run, tmp_path / "runs.jsonl")
    assert read_runs(tmp_path / "runs.jsonl") == runs
    assert read_runs(tmp_path / "none") == []


def test_table_has_every_target_and_adds_its_runs():
    lines = table([Run("rtp", 1.0, 1000, 5, 6, 0), Run("rtp", 2.4, 500, 4, 6, 0)]).splitlines()
    assert len(lines) == 2 + len(names()) + 1
    assert any(line.startswith("| `rtp` | 3 s | 1,500 | 5 | ") for line in lines)
    assert lines[-1] == "| together | 3 s | 1,500 | | |"
