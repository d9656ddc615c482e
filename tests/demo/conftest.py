"""A real browser on the demo's page, driven through Chromium's debugging pipe; and the demo as a process."""

import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

CHROMIUM = Path(os.environ.get("SANS_RTC_CHROMIUM", "/usr/lib/chromium/chromium"))
FIREFOX = os.environ.get("SANS_RTC_FIREFOX", "/usr/bin/firefox-esr")
REPLY_S = 30.0

FIREFOX_PREFERENCES = {
    "media.peerconnection.ice.loopback": True,
    "marionette.port": 0,  # any free one
    "remote.prefs.recommended": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "http://127.0.0.1:1/",
}


def wait_for(browser, expression, timeout_s=15):
    """Wait until an expression is true in the page; fails with what the page shows otherwise."""
    is_met = browser.js(
        f"""new Promise((resolve) => {{
          const endsAt = performance.now() + {timeout_s * 1000};
          const look = () => ({expression}) ? resolve(true)
            : performance.now() > endsAt ? resolve(false) : setTimeout(look, 10);
          look();
        }})"""
    )
    assert is_met, f"{expression} never came true; the page shows: {browser.js('document.body.innerText')}"


class Chromium:
    """One browser with one page; every call waits for its reply."""

    def __init__(self, *flags):
        self._profile = tempfile.mkdtemp(prefix="sans-rtc-demo-")
        self._ids = itertools.count(1)
        self._buffer = b""
        self.events = []
        commands, self._write = (_high(end) for end in os.pipe())
        self._read, replies = (_high(end) for end in os.pipe())

        def wire():
            os.dup2(commands, 3)
            os.dup2(replies, 4)

        self._process = subprocess.Popen(
            [str(CHROMIUM), *_flags(self._profile), *flags, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=wire,
            pass_fds=(3, 4, commands, replies),
            start_new_session=True,
        )
        os.close(commands)
        os.close(replies)
        target = self.call("Target.createTarget", None, url="about:blank")["targetId"]
        self._page = self.call("Target.attachToTarget", None, targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, page="own", **params):
        """One command of the DevTools protocol and its result."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        if page is not None:
            message["sessionId"] = self._page
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (reply := self._receive()).get("id") != number:
            self.events.append(reply)
        if "error" in reply:
            raise RuntimeError(f"{method}: {reply['error']}")
        return reply["result"]

    def js(self, expression):
        """The value of an expression in the page; a promise is waited for."""
        reply = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in reply:
            raise RuntimeError(reply["exceptionDetails"]["exception"].get("description"))
        return reply["result"].get("value")

    def wait_for(self, expression, timeout_s=15):
        """Wait until the expression is true in the page."""
        wait_for(self, expression, timeout_s)

    def size(self, width, height=900, *, is_dark=False, ratio=1):
        """Give the page this size in CSS pixels and a light or dark colour scheme."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": ratio, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url):
        """Go to a page and wait until it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=url)
        self.wait_for(f"document.readyState === 'complete' && location.href.startsWith({json.dumps(url)})")

    def press(self, key, text=""):
        """Press and release one key on whatever has the focus."""
        code = {"Enter": 13, "Tab": 9, " ": 32}.get(key, 0)
        event = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **event)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text):
        """Enter text into whatever has the focus."""
        self.call("Input.insertText", text=text)

    def quit(self):
        """End the browser with everything it has started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _receive(self):
        ends_at = time.monotonic() + REPLY_S
        while b"\0" not in self._buffer:
            readable, _, _ = select.select([self._read], [], [], max(0.0, ends_at - time.monotonic()))
            chunk = os.read(self._read, 1 << 20) if readable else b""
            if not chunk:
                raise RuntimeError("the browser does not answer")
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)


def _high(descriptor):
    """The same file under a number that the browser's own 3 and 4 cannot collide with."""
    copy = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 20)
    os.close(descriptor)
    return copy


def _flags(profile):
    return [
        "--headless",
        "--no-sandbox",
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
        "--no-first-run",
        "--no-default-browser-check",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-extensions",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
    ]


class Demo:
    """The command `sans-rtc demo` as a process."""

    def __init__(self, port="0", *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sans_rtc_demo.main", "demo", "--port", port, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.printed = []
        self.url = self._url()
        self.port = self.url.rstrip("/").rpartition(":")[2]

    def _url(self):
        for line in self.process.stdout:
            self.printed.append(line)
            if "http://" in line:
                return line[line.index("http://") :].split()[0]
        raise RuntimeError(f"no address was printed: {''.join(self.printed)} {self.process.stderr.read()}")

    def stop(self, number=signal.SIGINT):
        """Send a signal; returns the seconds until the end, the exit status, and what came on stderr."""
        started_at = time.monotonic()
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=10)
        return time.monotonic() - started_at, self.process.returncode, errors

    def printed_until(self, text):
        """Wait for a line with this text; returns the line."""
        for line in self.process.stdout:
            self.printed.append(line)
            if text in line:
                return line
        raise RuntimeError(f"{text!r} was never printed: {''.join(self.printed)}")

    def kill(self):
        """End it whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


class Firefox:
    """One Firefox, driven over Marionette: JSON messages, each after its length and a colon."""

    def __init__(self):
        self._profile = tempfile.mkdtemp(prefix="sans-rtc-demo-")
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in FIREFOX_PREFERENCES.items()]
        Path(self._profile, "user.js").write_text("\n".join(lines))
        self._process = subprocess.Popen(
            [FIREFOX, "--headless", "--no-remote", "--marionette", "--profile", self._profile, "about:blank"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self._profile, "MOZ_CRASHREPORTER_DISABLE": "1"},
            start_new_session=True,
        )
        self._socket = self._connect()
        self._stream = self._socket.makefile("rb")
        self._receive()  # it introduces itself
        self.call("WebDriver:NewSession", capabilities={})

    def call(self, command, **parameters):
        """One command and its result."""
        message = json.dumps([0, 1, command, parameters]).encode()
        self._socket.sendall(b"%d:%b" % (len(message), message))
        _, _, error, result = self._receive()
        if error:
            raise RuntimeError(f"{command}: {error}")
        return result

    def open(self, url):
        """Go to a page and wait until it is loaded."""
        self.call("WebDriver:Navigate", url=url)

    def js(self, expression):
        """The value of an expression in the page; a promise is waited for."""
        script = f"""const done = arguments[arguments.length - 1];
            Promise.resolve({expression}).then((value) => done(JSON.stringify(value ?? null)))"""
        return json.loads(self.call("WebDriver:ExecuteAsyncScript", script=script, args=[], sandbox=None)["value"])

    def wait_for(self, expression, timeout_s=15):
        """Wait until the expression is true in the page."""
        wait_for(self, expression, timeout_s)

    def quit(self):
        """End the browser with everything it has started."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._stream.close()
        self._socket.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def _connect(self):
        ends_at = time.monotonic() + REPLY_S
        while time.monotonic() < ends_at:
            try:
                port = int(Path(self._profile, "MarionetteActivePort").read_text())
                return socket.create_connection(("127.0.0.1", port), timeout=REPLY_S)
            except (OSError, ValueError):
                time.sleep(0.05)  # no event tells that another process has written a file
        self.quit()
        raise RuntimeError("Firefox did not start")

    def _receive(self):
        length = b""
        while (byte := self._stream.read(1)) != b":":
            length += byte
        return json.loads(self._stream.read(int(length)))


def skip_or_fail(reason):
    """Skip, unless the run demands that nothing is skipped."""
    if os.environ.get("SANS_RTC_REQUIRE_INTEROP") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def chromium():
    if not CHROMIUM.exists():
        skip_or_fail(f"needs Chromium at {CHROMIUM}, or its place in SANS_RTC_CHROMIUM")
    browser = Chromium()
    yield browser
    browser.quit()


@pytest.fixture(scope="session")
def firefox():
    if shutil.which(FIREFOX) is None:
        skip_or_fail(f"needs Firefox at {FIREFOX}, or its place in SANS_RTC_FIREFOX")
    browser = Firefox()
    yield browser
    browser.quit()


@pytest.fixture(scope="session")
def demo():
    """A demo that all tests share; none of them may end it."""
    demo = Demo()
    yield demo
    demo.kill()


@pytest.fixture
def start_demo():
    """Starts demos, each in a process of its own that ends with the test."""
    started = []

    def start(*arguments):
        started.append(Demo(*arguments))
        return started[-1]

    yield start
    for demo in started:
        demo.kill()


@pytest.fixture
def own_demo(start_demo):
    return start_demo()


class Answer:
    """What an ASGI application answered."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.decode(): value.decode() for name, value in headers}
        self.text = body.decode()

    def json(self):
        return json.loads(self.text)


async def ask(app, method, path, *, json_body=None, body=b"", headers=None):
    """One request to an ASGI application, without a server."""
    target, _, query = path.partition("?")
    if json_body is not None:
        body = json.dumps(json_body).encode()
    sent = {"host": "127.0.0.1:8080", **({"content-type": "application/json"} if body else {}), **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": target,
        "raw_path": target.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items() if value is not None],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8080),
    }
    # In pieces, as a network delivers it.
    pieces = [body[start : start + 4096] for start in range(0, len(body), 4096)] or [b""]
    incoming = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1}
        for number, piece in enumerate(pieces)
    ]
    outgoing = []

    async def receive():
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message):
        outgoing.append(message)

    await app(scope, receive, send)
    start, *rest = outgoing
    return Answer(start["status"], start["headers"], b"".join(message.get("body", b"") for message in rest))


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(name="ask")
def ask_fixture():
    return ask
