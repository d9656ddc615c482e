"""coturn, started for one test module on free ports of the loopback interface, and a client driven by plain sockets."""

import datetime
import ipaddress
import select
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path as FilePath

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from interop_peers.processes import Missing
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.testing import SeededEntropy
from sans_rtc.turn import Client

EXECUTABLE = "/usr/bin/turnserver"
START_S_MAX = 20.0
STEP_S_MAX = 20.0
REALM = "test.invalid"
SERVER_NAME = "turn.test.invalid"


def free_port(host="127.0.0.1"):
    """A port that nobody has, for UDP and TCP alike."""
    while True:
        with socket.socket(family_of(host), socket.SOCK_STREAM) as tcp:
            tcp.bind((host, 0))
            port = tcp.getsockname()[1]
            with socket.socket(family_of(host), socket.SOCK_DGRAM) as udp:
                try:
                    udp.bind((host, port))
                except OSError:
                    continue
        if port < 65000:
            return port


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def write_certificate(directory):
    """A certificate for SERVER_NAME and its key, in PEM; the path of each."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, SERVER_NAME)])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.DNSName(SERVER_NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = directory / "certificate.pem", directory / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    return certificate_file, key_file


class Coturn:
    """One process of coturn.

    options  lines of its configuration beyond those every test needs
    """

    def __init__(self, directory, *options, credentials=("user=alice:secret", "user=bob:hunter2", "lt-cred-mech")):
        if not FilePath(EXECUTABLE).is_file():
            raise Missing(f"no {EXECUTABLE}")
        self.directory = directory
        self.port, self.tls_port = free_port(), free_port()
        self.certificate, key = write_certificate(directory)
        hosts = ["127.0.0.1", "::1"] if has_ipv6() else ["127.0.0.1"]
        lines = [
            *[f"listening-ip={host}" for host in hosts],
            *[f"relay-ip={host}" for host in hosts],
            f"listening-port={self.port}",
            f"tls-listening-port={self.tls_port}",
            "min-port=49160",
            "max-port=65000",
            f"realm={REALM}",
            "allow-loopback-peers",
            f"cert={self.certificate}",
            f"pkey={key}",
            "cli-password=x",
            "no-cli",
            "log-file=stdout",
            "simple-log",
            "verbose",
            f"pidfile={directory}/turn.pid",
            f"userdb={directory}/turndb",
            *credentials,
            *options,
        ]
        configuration = directory / "turnserver.conf"
        configuration.write_text("\n".join(lines) + "\n")
        self._log = (directory / "log").open("wb")
        self.process = subprocess.Popen(
            [EXECUTABLE, "-c", configuration], stdout=self._log, stderr=subprocess.STDOUT, cwd=directory
        )
        self._wait_until_it_listens()

    @property
    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self._log.close()

    def address(self, protocol, host="127.0.0.1"):
        return Address(host, self.tls_port if protocol == "tls" else self.port)

    def _wait_until_it_listens(self):
        deadline = time.monotonic() + START_S_MAX
        for port in (self.port, self.tls_port):
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
                    break
                except OSError:
                    pass
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"coturn does not listen:\n{self.log}")
                time.sleep(0.02)


class Driver:
    """Drives one client with blocking sockets: what an application without a loop would write."""

    def __init__(self, config, server, protocol="udp", *, certificate=None, seed=None):
        self.events = []
        self.reports = []
        self.certificate = certificate
        self.sockets = {}
        host = "::1" if server.family == 6 else "127.0.0.1"
        if protocol == "udp":
            udp = socket.socket(family_of(host), socket.SOCK_DGRAM)
            udp.bind((host, 0))
            udp.setblocking(False)
            path = Path(Address(host, udp.getsockname()[1]), server)
            self.sockets[path] = udp
        else:
            path = Path(Address(host, 0), server, protocol, 1)
        self.client = Client(config, path, entropy=SeededEntropy(seed or f"{time.monotonic_ns()}"))
        if protocol != "udp":
            self._connect(path, config.server_name)

    def allocate(self):
        self.client.allocate(time.monotonic())
        return self.wait_for("Allocated")

    def wait_for(self, *names):
        """Wait for an event of one of these types, take it out and return it."""
        found = []

        def has_come():
            found[:] = [event for event in self.events if type(event).__name__ in names]
            return bool(found)

        self.run_until(has_come, f"{names} does not come")
        self.events.remove(found[0])
        return found[0]

    def run_until(self, condition, what="the condition does not hold", others=()):
        deadline = time.monotonic() + STEP_S_MAX
        while not condition():
            assert time.monotonic() < deadline, f"{what}; {self.events} {self.client.explain()}"
            for driver in (self, *others):
                driver.step(0.01)

    def run_for(self, seconds):
        """Let time pass; only to see that something goes on, never to wait for it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step(0.02)

    def step(self, wait_s):
        """One turn of the loop."""
        self.flush()
        now = time.monotonic()
        wait_s = max(0.0, min(wait_s, self.client.deadline - now))
        readable, _, _ = select.select(list(self.sockets.values()), [], [], wait_s) if self.sockets else ([], [], [])
        for path, connection in list(self.sockets.items()):
            if connection in readable:
                self._read(path, connection)
        if self.client.deadline <= time.monotonic():
            self.client.handle_timer(time.monotonic())
        self.flush()

    def flush(self):
        now = time.monotonic()
        while True:
            for datagram in self.client.take_datagrams(now):
                self._write(datagram)
            events = self.client.take_events()
            if not events:
                return
            for event in events:
                self._on_event(event)

    def close(self):
        """End the allocation and the sockets."""
        self.client.close(time.monotonic())
        self.run_until(lambda: self.client.is_terminated, "the end does not come")
        self.drop()

    def drop(self):
        for connection in self.sockets.values():
            connection.close()
        self.sockets.clear()

    def _on_event(self, event):
        if isinstance(event, StreamNeeded):
            self._connect(event.path, event.server_name)
        elif isinstance(event, StreamUnneeded):
            connection = self.sockets.pop(event.path, None)
            if connection is not None:
                connection.close()
        else:
            self.events.append(event)

    def _connect(self, path, server_name):
        connection = socket.create_connection(path.remote, timeout=STEP_S_MAX)
        if path.protocol == "tls":
            context = ssl.create_default_context(cafile=self.certificate)
            connection = context.wrap_socket(connection, server_hostname=server_name or path.remote.host)
        connection.setblocking(False)
        self.sockets[path] = connection
        self.client.stream_opened(path, time.monotonic())

    def _read(self, path, connection):
        pieces = []
        reason = None
        while reason is None:
            try:
                data = connection.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                break
            except OSError as error:
                reason = str(error)
                break
            if not data and path.protocol != "udp":
                reason = "the server has closed it"
                break
            pieces.append(Datagram(data, path))
        self.client.receive_many(pieces, time.monotonic())
        if reason is not None and path.protocol != "udp":
            self.sockets.pop(path).close()
            self.client.stream_closed(path, reason, time.monotonic())

    def _write(self, datagram):
        connection = self.sockets.get(datagram.path)
        if connection is None:
            return
        if datagram.path.protocol == "udp":
            connection.sendto(datagram.data, datagram.path.remote)
            return
        data = datagram.data
        while data:
            try:
                data = data[connection.send(data) :]
            except (BlockingIOError, ssl.SSLWantWriteError):
                select.select([], [connection], [], 1.0)
