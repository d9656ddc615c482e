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
from sans_rtc.turn import Client, Redirected

EXECUTABLE = "/usr/bin/turnserver"
START_S_MAX = 20.0
STEP_S_MAX = 20.0
REALM = "test.invalid"
CREDENTIALS = ("user=alice:secret", "lt-cred-mech")
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

    def __init__(self, directory, *options, credentials=CREDENTIALS, hosts=("127.0.0.1", "::1")):
        if not FilePath(EXECUTABLE).is_file():
            raise Missing(f"no {EXECUTABLE}")
        self.directory = directory
        self.port, self.tls_port = free_port(), free_port()
        self.certificate, key = write_certificate(directory)
        hosts = [host for host in hosts if ":" not in host or has_ipv6()]
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
    """Drives one client with blocking sockets: what an application without a loop would write.

    ahead_s  how far the client's clock runs before the server's, so that minutes can be let pass on one side
    """

    def __init__(self, config, server, protocol="udp", *, certificate=None, seed=None, udp=None):
        self.events = []
        self.ahead_s = 0.0
        self.certificate = certificate
        self.sockets = {}
        host = "::1" if server.family == 6 else "127.0.0.1"
        if protocol == "udp":
            if udp is None:
                udp = socket.socket(family_of(host), socket.SOCK_DGRAM)
                udp.bind((host, 0))
                udp.setblocking(False)
            self.udp = udp
            path = Path(Address(host, udp.getsockname()[1]), server)
            self.sockets[path] = udp
        else:
            path = Path(Address(host, 0), server, protocol, 1)
        self.client = Client(config, path, entropy=SeededEntropy(seed or f"{time.monotonic_ns()}"))
        if protocol != "udp":
            self._connect(path, config.server_name)

    @property
    def now(self):
        return time.monotonic() + self.ahead_s

    @property
    def permissions(self):
        """The state of the permission for each host."""
        return {entry.host: str(entry.state) for entry in self.client.explain().permissions}

    def allocate(self):
        self.client.allocate(self.now)
        return self.wait_for("Allocated")

    def refused(self):
        """Ask for an allocation, and be refused."""
        self.client.allocate(self.now)
        failure = self.wait_for("AllocationFailed")
        return failure, self.wait_for("Terminated")

    def permit(self, *hosts):
        for host in hosts:
            self.client.create_permission(host, self.now)
        self.run_until(lambda: all(self.permissions[host] == "granted" for host in hosts), "no permission")

    def send(self, data, peer):
        self.client.send(data, peer, self.now)
        self.flush()

    def wait_for(self, *names, others=()):
        """Wait for an event of one of these types, take it out and return it."""
        found = []

        def has_come():
            found[:] = [event for event in self.events if type(event).__name__ in names]
            return bool(found)

        self.run_until(has_come, f"{names} does not come", others)
        self.events.remove(found[0])
        return found[0]

    def run_until(self, condition, what="the condition does not hold", others=()):
        deadline = time.monotonic() + STEP_S_MAX
        while not condition():
            assert time.monotonic() < deadline, f"{what}; {self.events} {self.client.explain()}"
            for driver in (self, *others):
                driver.step(0.01)

    def step(self, wait_s):
        """One turn of the loop."""
        self.flush()
        wait_s = max(0.0, min(wait_s, self.client.deadline - self.now))
        readable, _, _ = select.select(list(self.sockets.values()), [], [], wait_s) if self.sockets else ([], [], [])
        for path, connection in list(self.sockets.items()):
            if connection in readable:
                self._read(path, connection)
        if self.client.deadline <= self.now:
            self.client.handle_timer(self.now)
        self.flush()

    def flush(self):
        while True:
            for datagram in self.client.take_datagrams(self.now):
                self._write(datagram)
            events = self.client.take_events()
            if not events:
                return
            for event in events:
                self._on_event(event)

    def close(self):
        """End the allocation and the sockets."""
        self.client.close(self.now)
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
            if isinstance(event, Redirected) and event.path.protocol == "udp":
                self.sockets = {event.path: self.udp}
            self.events.append(event)

    def _connect(self, path, server_name):
        connection = socket.create_connection(path.remote, timeout=STEP_S_MAX)
        if path.protocol == "tls":
            context = ssl.create_default_context(cafile=self.certificate)
            connection = context.wrap_socket(connection, server_hostname=server_name or path.remote.host)
        connection.setblocking(False)
        self.sockets[path] = connection
        self.client.stream_opened(path, self.now)

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
        self.client.receive_many(pieces, self.now)
        if reason is not None and path.protocol != "udp":
            self.sockets.pop(path).close()
            self.client.stream_closed(path, reason, self.now)

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
