"""ContractMonitor catches each breach of the contract, by a machine that commits just that one; drain takes all."""

import math
from itertools import count

import pytest

from sans_rtc.machine import Terminated
from sans_rtc.testing import ContractMonitor, drain


def test_machine_that_keeps_the_contract_passes(ticker):
    monitor = ContractMonitor(ticker(3))
    for now in (1000.0, 1000.01, 1000.02, 1000.02):
        monitor.handle_timer(now)
        assert len(monitor.take_datagrams(now)) <= 1
        monitor.receive(b"x", now)
        monitor.take_events()
        monitor.check(now)
    monitor.close(1000.03)
    assert monitor.take_events() == [Terminated("closed")]
    assert monitor.is_terminated and monitor.deadline == math.inf
    monitor.close(1000.04)
    assert monitor.take_events() == []
    monitor.check(1000.04)


@pytest.mark.parametrize("call", ["receive", "handle_timer", "close", "take_datagrams"])
def test_time_that_runs_backwards_is_caught(ticker, call):
    monitor = ContractMonitor(ticker())
    monitor.handle_timer(1000.0)
    arguments = [b"x", 999.0] if call == "receive" else [999.0]
    with pytest.raises(AssertionError, match="backwards"):
        getattr(monitor, call)(*arguments)


def test_deadline_that_is_not_a_number_is_caught(broken):
    with pytest.raises(AssertionError, match="not a number"):
        ContractMonitor(broken(deadline=math.nan)).check(1000.0)


def test_deadline_that_changes_when_read_is_caught(broken):
    ticks = count(2000)
    with pytest.raises(AssertionError, match="reading the deadline"):
        ContractMonitor(broken(deadline=property(lambda self: float(next(ticks))))).check(1000.0)


def test_far_future_deadline_is_caught(broken):
    with pytest.raises(AssertionError, match="far-future"):
        ContractMonitor(broken(deadline=1e12)).check(1000.0)


def test_timer_that_stays_due_is_caught(broken):
    with pytest.raises(AssertionError, match="stays due"):
        ContractMonitor(broken(deadline=1000.0)).check(1000.0)


def test_due_timer_is_run_until_it_clears(broken):
    machine = broken(deadline=property(lambda self: self.next_at), next_at=0.0)
    machine.next_at = 0.0
    machine.handle_timer = lambda now: setattr(machine, "next_at", machine.next_at + 100.0)
    ContractMonitor(machine).check(1000.0)
    assert machine.next_at > 1000.0


def test_second_take_that_hands_over_more_is_caught(broken):
    with pytest.raises(AssertionError, match="hands over more"):
        ContractMonitor(broken(take_datagrams=lambda self, now: [b"again"])).take_datagrams(1000.0)


def test_event_behind_terminated_is_caught(broken):
    machine = broken(is_terminated=True)
    machine.is_terminated = True
    machine.events = [Terminated("closed"), "late"]
    with pytest.raises(AssertionError, match="not the last"):
        ContractMonitor(machine).take_events()


@pytest.mark.parametrize("late", ["late", Terminated("closed")])
def test_event_after_terminated_was_taken_is_caught(ticker, late):
    machine = ticker()
    monitor = ContractMonitor(machine)
    monitor.close(1000.0)
    monitor.take_events()
    machine.events.append(late)
    with pytest.raises(AssertionError, match="after Terminated"):
        monitor.take_events()


def test_terminated_machine_that_denies_it_is_caught(ticker):
    machine = ticker()
    machine.events = [Terminated("closed")]
    with pytest.raises(AssertionError, match="is_terminated"):
        ContractMonitor(machine).take_events()


def test_timer_armed_after_the_end_is_caught(ticker):
    machine = ticker()
    monitor = ContractMonitor(machine)
    monitor.close(1000.0)
    monitor.take_events()
    machine.next_at = 2000.0
    with pytest.raises(AssertionError, match="armed after Terminated"):
        monitor.check(1000.0)


# --- drain


def test_drain_takes_datagrams_and_events_until_no_events_come(ticker):
    machine = ticker()
    machine.datagrams, machine.events = [b"1"], ["a"]
    take_events = machine.take_events

    def answering():
        events = take_events()
        if events == ["a"]:
            machine.datagrams, machine.events = [b"2"], ["b"]
        return events

    machine.take_events = answering
    assert drain(machine, 1000.0) == ([b"1", b"2"], ["a", "b"])


def test_drain_of_an_idle_machine_is_empty(ticker):
    assert drain(ticker(), 1000.0) == ([], [])


def test_drain_of_events_that_never_stop_is_caught(broken):
    with pytest.raises(AssertionError, match="never stop"):
        drain(broken(take_events=lambda self: ["again"]), 1000.0)
