"""What Chromium tries out: offered to us behind a switch today, by default perhaps tomorrow."""

import pytest
from interop_peers.chromium import Chromium
from interop_peers.messages import digests, mixed

TRIALS = {
    "I-DATA": "WebRTC-DataChannelMessageInterleaving/Enabled/",
    "INIT-in-SDP": "WebRTC-Sctp-Snap/Enabled/",
    "DTLS-in-STUN": "WebRTC-IceHandshakeDtls/Enabled/",
}


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.interop, id=f"chromium-{name}") for name in TRIALS]
)
def peer(request, runner, network):
    """A Chromium of its own for each trial."""
    chromium = Chromium(f"--force-fieldtrials={TRIALS[request.param]}")
    yield chromium
    with network.entered():
        runner.run(chromium.stop())


async def test_a_chromium_that_tries_something_new_exchanges_messages_as_before(pair):
    from_us, from_them = mixed(200, pair.largest, seed=12), mixed(200, pair.largest, seed=13)
    async with pair.connected("data"):
        at_us, at_them = await pair.exchange("data", from_us, from_them)
    assert at_us == digests(from_them)
    assert at_them == digests(from_us)
