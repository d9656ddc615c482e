"""`sans-rtc demo --record FILE`: a file for each connection, complete once it ends, and told of on stdout."""

import asyncio
import json
import os
import urllib.request

import pytest

from sans_rtc.trace import RecordKind, read_records, replay
from sans_rtc.trace.wire import parse_call
from sans_rtc_asyncio import PeerConnection
from sans_rtc_demo.demo_recordings import RECORDING_COUNT_MAX, Recordings, numbered, require_writable
from sans_rtc_demo.demo_sessions import SessionLimits, Sessions
from sans_rtc_demo.main import main
from sans_rtc_net.recording import read_recording


async def ask(demo, method, path, body=None):
    """The JSON answer to a request; None where there is none."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(demo.url + path, data, {"content-type": "application/json"}, method=method)

    def wait():
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")

    return await asyncio.to_thread(wait)


async def talk(demo, text, end):
    """Connect as the page does, have a message echoed, and end it."""
    async with PeerConnection(include_loopback=True) as peer:
        channel = peer.create_data_channel("messages")
        await peer.set_local_description()
        await peer.gathering_complete()
        answer = await ask(demo, "POST", "offer", {"type": "offer", "sdp": peer.local_description.sdp})
        await peer.set_remote_description(answer)
        path = f"sessions/{answer['session']}"
        for candidate in (await ask(demo, "GET", f"{path}/candidates?after=0"))["candidates"]:
            await peer.add_ice_candidate(candidate)
        await peer.wait_connected(10)
        await channel.opened()
        await channel.send(text)
        assert await channel.receive() == text
        await end(path)


def events_of(path):
    calls = [parse_call(record) for record in read_records(read_recording(path)) if record.kind is RecordKind.CALL]
    return [event for call in calls if call.name == "take_events" for event in call.value()]


def test_every_connection_has_its_recording_complete_when_it_ends(start_demo, tmp_path):
    path = tmp_path / "session.rec"
    demo = start_demo("0", "--record", str(path))
    assert str(path) in demo.process.stdout.readline()  # what to do with it

    async def leave(session):
        await ask(demo, "DELETE", session)
        assert demo.printed_until("complete").startswith(f"{path} is complete: {path.stat().st_size} bytes")

    async def interrupt(session):
        _, status, errors = await asyncio.to_thread(demo.stop)
        assert (status, errors) == (0, "")

    asyncio.run(talk(demo, "first", leave))
    asyncio.run(talk(demo, "second", interrupt))
    assert f"Connection 1 is recorded in {path}\n" in demo.printed
    second = tmp_path / "session-2.rec"
    assert sorted(os.listdir(tmp_path)) == ["session-2.rec", "session.rec"]  # no tail is left
    for file, text in ((path, "first"), (second, "second")):
        assert file.stat().st_mode & 0o077 == 0
        assert replay(read_recording(file)).events > 10
        events = events_of(file)
        assert [event.data for event in events if type(event).__name__ == "ChannelMessage"] == [text]
        assert type(events[-1]).__name__ == "Terminated"


class FakeRecording:
    failure = None


class FakePeer:
    def __init__(self, path):
        self.path, self.recording = path, None if path is None else FakeRecording()


def make(path):
    if path is not None:
        path.write_bytes(b"x" * 100)
    return FakePeer(path)


def test_files_are_numbered_before_the_suffix(tmp_path):
    said = []
    recordings = Recordings(tmp_path / "a.b.rec", said.append)
    peers = [recordings.make_peer(make) for _ in range(3)]
    assert [peer.path.name for peer in peers] == ["a.b.rec", "a.b-2.rec", "a.b-3.rec"]
    assert numbered(tmp_path / "plain", 2).name == "plain-2"
    recordings.on_closed(peers[1])
    recordings.on_closed(peers[1])
    assert said[3:] == [f"{tmp_path}/a.b-2.rec is complete: 100 bytes"]


def test_recording_that_ended_early_says_why(tmp_path):
    said = []
    recordings = Recordings(tmp_path / "a.rec", said.append)
    peer = recordings.make_peer(make)
    peer.recording.failure = OSError(28, "No space left on device")
    recordings.on_closed(peer)
    assert said[1] == f"{tmp_path}/a.rec ends before its connection did: No space left on device"


def test_connection_that_cannot_be_recorded_is_served(tmp_path):
    said = []
    recordings = Recordings(tmp_path / "gone" / "a.rec", said.append)
    peer = recordings.make_peer(make)
    assert peer.path is None
    recordings.on_closed(peer)
    assert said == [f"Connection 1 is not recorded: {tmp_path}/gone/a.rec: No such file or directory"]


def test_recordings_are_no_more_than_their_limit(tmp_path):
    said = []
    recordings = Recordings(tmp_path / "a.rec", said.append)
    peers = [recordings.make_peer(make) for _ in range(RECORDING_COUNT_MAX + 1)]
    assert [peer.path is None for peer in peers] == [False] * RECORDING_COUNT_MAX + [True]
    assert said[-1].startswith(f"Connection {RECORDING_COUNT_MAX + 1} is not recorded")


def test_nobody_reading_what_is_said_ends_no_connection(tmp_path):
    def say(line):
        raise BrokenPipeError

    recordings = Recordings(tmp_path / "a.rec", say)
    recordings.on_closed(recordings.make_peer(make))


@pytest.mark.anyio
async def test_peer_of_an_offer_that_is_no_good_is_told_closed(tmp_path):
    said = []
    recordings = Recordings(tmp_path / "a.rec", said.append)

    def make_peer():
        return recordings.make_peer(lambda path: PeerConnection(bind="127.0.0.1", record=path))

    sessions = Sessions(make_peer, SessionLimits(), recordings.on_closed)
    with pytest.raises(Exception, match="cannot be answered"):
        await sessions.open("nonsense")
    assert "is complete" in said[1]
    assert os.listdir(tmp_path) == ["a.rec"]
    assert replay(read_recording(tmp_path / "a.rec")).calls > 0


@pytest.mark.parametrize(
    ("name", "said"), [("", "Is a directory"), ("gone/a.rec", "No such file"), ("file/a.rec", "Not a directory")]
)
def test_place_that_takes_no_recording_is_told_before_anything_else(tmp_path, capsys, name, said):
    (tmp_path / "file").write_bytes(b"")
    assert main(["demo", "--record", str(tmp_path / name)]) == 2
    assert said in capsys.readouterr().err


def test_place_is_tried_without_leaving_a_trace(tmp_path):
    require_writable(tmp_path / "new.rec")
    (tmp_path / "old.rec").write_bytes(b"old")
    require_writable(tmp_path / "old.rec")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"old.rec": b"old"}


def test_check_has_nothing_to_record(capsys):
    with pytest.raises(SystemExit) as exit_info:
        main(["demo", "--check", "--record", "a.rec"])
    assert exit_info.value.code == 2
    assert "not allowed with" in capsys.readouterr().err
