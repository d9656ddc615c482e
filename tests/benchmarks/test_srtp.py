"""What SRTP costs, for a moment: a row for each profile and size, with figures."""

from types import SimpleNamespace

from benchmarks import srtp


def test_each_profile_and_size_has_its_figures(monkeypatch):
    # Each round begins with a collection of garbage, and those are long beside all that other tests keep.
    monkeypatch.setattr(srtp, "gc", SimpleNamespace(collect=lambda: 0))
    rows = srtp.measure(srtp.Options(count=100, rounds=2, sizes=(160, 1200)))
    assert [row["packet_bytes"] for row in rows] == [160, 1200] * 6
    assert all(row["protect_ns"] > 0 and row["unprotect_ns"] > 0 for row in rows)


def test_packets_have_the_size_that_is_told():
    assert len(srtp._packet(7, bytes(160 - srtp.HEADER_BYTES))) == 160
