"""Sessions of the simulator, recorded."""

import pytest

from sans_rtc.peer import PeerConnection
from sans_rtc.trace import make_recorded
from tests.sim import world as sim_world
from tests.sim.plan import draw_plan
from tests.sim.session import Session
from tests.sim.world import World


@pytest.fixture
def recorded_session(monkeypatch):
    """A function: live through the session of a seed with both ends recorded; returns their recordings as lists."""

    def live(seed, **options):
        recordings = ([], [])
        ends = iter(recordings)

        def make(config, *, certificate, entropy):
            return make_recorded(
                PeerConnection, config, certificate=certificate, entropy=entropy, sink=next(ends).append, **options
            )

        monkeypatch.setattr(sim_world, "PeerConnection", make)
        Session(World(draw_plan(seed))).live()
        return recordings

    return live
