"""The benchmarks of media for a moment: that packets go through, and what the figures are made of."""

import asyncio
import json
import os

import pytest

from benchmarks import forward, media
from benchmarks.__main__ import main
from benchmarks.media_stack import Frames
from benchmarks.processes import WorkerFailed

SHORT = media.Options(seconds=0.3, warm_up_s=0.3, rounds=1, finds_most=False)
FIELDS = {
    "mbit_s",
    "stack",
    "packets_per_s",
    "frames_received_share",
    "sender_cpu_us_per_packet",
    "receiver_cpu_us_per_packet",
    "packets_per_cpu_s",
    "times_peer",
}


def test_packets_of_ours_go_through():
    (row,) = media.measure(None, [2.5], SHORT)
    assert set(row) == FIELDS
    assert (row["mbit_s"], row["stack"], row["times_peer"]) == ("2.5", "sans_rtc", None)
    assert row["packets_per_s"] > 50
    assert row["frames_received_share"] > 0.2  # of a busy machine
    assert min(row["sender_cpu_us_per_packet"], row["receiver_cpu_us_per_packet"]) > 0


@pytest.mark.interop
def test_packets_of_aiortc_go_through_beside_ours():
    if os.environ.get("SANS_RTC_REQUIRE_INTEROP") != "1":
        pytest.importorskip("aiortc", reason="needs aiortc, from the extra `interop`")
    ours, theirs = media.measure("aiortc", [2.5], SHORT)
    assert (ours["stack"], theirs["stack"], theirs["times_peer"]) == ("sans_rtc", "aiortc", 1.0)
    assert ours["times_peer"] == ours["packets_per_cpu_s"] / theirs["packets_per_cpu_s"]
    assert theirs["packets_per_s"] > 50


def test_search_for_the_most_ends_at_what_does_not_keep_up(monkeypatch):
    loads = []

    def transfer(stack, load, options, done):
        loads.append(load)
        done.frames_due = done.frames_sent = 100
        done.frames = 100 if load.mbit_s < 30 else 97
        done.packets = round(load.mbit_s)

    monkeypatch.setattr(media, "_transfer", transfer)
    assert media._most("any", SHORT).packets == 29
    tried = [16, 20.8, 27.04, 35.152, 35.152, 31.096, 31.096, 29.068, 30.082, 30.082]
    assert [load.mbit_s for load in loads] == pytest.approx(tried), "what does not keep up has a second try"
    assert all(load.mbit_s * 1e6 / 8 / load.frames_per_s == pytest.approx(11_000) for load in loads)


def test_stack_that_fails_is_told(capfd):
    with pytest.raises(WorkerFailed, match=r"nothing: the process ended (before|during) 'offer'"):
        media._transfer("nothing", media.Load(1.0, 30.0), SHORT, media.Received())
    assert "KeyError" in capfd.readouterr().err


def test_figures_follow_from_the_counts():
    done = media.Received(packets=3000, frames=99, frames_sent=100, frames_due=100.0, duration_s=1.5)
    done.sender_cpu_s, done.receiver_cpu_s = 0.25, 0.5
    assert (done.packets_per_s, done.packets_per_cpu_s, done.keeps_up) == (2000.0, 4000.0, True)
    done.frames_sent = 97
    assert not done.keeps_up


async def frames_of(frames, count):
    return [await frames.next() for _ in range(count)]


def test_frames_have_their_size_and_time():
    first, second = asyncio.run(frames_of(Frames(2.4, 100.0), 2))
    assert (len(first[0]), second[1] - first[1]) == (3000, 900)


def test_stream_is_forwarded_to_each_subscriber():
    options = forward.Options(mbit_s=1.0, subscribers=2, seconds=0.4, warm_up_s=0.2, most=3)
    first, reached = forward.measure(options)
    assert (first["subscribers"], reached["subscribers"]) == (2, min(3, first["reached"]))
    for row in (first, reached):
        assert row["frames_received_share"] == pytest.approx(1.0, abs=0.2)
        assert row["cpu_share_of_a_core"] > 0
        assert row["packets_per_s"] > 80 * row["subscribers"]


def test_commands_print_their_rows(capsys):
    media_rows = ["media", "--rates", "1", "--no-most", "--seconds", "0.2", "--warm-up", "0.1", "--rounds", "1"]
    forward_rows = ["forward", "--rate", "1", "--subscribers", "1", "--most", "1", "--seconds", "0.2"]
    for arguments, count in ((media_rows, 1), (forward_rows, 2)):
        assert main([*arguments, "--json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["rows"]) == count


@pytest.mark.parametrize("rates", ["0", "-1", "x", "1,,2"])
def test_rate_that_is_none_is_refused(rates, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["media", "--rates", rates])
    assert "--rates" in capsys.readouterr().err
