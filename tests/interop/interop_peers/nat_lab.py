"""A small internet with two hosts of each kind, and a STUN and TURN server in its middle: what the matrix runs on.

The kinds have the names of `tests.nat.access`, so that one oracle says what must come of a pair, here and in virtual
time.
"""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from interop_peers.namespaces import (
    ADDRESS_RESTRICTED,
    FULL_CONE,
    PORT_RESTRICTED,
    SYMMETRIC,
    TLS_ONLY,
    UDP_BLOCKED,
    UDP_FOR_5_S,
    Internet,
    Namespaces,
    Nat,
)
from interop_peers.nat_matrix import environment, worker_command
from interop_peers.processes import Missing

EXECUTABLE = "/usr/bin/turnserver"
PORT, TLS_PORT = 3478, 443
USER, PASSWORD, REALM = "alice", "secret", "test.invalid"
LISTEN_S_MAX = 20.0

KINDS: Mapping[str, Sequence[Nat] | None] = {
    "open": (),
    "full cone": (FULL_CONE,),
    "address-restricted": (ADDRESS_RESTRICTED,),
    "port-restricted": (PORT_RESTRICTED,),
    "symmetric": (SYMMETRIC,),
    "double NAT": (PORT_RESTRICTED, PORT_RESTRICTED),
    "IPv6 only": None,
    "UDP blocked": (UDP_BLOCKED,),
    "TLS only": (TLS_ONLY,),
    "UDP for 5 s": (UDP_FOR_5_S,),
}
"""The NATs of each kind, the outermost first; None: a host with IPv6 alone, behind a firewall."""


class NatLab:
    """The internet, its hosts and its server. Use as a context manager; everything is gone afterwards.

    kinds   those of KINDS to build
    server  "coturn", or "ours": `sans-rtc turn-server`
    """

    def __init__(self, directory: Path, kinds: Sequence[str], *, server: str = "coturn") -> None:
        self._directory = directory
        self._kinds = kinds
        self._server_name = server
        self._server: subprocess.Popen[bytes] | None = None
        self.namespaces = Namespaces()
        self.commands: dict[str, list[list[str]]] = {}

    def __enter__(self) -> NatLab:
        try:
            self.internet = Internet(self.namespaces)
            for kind in self._kinds:
                self.commands[kind] = [self._add(kind, end) for end in "ab"]
            self._start_server()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        self.namespaces.close()

    def settings(self, kind: str, *, is_relay_only: bool = False) -> dict[str, object]:
        """What a peer of this kind is told of the server."""
        host = f"[{Internet.SERVER6}]" if kind == "IPv6 only" else Internet.SERVER
        relays = [f"turn:{host}:{PORT}", f"turn:{host}:{PORT}?transport=tcp", f"turns:{host}:{TLS_PORT}"]
        servers = [{"urls": f"stun:{host}:{PORT}"}, {"urls": relays, "username": USER, "credential": PASSWORD}]
        return {
            "ice_servers": servers,
            "tls_ca": str(self._directory / "certificate.pem"),
            "ice_transport_policy": "relay" if is_relay_only else "all",
        }

    @property
    def server_log(self) -> str:
        return (self._directory / "server.log").read_text(errors="replace")

    def _add(self, kind: str, end: str) -> list[str]:
        nats, name = KINDS[kind], kind.replace(" ", "") + end
        if nats is None:
            host = self.internet.add_ipv6_host(name)
        else:
            host = self.internet.add_host_behind(name, *nats) if nats else self.internet.add_host(name)
        return self.namespaces.command(host, *worker_command())

    def _start_server(self) -> None:
        certificate, key = write_certificate(self._directory, [Internet.SERVER, Internet.SERVER6])
        command = self._coturn(certificate, key) if self._server_name == "coturn" else self._ours(certificate, key)
        with (self._directory / "server.log").open("wb") as log:
            self._server = subprocess.Popen(
                self.namespaces.command(self.internet.public, *command),
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=self._directory, env=environment(),
            )  # fmt: skip
        self._wait_until_it_listens()

    def _coturn(self, certificate: Path, key: Path) -> list[str]:
        if not Path(EXECUTABLE).is_file():
            raise Missing(f"no {EXECUTABLE}")
        hosts = (Internet.SERVER, Internet.SERVER6)
        lines = [
            *(f"listening-ip={host}" for host in hosts),
            *(f"relay-ip={host}" for host in hosts),
            f"listening-port={PORT}",
            f"tls-listening-port={TLS_PORT}",
            f"realm={REALM}",
            "lt-cred-mech",
            f"user={USER}:{PASSWORD}",
            f"cert={certificate}",
            f"pkey={key}",
            "no-cli",
            "cli-password=x",
            "log-file=stdout",
            "simple-log",
            "verbose",
            f"pidfile={self._directory}/turn.pid",
            f"userdb={self._directory}/turndb",
        ]
        configuration = self._directory / "turnserver.conf"
        configuration.write_text("\n".join(lines) + "\n")
        return [EXECUTABLE, "-c", str(configuration)]

    @staticmethod
    def _ours(certificate: Path, key: Path) -> list[str]:
        return [
            *(sys.executable, "-m", "sans_rtc_demo.main", "turn-server"),
            *("--bind", Internet.SERVER, "--bind", Internet.SERVER6, "--port", str(PORT), "--tls-port", str(TLS_PORT)),
            *("--cert", str(certificate), "--key", str(key), "--realm", REALM, "--user", f"{USER}:{PASSWORD}"),
        ]

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + LISTEN_S_MAX
        wanted = {f":{port:04X}" for port in (PORT, TLS_PORT)}
        while True:
            table = self.namespaces.shell(self.internet.public, "cat /proc/net/tcp /proc/net/tcp6")
            rows = [line.split() for line in table.splitlines()]
            listening = {row[1][-5:] for row in rows if len(row) > 3 and row[3] == "0A"}
            if wanted <= listening:
                return
            assert self._server is not None
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the server does not listen:\n{self.server_log}")
            time.sleep(0.05)


def write_certificate(directory: Path, hosts: Sequence[str]) -> tuple[Path, Path]:
    """Write a certificate for these addresses and its key, in PEM; return the path of each."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "turn.test.invalid")])
    now = datetime.datetime.now(datetime.UTC)
    names = [x509.IPAddress(ipaddress.ip_address(host)) for host in hosts]
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
    files = directory / "certificate.pem", directory / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files
