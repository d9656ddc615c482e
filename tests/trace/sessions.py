"""Sessions of the simulator, lived through with both ends recorded."""

from unittest import mock

from sans_rtc.peer import PeerConnection
from sans_rtc.trace import make_recorded
from tests.sim import world as sim_world
from tests.sim.plan import draw_plan
from tests.sim.session import Session


def live(seed, **options):
    """Live through the session of a seed; returns the recordings of both ends, as lists of records' bytes."""
    recordings = ([], [])
    ends = iter(recordings)

    def make(config, *, certificate, entropy):
        return make_recorded(
            PeerConnection, config, certificate=certificate, entropy=entropy, sink=next(ends).append, **options
        )

    with mock.patch.object(sim_world, "PeerConnection", make):
        Session(sim_world.World(draw_plan(seed))).live()
    return recordings
