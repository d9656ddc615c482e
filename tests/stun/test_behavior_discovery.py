"""What kind of NAT there is, found out through NATs in virtual time, and what strangers can make of it (RFC 5780)."""

import itertools
import math

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    BehaviorDiscovered,
    BehaviorDiscovery,
    Dependence,
    DiscoveryFailed,
    NatBehavior,
    error_response,
    parse_message,
    serialize_message,
    success_response,
)
from sans_rtc.testing import ContractMonitor, Firewall, Network, SeededEntropy
from sans_rtc.testing import nat as nats
from sans_rtc.turn.server import Credentials, Server, ServerConfig

PRIMARY, ALTERNATE = Address("198.51.100.1", 3478), Address("198.51.100.2", 3479)
LOCAL, OUTER = Address("192.168.0.2", 5000), "203.0.113.7"
EI, AD, APD = Dependence.ENDPOINT_INDEPENDENT, Dependence.ADDRESS_DEPENDENT, Dependence.ADDRESS_AND_PORT_DEPENDENT
OF_NATS = {Dependence(dependence.value): dependence for dependence in nats.Dependence}


class World:
    """A server with two addresses, a NAT or none, and one client behind it."""

    def __init__(self, behaviour=None, *, firewall=None, has_other=True, seed=0, outer=(OUTER,)):
        self.network = Network(seed=seed)
        config = ServerConfig(binding_addresses=(PRIMARY, ALTERNATE)) if has_other else ServerConfig()
        server = Server(config, credentials=Credentials(), entropy=SeededEntropy("server"))
        server_host = self.network.host("server")
        program = server_host.run(server)
        for host in (PRIMARY.host, ALTERNATE.host):
            server_host.attach(self.network.internet, host)
            for port in (PRIMARY.port, ALTERNATE.port):
                program.open_socket(host, port)
        client_host = self.network.host("client")
        if behaviour is None and firewall is None:
            client_host.attach(self.network.internet, LOCAL.host)
        else:
            home = self.network.realm("home")
            self.network.gateway(
                inside=home, outside=self.network.internet, hosts=outer, behaviour=behaviour, firewall=firewall
            )
            client_host.attach(home, LOCAL.host)
        self.client = BehaviorDiscovery(Path(LOCAL, PRIMARY), entropy=SeededEntropy(f"client {seed}"))
        self.program = client_host.run(ContractMonitor(self.client))
        self.program.open_socket(*LOCAL)

    def discover(self):
        self.client.start(self.network.now)
        self.network.run_until(lambda: self.client.is_terminated, within_s=60)
        *events, last = self.program.events
        assert isinstance(last, Terminated)
        (event,) = events
        return event.behavior if isinstance(event, BehaviorDiscovered) else event


# through NATs


@pytest.mark.parametrize(("mapping", "filtering"), list(itertools.product((EI, AD, APD), repeat=2)))
@pytest.mark.parametrize("is_hairpinning", [False, True])
def test_mapping_filtering_and_hairpinning_are_told_as_they_are(mapping, filtering, is_hairpinning):
    behaviour = nats.NatBehaviour(OF_NATS[mapping], OF_NATS[filtering], is_hairpinning=is_hairpinning)
    found = World(behaviour).discover()
    assert (found.mapping, found.filtering) == (mapping, filtering)
    assert found.mapped.host == OUTER and found.is_translated
    if mapping is EI:
        assert found.is_hairpinning is is_hairpinning
    else:  # to its own filter the request comes from a stranger
        assert found.is_hairpinning is (True if is_hairpinning and filtering is EI else None)


def test_without_a_nat_the_address_is_ones_own():
    found = World().discover()
    assert (found.mapped, found.mapping, found.filtering, found.classic_name) == (LOCAL, EI, EI, "no NAT")
    assert found.is_hairpinning is None


@pytest.mark.parametrize(
    ("behaviour", "name"),
    [
        (nats.FULL_CONE, "full cone NAT"),
        (nats.ADDRESS_RESTRICTED_CONE, "address-restricted cone NAT"),
        (nats.PORT_RESTRICTED_CONE, "port-restricted cone NAT"),
        (nats.SYMMETRIC, "symmetric NAT"),
    ],
)
def test_kinds_have_the_names_that_people_know(behaviour, name):
    assert World(behaviour).discover().classic_name == name


def test_firewall_without_a_nat_is_called_one():
    found = NatBehavior(LOCAL, LOCAL, ALTERNATE, EI, APD)
    assert found.classic_name == "no NAT, but a firewall"


def test_server_without_another_address_tells_the_address_and_no_more():
    found = World(nats.SYMMETRIC, has_other=False).discover()
    assert found.mapped.host == OUTER and found.other is None
    assert (found.mapping, found.filtering, found.classic_name) == (Dependence.UNKNOWN, Dependence.UNKNOWN, "")


def test_blocked_udp_is_a_failure_that_says_so():
    failed = World(nats.FULL_CONE, firewall=Firewall(udp=False)).discover()
    assert failed == DiscoveryFailed(0, "the server does not answer")


# what counts as an answer


@pytest.fixture
def client():
    machine = BehaviorDiscovery(Path(LOCAL, PRIMARY), entropy=SeededEntropy(1))
    machine.start(0.0)
    return machine


def take_request(client, now=0.0):
    (datagram,) = client.take_datagrams(now)
    return parse_message(datagram.data), datagram


def answer(client, request, *attributes, remote=PRIMARY, local=LOCAL, now=0.0):
    response = success_response(request, [Attribute(*pair) for pair in attributes])
    client.receive(Datagram(serialize_message(response), Path(local, remote)), now)


MAPPED = (AttributeType.XOR_MAPPED_ADDRESS, Address(OUTER, 6000))
OTHER = (AttributeType.OTHER_ADDRESS, ALTERNATE)


def test_answer_from_elsewhere_than_asked_is_discarded(client):
    request, _ = take_request(client)
    answer(client, request, MAPPED, remote=ALTERNATE)
    assert client.stats.discards == {"wrong_path": 1}
    answer(client, request, MAPPED, OTHER)
    assert client.step == "filtering II"


def test_answer_to_a_filtering_question_counts_only_from_the_other_address(client):
    answer(client, take_request(client)[0], MAPPED, OTHER)
    request, datagram = take_request(client)
    assert datagram.path.remote == PRIMARY
    assert request.value(AttributeType.CHANGE_REQUEST) == 6
    answer(client, request, MAPPED)  # a server that takes no notice of CHANGE-REQUEST
    assert client.stats.discards == {"wrong_path": 1}
    answer(client, request, MAPPED, remote=ALTERNATE)
    assert client.step == "mapping II"


@pytest.mark.parametrize("data", [b"", b"\0\1\0\0", bytes(20), b"\x01\x01" + bytes(18)])
def test_strangers_bytes_change_nothing(client, data):
    take_request(client)
    client.receive(Datagram(data, Path(LOCAL, PRIMARY)), 0.0)
    assert client.take_events() == () and client.step == "primary"
    assert sum(client.stats.discards.values()) == 1


def test_own_request_is_no_answer_but_to_hairpinning(client):
    _, datagram = take_request(client)
    client.receive(Datagram(datagram.data, Path(LOCAL, PRIMARY)), 0.0)
    assert client.stats.discards == {"not_a_response": 1}


@pytest.mark.parametrize(
    "other",
    [
        Address(PRIMARY.host, 3479),
        Address("198.51.100.2", PRIMARY.port),
        Address("198.51.100.2", 0),
        Address("2001:db8::1", 3479),
    ],
)
def test_other_address_that_is_no_other_is_not_asked(client, other):
    answer(client, take_request(client)[0], MAPPED, (AttributeType.OTHER_ADDRESS, other))
    assert client.step == "hairpinning"


def test_error_is_told_with_its_code(client):
    request, _ = take_request(client)
    client.receive(Datagram(serialize_message(error_response(request, 500, "no")), Path(LOCAL, PRIMARY)), 0.0)
    assert client.take_events()[0] == DiscoveryFailed(500, "no")
    assert client.is_terminated


def test_answer_without_an_address_is_a_failure(client):
    answer(client, take_request(client)[0])
    failed, ended = client.take_events()
    assert failed.code == 0 and ended.reason == "unusable_response"


def test_server_that_refuses_to_change_leaves_the_filtering_unknown(client):
    answer(client, take_request(client)[0], MAPPED, OTHER)
    request, _ = take_request(client)
    refusal = serialize_message(error_response(request, 420, unknown=(3,)))
    client.receive(Datagram(refusal, Path(LOCAL, ALTERNATE)), 0.0)
    assert client.step == "mapping II"
    request, _ = take_request(client)
    answer(client, request, MAPPED, remote=Address(ALTERNATE.host, PRIMARY.port))
    client.handle_timer(client.deadline)
    while not client.is_terminated:
        client.handle_timer(client.deadline)
    found = client.take_events()[0].behavior
    assert (found.mapping, found.filtering) == (EI, Dependence.UNKNOWN)


# timers and the end


def test_request_is_repeated_by_the_schedule(client):
    take_request(client)
    times = []
    while client.step == "primary" and not client.is_terminated:
        times.append(client.deadline)
        client.handle_timer(client.deadline)
    assert times == [0.5, 1.5, 2.5, 3.5]
    assert client.deadline == math.inf


def test_start_twice_raises_and_close_ends(client):
    with pytest.raises(InvalidState):
        client.start(0.0)
    client.close(0.0)
    client.close(0.0)
    assert [event.reason for event in client.take_events()] == ["closed"]
    client.start(0.0)
    assert client.deadline == math.inf


def test_paths_of_streams_are_not_for_this():
    with pytest.raises(InvalidArgument):
        BehaviorDiscovery(Path(LOCAL, PRIMARY, "tcp"), entropy=SeededEntropy(1))
