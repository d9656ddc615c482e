"""The server on real sockets: the context manager, its metrics, TCP relays under pressure, and the command."""

import asyncio
import hashlib
import os
import signal
import socket
import subprocess
import sys

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.machine import Address
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    LongTermAuthenticator,
    MessageClass,
    Method,
    new_request,
    parse_message,
    serialize_message,
)
from sans_rtc.turn.server import AllocationCreated, AllocationEnded, AuthFailure, DiscardReason
from sans_rtc.turn.server import ServerConfig as MachineConfig
from sans_rtc_asyncio.turn_server import TurnServer
from sans_rtc_demo.main import main
from sans_rtc_net.turn_metrics import open_metrics
from sans_rtc_net.turn_settings import TurnServerSettings

A = AttributeType
TIMEOUT_S = 20.0
USERS = {"alice": "secret"}


class Datagrams:
    """A UDP socket under asyncio."""

    def __init__(self, remote=None):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setblocking(False)
        self.sock.bind(("127.0.0.1", 0))
        if remote:
            self.sock.connect(remote)
        self.address = Address(*self.sock.getsockname())

    async def send(self, data):
        await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self):
        async with asyncio.timeout(TIMEOUT_S):
            return await asyncio.get_running_loop().sock_recv(self.sock, 65536)

    def close(self):
        self.sock.close()


class Stream:
    """A TCP connection under asyncio; of what comes no byte more is read than the message has."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, address):
        return cls(*await asyncio.open_connection(*address))

    async def send(self, data):
        self.writer.write(data)

    async def receive(self):
        async with asyncio.timeout(TIMEOUT_S):
            head = await self.reader.readexactly(4)
            size = int.from_bytes(head[2:], "big")
            return head + await self.reader.readexactly(size + 16 if head[0] < 4 else size + 3 & ~3)

    def close(self):
        self.writer.close()


async def ask(transport, authenticator, method, *attributes):
    """One request with its challenges; the response."""
    for _ in range(3):
        request = new_request(method, os.urandom, [*attributes, *authenticator.attributes()])
        await transport.send(serialize_message(request, key=authenticator.key, algorithm=authenticator.algorithm))
        response = parse_message(await transport.receive())
        error = response.value(A.ERROR_CODE)
        if error is None or error.code not in (401, 438) or authenticator.take_challenge(response) != "retry":
            return response
    raise AssertionError("challenges without end")


def run(coroutine):
    async def bounded():
        async with asyncio.timeout(60.0):
            return await coroutine

    return asyncio.run(bounded())


@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_data_go_through_real_sockets_both_ways(kind):
    async def scene():
        events = []
        async with TurnServer(port=0, users=USERS, allow_loopback_peers=True, on_event=events.append) as server:
            address = server.addresses[0]
            client = Datagrams(address) if kind == "udp" else await Stream.open(address)
            alice, peer = LongTermAuthenticator("alice", "secret"), Datagrams()
            allocated = await ask(client, alice, Method.ALLOCATE, Attribute(A.REQUESTED_TRANSPORT, 17))
            relayed = allocated.value(A.XOR_RELAYED_ADDRESS)
            bind = [Attribute(A.CHANNEL_NUMBER, 0x4000), Attribute(A.XOR_PEER_ADDRESS, peer.address)]
            assert (await ask(client, alice, Method.CHANNEL_BIND, *bind)).message_class is MessageClass.SUCCESS_RESPONSE
            await client.send(b"\x40\x00\x00\x04ping")
            assert await peer.receive() == b"ping"
            await asyncio.get_running_loop().sock_sendto(peer.sock, b"pong", relayed)
            assert await client.receive() == b"\x40\x00\x00\x04pong"
            assert f'sans_rtc_turn_allocations{{transport="{kind}"}} 1' in server.metrics()
            await ask(client, alice, Method.REFRESH, Attribute(A.LIFETIME, 0))
            client.close()
            peer.close()
        return [type(event) for event in events]

    assert run(scene())[:2] == [AllocationCreated, AllocationEnded]


async def tcp_relay(server, peer_address):
    """A TCP allocation, connected to a peer: the control stream and the joined one."""
    alice = LongTermAuthenticator("alice", "secret")
    control = await Stream.open(server.addresses[0])
    await ask(control, alice, Method.ALLOCATE, Attribute(A.REQUESTED_TRANSPORT, 6))
    connected = await ask(control, alice, Method.CONNECT, Attribute(A.XOR_PEER_ADDRESS, peer_address))
    number = Attribute(A.CONNECTION_ID, connected.value(A.CONNECTION_ID))
    data = await Stream.open(server.addresses[0])
    joined = await ask(data, alice, Method.CONNECTION_BIND, number)
    assert joined.message_class is MessageClass.SUCCESS_RESPONSE
    return control, data


def test_tcp_relay_loses_nothing_where_the_client_reads_slowly():
    """Back-pressure: the peer is read no faster than the client takes it; nothing of a stream may be dropped."""
    size = 8 << 20
    content = os.urandom(1 << 16) * (size >> 16)

    async def peer_says(_reader, writer):
        writer.write(content)
        await writer.drain()
        writer.close()

    async def scene():
        peer = await asyncio.start_server(peer_says, "127.0.0.1", 0)
        address = Address(*peer.sockets[0].getsockname())
        async with TurnServer(port=0, users=USERS, allow_loopback_peers=True) as server:
            control, data = await tcp_relay(server, address)
            digest, count = hashlib.sha256(), 0
            while piece := await data.reader.read(65536):
                digest.update(piece)
                count += len(piece)
                if count < 1 << 20:
                    await asyncio.sleep(0)
            for stream in (control, data):
                stream.close()
            relayed = server.server.stats.bytes_to_clients
        peer.close()
        return digest.digest(), relayed

    digest, relayed = run(scene())
    assert digest == hashlib.sha256(content).digest()
    assert relayed == size


def test_credentials_are_replaced_while_it_runs():
    async def scene():
        codes = []
        async with TurnServer(port=0, users=USERS) as server:
            for users in (USERS, {"bob": "secret"}):
                server.set_credentials(users=users)
                client = Datagrams(server.addresses[0])
                alice = LongTermAuthenticator("alice", "secret")
                response = await ask(client, alice, Method.ALLOCATE, Attribute(A.REQUESTED_TRANSPORT, 17))
                error = response.value(A.ERROR_CODE)
                codes.append(error.code if error is not None else 0)
                client.close()
        return codes

    assert run(scene()) == [0, 401]


@pytest.mark.parametrize(
    ("request_line", "status"), [("GET /metrics HTTP/1.1", 200), ("GET / HTTP/1.0", 200), ("POST / HTTP/1.1", 404)]
)
def test_metrics_are_served_by_http(request_line, status):
    async def scene():
        async with TurnServer(port=0, metrics_port=0) as server:
            reader, writer = await asyncio.open_connection(*server.metrics_address)
            writer.write(f"{request_line}\r\nHost: x\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            return answer.decode(), server.metrics()

    answer, text = run(scene())
    head, _, body = answer.partition("\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ")
    assert body == (text if status == 200 else "")
    assert text.endswith("# EOF\n")
    assert "sans_rtc_turn_relayed_packets_total" in text


def test_metrics_give_every_reason_a_line_of_its_own(site):
    text = open_metrics(site.server)
    for reason in DiscardReason:
        assert f'sans_rtc_turn_discards_total{{reason="{reason}"}} 0\n' in text
    for reason in AuthFailure:
        assert f'sans_rtc_turn_auth_failures_total{{reason="{reason}"}} 0\n' in text


def test_nothing_is_left_open_at_the_end():
    async def scene():
        loop = asyncio.get_running_loop()
        async with TurnServer(port=0, users=USERS, metrics_port=0) as server:
            client = Datagrams(server.addresses[0])
            await ask(
                client, LongTermAuthenticator("alice", "secret"), Method.ALLOCATE, Attribute(A.REQUESTED_TRANSPORT, 17)
            )
            client.close()
            address = server.addresses[0]
        await server.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(tuple(address))
        return [handle for handle in loop._scheduled if not handle.cancelled()]

    assert len(run(scene())) <= 2  # the timeouts of the test itself


def test_server_with_a_bug_closes_its_sockets_and_says_so(monkeypatch, caplog):
    async def scene():
        async with TurnServer(port=0, users=USERS) as server:
            address = server.addresses[0]
            monkeypatch.setattr(server.server, "handle_timer", lambda now: 1 / 0)
            monkeypatch.setattr(type(server.server), "deadline", property(lambda self: 0.0))
            client = Datagrams(address)
            await client.send(b"x")
            with pytest.raises(ZeroDivisionError):
                await server.wait_closed()
            client.close()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
                again.bind(tuple(address))

    run(scene())
    assert "ZeroDivisionError" in caplog.text


def test_server_that_has_not_been_started_says_so():
    with pytest.raises(InvalidState):
        TurnServer().metrics()


def test_urls_name_every_listener():
    async def scene():
        async with TurnServer(bind=["127.0.0.1"], port=0, users=USERS) as server:
            return server.urls, server.addresses[0], server.ice_servers

    urls, address, servers = run(scene())
    assert urls == (f"turn:{address}?transport=udp", f"turn:{address}?transport=tcp")
    assert servers == [{"urls": list(urls), "username": "alice", "credential": "secret"}]


@pytest.mark.parametrize(
    "changes",
    [
        {"hosts": ()},
        {"hosts": ("name",)},
        {"relay_hosts": ("0.0.0.0",)},
        {"port": 65536},
        {"tls_port": 5349},
        {"tls_port": 5349, "certificate_file": "x"},
    ],
)
def test_settings_that_cannot_be_are_refused(changes):
    with pytest.raises(InvalidArgument):
        TurnServerSettings(**changes)


def test_machine_is_configured_from_where_it_listens():
    settings = TurnServerSettings(hosts=("127.0.0.1", "127.0.0.2", "::1"), alternate_port=3500, machine=MachineConfig())
    config = settings.machine_config(settings.listening_hosts(), 3478, 5.0)
    assert config.relay_hosts == ("127.0.0.1", "::1")
    assert config.own_hosts == ("127.0.0.1", "127.0.0.2", "::1")
    assert config.binding_addresses == (Address("127.0.0.1", 3478), Address("127.0.0.2", 3500))
    assert config.wall_clock_offset_s == 5.0


# -- the command -------------------------------------------------------------------------------------------------------

COMMAND = [sys.executable, "-m", "sans_rtc_demo.main", "turn-server"]


@pytest.fixture
def start():
    started = []

    def start(*arguments):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [*COMMAND, "--port", "0", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        started.append(process)
        line = process.stdout.readline()
        host, _, port = line.partition("?transport=udp")[0].rpartition("turn:")[2].rpartition(":")
        return process, line, Address(host, int(port))

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def test_command_says_where_it_listens_and_ends_quietly(start):
    process, line, _ = start("--user", "alice:secret", "--metrics-port", "0")
    assert line.startswith("sans-rtc turn-server: turn:127.0.0.1:")
    assert "metrics at http://127.0.0.1:" in line
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_command_reads_its_files_again_on_sighup_and_ends_on_sigterm(start, tmp_path):
    users = tmp_path / "users"
    users.write_text("# who may\nalice:old\n")
    process, _, address = start("--user-file", str(users))

    async def allocates(password, attempts=1):
        authenticator = LongTermAuthenticator("alice", password)
        for _ in range(attempts):  # the signal takes its time
            client = Datagrams(address)
            response = await ask(client, authenticator, Method.ALLOCATE, Attribute(A.REQUESTED_TRANSPORT, 17))
            client.close()
            if response.message_class is MessageClass.SUCCESS_RESPONSE:
                return True
            authenticator = LongTermAuthenticator("alice", password)
            await asyncio.sleep(0.05)
        return False

    assert run(allocates("old"))
    assert not run(allocates("new"))
    users.write_text("alice:old\nalice:new\n")
    process.send_signal(signal.SIGHUP)
    assert run(allocates("new", attempts=200))
    assert run(allocates("old"))
    process.terminate()
    assert process.wait(TIMEOUT_S) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tls-port", "0"],
        ["--user", "nobody"],
        ["--bind", "name"],
        ["--port", "70000"],
        ["--allow-peers", "10.0.0.1/8"],
        ["--min-port", "60000", "--max-port", "50000"],
        ["--rest-secret-file", "/nowhere"],
    ],
)
def test_command_refuses_what_cannot_be(capsys, arguments):
    try:
        status = main(["turn-server", *arguments])
    except SystemExit as error:
        status = error.code
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert said.err
