"""A DTLS end made of NSS (nss/peer.c), and the path between it and a connection of ours: UDP that can be made rough."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import attrs
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from interop_peers.processes import Missing
from sans_rtc.dtls import Certificate, Connection, Role
from sans_rtc.dtls.events import DtlsEvent
from sans_rtc.testing import SeededEntropy

SOURCE: Final = Path(__file__).parents[1] / "nss" / "peer.c"
FIREFOX: Final = Path("/usr/lib/firefox-esr")
# Debian's own NSS, and the newer one inside Firefox; the empty path is where the linker finds them by itself.
LIBRARIES: Final = {"debian": "", "firefox": str(FIREFOX)}
CASE_S_MAX: Final = 15.0
# An end that has given up is told of by an alert, which is not sent again.
GIVEN_UP_S: Final = 1.0
# Longer than what a datagram that is held back waits for another one to pass it.
HELD_S_MAX: Final = 0.03
# Bytes of a datagram to NSS that are not damaged, the header of its first record: NSS believes the sequence number
# before it has checked the record, and ends with SSL_ERROR_TOO_MANY_RECORDS where it is too high.
SPARED_BYTES: Final = 13


def build(target: Path) -> Path:
    """Compile the peer; Missing where there is no compiler or no NSS."""
    compiler, finder = shutil.which("cc"), shutil.which("pkg-config")
    if compiler is None or finder is None:
        raise Missing("no C compiler or no pkg-config")
    flags = subprocess.run([finder, "--cflags", "--libs", "nss"], capture_output=True, text=True, check=False)
    if flags.returncode:
        raise Missing("no NSS to compile against (Debian: libnss3-dev)")
    command = [compiler, "-O1", "-o", str(target), str(SOURCE), *flags.stdout.split()]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if built.returncode:
        raise Missing(f"NSS does not compile: {built.stderr[:300]}")
    return target


def library_path(name: str) -> str:
    """Where the library of this name lies; Missing where it is not installed."""
    path = LIBRARIES[name]
    if path and not (Path(path) / "libssl3.so").is_file():
        raise Missing(f"no libssl3.so in {path}")
    return path


@attrs.frozen(slots=True)
class Roughness:
    """What befalls datagrams, each way, by a seed: shares of them, and a size beyond which none passes."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    corruption: float = 0.0
    size_max: int | None = None


class RoughWay:
    """One direction of the path."""

    def __init__(self, seed: str, deliver: Callable[[bytes], None], spared_bytes: int = 0) -> None:
        self.roughness = Roughness()
        self._spared_bytes = spared_bytes
        self.dropped = self.repeated = self.held_count = self.corrupted = 0
        self._chance = SeededEntropy(seed)
        self._deliver = deliver
        self._held: list[tuple[float, bytes]] = []

    def carry(self, datagram: bytes, now: float) -> None:
        """Take a datagram: it is lost, delivered, delivered twice, or held until others have passed it."""
        rough, chance = self.roughness, self._chance
        if chance.fraction() < rough.loss or (rough.size_max is not None and len(datagram) > rough.size_max):
            self.dropped += 1
            return
        if chance.fraction() < rough.corruption:
            self.corrupted += 1
            at = self._spared_bytes + chance.below(len(datagram) - self._spared_bytes)
            self._deliver(datagram[:at] + bytes([datagram[at] ^ 1 << chance.below(8)]) + datagram[at + 1 :])
        if chance.fraction() < rough.reordering:
            self.held_count += 1
            self._held.append((now + HELD_S_MAX * chance.fraction(), datagram))
        else:
            self._deliver(datagram)
        if chance.fraction() < rough.duplication:
            self.repeated += 1
            self._held.append((now + HELD_S_MAX * chance.fraction(), datagram))

    def release(self, now: float) -> None:
        """Deliver what has been held for long enough."""
        due = [datagram for at, datagram in self._held if at <= now]
        self._held = [(at, datagram) for at, datagram in self._held if at > now]
        for datagram in due:
            self._deliver(datagram)

    @property
    def deadline(self) -> float:
        """When the next held datagram is due."""
        return min((at for at, _ in self._held), default=float("inf"))


@attrs.frozen(slots=True)
class NssConnected:
    """What NSS says that was agreed on."""

    version: int
    cipher_suite: int
    group: int
    srtp_profile: int
    has_extended_master_secret: bool
    peer_fingerprint: bytes
    keys: bytes | None
    keys_with_context: bytes | None


@attrs.frozen(slots=True, kw_only=True)
class NssSettings:
    """What the NSS end is told; lists are most preferred first."""

    role: Role
    certificate: Certificate | None
    peer_fingerprint: bytes
    versions: tuple[int, int] = (0x303, 0x303)
    cipher_suites: Sequence[int]
    groups: Sequence[int]
    srtp_profiles: Sequence[int] = (7, 8, 1, 2)

    def arguments(self, port: int, directory: Path) -> list[str]:
        """The command line of the peer, its files written."""
        files = ["-", "-"]
        if self.certificate is not None:
            files = [str(directory / "certificate.der"), str(directory / "key.der")]
            Path(files[0]).write_bytes(self.certificate.der)
            key = load_pem_private_key(self.certificate.to_pem(), None)
            Path(files[1]).write_bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
        lists = [
            ",".join(f"{number:x}" for number in numbers) or "-"
            for numbers in (self.cipher_suites, self.groups, self.srtp_profiles)
        ]
        versions = "-".join(f"{version:x}" for version in self.versions)
        return [self.role.value, str(port), *files, self.peer_fingerprint.hex(), versions, *lists]


class Conversation:
    """A connection of ours against an NSS process, driven in real time through a path of ours."""

    def __init__(
        self, program: Path, library: str, directory: Path, connection: Connection, settings: NssSettings, seed: str
    ) -> None:
        self.connection = connection
        self.peer_fingerprint = settings.peer_fingerprint
        self.events: list[DtlsEvent] = []
        self.lines: list[str] = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("127.0.0.1", 0))
        self._udp.setblocking(False)
        environment = {**os.environ, "LD_LIBRARY_PATH": library} if library else None
        self.process = subprocess.Popen(
            [str(program), *settings.arguments(self._udp.getsockname()[1], directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            bufsize=0,
        )
        assert self.process.stdout is not None and self.process.stdin is not None
        self._stdin = self.process.stdin
        self._text = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._udp, selectors.EVENT_READ)
        self._selector.register(self.process.stdout, selectors.EVENT_READ)
        self.to_nss = RoughWay(f"to {seed}", self._send, SPARED_BYTES)
        self.to_us = RoughWay(f"from {seed}", self._receive)

    def start(self) -> None:
        """Begin as soon as NSS has its socket."""
        assert self.run_until(lambda: bool(self.lines)), "NSS does not start"
        word, port, self.library_version = self.lines.pop(0).split()
        assert word == "ready", word
        self._udp.connect(("127.0.0.1", int(port)))
        self.connection.start(time.monotonic())
        self.flush()

    def set_roughness(self, roughness: Roughness) -> None:
        """From now on, both ways."""
        self.to_nss.roughness = self.to_us.roughness = roughness

    def run_until(self, condition: Callable[[], bool]) -> bool:
        """Drive until the condition holds; False where it does not in time, or where either end has given up."""
        end = time.monotonic() + CASE_S_MAX
        while not condition():
            now = time.monotonic()
            if self.connection.is_terminated or self.told("failed"):
                end = min(end, now + GIVEN_UP_S)
            if now >= end:
                return False
            wake = min(self.connection.deadline, self.to_nss.deadline, self.to_us.deadline, now + 0.05)
            for key, _ in self._selector.select(max(0.0, wake - now)):
                self._read(key.fileobj)
            now = time.monotonic()
            self.to_us.release(now)
            if self.connection.deadline <= now:
                self.connection.handle_timer(now)
            self.flush()
            self.to_nss.release(now)
        return True

    def flush(self) -> None:
        """Hand on what our connection has made."""
        now = time.monotonic()
        for datagram in self.connection.take_datagrams(now):
            self.to_nss.carry(datagram, now)
        self.events += self.connection.take_events()

    def _read(self, source: object) -> None:
        if source is self._udp:
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                while True:
                    self.to_us.carry(self._udp.recv(65535), time.monotonic())
            return
        assert self.process.stdout is not None
        chunk = self.process.stdout.read(1 << 20)
        if not chunk:
            self._selector.unregister(self.process.stdout)
        *lines, self._text = (self._text + (chunk or b"")).split(b"\n")
        self.lines += [line.decode() for line in lines]

    def _send(self, datagram: bytes) -> None:
        with contextlib.suppress(ConnectionRefusedError):
            self._udp.send(datagram)

    def _receive(self, datagram: bytes) -> None:
        self.connection.receive(datagram, time.monotonic())

    def tell(self, command: str) -> None:
        """Give NSS a line."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.write(command.encode() + b"\n")

    def told(self, word: str) -> list[str]:
        """What NSS has said behind each line that begins with the word."""
        return [line[len(word) :].strip() for line in self.lines if line.split(" ")[0] == word]

    @property
    def connected(self) -> NssConnected | None:
        """What NSS has agreed on; None before."""
        for line in self.told("connected"):
            numbers, fingerprint, *exported = line.split()[:4], *line.split()[5:]
            version, cipher_suite, group, srtp_profile = (int(number, 16) for number in numbers)
            keys, with_context = (None if value == "-" else bytes.fromhex(value) for value in exported)
            return NssConnected(
                version=version,
                cipher_suite=cipher_suite,
                group=group,
                srtp_profile=srtp_profile,
                has_extended_master_secret=line.split()[4] == "1",
                peer_fingerprint=bytes.fromhex(fingerprint),
                keys=keys,
                keys_with_context=with_context,
            )
        return None

    def of(self, kind: type) -> list[DtlsEvent]:
        """Our events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def end(self) -> None:
        """End the process and free the socket."""
        self.process.kill()
        self.process.wait()
        self._stdin.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._selector.close()
        self._udp.close()
