"""The one contract of design.md section 2, asserted of every machine in the same words."""

import math

import pytest

from sans_rtc.errors import LocalError
from sans_rtc.machine import Terminated
from sans_rtc.testing import LinkConditions
from tests.property.fronts import Late, Punctual, Sloppy

SEEDS = range(3)
PERFECT_LINK = LinkConditions(delay_s=0.01)
CLOSE_BOUND_S = 60.0


def assert_over(machine, now):
    """Nothing is armed and nothing comes out."""
    assert machine.is_terminated
    assert machine.deadline == math.inf
    assert (tuple(machine.take_datagrams(now)), tuple(machine.take_events())) == ((), ())


@pytest.mark.parametrize("seed", SEEDS)
def test_terminated_comes_once_and_last(kind, seed):
    scene = kind.scene(seed=seed)
    scene.live()
    scene.end_it()
    assert [index for index, event in enumerate(scene.events(), 1) if isinstance(event, Terminated)] == [
        len(scene.events())
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_timer_that_was_handled_is_not_due_any_more(kind, seed):
    scene = kind.scene(seed=seed, wrap=Punctual)
    scene.live(on_step=lambda: scene.front.check(scene.now))


@pytest.mark.parametrize("seed", SEEDS)
def test_driver_that_comes_too_late_finds_nothing_left_over(kind, seed):
    scene = kind.scene(seed=seed, wrap=Late)
    scene.live()
    scene.end_it()
    assert_over(scene.machine, scene.now)


@pytest.mark.parametrize("seed", SEEDS)
def test_driver_that_takes_out_of_order_costs_latency_and_nothing_else(kind, seed):
    usual, sloppy = (kind.scene(seed=seed, conditions=PERFECT_LINK, wrap=wrap) for wrap in (Punctual, Sloppy))
    for scene in (usual, sloppy):
        scene.live()
        scene.end_it()
        scene.link.run_for(1.0)
    assert_over(sloppy.machine, sloppy.now)
    assert sorted({type(event).__name__ for event in sloppy.events()}) == sorted(
        {type(event).__name__ for event in usual.events()}
    )


@pytest.mark.parametrize("verb", ["close", "abort"])
def test_end_comes_in_bounded_time_from_any_step_of_a_life(kind, verb):
    for steps in range(len(kind.scene().steps) + 1):
        scene = kind.scene(seed=steps)
        scene.live(until=steps)
        getattr(scene.machine, verb)(scene.now)
        scene.link.run_for(CLOSE_BOUND_S)
        assert_over(scene.machine, scene.now)
        scene.front.check(scene.now)


def test_abort_ends_at_once(kind):
    for steps in range(len(kind.scene().steps) + 1):
        scene = kind.scene(seed=steps)
        scene.live(until=steps)
        scene.machine.abort(scene.now)
        assert scene.machine.is_terminated


def test_close_is_idempotent_at_any_step_of_a_life(kind):
    for steps in range(len(kind.scene().steps) + 1):
        once, thrice = kind.scene(seed=steps), kind.scene(seed=steps)
        for scene, times in ((once, 1), (thrice, 3)):
            scene.live(until=steps)
            for _ in range(times):
                scene.machine.close(scene.now)
            scene.link.run_for(0.02)
            if times > 1:
                scene.machine.close(scene.now)
            scene.link.run_for(CLOSE_BOUND_S)
        assert once.log == thrice.log


@pytest.mark.parametrize("verb", ["close", "abort"])
def test_nothing_comes_out_after_the_end_whatever_goes_in(kind, verb):
    scene = kind.scene()
    scene.live(until=len(scene.steps) // 2)
    getattr(scene.machine, verb)(scene.now)
    scene.link.run_for(CLOSE_BOUND_S)
    for data in [b"", b"\x00", b"\x16", *scene.wire]:
        scene.front.receive(scene.as_input(data), scene.now)
    for step in scene.steps:
        try:
            step.call()
        except LocalError:
            pass  # it may say that it is over
    scene.machine.handle_timer(scene.now + 100.0)
    scene.machine.close(scene.now + 100.0)
    scene.machine.abort(scene.now + 100.0)
    assert_over(scene.machine, scene.now + 100.0)
