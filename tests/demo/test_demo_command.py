"""`sans-rtc demo` as a command: its check, its page over HTTP, its end, and its complaints."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from sans_rtc_asyncio import PeerConnection
from sans_rtc_demo.demo_check import CheckReport, CheckRow, check, table
from sans_rtc_demo.main import main

COMMAND = [sys.executable, "-m", "sans_rtc_demo.main", "demo"]
WITHOUT_STARLETTE = "import sys; sys.modules['starlette'] = None; from sans_rtc_demo.main import main; sys.exit(main())"


def fake_check(monkeypatch, report):
    """Let the command's check report this at once."""

    async def check_at_once():
        return report

    monkeypatch.setattr("sans_rtc_demo.demo_command.check", check_at_once)


async def fetch(demo, path, body=None):
    """The JSON answer to a GET, or to a POST where there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(demo.url + path, data, {"content-type": "application/json"})

    def wait():
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    return await asyncio.to_thread(wait)


def test_check_measures_two_peers_and_stops_without_a_web_server():
    command = [sys.executable, "-c", WITHOUT_STARLETTE, "demo", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    for name, unit in [("Connected in", " ms"), ("Round trip", " ms"), ("Speed", " MB/s"), ("Closed in", " ms")]:
        assert any(name in line and unit in line for line in done.stdout.splitlines()), done.stdout


def test_failed_check_ends_with_status_1_and_the_reason(monkeypatch, capsys):
    fake_check(monkeypatch, CheckReport([], "Round trip: too long"))
    assert main(["demo", "--check"]) == 1
    assert "Round trip: too long" in capsys.readouterr().err


@pytest.mark.anyio
async def test_check_tells_which_step_failed_and_why():
    def make_peer(name):
        if name == "answering":
            raise OSError("no such network")
        return PeerConnection(bind="127.0.0.1")

    report = await check(make_peer)
    assert report.failure.startswith("Connected in: no such network")
    assert report.rows == []


@pytest.mark.anyio
async def test_check_without_a_path_fails_with_the_explanation(monkeypatch):
    monkeypatch.setattr("sans_rtc_demo.demo_check.STEP_S_MAX", 0.3)
    # One end speaks IPv4 only and the other IPv6 only: they cannot meet.
    hosts = {"offering": "127.0.0.1", "answering": "::1"}
    report = await check(lambda name: PeerConnection(bind=hosts[name]))
    assert report.failure.startswith("Connected in: nothing came of it")
    assert len(report.failure.splitlines()) > 4


def test_table_is_aligned():
    rows = [CheckRow("Short", "1 ms", "note"), CheckRow("Longer name", "1000 ms")]
    assert table(rows) == "  Short            1 ms   note\n  Longer name   1000 ms"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_it_quietly_within_a_second(start_demo, number):
    durations = []
    while not durations or (durations[-1] >= 1.0 and len(durations) < 3):  # where other tests take the processors
        duration_s, status, errors = start_demo().stop(number)
        assert (status, errors) == (0, "")
        durations.append(duration_s)
    assert min(durations) < 1.0


def test_interrupted_check_ends_without_a_traceback():
    process = subprocess.Popen([*COMMAND, "--check"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (130, "")


def test_taken_port_is_told(monkeypatch, capsys):
    fake_check(monkeypatch, CheckReport([]))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["demo", "--port", str(taken.getsockname()[1])]) == 1
    assert "Choose another" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_bad_port_is_refused(port, capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["demo", "--port", port])
    assert exit_info.value.code == 2
    assert "--port" in capsys.readouterr().err


def test_missing_web_server_names_the_extra(monkeypatch, capsys):
    fake_check(monkeypatch, CheckReport([]))
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert main(["demo", "--port", "0"]) == 1
    assert "sans-rtc[demo]" in capsys.readouterr().err


@pytest.mark.anyio
async def test_python_client_connects_as_the_page_does(own_demo):
    demo = own_demo
    async with PeerConnection(include_loopback=True) as peer:
        channel = peer.create_data_channel("messages")
        await peer.set_local_description()
        await peer.gathering_complete()
        answer = await fetch(demo, "offer", {"type": "offer", "sdp": peer.local_description.sdp})
        await peer.set_remote_description(answer)
        path = f"sessions/{answer['session']}"
        for candidate in (await fetch(demo, f"{path}/candidates?after=0"))["candidates"]:
            await peer.add_ice_candidate(candidate)
        await peer.wait_connected(10)
        await channel.opened()
        await channel.send("hello")
        assert await channel.receive() == "hello"
        assert "connected" in (await fetch(demo, f"{path}/explanation"))["text"]
        started_at = time.monotonic()
        demo.process.send_signal(signal.SIGINT)
        async for _ in channel:
            pass  # ends as Python closes it
    assert demo.process.wait(5) == 0
    assert time.monotonic() - started_at < 1.5
