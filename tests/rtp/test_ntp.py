"""NTP timestamps and the clocks of streams."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp import (
    RtpClock,
    WallClock,
    abs_send_time,
    abs_send_time_s,
    ntp_from_unix,
    round_trip_s,
    seconds_from_short,
    short_from_seconds,
    short_ntp,
    unix_from_ntp,
)


def test_unix_epoch_is_2208988800_seconds_of_ntp():
    assert ntp_from_unix(0.0) == 2_208_988_800 << 32


@given(st.floats(0.0, 4e9))
@settings(max_examples=100, deadline=None)
def test_unix_time_comes_back_through_both_eras_of_ntp(unix_s):
    assert unix_from_ntp(ntp_from_unix(unix_s)) == pytest.approx(unix_s, abs=1e-5)


def test_middle_of_ntp_is_16_bits_of_seconds_and_of_fraction():
    assert short_ntp(0x1111222233334444) == 0x22223333


def test_duration_in_65536ths_is_bounded():
    assert [short_from_seconds(s) for s in (-1.0, 1.5, 1e9)] == [0, 0x18000, 0xFFFFFFFF]
    assert seconds_from_short(0x18000) == 1.5


def test_round_trip_of_the_example_in_rfc_3550_figure_2():
    assert round_trip_s(0xB7108000, 0xB7052000, 0x00054000) == pytest.approx(6.125)


def test_abs_send_time_has_18_bits_of_fraction():
    ntp = 0x0000000140000000 | 0x40 << 32
    assert abs_send_time(ntp) == 1 << 18 | 1 << 16
    assert abs_send_time_s(abs_send_time(ntp)) == 1.25


def test_wall_clock_is_an_offset():
    clock = WallClock(1_700_000_000.0)
    assert clock.now_of(clock.ntp(12.5)) == pytest.approx(12.5, abs=1e-5)


def test_stream_lies_on_the_wall_clock_after_its_report():
    clock = RtpClock(90000)
    assert clock.unix_of(0) is None
    clock.report_received(ntp_from_unix(1000.0), 0xFFFFFFFF - 44999)
    assert clock.unix_of(45000) == pytest.approx(1001.0)
    assert clock.unix_of(0xFFFFFFFF - 89999) == pytest.approx(999.5)
    clock.report_received(ntp_from_unix(2000.0), 90000)
    assert clock.unix_of(0) == pytest.approx(1999.0)


def test_sender_without_a_wall_clock_tells_no_time():
    clock = RtpClock(90000)
    clock.report_received(0, 1)
    assert clock.unix_of(1) is None


def test_clock_rate_of_zero_is_refused():
    with pytest.raises(InvalidArgument):
        RtpClock(0)
