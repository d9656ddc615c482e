"""Rules of RFC 8656 for servers that no other test is about."""

import gc
import types

import pytest

from sans_rtc.machine import Path
from sans_rtc.turn import serialize_channel_data
from sans_rtc.turn.server import User

NOT_DATA = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType, types.FrameType)


def reachable(root):
    """Everything that an object holds, as the garbage collector sees it."""
    seen, waiting = {}, [root]
    while waiting:
        item = waiting.pop()
        if id(item) not in seen and not isinstance(item, NOT_DATA):
            seen[id(item)] = item
            waiting += gc.get_referents(item)
    return seen.values()


@pytest.mark.proves("RFC8656-6-2-cdc2")
def test_passwords_are_not_kept_but_the_keys_made_of_them(make_site):
    password = "".join(["never ", "kept"])
    site = make_site(users=(User("alice", password),))
    assert site.client(password=password).allocate().code == 0
    texts = [item for item in reachable(site.server) if isinstance(item, str | bytes)]
    assert len(texts) > 10
    assert password not in texts and password.encode() not in texts


@pytest.mark.proves("RFC8656-12.6-2-9320")
def test_channel_data_refresh_no_permission(site, client, at):
    relayed = client.allocated()
    client.bind(at["peer"])
    frame = serialize_channel_data(0x4000, b"x", pad=False)
    for _ in range(30):
        assert len(client.send(frame)) == 1
        site.wait(10.0)
    site.wait(0.1)
    assert site.receive(b"x", Path(relayed, at["peer"])) == []
