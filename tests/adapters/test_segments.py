import pytest
from hypothesis import given
from hypothesis import strategies as st

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc_net.segments import RUN_BYTES_MAX, SEGMENT_COUNT_MAX, coalesced_size, run_end, segment_control, split

HERE, THERE, ELSEWHERE = Address("10.0.0.1", 1), Address("10.0.0.2", 2), Address("10.0.0.3", 3)
PATH = Path(HERE, THERE)


def batch(*sizes, path=PATH):
    return [Datagram(bytes(size), path) for size in sizes]


@pytest.mark.parametrize(
    ("sizes", "end"),
    [
        ((5,), 1),
        ((5, 5, 5), 3),
        ((5, 5, 3), 3),
        ((5, 5, 3, 5), 3),
        ((5, 5, 6), 2),
        ((5, 0, 5), 1),
        ((0, 0), 1),
        ((1200,) * 64, 54),
        ((100,) * 80, SEGMENT_COUNT_MAX),
        ((40_000, 40_000), 1),
        ((65_000, 1), 1),
        ((65_500, 65_500), 1),
    ],
)
def test_run_is_of_equal_sizes_with_a_smaller_last(sizes, end):
    assert end == run_end(batch(*sizes), 0)


def test_run_ends_where_the_path_changes():
    assert run_end(batch(5, 5) + batch(5, path=Path(HERE, ELSEWHERE)), 0) == 2


def test_run_goes_on_over_an_equal_path_that_is_another_object():
    assert run_end(batch(5) + batch(5, path=Path(HERE, THERE)), 0) == 2


def test_run_ends_where_the_ecn_field_changes():
    assert run_end([Datagram(b"12", PATH, 0), Datagram(b"34", PATH, 1)], 0) == 1


@given(st.lists(st.integers(0, 2000), min_size=1, max_size=200), st.data())
def test_every_run_keeps_the_kernels_limits(sizes, data):
    datagrams = batch(*sizes)
    start = data.draw(st.integers(0, len(sizes) - 1))
    end = run_end(datagrams, start)
    run = [len(d.data) for d in datagrams[start:end]]
    assert 1 <= len(run) <= SEGMENT_COUNT_MAX
    assert sum(run) <= RUN_BYTES_MAX or len(run) == 1
    assert set(run[:-1]) <= {run[0]}
    assert len(run) == 1 or 0 < run[-1] <= run[0]


@given(st.binary(min_size=1, max_size=300), st.integers(1, 300))
def test_split_keeps_every_byte(data, size):
    pieces = split(data, size)
    assert data == b"".join(pieces)
    assert all(len(piece) == size for piece in pieces[:-1])


def test_control_items_are_in_the_machines_byte_order():
    import struct

    assert (17, 103, struct.pack("H", 1200)) == segment_control(1200)
    assert coalesced_size(struct.pack("i", 1200)) == 1200
