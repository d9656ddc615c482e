"""Five hundred small worlds from seeds; many more of them:  python -m tests.sim --seeds 100000 --jobs 2"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from sans_rtc.dtls.record import RecordLayer
from sans_rtc.media import FrameReceived
from sans_rtc.peer import PeerConnection
from tests.sim.__main__ import dask_engine, main
from tests.sim.arena import run
from tests.sim.scenario import CHANNEL_KINDS, ENDINGS, FAULTS, FEATURES, draw
from tests.sim.sweep import batches, run_batch, shrink, sweep

SEEDS = 500
AT_ONCE = 25
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_every_oracle_is_content_with_every_seed(first):
    for seed in range(first, first + AT_ONCE):
        run(draw(seed))


def test_seed_gives_the_same_world_and_the_same_run():
    for seed in (1, 5, 9):
        assert draw(seed) == draw(seed)
        assert run(draw(seed)) == run(draw(seed))


def test_seeds_have_everything_in_them():
    scenarios = [draw(seed) for seed in range(SEEDS)]
    words = {what for scenario in scenarios for _, _, what, *_ in scenario.actions}
    assert words == {"create", "send", "close", "track", "play", "plug", "join", "read", *FAULTS}
    kinds = {rest[2] for scenario in scenarios for _, _, what, *rest in scenario.actions if what == "create"}
    assert kinds == set(CHANNEL_KINDS)
    assert {scenario.ending for scenario in scenarios} == set(ENDINGS)
    assert any(scenario.nats == ("symmetric", "symmetric") for scenario in scenarios)
    weather = [scenario.conditions for scenario in scenarios]
    assert any(conditions.burst_loss for conditions in weather)
    assert any(conditions.truncation and conditions.corruption for conditions in weather)
    assert any(conditions.bytes_max == 1200 for conditions in weather)


# -- what is broken is found, and shrunk -------------------------------------------------------------------------------


def send_messages_twice(self, take_events=PeerConnection.take_events):
    return [event for event in take_events(self) for _ in range(1 + (type(event).__name__ == "ChannelMessage"))]


def tell_frames_backwards(self, take_events=PeerConnection.take_events):
    events = list(take_events(self))
    frames = [event for event in events if isinstance(event, FrameReceived)]
    return [frames.pop() if isinstance(event, FrameReceived) else event for event in events]


def seal_with_the_number_again(self, content_type, data, seal=RecordLayer.seal):
    record = seal(self, content_type, data)
    if self._current.next_number % 7 == 0:
        self._current.next_number -= 1
    return record


@pytest.mark.parametrize(
    ("owner", "name", "broken", "said"),
    [
        (PeerConnection, "take_events", send_messages_twice, "is not the next message that was sent"),
        (PeerConnection, "take_events", tell_frames_backwards, "arrived twice, or out of order"),
        (RecordLayer, "seal", seal_with_the_number_again, "have one nonce"),
        (PeerConnection, "close", lambda self, now: 1 / 0, "ZeroDivisionError"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_broken_machine_is_caught_within_a_dozen_seeds(monkeypatch, owner, name, broken, said):
    monkeypatch.setattr(owner, name, broken)
    said_of_each = [said_of for seed in range(12) for _, said_of in run_batch(seed, 1).failures]
    assert any(said in of_one for of_one in said_of_each)


def test_failure_is_shrunk_to_what_it_takes_and_named_by_one_line(monkeypatch, capsys):
    monkeypatch.setattr(PeerConnection, "restart_ice", lambda self, now: 1 / 0)
    seed = next(seed for seed in range(100) if any(what == "restart" for _, _, what, *_ in draw(seed).actions))
    assert main(["--first", str(seed), "--seeds", "1"]) == 1
    printed = capsys.readouterr().out
    command = printed.splitlines()[-1].removeprefix("run it again: python -m tests.sim ")
    smallest, said = shrink(draw(seed))
    assert [what for _, _, what, *_ in smallest.actions] == ["restart"]
    assert set(smallest.without) == set(FEATURES)
    assert "ZeroDivisionError" in said
    assert smallest.command == f"python -m tests.sim {command}"
    assert main(command.split()) == 1
    monkeypatch.undo()
    assert main(command.split()) == 0


def test_command_runs_seeds_over_processes_and_tells_their_rate():
    command = [sys.executable, "-m", "tests.sim", "--seeds", "4", "--jobs", "2", "--first", "3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "4 seeds in" in done.stdout and "seeds a second" in done.stdout


def test_unknown_feature_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["--seed", "1", "--without", "gravity"])
    assert "gravity" not in FEATURES


def test_batches_cover_each_seed_once():
    covered = [seed for first, count in batches(7, 123) for seed in range(first, first + count)]
    assert covered == list(range(7, 130))


@pytest.mark.skipif(importlib.util.find_spec("distributed") is None, reason="dask's distributed is not installed")
def test_seeds_run_on_a_dask_cluster():
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        total, _ = sweep(0, 4, engine=dask_engine(cluster.scheduler_address))
    assert (total.seeds, total.failures) == (4, [])
