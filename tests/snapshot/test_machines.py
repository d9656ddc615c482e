"""Every machine can be stored and restored in the midst of its life, and nothing that it says afterwards differs."""

import pytest

from tests.architecture.test_machines import MACHINES
from tests.snapshot.lives import LIVES, Midwife

# Where machines are large or called often: the births are to be some dozens everywhere.
SHARES = {
    "agent controlled": 1, "agent controlling": 1, "media": 1, "mux": 2, "peer answerer": 1, "peer offerer": 1,
    "relays": 2, "sctp callee": 1, "sctp caller": 1,
}  # fmt: skip


def test_every_machine_has_a_life_here():
    assert {kind for _, kinds in LIVES.values() for kind in kinds} == set(MACHINES)


@pytest.mark.parametrize("name", LIVES)
def test_machine_reborn_again_and_again_says_the_same(name):
    live, kinds = LIVES[name]
    logs, births = [], []
    for share in (0, SHARES.get(name, 10)):
        with pytest.MonkeyPatch.context() as patch:
            midwife = Midwife(patch, kinds, share=share)
            live(1)
        logs.append(midwife.log)
        births.append(midwife.births)
    assert logs[0] == logs[1]
    assert logs[0]
    assert births[0] == 0 < births[1]
