"""The server in the middle: STUN, and TURN where this project has a server of its own."""

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.machine import Datagram
from sans_rtc.outbox import Outbox
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    MessageClass,
    Method,
    parse_message,
    serialize_message,
    success_response,
)
from sans_rtc.testing import ContractMonitor, SeededEntropy
from sans_rtc.turn.server import Credentials, RelayNeeded, RelayUnneeded, Server, ServerConfig, User
from tests.nat.topology import SERVER_HOSTS, STUN_PORT

USERNAME, PASSWORD = "alice", "secret"


class StunResponder:
    """Answers Binding requests, and nothing else."""

    deadline = float("inf")
    is_terminated = False

    def __init__(self):
        self._datagrams = Outbox()

    def receive(self, datagram, now):
        try:
            message = parse_message(datagram.data)
        except WireError:
            return
        if message.message_class is MessageClass.REQUEST and message.method == Method.BINDING:
            mapped = Attribute(AttributeType.XOR_MAPPED_ADDRESS, datagram.path.remote)
            response = serialize_message(success_response(message, [mapped]), fingerprint=True)
            self._datagrams.append(Datagram(response, datagram.path))

    def handle_timer(self, now):
        pass

    def close(self, now):
        pass

    def take_datagrams(self, now):
        return self._datagrams.take()

    def take_events(self):
        return ()


def start_stun_server(network):
    """A host on the internet, with IPv4 and IPv6."""
    program = _host(network).run(StunResponder())
    for address in SERVER_HOSTS.values():
        program.open_socket(address, STUN_PORT)
    return program


class TurnHost:
    """This project's own server, on a host on the internet; STUN is there in any case, TURN as the services say."""

    def __init__(self, network, services):
        relay_hosts = tuple(SERVER_HOSTS.values()) if services else ()
        self._machine = Server(
            ServerConfig(relay_hosts=relay_hosts, own_hosts=tuple(SERVER_HOSTS.values())),
            credentials=Credentials(users=(User(USERNAME, PASSWORD),)),
            entropy=SeededEntropy("server"),
        )
        self._network = network
        self.program = _host(network).run(ContractMonitor(self._machine), self._on_event)
        for address in SERVER_HOSTS.values():
            self.program.open_socket(address, STUN_PORT)
            for protocol, port in services:
                if protocol != "udp":
                    self.program.listen(address, port, protocol)

    def _on_event(self, event):
        match event:
            case RelayNeeded(relay_id, address, "udp"):
                try:
                    self.program.open_socket(address.host, address.port)
                except InvalidArgument as error:
                    self._machine.relay_failed(relay_id, str(error), self._network.now)
                else:
                    self._machine.relay_opened(relay_id, address, self._network.now)
            case RelayUnneeded(address):
                self.program.close_socket(address)


def _host(network):
    host = network.host("server")
    host.attach(network.internet, *SERVER_HOSTS.values())
    return host
