"""Entropy as an argument, and the errors: who is at fault, and what they carry."""

import pytest

from sans_rtc.entropy import ICE_CHARS, draw_below, draw_fraction, draw_text, draw_uint
from sans_rtc.errors import (
    InvalidArgument,
    InvalidState,
    LimitExceeded,
    LocalError,
    Malformed,
    SansRtcError,
    Truncated,
    Unsupported,
    WireError,
)
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.testing import SeededEntropy

# --- entropy


def fixed(data):
    """Entropy that hands out these bytes, and says when it is asked for more."""
    left = [data]

    def draw(length):
        assert length <= len(left[0]), "more entropy is drawn than expected"
        taken, left[0] = left[0][:length], left[0][length:]
        return taken

    draw.left = left
    return draw


@pytest.mark.parametrize(("bits", "expected"), [(8, 0x01), (16, 0x0123), (32, 0x01234567), (64, 0x0123456789ABCDEF)])
def test_uint_is_big_endian_and_draws_no_more_than_its_bits(bits, expected):
    entropy = fixed(bytes.fromhex("0123456789abcdef"))
    assert draw_uint(entropy, bits) == expected
    assert len(entropy.left[0]) == 8 - bits // 8


@pytest.mark.parametrize("bits", [0, -8, 7, 12])
def test_uint_of_odd_bits_is_refused(bits):
    with pytest.raises(InvalidArgument):
        draw_uint(SeededEntropy(1), bits)


@pytest.mark.parametrize("limit", [1, 2, 3, 10, 255, 256, 257, 10**9, 2**64])
def test_below_stays_below(limit):
    entropy = SeededEntropy(limit)
    drawn = [draw_below(entropy, limit) for _ in range(300)]
    assert all(0 <= value < limit for value in drawn)
    if limit <= 10:
        assert set(drawn) == set(range(limit))


@pytest.mark.parametrize("limit", [0, -1])
def test_below_nothing_is_refused(limit):
    with pytest.raises(InvalidArgument):
        draw_below(SeededEntropy(1), limit)


def test_below_is_even():
    entropy = SeededEntropy("even")
    counts = [0] * 6
    for _ in range(6000):
        counts[draw_below(entropy, 6)] += 1
    # Standard deviation of each count is 29; five of them.
    assert all(850 < count < 1150 for count in counts)


def test_fraction_is_from_zero_up_to_not_including_one():
    assert draw_fraction(fixed(bytes(8))) == 0.0
    assert draw_fraction(fixed(b"\xff" * 8)) == 1.0 - 2**-53
    assert draw_fraction(fixed(b"\x80" + bytes(7))) == 0.5


def test_text_uses_the_whole_alphabet_evenly():
    assert len(ICE_CHARS) == len(set(ICE_CHARS)) == 64
    assert draw_text(fixed(bytes(range(256))), 256) == ICE_CHARS * 4
    assert draw_text(SeededEntropy(1), 0) == ""


def test_text_of_an_alphabet_that_would_be_biased_is_refused():
    assert draw_text(fixed(b"\0\1\2\3"), 4, "01") == "0101"
    with pytest.raises(InvalidArgument):
        draw_text(SeededEntropy(1), 4, "abc")


@pytest.mark.parametrize("draw", [lambda e: draw_uint(e, 32), lambda e: draw_below(e, 99), draw_fraction])
def test_equal_entropy_gives_equal_draws(draw):
    assert draw(SeededEntropy(5)) == draw(SeededEntropy(5))
    assert draw(SeededEntropy(5)) != draw(SeededEntropy(6))


# --- errors


@pytest.mark.parametrize("error", [InvalidState, InvalidArgument, LimitExceeded])
def test_local_errors_are_the_callers_fault(error):
    assert issubclass(error, LocalError) and not issubclass(error, WireError)


@pytest.mark.parametrize("error", [Truncated, Malformed, Unsupported])
def test_wire_errors_are_the_bytes_fault(error):
    assert issubclass(error, WireError) and not issubclass(error, LocalError)


def test_every_error_is_of_the_library_and_wrong_values_are_value_errors():
    assert issubclass(LocalError, SansRtcError) and issubclass(WireError, SansRtcError)
    assert issubclass(InvalidArgument, ValueError) and issubclass(WireError, ValueError)
    assert not issubclass(InvalidState, ValueError)


def test_wire_error_tells_field_and_offset():
    error = Malformed("a length of 7", field="length", offset=2)
    assert (str(error), error.field, error.offset) == ("a length of 7", "length", 2)
    assert (Truncated("x").field, Truncated("x").offset) == ("", -1)


# --- addresses and paths


def test_address_is_a_tuple_with_a_family_and_a_text():
    assert Address("192.0.2.1", 5) == ("192.0.2.1", 5)
    assert (Address("192.0.2.1", 5).family, str(Address("192.0.2.1", 5))) == (4, "192.0.2.1:5")
    assert (Address("2001:db8::1", 5).family, str(Address("2001:db8::1", 5))) == (6, "[2001:db8::1]:5")


def test_path_is_a_value_that_can_be_reversed():
    path = Path(Address("192.0.2.1", 1), Address("192.0.2.2", 2), "tcp")
    assert path == Path(Address("192.0.2.1", 1), Address("192.0.2.2", 2), "tcp")
    assert len({path, Path(Address("192.0.2.1", 1), Address("192.0.2.2", 2), "tcp")}) == 1
    assert path.reversed() == Path(path.remote, path.local, "tcp")
    assert path.reversed().reversed() == path
    assert path != Path(path.local, path.remote, "udp")


def test_datagram_is_not_ecn_capable_unless_said():
    path = Path(Address("192.0.2.1", 1), Address("192.0.2.2", 2))
    assert Datagram(b"x", path).ecn == 0
    assert Datagram(b"x", path) == Datagram(b"x", path, 0) != Datagram(b"x", path, 3)
