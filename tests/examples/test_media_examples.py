"""The examples of audio and video run as they stand; those with a web page are visited by a peer of our own."""

import asyncio
import importlib.util
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from sans_rtc_asyncio import PeerConnection
from tests.docs.pages import ENVIRONMENT, ROOT, said

OPUS = b"\xf8" + bytes(80)
KEYFRAME = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\x68\x01" + bytes(3000)

needs_av = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="PyAV is not installed: sans-rtc[av]")
needs_starlette = pytest.mark.skipif(
    importlib.util.find_spec("starlette") is None or importlib.util.find_spec("uvicorn") is None,
    reason="starlette and uvicorn are not installed: sans-rtc[demo]",
)


def command(program, *arguments):
    return [sys.executable, "-X", "dev", "-B", str(ROOT / "examples" / program), *map(str, arguments)]


def run(program, *arguments):
    """Run an example to its end; gives what it printed."""
    done = subprocess.run(command(program, *arguments), env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, said(done.stderr)) == (0, [])
    return done.stdout


@contextmanager
def page(program, *arguments, bind=("--bind", "127.0.0.1")):
    """Run an example with a web page; gives its URL and the lines that it prints, read as they come."""
    process = subprocess.Popen(
        command(program, *arguments, *bind, "--port", 0, "--seconds", 30),
        env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield re.fullmatch(r"open (\S+)\n", process.stdout.readline())[1], process.stdout
    finally:
        process.terminate()
        _, stderr = process.communicate(timeout=20)
    assert "\n".join(said(stderr)) == ""


def post(url, body, content_type="application/json"):
    request = urllib.request.Request(url + "offer", body, {"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def visit(url, direction, bind="127.0.0.1"):
    """A peer of ours in place of the browser: its transceivers, connected."""
    peer = PeerConnection(bind=bind)
    transceivers = [peer.add_transceiver(kind, direction=direction) for kind in ("audio", "video")]
    await peer.set_local_description()
    await peer.gathering_complete()
    offer = {"type": "offer", "sdp": peer.local_description.sdp}
    status, text = await asyncio.to_thread(post, url, json.dumps(offer).encode())
    assert status == 200, text
    await peer.set_remote_description(json.loads(text))
    await peer.wait_connected(10)
    return peer, transceivers


async def take(receiver, count):
    frames = receiver.frames()
    async with asyncio.timeout(10):
        return [await anext(frames) for _ in range(count)]


def test_two_peers_send_each_other_audio_and_video():
    printed = run("media_loopback.py", 1)
    counts = re.findall(r"received (\d+) audio packets, (\d+) video frames", printed)
    assert len(counts) == 2 and all(int(audio) > 20 and int(video) > 10 for audio, video in counts)


def test_each_subscriber_gets_the_layer_that_its_path_carries():
    printed = run("forward.py", "--subscribers", 4, "--seconds", 4)
    lines = re.findall(r"subscriber \d \((.*)\): gets (.); frames: (.*); (\d+) not decodable", printed)
    assert [(limit, layer, broken) for limit, layer, _, broken in lines] == [
        ("no limit", "f", "0"),
        ("700 kbit/s", "h", "0"),
        ("250 kbit/s", "q", "0"),
        ("no limit", "f", "0"),
    ]
    counts = [{rid: int(count) for count, rid in re.findall(r"(\d+) of (\w)", frames)} for _, _, frames, _ in lines]
    assert counts[0]["f"] > 20 and counts[1]["h"] > 20 and counts[2]["q"] > 50
    assert counts[1]["f"] == counts[2]["f"] == counts[2]["h"] == 0


@needs_starlette
def test_what_a_page_sends_comes_back_as_it_was():
    async def check(url, lines):
        peer, (audio, video) = await visit(url, "sendrecv")
        async with peer:
            audio.sender.send_frame(OPUS, 0)
            video.sender.send_frame(KEYFRAME, 0)
            assert [frame.data for frame in await take(audio.receiver, 1)] == [OPUS]
            assert [frame.data for frame in await take(video.receiver, 1)] == [KEYFRAME]
            wishes = video.sender.keyframe_requests()
            video.receiver.request_keyframe()
            async with asyncio.timeout(5):
                assert await anext(wishes) == ""  # through Python, and back to the encoder
            line = await asyncio.to_thread(lines.readline)
            assert re.match(r"audio: 1 frames, 1 packets, .*video: 1 frames, 3 packets, ", line)

    with page("browser_media.py") as (url, lines):
        with urllib.request.urlopen(url, timeout=20) as reply:
            assert b"RTCPeerConnection" in reply.read()
        asyncio.run(check(url, lines))
        assert post(url, b"{}")[0] == 400
        assert post(url, b'{"type": "offer", "sdp": "v=1"}')[0] == 400
        assert post(url, b"{}", "text/plain")[0] == 415, "what a form of another site can send"


@needs_av
@needs_starlette
def test_what_a_page_sends_is_recorded(tmp_path):
    import av

    async def check(url, lines):
        peer, (audio, video) = await visit(url, "sendonly")
        async with peer:
            for number in range(5):
                audio.sender.send_frame(OPUS, number * 960)
                video.sender.send_frame(KEYFRAME, number * 3000)
            await asyncio.sleep(0.3)
        printed = {await asyncio.to_thread(lines.readline) for _ in range(2)}
        assert {line.split(": ")[1].split(", 0")[0] for line in printed} == {"opus, 5 frames", "VP8, 5 frames"}

    with page("record_to_file.py", tmp_path / "x.webm") as (url, lines):
        asyncio.run(check(url, lines))
    with av.open(str(tmp_path / "x.webm")) as container:
        assert {stream.type for stream in container.streams} == {"audio", "video"}


@needs_av
@needs_starlette
def test_a_page_is_played_to():
    async def check(url):
        peer, (audio, video) = await visit(url, "recvonly", bind=())
        async with peer:
            frames = await take(video.receiver, 10)
            assert frames[0].is_keyframe and all(frame.is_contiguous for frame in frames)
            await take(audio.receiver, 10)

    with page("play_file.py", bind=()) as (url, _):  # on every usable address, as without options
        asyncio.run(check(url))


@needs_av
@needs_starlette
def test_a_file_is_recorded_and_played_without_a_browser(tmp_path):
    path = tmp_path / "call.mp4"
    printed = run("record_to_file.py", "--self", path, "--seconds", 1)
    assert sorted(re.findall(r": (\w+), \d\d frames", printed)) == ["H264", "opus"]
    printed = run("play_file.py", "--self", path)
    counts = re.fullmatch(r"(\d+) audio frames of opus, (\d+) video frames of H264\n", printed)
    assert int(counts[1]) > 40 and int(counts[2]) > 20


def test_a_file_of_another_kind_is_refused_at_once():
    done = subprocess.run(command("record_to_file.py", "x.txt"), env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 2


def test_every_example_is_in_the_table_of_commands_and_the_table_has_no_other():
    commands = re.findall(r"^\| `python (examples/[\w/]+\.py)", (ROOT / "examples/README.md").read_text(), re.MULTILINE)
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "examples").rglob("*.py")}
    assert set(commands) == files - {f"examples/{name}.py" for name in ("parts", "av_parts", "web")}
