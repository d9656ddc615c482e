"""Names looked up under trio: DNS by trio's resolver, `.local` by multicast; nothing is left when it is over."""

import socket

import pytest

trio = pytest.importorskip("trio")

from sans_rtc.mdns.wire import DnsMessage, Record, RecordType, parse_message, serialize_message  # noqa: E402
from sans_rtc_net.interfaces import LocalAddress  # noqa: E402
from sans_rtc_net.multicast import GROUP_IPV4, MDNS_PORT, open_mdns_sockets  # noqa: E402
from sans_rtc_net.resolver import Resolver  # noqa: E402
from sans_rtc_trio.loop import TrioLoop  # noqa: E402

LOOPBACK = [LocalAddress("127.0.0.1", "lo")]
NAME = "0f1e2d3c-1111-4222-8333-444455556666.local"

pytestmark = pytest.mark.usefixtures("no_leaks")


class Resolutions(trio.abc.HostnameResolver):
    """A resolver that answers some names, and waits for ever for the others."""

    def __init__(self, **hosts):
        self.hosts = hosts

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):
        name = host.decode() if isinstance(host, bytes) else host
        if name not in self.hosts:
            await trio.sleep_forever()
        if not self.hosts[name]:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", (known, 0)) for known in self.hosts[name]]

    async def getnameinfo(self, sockaddr, flags):
        raise NotImplementedError


def look_up(names, expected_count, addresses=LOOPBACK, **hosts):
    """Resolve names until so many answers have come; return them in order."""
    answers = []

    async def main():
        trio.socket.set_custom_hostname_resolver(Resolutions(**hosts))
        loop = TrioLoop()
        async with trio.open_nursery() as nursery:
            loop.start(nursery)
            resolver = Resolver(loop, lambda name, found: answers.append((name, list(found))), lambda: addresses)
            for name in names:
                resolver.resolve(name)
            assert answers == []
            with trio.fail_after(10):
                while len(answers) < expected_count:
                    await trio.sleep(0.002)
            resolver.close()

    trio.run(main)
    return answers


def test_names_are_answered_once_each():
    answers = look_up(["known", "unknown", "known"], 2, known=["192.0.2.1", "192.0.2.1", "192.0.2.2"], unknown=[])
    assert sorted(answers) == [("known", ["192.0.2.1", "192.0.2.2"]), ("unknown", [])]


def test_look_up_under_way_ends_with_the_resolver():
    assert look_up(["never", "known"], 1, known=["192.0.2.1"]) == [("known", ["192.0.2.1"])]


def test_names_beyond_the_bound_are_answered_with_nothing():
    assert sorted(look_up([f"never{index}" for index in range(18)], 2)) == [("never16", []), ("never17", [])]


@pytest.mark.parametrize("name", ["x" * 64 + ".example", "a..b", "\udc80.example"])
def test_name_that_cannot_be_is_answered_with_nothing(name):
    assert look_up([name], 1) == [(name, [])]


def test_local_name_where_there_is_no_multicast_is_answered_with_nothing():
    assert look_up([NAME], 1, addresses=[]) == [(NAME, [])]


def test_local_name_is_found_by_multicast():
    sockets = open_mdns_sockets(LOOPBACK)
    if not sockets:
        pytest.skip("no multicast on the loopback interface")
    answering = sockets[0].raw

    async def answer():
        while True:
            await trio.lowlevel.wait_readable(answering)
            query = parse_message(answering.recv(9000))
            if not query.is_response:
                reply = DnsMessage(0, is_response=True)
                reply.answers.append(Record(NAME, RecordType.A, 120, socket.inet_aton("192.0.2.77")))
                answering.sendto(serialize_message(reply), (GROUP_IPV4, MDNS_PORT))

    answers = []

    async def main():
        loop = TrioLoop()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer)
            loop.start(nursery)
            resolver = Resolver(loop, lambda name, found: answers.append((name, list(found))), lambda: LOOPBACK)
            resolver.resolve(NAME)
            with trio.fail_after(10):
                while not answers:
                    await trio.sleep(0.002)
            resolver.close()
            nursery.cancel_scope.cancel()

    trio.run(main)
    sockets[0].close()
    assert answers == [(NAME, ["192.0.2.77"])]
