"""What the SDP tests share: the descriptions of real programs, and a small one to break line by line."""

from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[2] / "rfc-vectors" / "sdp"
NAMES = sorted(path.stem for path in VECTORS.glob("*.sdp"))

SMALL = [
    "v=0",
    "o=- 4611686018427387 2 IN IP4 127.0.0.1",
    "s=-",
    "c=IN IP4 203.0.113.1",
    "b=AS:512",
    "t=0 0",
    "a=group:BUNDLE 0",
    "a=ice-lite",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP6 ::",
    "a=mid:0",
    "a=sctp-port:5000",
]


def pytest_generate_tests(metafunc):
    if "vector" in metafunc.fixturenames:
        metafunc.parametrize("vector", NAMES, indirect=True)


@pytest.fixture
def vector(request):
    """The text of one stored description, as it is."""
    return (VECTORS / f"{request.param}.sdp").read_bytes().decode()


@pytest.fixture
def small():
    """The lines of a small description."""
    return list(SMALL)


@pytest.fixture
def load():
    """Reads a stored description by name."""
    return lambda name: (VECTORS / f"{name}.sdp").read_bytes().decode()
