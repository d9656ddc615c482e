"""Every value of the configuration is checked when it is made."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.ice import AddressFilter, AddressRewrite, CandidateType, IceConfig, Parameters, StunServer
from sans_rtc.ice.config import CHECK_SCHEDULE, GATHERING_SCHEDULE, total_s
from sans_rtc.ice.parameters import draw_parameters
from sans_rtc.stun.transaction import RetransmissionSchedule
from sans_rtc.testing import SeededEntropy


@pytest.mark.parametrize(
    "change",
    [
        {"check_pace_s": 0.004},
        {"check_pace_s": 61.0},
        {"failed_after_s": 31.0},
        {"disconnected_after_s": 30.0},
        {"disconnected_after_s": 1.0},
        {"liveness_interval_s": 0.0},
        {"liveness_interval_s": None},  # every 5 s, which is longer than disconnected_after_s
        {"nomination_wait_s": -1.0},
        {"patience_s": -1.0},
        {"name_timeout_s": -0.1},
        {"pair_count_max": 0},
        {"local_address_count_max": 0},
        {"transaction_count_max": 1},
        {"early_datagram_count_max": -1},
        {"early_bytes_max": -1},
        {"stun_servers": (StunServer("192.0.2.1"),) * 16},
    ],
)
def test_value_out_of_range(change):
    with pytest.raises(InvalidArgument):
        IceConfig(**change)


def test_checks_by_the_interval_of_rfc_7675_need_a_later_disconnected():
    config = IceConfig(liveness_interval_s=None, disconnected_after_s=15.0)
    assert config.confirmation_interval_s == 5.0


@pytest.mark.parametrize(
    "change", [{"families": ()}, {"families": (5,)}, {"port_min": 10, "port_max": 9}, {"port_min": 0}]
)
def test_filter_out_of_range(change):
    with pytest.raises(InvalidArgument):
        AddressFilter(**change)


@pytest.mark.parametrize(
    "fields",
    [
        ("10.0.0.1", "name"),
        ("name", "10.0.0.1"),
        ("10.0.0.1", "2001:db8::1"),
        ("10.0.0.1", "203.0.113.1", "replace", CandidateType.RELAYED),
    ],
)
def test_rewriting_that_cannot_be(fields):
    with pytest.raises(InvalidArgument):
        AddressRewrite(*fields)


@pytest.mark.parametrize("fields", [("", 1), ("192.0.2.1", 0), ("192.0.2.1", 65536), ("a b", 1)])
def test_server_that_cannot_be(fields):
    with pytest.raises(InvalidArgument):
        StunServer(*fields)


def test_default_port_of_a_server():
    assert StunServer("stun.example.org").port == 3478


@pytest.mark.parametrize(
    "fields",
    [
        ("abc", "p" * 22),
        ("a" * 257, "p" * 22),
        ("abcd", "p" * 21),
        ("abcd", "p" * 257),
        ("ab:d", "p" * 22),
        ("ab d", "p" * 22),
        ("abcd", "p" * 21 + "ß"),
        ("abcd", "p" * 22, False, 0.0),
    ],
)
def test_parameters_that_cannot_be(fields):
    with pytest.raises(InvalidArgument):
        Parameters(*fields)


def test_password_is_not_in_the_repr():
    assert "secret" not in repr(Parameters("abcd", "secret" * 4))


@pytest.mark.proves("ICE-SDP-5.4-3-5726")
@pytest.mark.proves("RFC8445-5.3-2-4766")
def test_drawn_parameters_have_the_randomness_that_rfc_8445_asks_for():
    """At least 24 bits for the fragment and 128 for the password, at 6 bits a character (RFC 8839 section 5.4)."""
    drawn = draw_parameters(SeededEntropy(1), is_lite=False, check_pace_s=None)
    assert 6 * len(drawn.ufrag) >= 24
    assert 6 * len(drawn.pwd) >= 128
    assert draw_parameters(SeededEntropy(2), is_lite=False, check_pace_s=None) != drawn


def test_lengths_of_the_schedules():
    assert total_s(CHECK_SCHEDULE) == 17.5
    assert total_s(GATHERING_SCHEDULE) == 6.5
    assert total_s(RetransmissionSchedule()) == 39.5  # RFC 8489 section 6.2.1


def test_patience_is_the_length_of_a_transaction_unless_given():
    """RFC 8863 section 4: recommended is the agent's transaction timeout, all retransmissions included."""
    assert IceConfig().patience_effective_s == 17.5
    assert IceConfig(patience_s=3.0).patience_effective_s == 3.0
