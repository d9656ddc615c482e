"""Real sessions over loopback, recorded by the adapters, replay byte for byte."""

import asyncio
import os
import signal
import stat
import subprocess
import sys

import pytest
import trio

import sans_rtc_asyncio
import sans_rtc_trio
from sans_rtc.errors import InvalidArgument
from sans_rtc.trace import NotReplayable, RecordKind, read_records, replay
from sans_rtc.trace.wire import parse_call
from sans_rtc_asyncio.mux import UdpMux
from sans_rtc_net.blocking import BlockingPeerConnection
from sans_rtc_net.recording import RecordingFile, RecordTo, read_recording
from tests.adapters.conftest import signal_blocking


async def connect(first, second):
    """Two peers connect; returns a channel's two ends."""
    channel = first.create_data_channel("data")
    await first.set_local_description()
    await first.gathering_complete()
    await second.set_remote_description(first.local_description)
    await second.set_local_description()
    await second.gathering_complete()
    await first.set_remote_description(second.local_description)
    await first.wait_connected(10)
    return channel, await anext(second.incoming_channels())


async def talk(make, folder):
    """Two peers connect, exchange messages of all sizes, and close; returns the two files."""
    paths = [folder / "first.rec", folder / "second.rec"]
    async with make(bind="127.0.0.1", record=paths[0]) as first, make(bind="127.0.0.1", record=paths[1]) as second:
        channel, other = await connect(first, second)
        for size in (1, 1000, 100_000):
            await channel.send(bytes(size))
            assert len(await other.receive()) == size
        await other.send("text")
        assert await channel.receive() == "text"
    return paths


def assert_replays(paths):
    for path in paths:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600, "others can read the keys"
        report = replay(path.read_bytes())
        assert report.datagrams_in > 20 and report.datagrams_out > 20
        assert b"candidate:" in path.read_bytes()


def test_asyncio_session_replays(tmp_path):
    assert_replays(asyncio.run(talk(sans_rtc_asyncio.PeerConnection, tmp_path)))


def test_trio_session_replays(tmp_path):
    assert_replays(trio.run(talk, sans_rtc_trio.PeerConnection, tmp_path))


def test_session_on_a_shared_port_replays(tmp_path):
    async def talk_over_mux():
        make = sans_rtc_asyncio.PeerConnection
        async with UdpMux(bind="127.0.0.1") as mux:
            kinds = iter([{"mux": mux}, {"bind": "127.0.0.1"}])
            return await talk(lambda bind, record: make(record=record, **next(kinds)), tmp_path)

    assert_replays(asyncio.run(talk_over_mux()))


def test_scripted_peer_records(tmp_path):
    path = tmp_path / "peer.rec"
    command = [sys.executable, "-m", "sans_rtc_demo.main", "peer", "--offer", "--bind", "127.0.0.1"]
    done = subprocess.run([*command, "--record", path], input=b"", capture_output=True, timeout=30)
    assert b'"offer"' in done.stdout, done.stderr
    assert replay(path.read_bytes()).calls > 3
    refused = subprocess.run([*command, "--record", tmp_path / "no" / "x"], input=b"", capture_output=True, timeout=30)
    assert refused.returncode == 2 and b"No such file" in refused.stderr


def test_blocking_session_replays(tmp_path):
    paths = [tmp_path / "first.rec", tmp_path / "second.rec"]
    with (
        BlockingPeerConnection(bind="127.0.0.1", record=str(paths[0])) as first,
        BlockingPeerConnection(bind="127.0.0.1", record=RecordTo(path=paths[1])) as second,
    ):
        channel = first.create_data_channel("data")
        signal_blocking(first, second)
        first.wait_connected(10)
        other = second.accept_channel(10)
        channel.send(bytes(50_000))
        assert len(other.receive(10)) == 50_000
    assert_replays(paths)


def test_session_without_payloads_has_none_in_its_file(tmp_path):
    target = RecordTo(path=tmp_path / "x.rec", payloads=False)
    secret = "nobody reads this"

    async def talk_secretly():
        make = sans_rtc_asyncio.PeerConnection
        async with make(bind="127.0.0.1", record=target) as first, make(bind="127.0.0.1") as second:
            channel, other = await connect(first, second)
            await channel.send(secret)
            assert await other.receive() == secret
            await other.send(secret.encode())
            assert await channel.receive() == secret.encode()

    asyncio.run(talk_secretly())
    data = target.path.read_bytes()
    assert secret.encode() not in data
    names = [parse_call(record).name for record in read_records(data) if record.kind is RecordKind.CALL]
    assert "send" in names and "receive_many" in names
    with pytest.raises(NotReplayable, match="without payloads"):
        replay(data)


def test_file_that_is_full_ends_the_recording_and_not_the_session(tmp_path):
    (tmp_path / "full").symlink_to("/dev/full")
    file = RecordingFile(tmp_path / "full")
    file(bytes(1_000_000))
    assert isinstance(file.failure, OSError)
    file(b"another")
    file.close()


@pytest.mark.parametrize("size", [10, 1000, 70_000])
def test_killed_process_leaves_every_record(tmp_path, size):
    path = tmp_path / "x.rec"
    pid = os.fork()
    if not pid:
        file = RecordingFile(path)
        for number in range(100):
            file(bytes([number]) * size)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert b"".join(read_recording(path)) == b"".join([bytes([number]) * size for number in range(100)])


def test_file_keeps_within_its_bound(tmp_path):
    paths = asyncio.run(
        talk(lambda record, **named: sans_rtc_asyncio.PeerConnection(
            record=RecordTo(path=record, bytes_max=60_000), **named), tmp_path)
    )  # fmt: skip
    for path in paths:
        data = path.read_bytes()
        # A file is cut when it is over its bound, by one record at most.
        records = list(read_records(data))
        assert len(data) <= 60_000 + max(len(record.body) for record in records)
        kinds = [record.kind for record in records]
        assert kinds[:3] == [RecordKind.HEADER, RecordKind.DROPPED, RecordKind.CONSTRUCTION]
        assert RecordKind.KEY_LOG in kinds
        with pytest.raises(NotReplayable, match="dropped"):
            replay(data)
    assert sorted(os.listdir(tmp_path)) == ["first.rec", "second.rec"]


def test_place_that_cannot_be_written_is_an_error_at_once(tmp_path):
    async def make():
        sans_rtc_asyncio.PeerConnection(record=tmp_path / "no" / "where")

    with pytest.raises(OSError):
        asyncio.run(make())
    with pytest.raises(InvalidArgument):
        RecordTo(path="x", bytes_max=1)
