"""The benchmark of loss recovery: short calls in virtual time, and its table."""

import pytest

from benchmarks import recovery


@pytest.mark.parametrize(("name", "least", "most"), [("nothing", 0, 0.95), ("FlexFEC", 0.93, 1), ("both", 0.98, 1)])
def test_call_tells_what_was_given_out_and_what_it_cost(name, least, most):
    has_fec, has_nack = recovery.WAYS[name]
    found = recovery.call(0.05, has_fec=has_fec, has_nack=has_nack, seed=1, seconds=4.0)
    assert least <= found.frames <= most
    assert (found.repair > 0, found.resent > 0) == (has_fec, has_nack)
    assert found.repair <= 0.25
    assert 0 <= found.delay_ms < 100


def test_table_has_a_row_for_each_loss_and_way():
    head, rule, *lines = recovery.rows([0.02], 1, 0.5)
    assert head.count("|") == rule.count("|") == lines[0].count("|")
    assert [line.split(" | ")[1] for line in lines] == list(recovery.WAYS)
