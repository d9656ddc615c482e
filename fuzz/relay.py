"""A scene of TURN: our client and our server, with a peer behind the relay that echoes everything."""

from __future__ import annotations

from typing import Any

from fuzz.life import Subject, Verb
from fuzz.sealing import reseal_stun
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.streams import StreamNeeded
from sans_rtc.stun import PasswordAlgorithm, long_term_key
from sans_rtc.testing import ContractMonitor, LinkConditions, SeededEntropy
from sans_rtc.turn import Client, TurnConfig
from sans_rtc.turn.server import Credentials, RelayNeeded, Server, ServerConfig, User
from tests.property.scenes.forgeries import forge_stun
from tests.property.scenes.scene import Scene

LISTENER, CLIENT, PEER = Address("192.0.2.1", 3478), Address("198.51.100.7", 40000), Address("203.0.113.9", 50000)
RELAY_HOST = "192.0.2.2"
KEYS = [long_term_key("alice", "example.org", "secret", algorithm) for algorithm in PasswordAlgorithm]


def build(conditions: LinkConditions, *, end: int) -> Scene:
    """A client (end 0) and a server (end 1) that has been told of it; the machine under test is at this end."""
    path = Path(CLIENT, LISTENER)
    client = Client(TurnConfig(username="alice", password="secret"), path, entropy=SeededEntropy("client"))
    config = ServerConfig(realm="example.org", relay_hosts=(RELAY_HOST,), own_hosts=(LISTENER.host,))
    credentials = Credentials(users=(User("alice", "secret"),))
    server = Server(config, credentials=credentials, entropy=SeededEntropy("server"))
    machines = (client, server)
    scene = Scene(machines[end], machines[1 - end], end=end, wrap=ContractMonitor, seed=0, conditions=conditions)
    scene.usual_path = (path, path.reversed())[end]
    _let_peers_echo(scene)
    _let_sockets_open(scene, server)
    for pause_s, verb, *arguments in _LIFE:
        scene.then(pause_s, getattr(client, verb), *arguments)
    return scene


_LIFE: tuple[tuple[Any, ...], ...] = (
    (0.0, "allocate"),
    (1.0, "create_permission", PEER.host),
    (0.5, "send", b"hello", PEER),
    (0.5, "bind_channel", PEER),
    (0.5, "send", b"over the channel", PEER),
    (0.5, "send", bytes(1000), Address("203.0.113.10", 1)),
    (250.0, "send", b"later", PEER),
    (300.0, "send", b"much later", PEER),
    (1.0, "close"),
)


def _let_peers_echo(scene: Scene) -> None:
    """What leaves a relay comes back to it; what is for the client or the server travels on."""
    as_usual = scene.link.filter

    def route(end: int, datagram: Datagram) -> Datagram | None:
        ends = {datagram.path.local, datagram.path.remote}
        if ends == {LISTENER, CLIENT}:
            return as_usual(end, datagram)
        if end == 1 and datagram.path.remote.host != CLIENT.host:
            scene.link.inject(1, Datagram(datagram.data, datagram.path), after_s=0.01)
        return None

    scene.link.filter = route


def _let_sockets_open(scene: Scene, server: Server) -> None:
    def on_event(end: int, event: object) -> None:
        if end == 1 and isinstance(event, RelayNeeded):
            server.relay_opened(event.relay_id, event.address, scene.now)
        elif end == 1 and isinstance(event, StreamNeeded):
            server.stream_closed(event.path, "refused", scene.now)

    scene.handlers.append(on_event)


def reseal(_: object, data: bytes) -> bytes:
    """With the user's password; which algorithm is decided by the bytes, so that both are tried."""
    return reseal_stun(data, KEYS[data[-1] & 1] if data else b"")


def subject(end: int, verbs: tuple[Verb, ...]) -> Subject:
    """One of the two as what is fuzzed."""
    return Subject(lambda conditions: build(conditions, end=end), verbs, forge_stun, reseal)
