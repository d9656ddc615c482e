"""What the RTP tests share: vectors as data."""

import json
from pathlib import Path

VECTORS = Path(__file__).parents[2] / "rfc-vectors" / "rtp"


def pytest_generate_tests(metafunc):
    for fixture, name in [("packet_vector", "packets"), ("extension_vector", "extensions")]:
        if fixture in metafunc.fixturenames:
            vectors = json.loads((VECTORS / f"{name}.json").read_text())["vectors"]
            ids = [f"{vector['section']} {vector.get('name', vector.get('extension'))}" for vector in vectors]
            metafunc.parametrize(fixture, vectors, ids=ids)
