"""A wrong call of the application raises LocalError at once and changes nothing: its twin that never made the call
sends the same bytes and tells the same events for ever after."""

import pytest

from sans_rtc.errors import LocalError
from tests.property.objects import snapshot
from tests.property.scenes.table import KINDS


def twins(kind, misuse):
    """Two scenes at the point of the wrong call, everything before it done in both."""
    scenes = kind.scene(seed=7), kind.scene(seed=7)
    for scene in scenes:
        scene.live(until=misuse.at)
        misuse.prepare(scene.machine, scene.now)
    return scenes


def test_wrong_call_raises_local_error_and_changes_no_state(misused, misuse):
    scene, _ = twins(misused, misuse)
    before = snapshot(scene.machine)
    with pytest.raises(LocalError):
        misuse.call(scene.machine, scene.now)
    assert snapshot(scene.machine) == before


def test_wrong_call_changes_nothing_that_comes_after(misused, misuse):
    right, wrong = twins(misused, misuse)
    for _ in range(3):
        with pytest.raises(LocalError):
            misuse.call(wrong.machine, wrong.now)
    for scene in (right, wrong):
        scene.link.flush()
        scene.live(start=misuse.at)
        scene.end_it()
    assert wrong.log == right.log


def test_every_machine_has_wrong_calls_in_the_table():
    """In one of its roles: they are the same in the others."""
    machines = {type(kind.scene().machine) for kind in KINDS.values()}
    assert {type(kind.scene().machine) for kind in KINDS.values() if kind.misuses} == machines
