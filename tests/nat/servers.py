"""The server in the middle: STUN, and TURN where this project has a server of its own."""

from sans_rtc.errors import WireError
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
from tests.nat.topology import SERVER_HOSTS, STUN_PORT


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
    host = network.host("server")
    host.attach(network.internet, *SERVER_HOSTS.values())
    program = host.run(StunResponder())
    for address in SERVER_HOSTS.values():
        program.open_socket(address, STUN_PORT)
    return program
