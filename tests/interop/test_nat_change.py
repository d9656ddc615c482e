"""A host that moves from one network to another in the middle of a transfer: nothing is lost, and soon it goes on.

The host has two uplinks, each behind a NAT of its own. One goes away, address, route and link; the path moves.
"""

import asyncio
import hashlib

import pytest
from interop_peers.absent import give_up
from interop_peers.namespaces import PORT_RESTRICTED, NamespacesRefused, uplink_down, uplink_up
from interop_peers.nat_lab import NatLab
from interop_peers.nat_matrix import Attempt, Worker, worker_command
from interop_peers.nat_worker import message
from interop_peers.processes import Missing

pytestmark = pytest.mark.interop

MESSAGE_BYTES = 16_384
# Where a path is there already, and where the other network comes up only when the first is gone.
TRANSFERS = {"standby": 100_000_000, "handover": 30_000_000}
BACK_S_MAX = 3.0
TRANSFER_S_MAX = 120.0


@pytest.fixture
def lab(tmp_path):
    try:
        with NatLab(tmp_path, ["port-restricted"]) as lab:
            host = lab.internet.add_mobile_host("mobile", PORT_RESTRICTED)
            lab.commands["mobile"] = [lab.namespaces.command(host, *worker_command())]
            yield lab
    except NamespacesRefused as refusal:
        pytest.skip(str(refusal))
    except Missing as missing:
        give_up(f"coturn: {missing}")


@pytest.mark.parametrize("sender", ["mobile sends", "mobile receives"])
@pytest.mark.parametrize("how", TRANSFERS)
def test_network_change_in_mid_transfer_loses_nothing(lab, how, sender):
    count = TRANSFERS[how] // MESSAGE_BYTES
    host = lab.internet.hosts["mobile"]
    if how == "handover":
        lab.namespaces.shell(host, uplink_down(2))

    def change():
        lab.namespaces.shell(host, uplink_down(1))
        if how == "handover":
            lab.namespaces.shell(host, uplink_up(2))

    received, texts = asyncio.run(transfer(lab, count, change, is_mobile_sending=sender == "mobile sends"))
    digest = hashlib.sha256()
    for number in range(count):
        digest.update(message(number, MESSAGE_BYTES))
    assert received is not None, "\n".join(texts)
    assert (received["count"], received["digest"]) == (count, digest.hexdigest())
    assert received["gap_s"] <= BACK_S_MAX, "\n".join(texts)


async def transfer(lab, count, change, *, is_mobile_sending):
    """Send so many messages, let the network change after a third of them; what the receiver says in the end."""
    mobile = await Worker.start("mobile", lab.commands["mobile"][0])
    fixed = await Worker.start("fixed", lab.commands["port-restricted"][0])
    settings = {**lab.settings("port-restricted"), "monitor_network": True}
    ends = (mobile, fixed) if is_mobile_sending else (fixed, mobile)
    attempt = Attempt(1, *ends, (settings, settings))
    try:
        assert await attempt.through(), await story(attempt)
        attempt.say(0, "transfer", count=count, size=MESSAGE_BYTES)
        is_under_way = await attempt.until(
            lambda: attempt.transfers.get("progress", {}).get("count", 0) > count // 3, TRANSFER_S_MAX
        )
        assert is_under_way, await story(attempt)
        change()
        await attempt.until(lambda: "received" in attempt.transfers, TRANSFER_S_MAX)
        result = await attempt.explain()
        return attempt.transfers.get("received"), (*result.errors, *result.texts)
    finally:
        for worker in ends:
            await worker.kill()


async def story(attempt):
    """How both ends stand, for whoever reads of a failure."""
    result = await attempt.explain()
    return "\n".join([*attempt.errors, *result.texts])
