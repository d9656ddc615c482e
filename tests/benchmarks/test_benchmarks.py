"""Each benchmark for a moment: that it runs, and that what it prints has the promised form."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from benchmarks.__main__ import main
from benchmarks.datachannel import Transferred
from benchmarks.processes import Worker, WorkerFailed, run_once
from benchmarks.report import percentile, ratio
from benchmarks.sampler import Sampler

FIELDS = {
    "datachannel": {
        "message_bytes",
        "sans_rtc_mb_s",
        "peer_mb_s",
        "ratio",
        "sans_rtc_cpu_ns_per_byte",
        "peer_cpu_ns_per_byte",
    },
    "connect": {"stack", "pairs", "median_ms", "p90_ms", "cpu_ms_per_pair", "pairs_per_cpu_s"},
    "rtt": {"stack", "message_bytes", "echoes", "median_us", "p90_us", "p99_us", "cpu_us_per_echo"},
    "memory": {"stack", "pairs", "resident_kib_per_peer", "python_kib_per_peer"},
}
SHORT = {
    "datachannel": ["--seconds", "0.2", "--warm-up", "0.1", "--sizes", "16384"],
    "connect": ["--count", "2"],
    "rtt": ["--count", "20"],
    "memory": ["--count", "2", "--tracemalloc"],
}


def run(*arguments):
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def run_json(name, *arguments):
    done = run(name, "--json", "--rounds", "1", *SHORT[name], *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", FIELDS)
def test_benchmark_of_ours_alone(name):
    result = run_json(name)
    assert result["benchmark"] == name
    assert {"cpu_count", "python", "sans-rtc"} <= set(result["machine"])
    assert [set(row) for row in result["rows"]] == [FIELDS[name]] * len(result["rows"])
    for row in result["rows"]:
        missing = {field for field, value in row.items() if value is None}
        assert missing == {field for field in row if field.startswith("peer_") or field == "ratio"}
        row.pop("resident_kib_per_peer", None)  # two pairs may fit into what the process has already
        assert all(value > 0 for value in row.values() if isinstance(value, float))


@pytest.mark.interop
@pytest.mark.parametrize("name", FIELDS)
def test_benchmark_beside_aiortc(name):
    if os.environ.get("SANS_RTC_REQUIRE_INTEROP") != "1":
        pytest.importorskip("aiortc", reason="needs aiortc, from the extra `interop`")
    rows = run_json(name, "--vs", "aiortc")["rows"]
    if name == "datachannel":
        assert all(abs(row["ratio"] - row["sans_rtc_mb_s"] / row["peer_mb_s"]) < 1e-9 for row in rows)
    else:
        assert [row["stack"] for row in rows] == ["sans_rtc", "aiortc"]


def test_many_peers_on_one_port():
    done = run(
        "mux", "--json", "--peers", "5", "--idle", "0.3", "--seconds", "0.3", "--warm-up", "0.1", "--settle", "0.1"
    )
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(done.stdout)["rows"]
    assert row["peers"] == 5
    assert row["mb_s_among_idle"] > 0
    assert row["route_ns_per_datagram"] > 0


def test_table_has_the_facts_of_the_machine():
    done = run("rtt", "--rounds", "1", *SHORT["rtt"])
    assert "median us" in done.stdout
    assert "cpu count" in done.stdout


@pytest.mark.parametrize(
    "arguments", [["datachannel", "--sizes", "0"], ["rtt", "--count", "x"], ["rtt", "--vs", "y"], []]
)
def test_bad_arguments_are_refused(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "usage: " in capsys.readouterr().err


def test_rates_follow_from_the_counts():
    done = Transferred(byte_count=3_000_000, duration_s=1.5, cpu_s=0.003)
    assert (done.mb_s, done.cpu_ns_per_byte) == (2.0, 1.0)
    assert ratio(done.mb_s, 1.0) == 2.0
    assert ratio(done.mb_s, None) is None


def test_percentile_is_the_nearest_rank():
    assert [percentile([4, 1, 3, 2], share) for share in (0.01, 0.5, 0.75, 0.76, 1.0)] == [1, 2, 3, 4, 4]


def test_sampler_finds_where_the_time_goes(tmp_path):
    def spin():
        while time.process_time() < ends_at:
            pass

    path = tmp_path / "profile.txt"
    with Sampler(str(path)):
        ends_at = time.process_time() + 0.1
        spin()
    first_row = path.read_text().splitlines()[3]
    assert "spin" in first_row
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_process_that_fails_is_told(capfd):
    with pytest.raises(WorkerFailed, match="nothing: connect ended with status 1"):
        run_once("connect", "nothing", [], timeout_s=30)
    assert "KeyError" in capfd.readouterr().err


def test_process_that_takes_too_long_is_ended():
    with pytest.raises(WorkerFailed, match="longer than 0 s"):
        run_once("rtt", "sans_rtc", ["--count", "1000000"], timeout_s=0.3)


def test_transfer_process_that_ends_is_told(capfd):
    with pytest.raises(WorkerFailed, match="ended during 'nonsense'"), Worker("sans_rtc") as worker:
        worker.ask("nonsense")
    assert "AttributeError" in capfd.readouterr().err
