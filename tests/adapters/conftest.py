"""Toy machines that speak the contract, and sockets with scripted faults: what the adapters' loops are tested with."""

import datetime
import importlib
import ipaddress
import math
import os
import socket
import zlib

import anyio
import attrs
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc_net.udp import UdpSocket


@attrs.define(slots=True)
class Pong:
    """The toy's event: a datagram has come back."""

    data: bytes
    path: Path


class Pinger:
    """Sends `count` datagrams, one each `interval_s`, answers what it gets with `>` before it, and ends on `close`."""

    def __init__(self, interval_s=0.002):
        self.interval_s = interval_s
        self.out, self.events, self.received = [], [], []
        self.timers_run = 0
        self.left = 0
        self.path = None
        self._deadline = math.inf
        self._ended = False

    def start(self, path, count, now):
        self.path, self.left, self._deadline = path, count, now

    def say(self, path, data, now):
        self.out.append(Datagram(data, path))

    def receive(self, datagram, now):
        self.received.append(datagram)
        if not datagram.data.startswith(b">"):
            self.out.append(Datagram(b">" + datagram.data, datagram.path))
        else:
            self.events.append(Pong(datagram.data, datagram.path))

    def handle_timer(self, now):
        assert self._deadline <= now
        self.timers_run += 1
        self.left -= 1
        self.out.append(Datagram(b"ping %d" % self.left, self.path))
        self._deadline = now + self.interval_s if self.left else math.inf

    def close(self, now):
        if not self._ended:
            self._ended = True
            self._deadline = math.inf
            self.events.append(Terminated("closed"))

    def take_datagrams(self, now):
        out, self.out = self.out, []
        return out

    def take_events(self):
        events, self.events = self.events, []
        return events

    @property
    def deadline(self):
        return self._deadline

    @property
    def is_terminated(self):
        return self._ended


class FaultySocket:
    """A socket whose calls can be made to fail: `faults[method]` is a list of exceptions, None meaning "works"."""

    def __init__(self, sock):
        self.sock = sock
        self.faults = {}
        self.calls = []

    def __getattr__(self, name):
        method = getattr(self.sock, name)
        if name not in ("sendto", "sendmsg", "recvmsg", "recvfrom"):
            return method

        def call(*args):
            self.calls.append(name)
            script = self.faults.get(name)
            fault = script.pop(0) if script else None
            if fault is not None:
                raise fault
            return method(*args)

        return call


@pytest.fixture
def pinger():
    return Pinger


@pytest.fixture
def udp_pair():
    """Two sockets on 127.0.0.1 and the path from the first to the second."""
    first, second = UdpSocket.bind("127.0.0.1"), UdpSocket.bind("127.0.0.1")
    yield first, second, Path(first.local, second.local)
    first.close()
    second.close()


@pytest.fixture
def faulty():
    """Put a FaultySocket under a UdpSocket and return it."""

    def wrap(udp):
        udp._sock = FaultySocket(udp._sock)
        return udp._sock

    return wrap


@pytest.fixture
def no_leaks():
    """No file descriptor is left open when the test ends; one that the garbage collector closed is a warning, and so
    an error."""
    before = _descriptors()
    yield
    assert _descriptors() - before == set()


@pytest.fixture
def open_descriptors():
    return _descriptors


def _descriptors():
    return {(name, _target(name)) for name in os.listdir("/proc/self/fd")}


def _target(name):
    try:
        target = os.readlink(f"/proc/self/fd/{name}")
    except OSError:
        return None
    return None if target.startswith("/proc/") else target


@pytest.fixture
def closed_port():
    """A UDP address of this machine that nobody listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return Address(*sock.getsockname())


# The loop and the package of each adapter. A test that uses `peers` runs on asyncio and trio, and through anyio on one.
ADAPTERS = {
    "asyncio": ("asyncio", "sans_rtc_asyncio"),
    "trio": ("trio", "sans_rtc_trio"),
    "anyio-asyncio": ("asyncio", "sans_rtc_anyio"),
    "anyio-trio": ("trio", "sans_rtc_anyio"),
}


def pytest_generate_tests(metafunc):
    if "adapter" in metafunc.fixturenames:
        is_odd = zlib.crc32(metafunc.function.__name__.encode()) & 1
        metafunc.parametrize("adapter", ["asyncio", "trio", "anyio-trio" if is_odd else "anyio-asyncio"])


@pytest.fixture
def anyio_backend(request):
    if "adapter" not in request.fixturenames:
        return "asyncio"
    backend, _ = ADAPTERS[request.getfixturevalue("adapter")]
    pytest.importorskip(backend)
    return backend


@pytest.fixture
def adapter_package(adapter):
    """The import package under test."""
    return importlib.import_module(ADAPTERS[adapter][1])


def signal_blocking(offerer, answerer):
    """One round of offer and answer of two peers for threads, with all their candidates."""
    for local, remote in ((offerer, answerer), (answerer, offerer)):
        local.set_local_description()
        local.gathering_complete(5)
        remote.set_remote_description(local.local_description)


class Peers:
    """Makes peers of the adapter under test and joins two of them by handing over descriptions and candidates."""

    def __init__(self, peer_type, nursery=None):
        self.peer_type = peer_type
        self.nursery = nursery
        self.made = []

    def make(self, config=None, **options):
        options.setdefault("bind", "127.0.0.1")
        options.setdefault("nursery", self.nursery)
        peer = self.peer_type(config, **options)
        self.made.append(peer)
        return peer

    async def signal(self, offerer, answerer):
        """One round of offer and answer with trickled candidates."""
        async with anyio.create_task_group() as tasks:
            await offerer.set_local_description(await offerer.create_offer())
            await answerer.set_remote_description(offerer.local_description)
            await answerer.set_local_description(await answerer.create_answer())
            await offerer.set_remote_description(answerer.local_description)
            tasks.start_soon(self.trickle, offerer, answerer)
            tasks.start_soon(self.trickle, answerer, offerer)

    @staticmethod
    async def trickle(sender, receiver):
        async for candidate in sender.local_candidates():
            await receiver.add_ice_candidate(candidate.as_dict())
        await receiver.add_ice_candidate(None)

    async def pair(self, config=None, **options):
        """Two connected peers."""
        first, second = self.make(config, **options), self.make(config, **options)
        channel = first.create_data_channel("first")
        await self.signal(first, second)
        with anyio.fail_after(5):
            await first.wait_connected()
            await second.wait_connected()
        return first, second, channel

    async def channel_pair(self, config=None, **options):
        """Two connected peers, and both ends of a channel."""
        first, second, channel = await self.pair(config, **options)
        with anyio.fail_after(5):
            await channel.opened()
            other = await anext(second.incoming_channels())
        return first, second, channel, other

    async def media_pair(self, *kinds, direction="sendrecv", **options):
        """Two connected peers, and the transceivers of the first and of the second, in order."""
        first, second = self.make(), self.make()
        mine = [first.add_transceiver(kind, **options) for kind in kinds]
        await first.set_local_description()
        await second.set_remote_description(first.local_description)
        for transceiver in second.transceivers:
            transceiver.direction = direction
        await second.set_local_description()
        await first.set_remote_description(second.local_description)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.trickle, first, second)
            tasks.start_soon(self.trickle, second, first)
        with anyio.fail_after(5):
            await first.wait_connected()
            await second.wait_connected()
        return first, second, mine, second.transceivers

    @staticmethod
    async def take(items, count):
        """The next `count` items of an asynchronous iterator."""
        taken = []
        with anyio.fail_after(5):
            while len(taken) < count:
                taken.append(await anext(items))
        return taken

    def abort(self):
        for peer in self.made:
            peer.abort()


@pytest.fixture
def make_peers():
    return Peers


class Keeper:
    """A nursery that keeps what its tasks raise: the test's own task must not be cancelled by it."""

    def __init__(self, tasks):
        self.tasks = tasks
        self.failures = []

    def start_soon(self, function, *args):
        self.tasks.start_soon(self.run, function, *args)

    async def run(self, function, *args):
        try:
            await function(*args)
        except Exception as error:
            self.failures.append(error)


@pytest.fixture
async def peers(anyio_backend, adapter, adapter_package):
    """Peers on 127.0.0.1, without `async with`; whatever a test leaves open is ended."""
    async with anyio.create_task_group() as tasks:
        keeper = Keeper(tasks)
        made = Peers(adapter_package.PeerConnection, None if adapter == "asyncio" else keeper)
        yield made
        made.abort()
    for failure in keeper.failures:
        raise failure


class TlsFiles:
    """An authority, a certificate of its for turn.test and 127.0.0.1, and the same expired, as PEM files."""

    def __init__(self, folder):
        authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        authority = self._certificate("authority", authority_key, None, authority_key, days=30)
        certificate = self._certificate("turn.test", key, authority, authority_key, days=30)
        expired = self._certificate("turn.test", key, authority, authority_key, days=-1)
        self.authority = self._write(folder / "authority.pem", authority.public_bytes(Encoding.PEM))
        self.certificate = self._write(folder / "certificate.pem", certificate.public_bytes(Encoding.PEM))
        self.expired_certificate = self._write(folder / "expired.pem", expired.public_bytes(Encoding.PEM))
        self.key = self._write(folder / "key.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @staticmethod
    def _write(path, data):
        path.write_bytes(data)
        return str(path)

    @staticmethod
    def _certificate(name, key, issuer, issuer_key, *, days):
        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer.subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        )
        if issuer is not None:
            names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="session")
def tls_files(tmp_path_factory):
    return TlsFiles(tmp_path_factory.mktemp("tls"))
