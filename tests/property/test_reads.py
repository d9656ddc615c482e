"""Reads are pure: whoever looks at a machine, however often, sees the same and changes nothing."""

from tests.property.fronts import Reader, read_all
from tests.property.objects import snapshot


def test_reading_changes_no_state(kind):
    scene = kind.scene()

    def look():
        before = snapshot(scene.machine)
        read_all(scene.machine, kind.reads)
        assert snapshot(scene.machine) == before

    look()
    scene.live(on_step=look)
    scene.end_it()
    look()


def test_reading_at_every_call_changes_no_byte(kind):
    reader = type("ReaderOf", (Reader,), {"reads": kind.reads})
    quiet, read = kind.scene(), kind.scene(wrap=reader)
    for scene in (quiet, read):
        scene.live()
        scene.end_it()
    assert read.log == quiet.log


def test_snapshot_sees_a_change_anywhere(kind):
    """The walk that the tests above rely on reaches what a machine is made of."""
    scene = kind.scene()
    seen = [snapshot(scene.machine)]
    scene.live(on_step=lambda: seen.append(snapshot(scene.machine)), until=4)
    assert seen[0] != seen[-1]
    assert len(seen[-1]) > 20
