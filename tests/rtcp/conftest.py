"""What the RTCP tests share: vectors as data."""

import json
from pathlib import Path

VECTORS = Path(__file__).parents[2] / "rfc-vectors" / "rtcp"


def pytest_generate_tests(metafunc):
    if "vector" in metafunc.fixturenames:
        vectors = json.loads((VECTORS / "packets.json").read_text())["vectors"]
        metafunc.parametrize("vector", vectors, ids=[f"{v['section']} {v['name']}" for v in vectors])
