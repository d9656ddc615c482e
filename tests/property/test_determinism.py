"""Time, entropy and bytes are the only inputs: equal ones give equal output, to the last byte, keys and all."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.property.scenes.table import KINDS

ROOT = Path(__file__).parents[2]


def life(kind, seed):
    """The log of a whole life."""
    scene = kind.scene(seed=seed)
    scene.live()
    scene.end_it()
    return scene.log


@pytest.mark.parametrize("seed", range(2))
def test_equal_inputs_give_equal_bytes_events_and_times(kind, seed):
    first, second = life(kind, seed), life(kind, seed)
    assert first == second
    assert any(isinstance(entry, bytes | tuple) for _, _, entry in first)


def test_other_entropy_gives_other_bytes(kind):
    assert life(kind, "one") != life(kind, "another")


def digest():
    """A digest of the lives of all machines, to be compared between processes."""
    return hashlib.sha256(repr([life(kind, 0) for kind in KINDS.values()]).encode()).hexdigest()


def test_equal_inputs_give_equal_bytes_in_another_process_with_other_hashes():
    code = "from tests.property.test_determinism import digest; print(digest())"
    digests = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1
