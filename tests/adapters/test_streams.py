"""TCP and TLS streams on 127.0.0.1, without a loop: opening, whole frames out, bounds, and every bad end."""

import select
import socket
import struct
import threading
import time

import pytest

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc_net.listener import Listener
from sans_rtc_net.options import StreamConfig
from sans_rtc_net.proxy import Proxy
from sans_rtc_net.stream import Stream
from sans_rtc_net.stream_types import StreamClosed, StreamOpened, StreamState
from sans_rtc_net.tls import client_context, server_context

pytestmark = pytest.mark.usefixtures("no_leaks")

LOOPBACK = "127.0.0.1"
WITHIN_S = 10.0


class Wire:
    """Steps streams and listeners until a condition holds, as a loop would."""

    def __init__(self):
        self.items = []
        self.pieces = {}
        self.reports = {}

    def add(self, item):
        self.items.append(item)
        if isinstance(item, Stream):
            self.pieces[item], self.reports[item] = [], []
            self.collect(item)
        return item

    def connect(self, remote, server_name="", config=None, protocol="tcp", local=LOOPBACK, **options):
        return self.add(Stream.connect(Path(Address(local, 0), remote, protocol), server_name, config, **options))

    def listen(self, *args, **options):
        return self.add(Listener.bind(LOOPBACK, 0, *args, **options))

    def collect(self, stream, limit=4):
        if not stream.is_closed or stream.fileno() >= 0:
            self.pieces[stream] += [piece.data for piece in stream.receive_batch(limit)]
        self.reports[stream] += stream.take_reports()

    def step(self, timeout_s=0.01, paused=()):
        watched = [item for item in self.items if item.fileno() >= 0 and item not in paused and not is_over(item)]
        readable, writable, _ = select.select(watched, [item for item in watched if item.wants_write], [], timeout_s)
        for item in writable:
            item.on_writable()
            self.reports[item] += item.take_reports()
        for item in readable:
            if isinstance(item, Listener):
                for stream in item.accept_batch(16):
                    self.add(stream)
            else:
                self.collect(item)

    def until(self, condition, paused=()):
        end = time.monotonic() + WITHIN_S
        while not condition():
            assert time.monotonic() < end, {item.path: (item.state, self.reports[item]) for item in self.streams}
            self.step(paused=paused)

    @property
    def streams(self):
        return [item for item in self.items if isinstance(item, Stream)]

    def accepted(self, client):
        self.until(lambda: client.state is StreamState.OPEN and len(self.streams) > 1)
        return next(stream for stream in self.streams if stream.path.remote.port == client.raw.getsockname()[1])

    def received(self, stream):
        return b"".join(self.pieces[stream])

    def opened(self, stream):
        return StreamOpened(stream.path) in self.reports[stream]

    def end_of(self, stream):
        """The reason it was closed with."""
        self.until(lambda: stream.is_closed)
        closed = [report for report in self.reports[stream] if isinstance(report, StreamClosed)]
        assert len(closed) == 1
        assert self.reports[stream][-1] is closed[0]
        assert closed[0].path == stream.path
        return closed[0].reason

    def close(self):
        for item in self.items:
            item.close()


def is_over(item):
    return isinstance(item, Stream) and item.is_closed


def frames(path, *datas):
    return [Datagram(data, path) for data in datas]


@pytest.fixture
def wire():
    wire = Wire()
    yield wire
    wire.close()


@pytest.fixture
def closed_tcp_port():
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        return Address(*sock.getsockname())


@pytest.fixture
def plain_server():
    """A listening socket that a test plays by hand."""
    made = [socket.create_server((LOOPBACK, 0))]
    made[0].settimeout(WITHIN_S)

    def accept():
        sock, _ = made[0].accept()
        sock.settimeout(WITHIN_S)
        made.append(sock)
        return sock

    yield Address(*made[0].getsockname()), accept
    for sock in made:
        sock.close()


# -- opening -----------------------------------------------------------------------------------------------------------


def test_pieces_travel_both_ways_and_keep_the_name_they_were_asked_by(wire):
    listener = wire.listen()
    client = wire.connect(listener.local)
    server = wire.accepted(client)
    assert wire.opened(client)
    assert wire.opened(server)
    assert client.path.local.port == 0
    assert server.path.local == listener.local
    assert client.send_batch(frames(client.path, b"hello ", b"there"))
    assert server.send_batch(frames(server.path, b"answer"))
    wire.until(lambda: wire.received(server) == b"hello there" and wire.received(client) == b"answer")


def test_stream_over_ipv6(wire):
    listener = wire.add(Listener.bind("::1"))
    client = wire.connect(listener.local, local="::1")
    server = wire.accepted(client)
    assert (server.path.local.host, server.path.remote.host) == ("::1", "::1")


def test_connection_comes_from_the_local_host_of_the_path(wire):
    listener = wire.listen()
    client = wire.connect(listener.local, local="127.0.0.3")
    assert wire.accepted(client).path.remote.host == "127.0.0.3"


def test_port_range_is_kept_and_used_up(wire):
    listener = wire.listen()
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        first = sock.getsockname()[1]
    config = StreamConfig(ports=(first, first + 1))
    clients = [wire.connect(listener.local, config=config) for _ in range(2)]
    wire.until(lambda: all(client.state is StreamState.OPEN for client in clients))
    assert {client.raw.getsockname()[1] for client in clients} == {first, first + 1}
    assert "no local port is free" in wire.end_of(wire.connect(listener.local, config=config)) or "cannot be used" in (
        wire.reports[wire.streams[-1]][-1].reason
    )


def test_nagle_is_off_and_the_kernel_watches_silent_connections(wire):
    listener = wire.listen()
    client = wire.connect(listener.local)
    for stream in (client, wire.accepted(client)):
        assert stream.raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
        assert stream.raw.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert stream.raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 45


def test_refused_connection_says_by_whom(wire, closed_tcp_port):
    assert wire.end_of(wire.connect(closed_tcp_port)) == f"connection refused by {closed_tcp_port}"


def test_local_address_of_another_machine_is_a_reason_not_an_exception(wire):
    stream = wire.connect(Address(LOOPBACK, 9), local="203.0.113.9")
    assert "local address or port cannot be used" in wire.end_of(stream)
    assert stream.fileno() == -1


@pytest.mark.parametrize("remote", [Address("not.an.address", 5), Address("::1", 5), Address(LOOPBACK, 70000)])
def test_address_that_cannot_be_is_a_reason_not_an_exception(wire, remote):
    assert "cannot be reached" in wire.end_of(wire.connect(remote))


def test_silence_ends_at_the_deadline(wire):
    with socket.socket() as full:
        full.bind((LOOPBACK, 0))
        full.listen(0)
        address = Address(*full.getsockname())
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        now = [50.0]
        stream = wire.connect(address, config=StreamConfig(connect_timeout_s=7), clock=lambda: now[0])
        assert stream.deadline == 57.0
        stream.handle_timer(56.9)
        assert not stream.is_closed
        stream.handle_timer(57.0)
        wire.reports[stream] += stream.take_reports()
        assert wire.end_of(stream) == f"{address} has led to nothing in 7 s"
        for filler in fillers:
            filler.close()


# -- writing -----------------------------------------------------------------------------------------------------------


def test_peer_that_never_reads_costs_bounded_memory_and_gets_whole_frames(wire, plain_server):
    address, accept = plain_server
    client = wire.connect(address, config=StreamConfig(backlog_bytes_max=1 << 16))
    server = accept()
    server.setblocking(False)
    wire.until(lambda: client.state is StreamState.OPEN)
    sent = 0
    while not client.stats.discards or client.stats.discards["backlog_full"] < 100:
        client.send_batch(frames(client.path, struct.pack("!II", sent, 992) + bytes(992)))
        sent += 1
        assert client.backlog_bytes <= 1 << 16
        assert sent < 100_000
    assert client.wants_write
    data = bytearray()
    numbers = []
    while not numbers or numbers[-1] < client.stats.frames_sent:
        wire.step(0.001)
        try:
            data += server.recv(1 << 20)
        except BlockingIOError:
            if not client.backlog_bytes:
                break
        while len(data) >= 1000:
            number, size = struct.unpack_from("!II", data)
            assert size == 992
            numbers.append(number)
            del data[:1000]
    assert data == b""
    assert numbers == sorted(set(numbers))
    assert len(numbers) == client.stats.frames_sent == sent - client.stats.discards["backlog_full"]


def test_batch_larger_than_the_backlog_goes_out_where_the_kernel_takes_it(wire):
    listener = wire.listen()
    client = wire.connect(listener.local, config=StreamConfig(backlog_bytes_max=1 << 16))
    server = wire.accepted(client)
    client.send_batch(frames(client.path, *[bytes(1000)] * 200))
    wire.until(lambda: len(wire.received(server)) == 1000 * client.stats.frames_sent)
    assert client.stats.frames_sent > 65


def test_frames_before_it_is_open_are_dropped_and_counted(wire, plain_server):
    client = Stream.connect(Path(Address(LOOPBACK, 0), plain_server[0], "tcp"))
    client.send_batch(frames(client.path, b"early", b"early"))
    assert client.stats.discards == {"not_open": 2}
    client.close()


# -- the end -----------------------------------------------------------------------------------------------------------


def test_end_of_the_peer_is_reported_after_its_last_bytes(wire, plain_server):
    client = wire.connect(plain_server[0])
    server = plain_server[1]()
    server.sendall(b"last words")
    server.close()
    assert wire.end_of(client) == f"{plain_server[0]} has closed the connection"
    assert wire.received(client) == b"last words"


def test_reset_is_told_as_one(wire, plain_server):
    client = wire.connect(plain_server[0])
    server = plain_server[1]()
    wire.until(lambda: wire.opened(client))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.close()
    assert wire.end_of(client) == f"connection reset by {plain_server[0]}"


def test_last_words_are_read_though_writing_fails_first(wire, plain_server):
    client = wire.connect(plain_server[0])
    server = plain_server[1]()
    wire.until(lambda: wire.opened(client))
    client.send_batch(frames(client.path, b"unread"))
    server.sendall(b"go away")
    time.sleep(0.01)
    server.close()  # with data unread: a reset
    time.sleep(0.01)
    client.send_batch(frames(client.path, b"x"))
    client.send_batch(frames(client.path, b"x"))
    assert "reset" in wire.end_of(client) or "closed" in wire.reports[client][-1].reason


def test_closing_when_written_writes_everything_first_and_reports_nothing(wire, plain_server):
    client = wire.connect(plain_server[0])
    server = plain_server[1]()
    wire.until(lambda: client.state is StreamState.OPEN)
    wire.reports[client].clear()
    while client.send_batch(frames(client.path, bytes(50_000))):
        pass
    client.close_when_written()
    client.close_when_written()
    server.setblocking(False)
    received = [b""]

    def is_at_the_end():
        try:
            received.append(server.recv(1 << 20))
        except BlockingIOError:
            return False
        return not received[-1]

    wire.until(is_at_the_end)
    server.close()
    wire.until(lambda: client.is_closed)
    assert len(b"".join(received)) == 50_000 * client.stats.frames_sent
    assert wire.reports[client] == []


def test_closing_when_written_ends_in_time_where_nobody_reads(wire, plain_server):
    now = [0.0]
    client = wire.connect(plain_server[0], config=StreamConfig(close_timeout_s=3), clock=lambda: now[0])
    plain_server[1]()
    wire.until(lambda: client.state is StreamState.OPEN)
    while client.send_batch(frames(client.path, bytes(50_000))):
        pass
    client.close_when_written()
    assert client.deadline == 3.0
    client.handle_timer(3.0)
    assert client.is_closed
    assert [type(report) for report in client.take_reports()] == []


def test_closing_is_idempotent_and_silent(wire, plain_server):
    client = wire.connect(plain_server[0])
    client.close()
    client.close()
    assert (client.fileno(), client.take_reports(), client.wants_write) == (-1, [], False)
    plain_server[1]()


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tls(tls_files):
    return server_context(tls_files.certificate, tls_files.key), StreamConfig(
        tls_context=client_context(tls_files.authority)
    )


def test_tls_by_name_and_by_address(wire, tls):
    context, config = tls
    listener = wire.listen(context)
    for name in ("turn.test", ""):
        client = wire.connect(listener.local, name, config, "tls")
        server = wire.accepted(client)
        wire.until(lambda server=server: server.state is StreamState.OPEN)
        assert server.path.protocol == "tls"
        client.send_batch(frames(client.path, b"a" * 40_000, b"b"))
        server.send_batch(frames(server.path, b"c" * 100_000))
        wire.until(lambda server=server: wire.received(server) == b"a" * 40_000 + b"b")
        wire.until(lambda client=client: wire.received(client) == b"c" * 100_000)


def test_certificate_for_another_name_is_refused_by_both_ends(wire, tls):
    context, config = tls
    listener = wire.listen(context)
    client = wire.connect(listener.local, "other.test", config, "tls")
    assert wire.end_of(client) == f"{listener.local}: its certificate is for another name than other.test"
    wire.until(lambda: len(wire.streams) == 2)
    assert "TLS has failed" in wire.end_of(wire.streams[1])
    assert not wire.opened(client)


def test_certificate_for_another_address_is_refused(wire, tls):
    listener = wire.add(Listener.bind("127.0.0.2", 0, tls[0]))
    client = wire.connect(listener.local, "", tls[1], "tls", local="127.0.0.2")
    assert "its certificate is for another address than 127.0.0.2" in wire.end_of(client)


def test_expired_certificate_is_refused(wire, tls_files, tls):
    listener = wire.listen(server_context(tls_files.expired_certificate, tls_files.key))
    client = wire.connect(listener.local, "turn.test", tls[1], "tls")
    assert wire.end_of(client) == f"{listener.local}: its certificate has expired"


def test_certificate_of_an_authority_we_do_not_know_is_refused(wire, tls):
    listener = wire.listen(tls[0])
    assert "its certificate is signed by nobody we trust" in wire.end_of(
        wire.connect(listener.local, "turn.test", None, "tls")
    )


def test_tls_older_than_1_2_is_refused_by_configuration(tls):
    import ssl

    for context in (tls[0], tls[1].tls_context):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_server_that_does_not_speak_tls_is_told_as_that(wire, tls, plain_server):
    client = wire.connect(plain_server[0], "turn.test", tls[1], "tls")
    plain_server[1]().sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert wire.end_of(client) == f"{plain_server[0]}: what it speaks is not TLS"


def test_tls_server_that_says_nothing_is_given_up(wire, tls, plain_server):
    import attrs

    now = [0.0]
    config = attrs.evolve(tls[1], connect_timeout_s=5)
    client = wire.connect(plain_server[0], "turn.test", config, "tls", clock=lambda: now[0])
    plain_server[1]()
    wire.until(lambda: client.state is StreamState.TLS)
    client.handle_timer(5.0)
    wire.reports[client] += client.take_reports()
    assert wire.end_of(client) == f"TLS with {plain_server[0]} has led to nothing in 5 s"


def test_name_that_no_certificate_can_have_is_a_reason_not_an_exception(wire, tls, plain_server):
    for name in ("x" * 300, ".", "a\0b", "\udc80"):
        assert wire.end_of(wire.connect(plain_server[0], name, tls[1], "tls"))


def test_tls_cut_at_every_byte_arrives_the_same(wire, tls):
    """A relay between the two hands on one byte at a time."""
    context, config = tls
    listener = wire.listen(context)
    with Relay(listener.local, chunk=1) as relay:
        client = wire.connect(relay.address, "turn.test", config, "tls")
        wire.until(lambda: client.state is StreamState.OPEN and len(wire.streams) == 2)
        server = wire.streams[1]
        client.send_batch(frames(client.path, b"question"))
        wire.until(lambda: wire.received(server) == b"question")
        server.send_batch(frames(server.path, b"answer"))
        wire.until(lambda: wire.received(client) == b"answer")


@pytest.mark.parametrize("count", [0, 1, 5, 100, 500, 700])
def test_connection_lost_within_the_handshake_is_told(wire, tls, count):
    listener = wire.listen(tls[0])
    with Relay(listener.local, chunk=50, down_bytes_max=count) as relay:
        client = wire.connect(relay.address, "turn.test", tls[1], "tls")
        reason = wire.end_of(client)
    assert reason in (
        f"{relay.address} has closed the connection during the TLS handshake",
        f"connection reset by {relay.address}",
    )


def test_tls_peer_that_never_reads_costs_bounded_memory(wire, tls):
    import attrs

    listener = wire.listen(tls[0])
    client = wire.connect(listener.local, "turn.test", attrs.evolve(tls[1], backlog_bytes_max=1 << 16), "tls")
    server = wire.accepted(client)
    wire.until(lambda: server.state is StreamState.OPEN)
    for _ in range(20_000):
        client.send_batch(frames(client.path, bytes(1000)))
        if client.stats.discards.get("backlog_full", 0) > 50:
            break
    assert client.backlog_bytes < (1 << 16) + 8192
    wire.until(lambda: len(wire.received(server)) == 1000 * client.stats.frames_sent)


def test_polite_end_of_tls_is_an_end(wire, tls):
    listener = wire.listen(tls[0])
    client = wire.connect(listener.local, "turn.test", tls[1], "tls")
    server = wire.accepted(client)
    wire.until(lambda: server.state is StreamState.OPEN)
    client.send_batch(frames(client.path, b"bye"))
    client.close_when_written()
    assert wire.end_of(server) == f"{server.path.remote} has closed the connection"
    assert wire.received(server) == b"bye"
    server.close()
    wire.until(lambda: client.is_closed)


class Relay:
    """Joins what connects to it with an address, `chunk` bytes at a time, and cuts off after so many bytes back."""

    def __init__(self, target, *, chunk, down_bytes_max=1 << 30):
        self.chunk, self.down_left = chunk, down_bytes_max
        self.listening = socket.create_server((LOOPBACK, 0))
        self.address = Address(*self.listening.getsockname())
        self.target = target
        self.sockets = [self.listening]
        self.threads = [threading.Thread(target=self.run)]

    def __enter__(self):
        self.threads[0].start()
        return self

    def run(self):
        try:
            near, _ = self.listening.accept()
            far = socket.create_connection(self.target)
        except OSError:
            return
        self.sockets += [near, far]
        for sock in (near, far):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        up = threading.Thread(target=self.carry, args=(near, far, False))
        up.start()
        self.threads.append(up)
        self.carry(far, near, True)

    def carry(self, source, sink, is_down):
        try:
            while data := source.recv(65536):
                for start in range(0, len(data), self.chunk):
                    piece = data[start : start + self.chunk]
                    if is_down:
                        piece = piece[: self.down_left]
                        self.down_left -= len(piece)
                    sink.sendall(piece)
                    if is_down and not self.down_left:
                        sink.shutdown(socket.SHUT_RDWR)
                        return
        except OSError:
            pass

    def __exit__(self, *_):
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        for thread in self.threads:
            thread.join(WITHIN_S)
        for sock in self.sockets:
            sock.close()


# -- listening ---------------------------------------------------------------------------------------------------------


def test_connections_beyond_the_room_are_closed_and_counted(wire):
    listener = Listener.bind(LOOPBACK)
    clients = [wire.connect(listener.local) for _ in range(3)]
    wire.until(lambda: all(client.state is StreamState.OPEN for client in clients))
    accepted = listener.accept_batch(16, room=1)
    assert len(accepted) == 1
    assert listener.stats.discards == {"too_many": 2}
    wire.until(lambda: sum(client.is_closed for client in clients) == 2)
    accepted[0].close()
    listener.close()
    listener.close()


def test_process_out_of_descriptors_does_not_spin(wire, monkeypatch):
    import errno

    listener = wire.listen()
    client = wire.connect(listener.local)
    wire.until(lambda: client.state is StreamState.OPEN, paused=(listener,))
    real, calls = listener._sock, []

    class Exhausted:
        def accept(self):
            calls.append(1)
            if len(calls) == 1:
                raise OSError(errno.EMFILE, "too many")
            return real.accept()

        def close(self):
            real.close()

        def fileno(self):
            return real.fileno()

    listener._sock = Exhausted()
    assert listener.accept_batch(16) == []
    assert listener.stats.discards == {"no_descriptor": 1}
    wire.end_of(client)
    assert listener.accept_batch(16) == []


# -- through a proxy ---------------------------------------------------------------------------------------------------


class FakeProxy:
    """Takes one CONNECT, answers as it is told, and then joins the two."""

    def __init__(self, answer=b"HTTP/1.1 200 Connection established\r\n\r\n", chunk=1 << 16):
        self.answer, self.chunk = answer, chunk
        self.request = b""
        self.listening = socket.create_server((LOOPBACK, 0))
        self.address = Address(*self.listening.getsockname())
        self.sockets = [self.listening]
        self.relay = None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            near, _ = self.listening.accept()
            near.settimeout(WITHIN_S)
            self.sockets.append(near)
            while b"\r\n\r\n" not in self.request:
                self.request += near.recv(65536)
            for start in range(0, len(self.answer), self.chunk):
                near.sendall(self.answer[start : start + self.chunk])
            if b" 200 " not in self.answer:
                near.close()
                return
            host, _, port = self.request.split()[1].decode().rpartition(":")
            far = socket.create_connection((host, int(port)))
            self.sockets.append(far)
            while ready := select.select([near, far], [], [], WITHIN_S)[0]:
                for sock in ready:
                    data = sock.recv(65536)
                    if not data:
                        return
                    (far if sock is near else near).sendall(data)
        except OSError:
            pass

    def close(self):
        for sock in self.sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join(WITHIN_S)
        for sock in self.sockets:
            sock.close()


@pytest.fixture
def proxy():
    made = []

    def make(*args, **options):
        made.append(FakeProxy(*args, **options))
        return made[-1]

    yield make
    for item in made:
        item.close()


def through(proxy, **options):
    return StreamConfig(proxy=Proxy(LOOPBACK, proxy.address.port, **options))


@pytest.mark.parametrize("chunk", [1, 1 << 16], ids=["byte by byte", "at once"])
def test_stream_through_a_proxy(wire, proxy, chunk):
    listener, via = wire.listen(), proxy(chunk=chunk)
    client = wire.connect(listener.local, config=through(via))
    wire.until(lambda: client.state is StreamState.OPEN and len(wire.streams) == 2)
    assert via.request.startswith(b"CONNECT %s HTTP/1.1\r\nHost: " % str(listener.local).encode())
    assert b"Proxy-Authorization" not in via.request
    client.send_batch(frames(client.path, b"through"))
    wire.until(lambda: wire.received(wire.streams[1]) == b"through")


def test_tls_through_a_proxy_with_credentials(wire, proxy, tls):
    import attrs

    listener, via = wire.listen(tls[0]), proxy()
    config = attrs.evolve(tls[1], proxy=through(via, username="al", password="s:e").proxy)
    client = wire.connect(listener.local, "turn.test", config, "tls")
    wire.until(lambda: client.state is StreamState.OPEN)
    assert b"Proxy-Authorization: Basic YWw6czpl\r\n" in via.request


def test_first_bytes_of_the_server_may_follow_the_answer_of_the_proxy(wire, proxy):
    via = proxy(b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nearly words", chunk=1 << 16)
    listener = wire.listen()
    client = wire.connect(listener.local, config=through(via))
    wire.until(lambda: wire.received(client) == b"early words")
    assert wire.opened(client)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "asks for a user name and password (407)"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n<html>", "refuses to connect: 403 Forbidden"),
        (b"HTTP/1.1 502 \x1b[31mbad\x07\r\n\r\n", "refuses to connect: 502 [31mbad"),
        (b"HTTP/1.1 500\r\n\r\n", "refuses to connect: 500"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 9000 + b"\r\n\r\n", "does not answer as an HTTP proxy does"),
        (b"HTTP/1.1 404 OK\r\n" + b"y" * 9000, "does not answer as an HTTP proxy does"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not answer as an HTTP proxy does"),
        (b"HTTP/2.0 407 x\r\n\r\n", "does not answer as an HTTP proxy does"),
        (b"HTTP/1.1 403", "has closed the connection without an answer"),
        (b"", "has closed the connection without an answer"),
    ],
)
def test_proxy_that_refuses_is_told_with_its_words(wire, proxy, answer, expected):
    via = proxy(answer)
    client = wire.connect(Address("192.0.2.1", 443), config=through(via))
    assert wire.end_of(client) == f"the proxy {via.address} {expected}"


def test_proxy_that_refuses_the_credentials_says_so(wire, proxy):
    via = proxy(b"HTTP/1.1 407 Nope\r\n\r\n")
    client = wire.connect(Address("192.0.2.1", 443), config=through(via, username="al", password="x"))
    assert wire.end_of(client) == f"the proxy {via.address} refuses the user name or password (407)"


def test_proxy_that_is_not_there_is_named(wire, closed_tcp_port):
    config = StreamConfig(proxy=Proxy(*closed_tcp_port))
    client = wire.connect(Address("192.0.2.1", 443), config=config)
    assert wire.end_of(client) == f"connection refused by the proxy {closed_tcp_port}"


def test_proxy_of_the_other_family_and_on_this_machine_is_reached(wire, proxy):
    via = proxy(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    client = wire.connect(Address("2001:db8::1", 443), config=through(via), local="2001:db8::2")
    assert "403" in wire.end_of(client)
    assert via.request.startswith(b"CONNECT [2001:db8::1]:443 ")


def test_exempt_address_is_reached_without_the_proxy(wire, closed_tcp_port):
    listener = wire.listen()
    config = StreamConfig(proxy=Proxy(*closed_tcp_port, exempt=("127.0.0.0/8",)))
    client = wire.connect(listener.local, config=config)
    wire.until(lambda: client.state is StreamState.OPEN)
