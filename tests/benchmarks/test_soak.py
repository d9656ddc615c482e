"""The soak for a moment, and its parts: the checker sees what is wrong, the link is as bad as it says."""

import json
import socket
import subprocess
import sys
import time

import pytest

from benchmarks.soak import Samples, problems
from benchmarks.soak_link import BadLink, Weather
from benchmarks.soak_worker import Checker, content

MIB = 1 << 20


def take(kind, numbers):
    checker = Checker(kind)
    for number in numbers:
        checker.take(content(kind, number))
    return checker


@pytest.mark.parametrize(
    ("kind", "numbers", "is_complete"),
    [
        ("ordered", [0, 1, 2], True),
        ("unordered", [2, 0, 1], True),
        ("unordered", [2, 0], False),
        ("partial", [5], True),
    ],
)
def test_what_is_right_is_taken(kind, numbers, is_complete):
    checker = take(kind, numbers)
    assert (checker.errors, checker.is_complete(3)) == ([], is_complete)


@pytest.mark.parametrize(
    ("kind", "numbers", "text"),
    [
        ("ordered", [0, 2], "message 2 comes in place of 1"),
        ("ordered", [0, 0], "message 0 comes a second time"),
        ("unordered", [1, 1], "message 1 comes a second time"),
        ("partial", [7, 7], "message 7 comes a second time"),
    ],
)
def test_what_is_out_of_order_or_doubled_is_an_error(kind, numbers, text):
    assert take(kind, numbers).errors == [f"{kind}: {text}"]


def test_damaged_message_is_an_error():
    checker = Checker("ordered")
    checker.take(content("ordered", 0)[:-1] + b"\0")
    assert checker.errors == ["ordered: message 0 is not what was sent"]


@pytest.mark.parametrize(("last", "is_flat"), [(50 * MIB, True), (52 * MIB, True), (60 * MIB, False)])
def test_memory_that_grows_is_not_flat(last, is_flat):
    samples = Samples([10 * MIB] * 30 + [50 * MIB] * 60 + [last] * 60)
    assert samples.is_flat is is_flat


def test_problems_are_told_in_words():
    fine = {"errors": 0, "first_error": "", "unfinished": 0, "is_flat": 1}
    assert problems(fine) == []
    assert len(problems({"errors": 1, "first_error": "x", "unfinished": 1, "is_flat": 0})) == 3


def exchange(weather, count):
    """Send so many datagrams to a server through a link; how many of them arrive, and the answers of how many."""
    with (
        BadLink(weather) as link,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(("127.0.0.1", 0))
        server.settimeout(5.0)
        entry = link.to_server(server.getsockname())
        for number in range(count):
            client.sendto(number.to_bytes(2, "big"), entry)
        deadline = time.monotonic() + 10.0
        while link.lost + link.carried < count and time.monotonic() < deadline:
            time.sleep(0.01)
        came = [server.recvfrom(100) for _ in range(link.carried)]
        return link.lost, [int.from_bytes(data, "big") for data, _ in came], {source for _, source in came}


def test_link_loses_and_reorders():
    lost, numbers, sources = exchange(Weather(loss_percent=20.0, jitter_ms=30.0, delay_ms=1.0), 200)
    assert 15 <= lost <= 70
    assert sorted(numbers) != numbers
    assert len(set(numbers)) == 200 - lost
    assert len(sources) == 1


def test_link_without_loss_or_jitter_keeps_everything_in_order():
    assert exchange(Weather(0.0, 0.0, 1.0), 100)[1] == list(range(100))


@pytest.mark.parametrize("relay", ["ours", "none"])
def test_soak_of_a_moment(relay):
    command = [sys.executable, "-m", "benchmarks", "soak", "--json", "--minutes", "0.03", "--loss", "3"]
    done = subprocess.run([*command, "--jitter", "5", "--relay", relay], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    (row,) = json.loads(done.stdout)["rows"]
    assert row["messages"] > 20
    assert row["datagrams_lost"] > 0
    assert (row["errors"], row["unfinished"], row["is_flat"]) == (0, 0, 1)
    assert row["path"] == "relay-relay" if relay == "ours" else "relay" not in row["path"]
