"""`sans-rtc peer` through `sans-rtc turn-server`: relays alone, over UDP and TCP."""

import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def relay_urls():
    """The URLs of a relay in a process of its own."""
    options = ["--bind", "127.0.0.1", "--port", "0", "--user", "alice:secret", "--allow-loopback-peers"]
    with subprocess.Popen(
        [sys.executable, "-m", "sans_rtc_demo.main", "turn-server", *options], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process.stdout.readline().split()[2:]
        finally:
            process.terminate()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_two_peers_talk_through_a_relay_alone(connect, relay_urls, transport):
    url = next(url for url in relay_urls if url.endswith(transport))
    options = ["--turn", url, "--turn-user", "alice", "--turn-password", "secret", "--relay-only"]
    offerer, answerer = connect(options, options)
    for peer in (offerer, answerer):
        peer.hear("channel", label="data")
        candidates = [line["candidate"] for line in peer.lines if line["type"] == "candidate" and line["candidate"]]
        assert candidates
        assert all(" typ relay " in candidate for candidate in candidates)
    offerer.say("send", label="data", text="hi")
    answerer.hear("message", text="hi")
    offerer.say("explain")
    assert url in offerer.hear("explain")["text"]


def test_credentials_come_from_the_environment_too(start, relay_urls, monkeypatch):
    monkeypatch.setenv("SANS_RTC_TURN_USERNAME", "alice")
    monkeypatch.setenv("SANS_RTC_TURN_PASSWORD", "secret")
    peer = start("--offer", "--turn", relay_urls[0], "--relay-only", "--no-trickle")
    assert " typ relay " in peer.hear("offer")["sdp"]


def test_wrong_password_is_explained(start, relay_urls):
    options = ["--turn", relay_urls[1], "--turn-user", "alice", "--turn-password", "wrong", "--relay-only"]
    peer = start("--offer", "--no-trickle", *options)
    assert "a=candidate" not in peer.hear("offer")["sdp"]
    peer.say("explain")
    text = peer.hear("explain")["text"]
    assert relay_urls[1] in text
    assert "401" in text
