"""Our TURN server driven by clients that this project did not write: coturn's tools, aioice, Chromium.

All on loopback, in the suite's own network where the machine allows one.
"""

import asyncio
import datetime
import importlib.util
import ipaddress
import json
import shutil
import ssl

import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from interop_peers.absent import give_up, given_up_without
from interop_peers.processes import Process

from sans_rtc.turn.server import AllocationEnded, ServerConfig
from sans_rtc_asyncio import PeerConnection
from sans_rtc_asyncio.turn_server import TurnServer

pytestmark = pytest.mark.interop

USERS = {"alice": "secret"}
REST_SECRET = "rest-secret"
# coturn's client goes on for a few seconds after its last packet.
UCLIENT_S_MAX = 40.0
ECHO_S_MAX = 10.0

# coturn's client, its options, and what has to stand in its report. It looks in vain for the last packets of TLS and of
# peers that connect (so it does with coturn's own server), so there one message is enough.
UCLIENT = {
    "udp-channels": ["-n", "10", "-m", "2"],
    "udp-indications": ["-n", "10", "-m", "2", "-s"],
    "udp-dont-fragment": ["-n", "10", "-m", "1", "-s", "-g"],
    "udp-rest": ["-n", "10", "-m", "1", "-W", REST_SECRET],
    "tcp-channels": ["-t", "-n", "10", "-m", "2"],
    "tcp-indications": ["-t", "-n", "10", "-m", "2", "-s"],
    "tls-channels": ["-t", "-S", "-n", "1", "-m", "1"],
    "tcp-relay": ["-T", "-n", "5", "-m", "1"],
    "ipv6-relay": ["-x", "-n", "5", "-m", "1"],
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody has signed but itself: (certificate file, key file)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("turn")
    (folder / "cert.pem").write_bytes(built.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(folder / "cert.pem"), str(folder / "key.pem")


@pytest.fixture
def make_server(certificate, run):
    """Makes a server with every listener; the test enters it."""

    def make_server(**changes):
        settings = {
            "port": 0,
            "tls_port": 0,
            "certificate_file": certificate[0],
            "key_file": certificate[1],
            "users": USERS,
            "rest_secrets": (REST_SECRET,),
            "allow_loopback_peers": True,
            # coturn's client chooses among the channel numbers of RFC 5766.
            "config": attrs.evolve(ServerConfig(), channel_number_max=0x7FFF),
        }
        return TurnServer(**{**settings, **changes})

    return make_server


async def output_of(name, *arguments):
    """Run one of coturn's tools to its end and return all that it has said."""
    command = shutil.which(name)
    if command is None:
        give_up(f"there is no {name}")
    process = await Process.start(name, [command, *arguments])
    try:
        async with asyncio.timeout(UCLIENT_S_MAX):
            said = (await process.stdout.read()).decode(errors="replace")
        await process.wait(5.0)
        return said + process.last_words
    finally:
        await process.kill()


async def uclient(server, options):
    port = server.tls_addresses[0].port if "-S" in options else server.addresses[0].port
    credentials = ["-u", "alice"] if "-W" in options else ["-u", "alice", "-w", "secret"]
    return await output_of("turnutils_uclient", "-p", str(port), *credentials, *options, "-y", "127.0.0.1")


@pytest.fixture(scope="module")
def uclient_reports():
    """What coturn's client has said in each case; all run at once, for each takes its time."""
    return {}


@pytest.mark.parametrize("case", UCLIENT)
async def test_coturns_client_loses_nothing(make_server, uclient_reports, case):
    if not uclient_reports:
        async with make_server(relay_addresses=["127.0.0.1", "::1"]) as server:
            said = await asyncio.gather(*[uclient(server, options) for options in UCLIENT.values()])
        uclient_reports.update(zip(UCLIENT, said, strict=True))
    report = uclient_reports[case]
    assert "Total lost packets 0 (0.000000%)" in report, report[-2000:]
    assert "Total transmit time" in report


@pytest.mark.parametrize("options", ["-u alice -w wrong", "-u eve -w secret", "-u eve -W wrong"])
async def test_coturns_client_with_wrong_credentials_is_refused(make_server, options):
    async with make_server() as server:
        port = str(server.addresses[0].port)
        report = await output_of(
            "turnutils_uclient", "-p", port, *options.split(), "-n", "1", "-m", "1", "-y", "127.0.0.1"
        )
        assert "Total lost packets 0 " not in report
        assert server.server.stats.allocations_created == {}
        assert set(server.server.stats.errors_sent) == {401}


async def test_coturns_client_cannot_reach_loopback_where_it_is_not_allowed(make_server):
    async with make_server(allow_loopback_peers=False) as server:
        report = await uclient(server, ["-n", "1", "-m", "1", "-s"])
        assert "Total lost packets 0 " not in report
        assert server.server.stats.errors_sent[403] >= 1
        assert server.server.stats.packets_to_peers == 0


async def test_coturns_stun_client_learns_its_address(make_server):
    async with make_server() as server:
        report = await output_of("turnutils_stunclient", "-p", str(server.addresses[0].port), "127.0.0.1")
    assert "reflexive addr: 127.0.0.1:" in report


class Echo(asyncio.DatagramProtocol):
    """A peer that sends everything back."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        self.transport.sendto(data, addr)


class Inbox(asyncio.DatagramProtocol):
    """Where aioice's relay delivers."""

    def __init__(self):
        self.arrived = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.arrived.put_nowait((data, addr))


def note_end(ended, event):
    if isinstance(event, AllocationEnded):
        ended.put_nowait(event.reason)


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
async def test_aioice_reaches_a_peer(make_server, certificate, transport):
    if importlib.util.find_spec("aioice") is None:
        give_up("there is no aioice")
    from aioice.turn import create_turn_endpoint

    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(cafile=certificate[0]) if transport == "tls" else None
    ended = asyncio.Queue()
    async with make_server(rest_secrets=(), on_event=lambda event: note_end(ended, event)) as server:
        address = (server.tls_addresses if transport == "tls" else server.addresses)[0]
        peer, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
        relay, inbox = await create_turn_endpoint(
            Inbox, tuple(address), "alice", "secret", ssl=context, transport="udp" if transport == "udp" else "tcp"
        )
        try:
            peer_address = peer.get_extra_info("sockname")
            for size in (1, 5, 1200):
                relay.sendto(bytes(size), peer_address)
                async with asyncio.timeout(ECHO_S_MAX):
                    assert await inbox.arrived.get() == (bytes(size), peer_address)
            assert server.server.allocation_counts[transport] == 1
        finally:
            relay.close()
            peer.close()
            async with asyncio.timeout(ECHO_S_MAX):
                assert await ended.get() == "released"


# -- Chromium ----------------------------------------------------------------------------------------------------------

GATHERED = """
const gathered = (pc) => new Promise((resolve) => {
  const look = () => { if (pc.iceGatheringState === "complete") resolve(pc.localDescription.sdp); };
  pc.addEventListener("icegatheringstatechange", look); look();
});
const types = async (pc) => {
  const stats = [...(await pc.getStats()).values()];
  const pair = stats.find((s) => s.type === "candidate-pair" && s.nominated && s.state === "succeeded");
  const of = (id) => stats.find((s) => s.id === id)?.candidateType;
  return [of(pair?.localCandidateId), of(pair?.remoteCandidateId)];
};
const make = (iceServers) => new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay" });
"""

CHROMIUM_TO_CHROMIUM = """(async (iceServers) => {%s
const [a, b] = [make(iceServers), make(iceServers)];
const channel = a.createDataChannel("data");
const answered = new Promise((resolve) => { channel.onmessage = ({ data }) => resolve(data); });
b.ondatachannel = (event) => { event.channel.onmessage = ({ data }) => event.channel.send("echo " + data); };
channel.onopen = () => channel.send("hello");
await a.setLocalDescription(); await b.setRemoteDescription({ type: "offer", sdp: await gathered(a) });
await b.setLocalDescription(); await a.setRemoteDescription({ type: "answer", sdp: await gathered(b) });
const result = { data: await answered, types: await types(a) };
a.close(); b.close(); return result;
})"""

CHROMIUM_OFFERS = """(async (iceServers) => {%s
const pc = globalThis.relayed = make(iceServers);
const channel = pc.createDataChannel("data");
globalThis.answered = new Promise((resolve) => { channel.onmessage = ({ data }) => resolve(data); });
channel.onopen = () => channel.send("hello");
await pc.setLocalDescription(); return gathered(pc);
})"""

CHROMIUM_ENDS = """(async (sdp) => {%s
const pc = globalThis.relayed;
await pc.setRemoteDescription({ type: "answer", sdp });
const result = { data: await globalThis.answered, types: await types(pc) };
pc.close(); return result;
})"""


def call(function, argument):
    return f"{function % GATHERED}({json.dumps(argument)})"


async def open_chromium(chromium):
    with given_up_without("chromium"):
        return await chromium.open_session()


def ice_servers(server, transport):
    address = server.addresses[0]
    return [{"urls": f"turn:{address}?transport={transport}", "username": "alice", "credential": "secret"}]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_chromium_reaches_chromium_through_two_relays(make_server, peers, transport):
    chromium = peers["chromium"]
    session = await open_chromium(chromium)
    async with make_server(rest_secrets=()) as server:
        result = await chromium.evaluate(call(CHROMIUM_TO_CHROMIUM, ice_servers(server, transport)))
        assert result == {"data": "echo hello", "types": ["relay", "relay"]}
        assert server.server.stats.allocations_created == {transport: 2}
        assert server.server.stats.packets_to_peers > 0
    await session.end()


async def test_chromium_reaches_us_through_its_relay(make_server, peers):
    chromium = peers["chromium"]
    session = await open_chromium(chromium)
    async with make_server() as server, PeerConnection(bind="127.0.0.1") as ours:
        offer = await chromium.evaluate(call(CHROMIUM_OFFERS, ice_servers(server, "udp")))
        assert " typ relay " in offer
        assert " typ host " not in offer
        await ours.set_remote_description({"type": "offer", "sdp": offer})
        await ours.set_local_description()
        await ours.gathering_complete()
        ending = asyncio.create_task(chromium.evaluate(call(CHROMIUM_ENDS, ours.local_description.sdp)))
        async for channel in ours.incoming_channels():
            assert await channel.receive() == "hello"
            await channel.send("hello yourself")
            break
        result = await ending
        assert result["data"] == "hello yourself"
        assert result["types"][0] == "relay"
        assert server.server.stats.packets_to_clients > 0
    await session.end()
