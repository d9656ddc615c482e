"""The peer under test: a process that signals by JSON lines as `sans-rtc peer` does (docs/peer-command.md)."""

import json
import os
import pathlib
import queue
import shlex
import signal
import subprocess
import threading

ROOT = pathlib.Path(__file__).parents[3]
END_S = 3.0


class Foreign:
    """A running peer and what it has said so far, by kind."""

    def __init__(self, command):
        paths = [str(ROOT), str(ROOT / "adapters"), os.environ.get("PYTHONPATH", "")]
        self._process = subprocess.Popen(
            shlex.split(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            start_new_session=True,
        )
        self._lines = queue.SimpleQueue()
        self._said = []
        threading.Thread(target=self._read, daemon=True).start()

    def say(self, kind, **fields):
        """One object to its stdin; nothing where it has gone."""
        try:
            self._process.stdin.write(json.dumps({"type": kind, **fields}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            return

    def said(self, kind):
        """All objects of a kind, in order."""
        while not self._lines.empty():
            self._said.append(self._lines.get())
        return [line for line in self._said if line.get("type") == kind]

    @property
    def has_ended(self):
        """Whether the process is gone."""
        return self._process.poll() is not None

    def end(self):
        """Close its input, which ends it; kill its process group where it does not."""
        try:
            self._process.stdin.close()
            self._process.wait(END_S)
        except (OSError, subprocess.TimeoutExpired):
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process.stdout.close()

    def _read(self):
        for line in self._process.stdout:
            try:
                self._lines.put(json.loads(line))
            except ValueError:
                continue
