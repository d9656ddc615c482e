"""Configuration and credentials: what is refused when made; the ephemeral credentials of the TURN REST API."""

import base64
import hashlib
import hmac

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Path
from sans_rtc.turn import Client, TurnConfig, ephemeral_credentials


@pytest.mark.proves("RFC8656-7.1-9-c006", "RFC8656-7.1-10-65de", "RFC8656-7.1-12-2f61")
@pytest.mark.parametrize(
    "changes",
    [
        {"username": "u"},
        {"password": "p"},
        {"username": "u" * 509, "password": "p"},
        {"username": "u\0", "password": "p"},
        {"transport": "sctp"},
        {"families": ()},
        {"families": (5,)},
        {"families": (4, 6), "reserve_next": True},
        {"families": (4, 6), "reservation_token": b"12345678"},
        {"reservation_token": b"1234567"},
        {"reservation_token": b"12345678", "even_port": True},
        {"reservation_token": b"12345678", "reserve_next": True},
        {"transport": "tcp", "even_port": True},
        {"transport": "tcp", "dont_fragment": True},
        {"transport": "tcp", "reservation_token": b"12345678"},
        {"software": "x" * 128},
        {"lifetime_s": 0},
        {"refresh_margin_s": 0.0},
        {"permission_refresh_s": 300.0},
        {"channel_refresh_s": 600.0},
        {"idle_s": 0.0},
        {"keepalive_s": 0.5},
        {"channel_after": 0},
        {"redirect_count_max": 17},
        {"request_window": 0},
        {"peer_count_max": 4097},
        {"connection_count_max": 0},
        {"queued_datagram_count_max": -1},
        {"queued_bytes_max": -1},
        {"stream_frame_bytes_max": 1023},
    ],
)
def test_configuration_that_cannot_work_is_refused(changes):
    with pytest.raises(InvalidArgument):
        TurnConfig(**changes)


def test_password_is_not_shown():
    assert "secret" not in repr(TurnConfig(username="alice", password="secret"))


def test_server_without_an_ip_address_is_refused():
    with pytest.raises(InvalidArgument):
        Client(TurnConfig(), Path(Address("192.0.2.1", 1), Address("turn.example", 3478)), entropy=bytes)


def test_ephemeral_credentials_are_the_drafts():
    username, password = ephemeral_credentials("shared", 1_700_000_000.9, 3600, "fred")
    assert username == "1700003600:fred"
    assert password == base64.b64encode(hmac.new(b"shared", username.encode(), hashlib.sha1).digest()).decode()
    assert ephemeral_credentials(b"shared", 1_700_000_000, 3600, "fred") == (username, password)


def test_ephemeral_credentials_without_a_user_are_the_expiry_alone():
    assert ephemeral_credentials("shared", 1_700_000_000)[0] == "1700086400"


@pytest.mark.parametrize("arguments", [("", 0.0), ("s", 0.0, 0), ("s", 0.0, -1)])
def test_ephemeral_credentials_of_nothing_are_refused(arguments):
    with pytest.raises(InvalidArgument):
        ephemeral_credentials(*arguments)
