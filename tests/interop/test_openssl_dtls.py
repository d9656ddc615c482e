"""DTLS 1.2 against the `openssl` command, over UDP on the loopback interface, as client and as server.

Each case: a handshake with both certificates, data both ways, equal exported key material, a close that the other end
hears. Skipped where there is no openssl with DTLS 1.2, unless SANS_RTC_REQUIRE_INTEROP=1 says that there has to be one.
"""

import contextlib
import os
import re
import selectors
import shutil
import socket
import subprocess
import threading
import time

import pytest
from interop_peers.absent import give_up
from interop_peers.certificates import make_rsa_certificate

from sans_rtc.dtls import (
    ApplicationData,
    Certificate,
    CipherSuite,
    Connected,
    Connection,
    DtlsConfig,
    NamedGroup,
    Role,
    SrtpProfile,
)
from sans_rtc.machine import Terminated

pytestmark = pytest.mark.interop

OPENSSL = shutil.which("openssl")
EXPORT_LABEL = "EXTRACTOR-dtls_srtp"
EXPORT_BYTES = 60
CASE_S_MAX = 15.0

SUITES = {
    CipherSuite.ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: "ECDHE-ECDSA-AES128-GCM-SHA256",
    CipherSuite.ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: "ECDHE-ECDSA-AES256-GCM-SHA384",
    CipherSuite.ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-ECDSA-CHACHA20-POLY1305",
    CipherSuite.ECDHE_RSA_WITH_AES_128_GCM_SHA256: "ECDHE-RSA-AES128-GCM-SHA256",
    CipherSuite.ECDHE_RSA_WITH_AES_256_GCM_SHA384: "ECDHE-RSA-AES256-GCM-SHA384",
    CipherSuite.ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: "ECDHE-RSA-CHACHA20-POLY1305",
}
GROUPS = {NamedGroup.X25519: "X25519", NamedGroup.SECP256R1: "P-256", NamedGroup.SECP384R1: "P-384"}


@pytest.fixture(autouse=True)
def _needs_openssl():
    if OPENSSL is None:
        give_up("there is no openssl command")


@pytest.fixture(scope="module")
def certificates():
    now = int(time.time())
    ecdsa = [Certificate.generate(os.urandom, now - 86400) for _ in range(2)]
    rsa_ = [make_rsa_certificate(serial) for serial in (1, 2)]
    return {"ecdsa": ecdsa, "rsa": rsa_}


class OpenSsl:
    """An openssl process; what it prints is collected by a thread that ends with it."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [OPENSSL, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.output = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while chunk := self.process.stdout.read1(65536):
            self.output += chunk

    def write(self, data):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(data)
            self.process.stdin.flush()

    def stop(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(2)
        self._reader.join(2)
        self.process.stdout.close()

    def exported(self):
        found = re.search(rb"Keying material: ([0-9A-F]+)", self.output)
        return bytes.fromhex(found[1].decode()) if found else None


class Driver:
    """Runs a connection over a UDP socket until a condition holds."""

    def __init__(self, connection, udp, remote):
        self.connection = connection
        self.udp = udp
        self.remote = remote
        self.events = []
        self._selector = selectors.DefaultSelector()
        self._selector.register(udp, selectors.EVENT_READ)

    def flush(self):
        for datagram in self.connection.take_datagrams(time.monotonic()):
            if self.remote is not None:
                with contextlib.suppress(ConnectionRefusedError):
                    self.udp.sendto(datagram, self.remote)
        self.events += self.connection.take_events()

    def run_until(self, condition):
        end = time.monotonic() + CASE_S_MAX
        while not condition():
            now = time.monotonic()
            if now >= end:
                return False
            wait = max(0.0, min(self.connection.deadline - now, end - now, 0.05))
            if self._selector.select(wait):
                with contextlib.suppress(ConnectionRefusedError):
                    datagram, self.remote = self.udp.recvfrom(65535)
                    self.connection.receive(datagram, time.monotonic())
            if self.connection.deadline <= time.monotonic():
                self.connection.handle_timer(time.monotonic())
            self.flush()
        return True

    def await_event(self, kind):
        self.run_until(lambda: any(isinstance(event, (kind, Terminated)) for event in self.events))
        return bool(self.of(kind))

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def close(self):
        self._selector.close()
        self.udp.close()


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def make_connection(role, config, ours, theirs):
    return Connection(
        config,
        role=role,
        certificate=ours,
        peer_fingerprints=[theirs.fingerprint()],
        entropy=os.urandom,
    )


def common_arguments(path, certificate, suite, group=None, srtp="SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80"):
    arguments = ["-dtls1_2", "-mtu", "1200", "-use_srtp", srtp]
    arguments += ["-keymatexport", EXPORT_LABEL, "-keymatexportlen", str(EXPORT_BYTES)]
    if certificate is not None:
        pem = path / "openssl.pem"
        pem.write_bytes(certificate.to_pem())
        arguments += ["-cert", str(pem), "-key", str(pem)]
    if suite is not None:
        arguments += ["-cipher", SUITES[suite]]
    if group is not None:
        # P-256 besides, since OpenSSL wants a certificate's curve among the groups, too
        arguments += ["-groups", ":".join(dict.fromkeys((GROUPS[group], "P-256"))), "-serverpref"]
    return arguments


def exchange(driver, openssl):
    """Handshake, data both ways, exported material, close; what every case asserts."""
    assert driver.await_event(Connected), (driver.events, driver.connection.stats, openssl.output)
    connection = driver.connection
    connection.send(b"to openssl\n", time.monotonic())
    driver.flush()
    assert driver.run_until(lambda: b"to openssl" in openssl.output), openssl.output
    openssl.write(b"from openssl\n")
    assert driver.await_event(ApplicationData), openssl.output
    assert driver.of(ApplicationData) == [ApplicationData(b"from openssl\n")]
    assert driver.run_until(lambda: openssl.exported() is not None), openssl.output
    assert openssl.exported() == connection.export_keying_material(EXPORT_LABEL.encode(), EXPORT_BYTES)
    return driver.of(Connected)[0]


@contextlib.contextmanager
def our_client(
    tmp_path, certificates, *, kind="ecdsa", suite=None, group=None, extra=(), config=None, ours=None, signalled=None
):
    """Our client against `openssl s_server`, for which `signalled` is expected; yields driver and process."""
    ours = ours or certificates["ecdsa"][0]
    theirs = certificates[kind][1]
    port = free_udp_port()
    arguments = common_arguments(tmp_path, theirs, suite, group)
    openssl = OpenSsl("s_server", "-accept", f"127.0.0.1:{port}", "-Verify", "1", *arguments, *extra)
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.connect(("127.0.0.1", port))
    udp.setblocking(False)
    connection = make_connection(Role.CLIENT, config or DtlsConfig(), ours, signalled or theirs)
    driver = Driver(connection, udp, ("127.0.0.1", port))
    try:
        assert driver.run_until(lambda: b"ACCEPT" in openssl.output), openssl.output
        driver.connection.start(time.monotonic())
        driver.flush()
        yield driver, openssl
    finally:
        driver.close()
        openssl.stop()


@contextlib.contextmanager
def our_server(tmp_path, certificates, *, kind="ecdsa", suite=None, config=None, theirs=None, is_naked=False):
    """Our server against `openssl s_client`, which has no certificate if `is_naked`; yields driver and process."""
    ours = certificates[kind][0]
    theirs = theirs or certificates["ecdsa"][1]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    udp.setblocking(False)
    driver = Driver(make_connection(Role.SERVER, config or DtlsConfig(), ours, theirs), udp, None)
    driver.connection.start(time.monotonic())
    arguments = common_arguments(tmp_path, None if is_naked else theirs, suite)
    host, port = udp.getsockname()
    openssl = OpenSsl("s_client", "-connect", f"{host}:{port}", *arguments)
    try:
        yield driver, openssl
    finally:
        driver.close()
        openssl.stop()


ECDSA_SUITES = [suite for suite in SUITES if "ECDSA" in suite.name]
RSA_SUITES = [suite for suite in SUITES if "RSA" in suite.name and "ECDSA" not in suite.name]


@pytest.mark.parametrize("suite", ECDSA_SUITES)
def test_client_speaks_each_ecdsa_suite_with_openssl(tmp_path, certificates, suite):
    with our_client(tmp_path, certificates, suite=suite) as (driver, openssl):
        assert exchange(driver, openssl).cipher_suite == suite


@pytest.mark.parametrize("suite", RSA_SUITES)
def test_client_verifies_openssls_rsa_certificate(tmp_path, certificates, suite):
    with our_client(tmp_path, certificates, kind="rsa", suite=suite) as (driver, openssl):
        assert exchange(driver, openssl).cipher_suite == suite


@pytest.mark.parametrize("suite", ECDSA_SUITES)
def test_server_speaks_each_ecdsa_suite_with_openssl(tmp_path, certificates, suite):
    with our_server(tmp_path, certificates, suite=suite) as (driver, openssl):
        assert exchange(driver, openssl).cipher_suite == suite


@pytest.mark.parametrize("suite", RSA_SUITES)
def test_server_with_an_rsa_certificate_speaks_with_openssl(tmp_path, certificates, suite):
    with our_server(tmp_path, certificates, kind="rsa", suite=suite) as (driver, openssl):
        assert exchange(driver, openssl).cipher_suite == suite


def test_server_verifies_openssls_rsa_client_certificate(tmp_path, certificates):
    with our_server(tmp_path, certificates, theirs=certificates["rsa"][1]) as (driver, openssl):
        exchange(driver, openssl)


def test_client_with_an_rsa_certificate_is_accepted_by_openssl(tmp_path, certificates):
    with our_client(tmp_path, certificates, ours=certificates["rsa"][0]) as (driver, openssl):
        exchange(driver, openssl)


@pytest.mark.parametrize("group", GROUPS)
def test_client_agrees_on_each_group_with_openssl(tmp_path, certificates, group):
    with our_client(tmp_path, certificates, group=group) as (driver, openssl):
        assert exchange(driver, openssl).group == group


@pytest.mark.parametrize("group", GROUPS)
def test_server_agrees_on_each_group_with_openssl(tmp_path, certificates, group):
    config = DtlsConfig(groups=(group,))
    with our_server(tmp_path, certificates, config=config) as (driver, openssl):
        assert exchange(driver, openssl).group == group


def test_client_answers_openssls_cookie_exchange(tmp_path, certificates):
    with our_client(tmp_path, certificates, extra=["-listen"]) as (driver, openssl):
        exchange(driver, openssl)
        assert driver.connection.stats.flights_sent == 3


def test_openssl_answers_our_cookie_exchange(tmp_path, certificates):
    with our_server(tmp_path, certificates, config=DtlsConfig(use_cookies=True)) as (driver, openssl):
        exchange(driver, openssl)
        assert driver.connection.stats.flights_sent == 3


def test_srtp_profile_is_agreed_with_openssl(tmp_path, certificates):
    with our_client(tmp_path, certificates) as (driver, openssl):
        assert exchange(driver, openssl).srtp_profile == SrtpProfile.AEAD_AES_128_GCM
        assert b"SRTP_AEAD_AES_128_GCM" in openssl.output


def test_small_datagrams_are_reassembled_by_openssl_and_by_us(tmp_path, certificates):
    config = DtlsConfig(mtu_bytes=256)
    extra = ["-listen"]
    with our_client(tmp_path, certificates, kind="rsa", config=config, extra=extra) as (driver, openssl):
        exchange(driver, openssl)


def test_close_is_heard_by_openssl(tmp_path, certificates):
    with our_client(tmp_path, certificates) as (driver, openssl):
        exchange(driver, openssl)
        driver.connection.close(time.monotonic())
        driver.flush()
        assert driver.run_until(lambda: b"CONNECTION CLOSED" in openssl.output or b"DONE" in openssl.output)
        assert driver.of(Terminated)[0].reason == "closed"


def test_openssls_close_is_heard(tmp_path, certificates):
    with our_server(tmp_path, certificates) as (driver, openssl):
        exchange(driver, openssl)
        openssl.write(b"Q\n")
        assert driver.await_event(Terminated), openssl.output
        assert driver.of(Terminated)[0].reason == "peer_closed"


def test_openssl_client_without_a_certificate_is_refused(tmp_path, certificates):
    with our_server(tmp_path, certificates, is_naked=True) as (driver, openssl):
        assert driver.await_event(Terminated)
        assert driver.of(Terminated)[0].reason == "certificate_missing"
        assert not driver.of(Connected)
        assert driver.run_until(lambda: b"alert bad certificate" in openssl.output), openssl.output


def test_openssl_server_with_another_certificate_is_refused(tmp_path, certificates):
    with our_client(tmp_path, certificates, signalled=certificates["ecdsa"][0]) as (driver, openssl):
        assert driver.await_event(Terminated)
        assert driver.of(Terminated)[0].reason == "fingerprint_mismatch"
        assert not driver.of(Connected)
        assert driver.run_until(lambda: b"alert bad certificate" in openssl.output), openssl.output
