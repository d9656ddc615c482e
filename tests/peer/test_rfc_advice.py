"""Rules that hold where the machines meet, and no test of one machine is about."""

import pytest


@pytest.mark.parametrize("first", [4, 64, 127, 192])
@pytest.mark.proves("RFC7983-7-1-33d6")
def test_payload_of_no_known_protocol_is_dropped_and_counted(pair, first):
    pair.connect()
    dtls, sender = pair.peers[0].explain().discards.get("dtls"), pair.peers[1]._transport.agent
    sender.send(bytes([first]) + bytes(40), pair.now)
    pair.link.run_for(0.1)
    discards = pair.peers[0].explain().discards
    assert discards["peer"] == {"not_dtls_or_too_early": 1}
    assert discards.get("dtls") == dtls
