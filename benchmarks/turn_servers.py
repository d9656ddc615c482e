"""The TURN servers that are measured: this project's command, and coturn where it is installed. Each is a process."""

from __future__ import annotations

import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Final

from benchmarks.processes import ROOT, WorkerFailed

USER: Final = "bench"
PASSWORD: Final = "secret"
REALM: Final = "bench.invalid"
START_S_MAX: Final = 15.0

COTURN_CONFIG: Final = """\
listening-ip=127.0.0.1
relay-ip=127.0.0.1
listening-port={port}
min-port=49152
max-port=65535
lt-cred-mech
realm={realm}
user={user}:{password}
allow-loopback-peers
relay-threads=1
no-tls
no-dtls
no-tcp
no-cli
cli-password=x
no-software-attribute
log-file={folder}/log
simple-log
pidfile={folder}/pid
userdb={folder}/db
"""


def is_installed(name: str) -> bool:
    """True where this server can be started here."""
    return name == "sans_rtc" or shutil.which("turnserver") is not None


class TurnProcess:
    """A server on loopback, from `with` to its end. Its cost is read from /proc, the same for all."""

    def __init__(self, name: str, allocation_count: int) -> None:
        self.port = 0
        self._name = name
        self._allocation_count = allocation_count
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="sans_rtc_bench_")

    def __enter__(self) -> TurnProcess:
        try:
            self.port = self._start_ours() if self._name == "sans_rtc" else self._start_coturn()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._folder.cleanup()

    @property
    def cpu_s(self) -> float:
        """Processor time so far, of all threads, user and system."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def resident_bytes(self) -> int:
        """Memory that it holds now."""
        pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def _pid(self) -> int:
        if self._process is None or self._process.poll() is not None:
            raise WorkerFailed(f"{self._name} has ended")
        return self._process.pid

    def _start_ours(self) -> int:
        limit = str(2 * self._allocation_count)
        command = [sys.executable, "-m", "sans_rtc_demo.main", "turn-server", "--port", "0", "--allow-loopback-peers"]
        command += ["--realm", REALM, "--user", f"{USER}:{PASSWORD}", "--max-allocations", limit, "--user-quota", limit]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=_environment())
        assert self._process.stdout is not None
        line = _first_line(self._process.stdout)
        if "transport=udp" not in line:
            raise WorkerFailed(f"{self._name} does not say where it listens: {line!r}")
        return int(line.partition("?transport=udp")[0].rpartition(":")[2])

    def _start_coturn(self) -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        config = Path(self._folder.name) / "turnserver.conf"
        values = {"port": port, "realm": REALM, "user": USER, "password": PASSWORD, "folder": self._folder.name}
        config.write_text(COTURN_CONFIG.format(**values))
        self._process = subprocess.Popen(
            ["turnserver", "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
        )
        _await_binding(port)
        return port


def _first_line(stream: IO[str]) -> str:
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=lambda: lines.put(stream.readline()), daemon=True).start()
    try:
        return lines.get(timeout=START_S_MAX)
    except queue.Empty:
        raise WorkerFailed(f"the server has said nothing in {START_S_MAX:.0f} s") from None


def _await_binding(port: int) -> None:
    """Wait until somebody answers Binding there."""
    deadline = time.monotonic() + START_S_MAX
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(0.2)
        probe.connect(("127.0.0.1", port))
        while time.monotonic() < deadline:
            try:
                probe.send(bytes.fromhex("000100002112a442") + os.urandom(12))
                probe.recv(1500)
                return
            except (TimeoutError, ConnectionRefusedError):
                time.sleep(0.05)
    raise WorkerFailed(f"no server answers on port {port}")


def _environment() -> dict[str, str]:
    places = [str(ROOT), str(ROOT / "adapters"), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(place for place in places if place)}
