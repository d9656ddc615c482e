"""A recorded session, exported, as Wireshark's own dissectors see it."""

import asyncio
import shutil
import subprocess

import pytest

from sans_rtc_asyncio import PeerConnection
from sans_rtc_demo.main import main

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed"),
]


# By default Wireshark does not look at checksums, which network cards often put in later.
CHECKED = ["-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "sctp.checksum:CRC 32c"]
BAD = "ip.checksum.status == 0 || udp.checksum.status == 0 || sctp.checksum.status == 0"


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    """A capture of a real session over loopback."""
    folder = tmp_path_factory.mktemp("capture")
    asyncio.run(talk(folder / "session.rec"))
    assert main(["trace", "export", str(folder / "session.rec"), "--pcapng", str(folder / "session.pcapng")]) == 0
    return folder / "session.pcapng"


async def talk(path):
    async with PeerConnection(bind="127.0.0.1", record=path) as first, PeerConnection(bind="127.0.0.1") as second:
        channel = first.create_data_channel("wireshark")
        await first.set_local_description()
        await first.gathering_complete()
        await second.set_remote_description(first.local_description)
        await second.set_local_description()
        await second.gathering_complete()
        await first.set_remote_description(second.local_description)
        other = await anext(second.incoming_channels())
        await channel.send("hello from the recording")
        await other.receive()
        await other.send(bytes(10_000))
        await channel.receive()


def fields(capture, shown, *names):
    """What tshark finds: a row of these fields for each packet that the filter shows."""
    asked = [part for name in names for part in ("-e", name)]
    command = ["tshark", "-n", "-r", str(capture), "-Y", shown, "-T", "fields", *CHECKED, *asked]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_dtls_is_decrypted_by_the_secrets_inside(capture):
    opened = fields(capture, "dtls.app_data", "data.data")
    assert len(opened) > 10
    assert all(row[0] for row in opened), "an application data record stays closed"
    assert any(b"hello from the recording".hex() in row[0] for row in opened)


def test_sctp_is_dissected_down_to_the_channel(capture):
    kinds = {int(kind) for row in fields(capture, "sctp", "sctp.chunk_type") for kind in row[0].split(",")}
    assert {0, 1, 2, 3, 10, 11} <= kinds, "DATA, INIT, INIT ACK, SACK, COOKIE ECHO, COOKIE ACK"
    assert ["wireshark"] in fields(capture, "rtcdc", "rtcdc.label")


def test_stun_and_dtls_are_seen_with_good_checksums(capture):
    assert len(fields(capture, "stun", "stun.type")) >= 4
    assert [row[0] for row in fields(capture, "dtls.handshake.type == 1", "dtls.handshake.type")] != []
    assert fields(capture, BAD, "frame.number") == []
    checked = fields(capture, "udp.checksum.status == 1 || sctp.checksum.status == 1", "frame.number")
    assert len(checked) == len(fields(capture, "frame", "frame.number"))


def test_nothing_looks_malformed(capture):
    assert fields(capture, "_ws.malformed", "frame.number") == []
