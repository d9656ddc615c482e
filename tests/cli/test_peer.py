"""`sans-rtc peer` as scripts use it: processes, lines, signals."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sans_rtc_demo.main import main

OFFER_WITHOUT_DATA = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"


def test_two_peers_connect_and_exchange_text_and_bytes(connect):
    offerer, answerer = connect(["--channel", "chat", "--channel", "files"], ["--channel", "theirs"])
    for peer in (offerer, answerer):
        peer.hear("state", connection="connected")
        opened = [peer.hear("channel") for _ in range(3)]
        assert {line["label"] for line in opened} == {"chat", "files", "theirs"}
        assert len({line["id"] for line in opened}) == 3
    offerer.say("send", label="chat", text="hé\n")
    offerer.say("send", label="chat", text="")
    answerer.say("send", label="chat", base64="AAH/")
    answerer.say("send", label="chat", base64="")
    assert [answerer.hear("message").get("text") for _ in range(2)] == ["hé\n", ""]
    assert [offerer.hear("message").get("base64") for _ in range(2)] == ["AAH/", ""]


def test_a_close_ends_both_and_what_was_sent_arrives_first(connect):
    offerer, answerer = connect()
    offerer.hear("channel", label="data")
    for index in range(100):
        offerer.say("send", label="data", text=f"{index} " + "x" * 10_000)
    offerer.say("close")
    assert offerer.hear("closed") == {"type": "closed", "reason": "closed", "detail": "", "unacknowledged_bytes": 0}
    messages = [int(answerer.hear("message")["text"].split()[0]) for _ in range(100)]
    assert messages == list(range(100))
    answerer.hear("channel-closed", label="data")
    assert answerer.hear("closed")["reason"] == "closed_by_peer"
    assert [peer.wait() for peer in (offerer, answerer)] == [0, 0]
    assert offerer.stderr == answerer.stderr == ""


def test_the_end_of_the_input_is_a_close(connect):
    offerer, answerer = connect()
    answerer.hear("channel")
    answerer.end_input()
    assert answerer.hear("closed")["reason"] == "closed"
    assert offerer.hear("closed")["reason"] == "closed_by_peer"
    assert [peer.wait() for peer in (offerer, answerer)] == [0, 0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_quietly(connect, number):
    offerer, answerer = connect()
    offerer.hear("channel")
    offerer.process.send_signal(number)
    offerer.hear("closed", reason="closed")
    answerer.hear("closed", reason="closed_by_peer")
    assert offerer.wait() == 0
    assert offerer.stderr == ""


def test_a_signal_before_any_description_ends_it_quietly(start):
    peer = start()
    peer.hear("state", connection="new")
    peer.process.send_signal(signal.SIGINT)
    peer.hear("closed")
    assert peer.wait() == 0
    assert peer.stderr == ""


def test_trickled_candidates_are_lines_and_null_ends_them(start):
    peer = start("--offer")
    assert "a=candidate" not in peer.hear("offer")["sdp"]
    candidate = peer.hear("candidate")
    assert candidate["candidate"].startswith("candidate:")
    assert candidate["sdpMLineIndex"] == 0
    assert candidate["sdpMid"] is not None
    assert peer.hear("candidate", candidate=None)


def test_without_trickling_the_descriptions_hold_the_candidates(connect):
    offerer, answerer = connect(["--no-trickle"], ["--no-trickle"])
    assert "a=candidate" in offerer.hear("offer")["sdp"]
    assert "a=candidate" in answerer.hear("answer")["sdp"]
    for peer in (offerer, answerer):
        peer.hear("channel")
        assert not [line for line in peer.lines if line["type"] == "candidate"]


def test_two_peers_connect_through_nothing_but_two_pipes(start):
    answerer = start("--echo", carries=None)
    offerer = start("--offer", other=answerer, carries=None)
    answerer.other = offerer
    for peer in (offerer, answerer):
        peer.hear("channel", label="data")
    offerer.say("send", label="data", text="hi")
    offerer.hear("message", text="hi")
    offerer.say("explain")
    offerer.hear("explain")
    answerer.say("close")
    for peer in (offerer, answerer):
        peer.hear("closed")
        assert not [line for line in peer.lines if line["type"] == "error"]
    assert len([line for line in answerer.lines if line["type"] == "explain"]) == 0


def test_echo_sends_every_message_back_as_it_came(connect):
    offerer, answerer = connect(answerer_options=["--echo"])
    offerer.hear("channel")
    offerer.say("send", label="data", text="hé")
    offerer.say("send", label="data", base64="AAH/")
    offerer.say("send", label="data", text="")
    heard = [offerer.hear("message") for _ in range(3)]
    assert [line.get("text", line.get("base64")) for line in heard] == ["hé", "AAH/", ""]
    assert answerer.hear("message")["text"] == "hé"


def test_discard_counts_instead_of_writing_out(connect):
    offerer, answerer = connect(answerer_options=["--discard"])
    offerer.hear("channel")
    for _ in range(10):
        offerer.say("send", label="data", base64=base64.b64encode(bytes(1000)).decode())
    summary = answerer.hear("summary", messages=10)
    assert summary["bytes"] == 10_000
    assert summary["bytes_per_s"] >= 0
    assert not [line for line in answerer.lines if line["type"] == "message"]


def test_a_channel_made_and_closed_by_a_request(standing):
    offerer, answerer = standing
    answerer.say("create-channel", label="c", ordered=False, max_retransmits=0, protocol="p")
    assert offerer.hear("channel", label="c")["id"] == answerer.hear("channel", label="c")["id"]
    offerer.say("send", label="c", text="hi")
    answerer.hear("message", label="c", text="hi")
    offerer.say("close-channel", label="c")
    for peer in (offerer, answerer):
        peer.hear("channel-closed", label="c")


def test_a_negotiated_channel_is_made_on_both_sides(standing):
    offerer, answerer = standing
    for peer in (offerer, answerer):
        peer.say("create-channel", label="agreed", negotiated_id=100)
        assert peer.hear("channel", label="agreed")["id"] == 100
    offerer.say("send", label="agreed", text="hi")
    answerer.hear("message", label="agreed", text="hi")


def test_a_restart_of_ice_makes_an_offer_and_the_channel_stays(connect):
    offerer, answerer = connect()
    for peer in (offerer, answerer):
        peer.hear("channel", label="data")
    before = next(line["sdp"] for line in offerer.lines if line["type"] == "offer")
    for peer, other, answer in ((offerer, answerer, "answer"), (answerer, offerer, "answer")):
        peer.say("restart-ice")
        after = peer.hear("offer")["sdp"]
        assert ufrag(after) != ufrag(before)
        other.hear(answer)
        assert peer.hear("candidate")["candidate"]
        peer.hear("candidate", candidate=None)
        before = after
        peer.say("send", label="data", text="still here")
        other.hear("message", text="still here")
    for peer in (offerer, answerer):
        assert not [line for line in peer.lines if line["type"] in ("channel-closed", "error")]


def ufrag(sdp):
    return re.search("a=ice-ufrag:(.*)\r", sdp)[1]


def test_a_restart_before_anything_is_an_error(start):
    peer = start()
    peer.say("restart-ice")
    assert "nothing to restart" in peer.hear("error")["message"]


def test_a_change_of_the_network_that_changes_nothing_changes_nothing(connect):
    offerer, answerer = connect()
    offerer.hear("channel", label="data")
    offerer.say("network-changed")
    offerer.say("send", label="data", text="still here")
    answerer.hear("message", text="still here")
    offerer.say("close")
    offerer.hear("closed", reason="closed")
    assert offerer.wait() == 0
    assert offerer.stderr == ""


def test_tcp_candidates_are_made_where_they_are_asked_for(connect):
    offerer, answerer = connect(["--tcp", "--no-trickle"], ["--no-trickle"])
    offer = offerer.hear("offer")["sdp"]
    assert "tcptype passive" in offer
    assert "tcptype active" in offer
    assert "tcptype" not in answerer.hear("answer")["sdp"]
    offerer.hear("channel", label="data")


def test_a_lite_peer_says_so_and_is_found(connect):
    offerer, answerer = connect(["--no-trickle"], ["--lite", "--no-trickle"])
    assert "a=ice-lite" in answerer.hear("answer")["sdp"]
    for peer in (offerer, answerer):
        peer.hear("channel", label="data")


def test_hidden_addresses_are_told_as_names_and_found(connect):
    offerer, answerer = connect(*[["--hide-addresses", "--no-trickle"]] * 2)
    for peer, kind in ((offerer, "offer"), (answerer, "answer")):
        candidates = re.findall("a=candidate.*", peer.hear(kind)["sdp"])
        assert candidates and all(line.split()[4].endswith(".local") for line in candidates)
    for peer in (offerer, answerer):
        peer.hear("channel", label="data")


def test_relay_only_tells_nothing_of_this_machine(start):
    peer = start("--offer", "--relay-only", "--no-trickle")
    offer = peer.hear("offer")["sdp"]
    assert "a=candidate" not in offer
    assert "127.0.0.1" not in offer.replace("o=- ", "").replace("IN IP4 127.0.0.1", "")


def test_explain_tells_how_it_stands(standing):
    offerer, _ = standing
    offerer.say("explain")
    explanation = offerer.hear("explain")
    assert "127.0.0.1" in explanation["text"]
    assert isinstance(explanation["likely_cause"], str)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"hello", "not JSON"),
        (b'{"type": "dance"}', "unknown type 'dance'"),
        (b'{"type": "offer", "sdp": "v=1"}', ""),
        (json.dumps({"type": "offer", "sdp": "x" * 2000}).encode(), ""),
        (json.dumps({"type": "offer", "sdp": OFFER_WITHOUT_DATA * 2}).encode(), ""),
        (b'{"type": "answer", "sdp": "v=0"}', ""),
        (b'{"type": "candidate", "candidate": "candidate:nonsense", "sdpMid": "0"}', ""),
        (b'{"type": "send", "label": "nobody", "text": "hi"}', "no channel 'nobody' is open"),
        (b'{"type": "close-channel", "label": "nobody"}', "no channel 'nobody' is open"),
        (b'{"type": "create-channel", "label": "a", "max_retransmits": 1, "lifetime_s": 1}', "not both"),
        (b'{"type": "create-channel", "label": "a", "negotiated_id": 70000}', "70000"),
        (b"x" * (1 << 20) + b"y", "longer than"),
    ],
    ids=["json", "type", "sdp", "long sdp", "sdp twice", "answer", "candidate", "send", "close", "both", "id", "long"],
)
def test_bad_input_gets_one_line_here_and_there_and_the_peer_goes_on(patient_peer, line, says):
    peer, complaints = patient_peer
    peer.say_raw(line)
    message = peer.hear("error")["message"]
    assert says in message
    assert "\n" not in message
    peer.say("explain")
    peer.hear("explain")
    complaints.append(f"sans-rtc peer: {message}\n")


def test_bad_input_in_the_middle_does_not_disturb_a_connection(standing):
    offerer, answerer = standing
    for peer in (offerer, answerer):
        peer.say_raw(b"\xff\x00")
        peer.say("candidate", candidate="candidate:1 1 udp 1 999.1.1.1 1 typ host", sdpMid="no such")
        peer.say("answer", sdp="v=0")
        for _ in range(3):
            peer.hear("error")
    for peer, other in ((offerer, answerer), (answerer, offerer)):
        peer.say("send", label="data", text="still here")
        other.hear("message", text="still here")


def test_sending_before_the_channel_is_open_is_an_error_and_does_not_block(start):
    peer = start("--offer")
    peer.hear("offer")
    peer.say("send", label="data", text="early")
    assert "no channel 'data' is open" in peer.hear("error")["message"]


def test_requests_from_a_file_are_followed_and_then_it_closes(start, tmp_path):
    offerer = start("--offer", "--no-trickle")
    path = tmp_path / "requests.jsonl"
    path.write_text(json.dumps(offerer.hear("offer")) + "\n")
    with path.open("rb") as file:
        answerer = start("--no-trickle", stdin=file)
        assert "a=candidate" in answerer.hear("answer")["sdp"]
        answerer.hear("closed")
        assert answerer.wait() == 0


def test_a_terminal_as_input_works(start):
    ours, theirs = os.openpty()
    try:
        peer = start("--offer", stdin=theirs)
        peer.hear("offer")
        os.write(ours, b'{"type": "explain"}\n')
        peer.hear("explain")
        os.write(ours, b"\x04")  # ^D
        peer.hear("closed")
        assert peer.wait() == 0
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_reader_that_goes_away_ends_it(start):
    peer = start("--offer")
    peer.hear("candidate", candidate=None)
    command = [sys.executable, "-m", "sans_rtc_demo.main", "peer", "--offer", "--bind", "127.0.0.1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b'{"type": "explain"}\n' * 10)
        process.stdin.flush()
        assert process.wait(15) == 0
        assert process.stderr.read() == b""


def until_waiting(pid):
    """Wait until a process uses no time any more: it has all it wants to do before it, and waits for somebody."""
    stat, used, unchanged = Path(f"/proc/{pid}/stat"), None, 0
    if not stat.exists():
        pytest.skip("needs /proc")
    while unchanged < 5:
        time.sleep(0.05)
        now = stat.read_text().rpartition(")")[2].split()[11:13]  # user and system time
        used, unchanged = now, unchanged + 1 if now == used else 0


def test_a_reader_that_never_reads_does_not_keep_it_from_ending(tmp_path):
    path = tmp_path / "requests.jsonl"
    path.write_text('{"type": "explain"}\n' * 10_000)  # several times what is kept for a slow reader
    command = [sys.executable, "-m", "sans_rtc_demo.main", "peer", "--offer", "--bind", "127.0.0.1"]
    with (
        path.open("rb") as file,
        subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        process.stdout.readline()  # it is up
        until_waiting(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert process.stderr.read() == b""


def test_an_address_of_another_machine_is_refused(start):
    peer = start("--offer", "--bind", "192.0.2.1", is_on_loopback=False)
    assert peer.hear("error")["message"]
    peer.hear("closed")
    assert peer.wait() == 1


def test_the_port_asked_for_is_used(start):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    peer = start("--offer", "--no-trickle", "--port", str(port))
    assert f" 127.0.0.1 {port} typ host" in peer.hear("offer")["sdp"]


@pytest.mark.parametrize(
    "options",
    [
        ("--stun", "http://example.org"),
        ("--port", "70000"),
        ("--bind", "nowhere"),
        ("--turn", "turn:127.0.0.1"),
        ("--turn", "stun://127.0.0.1", "--turn-user", "a", "--turn-password", "b"),
        ("--tls-ca", "/nowhere.pem"),
        ("--proxy", "socks5://127.0.0.1"),
    ],
    ids=lambda options: f"{options[0]} {options[1]}",
)
def test_an_option_that_cannot_be_is_refused_with_one_line(capfd, options):
    assert main(["peer", *options]) == 2
    printed, errors = capfd.readouterr()
    assert printed == ""
    assert errors.startswith("sans-rtc peer: ")
    assert errors.count("\n") == 1
