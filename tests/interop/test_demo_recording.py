"""The demo with --record and Chromium on its page: the recording replays, tshark opens it, and its report tells of it.

One session with messages, picture and sound; all the rest is asked of its file by the command line, as a user does.
"""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from sans_rtc_demo.main import main

spec = importlib.util.spec_from_file_location("demo_drivers", Path(__file__).parents[1] / "demo" / "conftest.py")
drivers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(drivers)

TEXT = "hello from the page, recorded"
AFTERWARDS = "the second connection"
CONNECTED = "document.body.dataset.state === 'connected'"
# For some seconds, so that reports have come for what was sent back (Chromium sends one about each second).
IS_SENDING = "Number(document.body.dataset.videoFrames) > 90 && Number(document.body.dataset.audioPackets) > 20"
# Chromium offers loopback addresses to pages that may use the microphone, and to no others.
ON_LOOPBACK = (
    "--allow-loopback-in-peer-connection",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)
WHOLE_PAGE = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
TABLE = "[...document.querySelectorAll('.wide tr')].map((row) => [...row.cells].map((cell) => cell.innerText))"
SHOWN = [
    "ClientHello",
    "INIT ACK",
    "DATA_CHANNEL_OPEN 'messages'",
    "RTP begins",
    "selected",
    "congestion window",
    "in flight",
    "smoothed round trip",
    "chunks sent again",
    "Bitrate of what came",
    "Loss of what came",
    "Loss of what was sent",
]

pytestmark = pytest.mark.interop


def needs(is_there, what):
    if not is_there:
        drivers.skip_or_fail(f"needs {what}")


@pytest.fixture(scope="module")
def chromium(network):
    needs(drivers.CHROMIUM.exists(), "Chromium")
    with network.entered():
        browser = drivers.Chromium(*ON_LOOPBACK)
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def start_demo(network):
    """Starts a demo that records, in a process of its own."""
    needs(importlib.util.find_spec("starlette") is not None, "the extra demo")
    started = []

    def start(path):
        with network.entered():
            started.append(drivers.Demo("0", "--record", str(path)))
        return started[-1]

    yield start
    for demo in started:
        demo.kill()


def say(browser, text):
    browser.js(f"document.getElementById('message').value = {text!r}")
    browser.js("document.getElementById('message-form').requestSubmit()")
    browser.wait_for("document.querySelectorAll('#log .theirs').length > 0")


def talk(browser, demo, text):
    """Connect, send a message, and send picture and sound until they come back."""
    browser.open(demo.url)
    browser.wait_for(CONNECTED)
    say(browser, text)
    browser.wait_for(IS_SENDING)


@pytest.fixture(scope="module")
def recordings(chromium, start_demo, tmp_path_factory):
    """Of a session whose page was left, and of one whose demo was killed."""
    path = tmp_path_factory.mktemp("demo") / "session.rec"
    demo = start_demo(path)
    talk(chromium, demo, TEXT)
    chromium.call("Page.navigate", url="about:blank")
    demo.printed_until("is complete")
    talk(chromium, demo, AFTERWARDS)
    demo.process.send_signal(signal.SIGKILL)
    demo.process.wait()
    return [path, path.with_name("session-2.rec")]


@pytest.fixture(scope="module")
def recording(recordings):
    return recordings[0]


def trace(*arguments):
    """`sans-rtc trace` where all goes well; returns what it has printed."""
    with redirect_stdout(StringIO()) as printed, redirect_stderr(StringIO()) as errors:
        status = main(["trace", *map(str, arguments)])
    assert (status, errors.getvalue()) == (0, "")
    return printed.getvalue()


@pytest.fixture(scope="module")
def capture(recording):
    needs(shutil.which("tshark"), "tshark")
    path = recording.with_suffix(".pcapng")
    trace("export", recording, "--pcapng", path)
    return path


def fields(capture, shown, *names, options=()):
    """A row of these fields for each packet that tshark's filter shows."""
    asked = [part for name in names for part in ("-e", name)]
    command = ["tshark", "-n", "-r", str(capture), *options, "-Y", shown, "-T", "fields", *asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("which", [0, 1], ids=["left", "killed"])
def test_recording_replays_byte_for_byte(recordings, which):
    assert os.path.exists(f"{recordings[which]}.tail") is bool(which)
    said = re.match(r"the same: (\d+) calls, (\d+) datagrams in, (\d+) out", trace("replay", recordings[which]))
    assert all(int(count) > 50 for count in said.groups())


def test_recording_tells_of_picture_and_sound(recording):
    said = trace("info", recording)
    assert "replayable  yes" in said
    assert "PacketReceived" in said and "send_packet" in said and "ChannelMessage" in said
    assert "TrackAdded 2" in said  # by renegotiation, when it was connected
    assert said.count("signaling state: have-remote-offer") == 2


def test_tshark_opens_the_dtls_records(capture):
    records = fields(capture, "dtls.app_data", "data.data")
    assert len(records) > 10 and all(row[0] for row in records), "a record stays closed"
    assert any(TEXT.encode().hex() in row[0] for row in records)


def test_tshark_dissects_the_channels_and_their_messages(capture):
    kinds = {int(kind) for row in fields(capture, "sctp", "sctp.chunk_type") for kind in row[0].split(",")}
    assert {0, 1, 2, 3, 10, 11} <= kinds, "DATA, INIT, INIT ACK, SACK, COOKIE ECHO, COOKIE ACK"
    labels = [row[0] for row in fields(capture, "rtcdc.label", "rtcdc.label")]
    assert [label for label in labels if label] == ["echo", "messages"]
    texts = fields(capture, "sctp.data_payload_proto_id == 51", "data.data")
    assert sum(TEXT.encode().hex() in row[0] for row in texts) == 2  # there and back


def test_tshark_reads_the_media_out_of_srtp(capture):
    packets = fields(capture, "rtp", "rtp.ssrc", "rtp.p_type", "frame.interface_id")
    assert len(packets) > 50
    assert len({ssrc for ssrc, *_ in packets}) >= 4, "picture and sound, there and back"
    assert {number for *_, number in packets} == {"2"}
    reports = fields(capture, "rtcp", "rtcp.pt")
    assert {200, 201} <= {int(kind) for row in reports for kind in row[0].split(",")}, "sender and receiver reports"


def test_tshark_finds_the_picture_in_its_packets(capture):
    frames = fields(capture, "vp8.keyframe.width", "vp8.keyframe.width", options=["-d", "rtp.pt==96,vp8"])
    assert frames and all(int(width) > 0 for (width,) in frames)


def test_tshark_finds_nothing_malformed(capture):
    assert fields(capture, "_ws.malformed", "frame.number") == []


def test_report_shows_what_happened(recording, chromium):
    page = recording.with_suffix(".html")
    said = trace("report", recording, "-o", page)
    assert re.search(r"^It was connected 0\.\d+ s after the beginning\.$", said, re.MULTILINE)
    assert page.stat().st_size < 1 << 20
    chromium.size(1100)
    chromium.open(page.as_uri())
    text = chromium.js("document.body.innerText")
    for shown in SHOWN:
        assert shown in text, shown
    rows = chromium.js(TABLE)
    streams = {(row[0].split()[0], row[1]): row for row in rows[1:]}
    assert {("in", "VP8"), ("in", "opus"), ("out", "VP8"), ("out", "opus")} <= streams.keys()
    assert all(streams["in", codec][-1] == "0 (0.0 %)" for codec in ("VP8", "opus"))
    for width, is_dark in ((1100, False), (400, True)):
        chromium.size(width, is_dark=is_dark)
        assert chromium.js(WHOLE_PAGE)
    wrong = [event for event in chromium.events if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
    assert wrong == []


def test_session_with_firefox_replays_and_opens(start_demo, network, tmp_path):
    needs(shutil.which(drivers.FIREFOX), "Firefox")
    needs(shutil.which("tshark"), "tshark")
    path = tmp_path / "firefox.rec"
    demo = start_demo(path)
    with network.entered():
        browser = drivers.Firefox()
    try:
        talk(browser, demo, TEXT)
        _, status, errors = demo.stop()
        assert (status, errors) == (0, "")
    finally:
        browser.quit()
    assert trace("replay", path).startswith("the same: ")
    trace("export", path, "--pcapng", tmp_path / "x.pcapng")
    labels = fields(tmp_path / "x.pcapng", "rtcdc.label", "rtcdc.label")
    assert "messages" in [row[0] for row in labels]
    opened = fields(tmp_path / "x.pcapng", "dtls.app_data", "data.data")
    assert any(TEXT.encode().hex() in row[0] for row in opened)
