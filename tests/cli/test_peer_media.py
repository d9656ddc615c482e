"""`sans-rtc peer` with audio and video: played, echoed, recorded, counted, asked for keyframes."""

import argparse
import importlib.util
import json
import sys

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc_demo.main import main
from sans_rtc_demo.peer_command import MEDIA_SUFFIXES
from sans_rtc_demo.peer_options import media_options, session_recording
from sans_rtc_demo.peer_requests import BadRequest, parse_request

needs_av = pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="PyAV is not installed: sans-rtc[av]")


def options(**given):
    chosen = {"audio": False, "video": False, "media_echo": False, "play": None, "record": []}
    return argparse.Namespace(**chosen | given)


@needs_av
def test_what_is_played_is_echoed_counted_and_recorded(connect, tmp_path):
    import av

    path = tmp_path / "back.mkv"
    offerer, answerer = connect(["--play", "test", "--record", str(path)], ["--media-echo"])
    for peer in (offerer, answerer):
        tracks = [peer.hear("track") for _ in range(2)]
        assert [(line["kind"], line["mid"]) for line in tracks] == [("audio", "0"), ("video", "1")]
    for peer in (offerer, answerer):
        line = peer.hear("media", kind="video", mid="1")
        assert line["frames"] > 5 and line["packets"] >= line["frames"] and line["bytes"] > 1000
        assert line["bitrate_bps"] > 10_000
    offerer.say("request-keyframe", mid="1")
    offerer.hear("keyframe-requested", mid="1")  # of the echo, which passes it on to the encoder
    answerer.hear("keyframe-requested", mid="1")
    answerer.say("stats")
    stats = answerer.hear("stats")["stats"]
    assert {"inbound-rtp", "outbound-rtp", "codec", "transport"} <= {entry["type"] for entry in stats}
    offerer.say("close")
    recorded = [offerer.hear("recorded") for _ in range(2)]
    assert [(line["kind"], line["codec"]) for line in recorded] == [("audio", "opus"), ("video", "VP8")]
    assert all(line["frames"] > 5 and line["duration_s"] > 0.2 for line in recorded)
    offerer.hear("closed", reason="closed")
    answerer.hear("closed", reason="closed_by_peer")
    assert [peer.wait() for peer in (offerer, answerer)] == [0, 0]
    assert offerer.stderr == answerer.stderr == ""
    with av.open(str(path)) as container:
        assert {stream.type for stream in container.streams} == {"audio", "video"}
        assert sum(len(packet.decode()) for packet in container.demux(video=0)) > 5


@needs_av
def test_a_file_is_played_to_its_end_in_its_own_format(connect, tmp_path):
    from sans_rtc_av import PictureSource, Recorder, SourcePlayer

    film = SourcePlayer(PictureSource(64, 48), duration_s=0.5)
    film.choose(video="H264")
    with Recorder(tmp_path / "film.mp4") as recorder:
        track = recorder.add_track("H264")
        for frame in film.frames():
            recorder.write(track, frame.data, frame.timestamp)
    play, record = ["--play", str(tmp_path / "film.mp4")], ["--video", "--record", str(tmp_path / "x.mp4")]
    offerer, answerer = connect(play, record)
    assert offerer.hear("played")["frames"] == 15
    answerer.hear("media", kind="video")
    answerer.say("close")
    line = answerer.hear("recorded")
    assert (line["kind"], line["codec"], line["frames"]) == ("video", "H264", 15)


def test_kinds_that_were_not_asked_for_are_refused_and_the_rest_goes_on(connect):
    offerer, answerer = connect(["--audio", "--video", "--media-echo"], ["--video"])
    for peer in (offerer, answerer):
        peer.hear("channel", label="data")
    answer = next(line["sdp"] for line in answerer.lines if line["type"] == "answer")
    assert "m=audio 0 " in answer and "m=video 9 " in answer
    assert [line["kind"] for line in answerer.lines if line["type"] == "track"] == ["video"]
    answerer.say("request-keyframe", mid="nothing")
    assert "no media section 'nothing'" in answerer.hear("error")["message"]


def test_without_these_options_media_of_an_offer_are_refused(connect):
    offerer, answerer = connect(["--video", "--media-echo"])
    for peer in (offerer, answerer):
        peer.hear("channel", label="data")
    assert "m=video 0 " in next(line["sdp"] for line in answerer.lines if line["type"] == "answer")
    assert not [line for line in answerer.lines if line["type"] in ("track", "error")]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--media-echo", "--play", "test"], "choose one"),
        (["--record", "a.webm", "--record", "b.mkv"], "a.webm and b.mkv"),
        (["--record", "no/such/folder/a.webm"], "no folder no/such/folder"),
        (["--play", "no-such-file.mp4"], "no-such-file.mp4"),
    ],
    ids=["two-senders", "two-recordings", "no-folder", "no-file"],
)
@needs_av
def test_what_cannot_be_is_said_at_once(arguments, says, capfd):
    assert main(["peer", *arguments]) == 2
    printed, errors = capfd.readouterr()
    assert printed == ""
    assert says in errors and len(errors.splitlines()) == 1


@pytest.mark.parametrize("given", [{"play": "test"}, {"record": ["x.webm"]}], ids=["play", "record"])
def test_without_codecs_the_extra_is_named(monkeypatch, given):
    monkeypatch.setitem(sys.modules, "sans_rtc_av", None)
    with pytest.raises(InvalidArgument, match=r"sans-rtc\[av\]"):
        media_options(options(**given))


def test_without_codecs_echo_is_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "sans_rtc_av", None)
    assert media_options(options(media_echo=True)).kinds == ("audio", "video")
    assert media_options(options(media_echo=True, video=True)).kinds == ("video",)
    assert media_options(options()).kinds == ()


@needs_av
def test_kinds_follow_from_the_files(tmp_path):
    assert media_options(options(record=[str(tmp_path / "x.wav")])).kinds == ("audio",)
    assert media_options(options(record=[str(tmp_path / "x.ivf")])).kinds == ("video",)
    assert media_options(options(play="test")).kinds == ("audio", "video")
    assert media_options(options(play="test", audio=True)).kinds == ("audio",)


def test_a_recording_of_the_session_is_told_from_one_of_media():
    assert session_recording(options(record=["x.webm", "session.rec"])) == "session.rec"
    assert session_recording(options(record=["X.MKV"])) is None
    with pytest.raises(InvalidArgument, match="choose one"):
        session_recording(options(record=["a.rec", "b.rec"]))


@needs_av
def test_the_endings_of_media_are_those_that_a_recorder_takes():
    from sans_rtc_av.containers import FILE_FORMATS

    assert set(MEDIA_SUFFIXES) == set(FILE_FORMATS)


@pytest.mark.parametrize("kind", ["track", "media", "keyframe-requested", "played", "recorded"])
def test_what_another_peer_says_of_media_is_left_out(kind):
    assert parse_request(json.dumps({"type": kind, "mid": "0"}).encode()) is None


def test_statistics_are_no_request_for_statistics():
    assert parse_request(b'{"type": "stats", "stats": []}') is None
    assert parse_request(b'{"type": "stats"}').kind == "stats"
    with pytest.raises(BadRequest, match='"mid" is missing'):
        parse_request(b'{"type": "request-keyframe"}')
