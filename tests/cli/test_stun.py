"""`sans-rtc stun`: asks a real server over loopback, and says plainly what cannot be found out."""

import json
import re
import socket
import subprocess
import sys

import pytest

from sans_rtc.machine import Address
from sans_rtc.stun import Dependence, NatBehavior
from sans_rtc_demo import stun_command
from sans_rtc_demo.main import main

HOSTS = ("127.0.0.1", "127.0.0.2")


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOSTS[0], 0))
        return probe.getsockname()[1]


def start_server(*options):
    command = [sys.executable, "-m", "sans_rtc_demo.main", "turn-server", "--user", "a:b", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    said = process.stdout.readline()
    return process, int(re.search(r"127\.0\.0\.1:(\d+)\?transport=udp", said).group(1))


def stop(process):
    process.terminate()
    process.wait(10)
    process.stdout.close()


@pytest.fixture(scope="module")
def plain_server():
    process, port = start_server("--bind", HOSTS[0])
    yield port
    stop(process)


def test_address_and_round_trip_are_told(plain_server, capsys):
    assert main(["stun", f"stun:127.0.0.1:{plain_server}"]) == 0
    said = capsys.readouterr().out
    assert "round trip" in said and "(the same: no NAT)" in said


def test_server_without_a_second_address_is_said_to_tell_no_more(plain_server, capsys):
    main(["stun", f"127.0.0.1:{plain_server}"])
    assert "no second address" in capsys.readouterr().out


def test_server_with_two_addresses_tells_everything(capsys):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((HOSTS[1], 0))
    except OSError:
        pytest.skip("this loopback interface has one address")
    process, port = start_server("--bind", HOSTS[0], "--bind", HOSTS[1], "--alternate-port", str(free_port()))
    try:
        assert main(["stun", f"stun:127.0.0.1:{port}", "--json"]) == 0
    finally:
        stop(process)
    found = json.loads(capsys.readouterr().out)
    assert found["kind"] == "no NAT"
    assert found["mapping"] == found["filtering"] == "endpoint-independent"
    assert found["mapped"] == found["local"] and 0 < found["rtt_ms"] < 1000


def test_silence_is_told_and_the_status_says_so(capsys):
    assert main(["stun", f"stun:127.0.0.1:{free_port()}", "--timeout", "0.1"]) == 1
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["turns:example.org", "stuns:127.0.0.1", "stun:", "stun://x/y"])
def test_other_urls_are_refused_with_a_reason(url, capsys):
    assert main(["stun", url]) == 2
    assert capsys.readouterr().err.startswith("sans-rtc stun: ")


def test_family_that_the_server_lacks_is_told(capsys):
    assert main(["stun", "stun:127.0.0.1", "--family", "6"]) == 1
    assert capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "61"])
def test_timeout_has_bounds(text):
    with pytest.raises(SystemExit):
        main(["stun", "stun:127.0.0.1", "--timeout", text])


def test_nat_that_needs_a_relay_is_said_to():
    apd = Dependence.ADDRESS_AND_PORT_DEPENDENT
    server = Address("198.51.100.1", 3478)
    found = NatBehavior(Address("10.0.0.2", 1), Address("203.0.113.1", 2), Address("198.51.100.2", 3479), apd, apd)
    said = stun_command._as_text(server, found)
    assert "symmetric NAT" in said and "relay (TURN) only" in said and "hairpinning     not known" in said
