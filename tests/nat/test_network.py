"""The simulated network itself: realms, NATs, firewalls, cables and TCP do what their names say."""

import attrs
import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.outbox import Outbox
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.testing import (
    ADDRESS_RESTRICTED_CONE,
    FULL_CONE,
    PORT_RESTRICTED_CONE,
    SYMMETRIC,
    Cable,
    DropReason,
    Firewall,
    LinkConditions,
    NatBehaviour,
    Network,
)

INSIDE, OUTSIDE, OTHER = "192.168.0.2", "198.51.100.1", "198.51.100.2"
NAT_HOST = "203.0.113.1"
CONES = [FULL_CONE, ADDRESS_RESTRICTED_CONE, PORT_RESTRICTED_CONE]


class Probe:
    """A machine that says what it is told to say, and keeps what it hears."""

    deadline = float("inf")
    is_terminated = False

    def __init__(self):
        self._datagrams, self._events = Outbox(), Outbox()
        self.heard, self.opened, self.closed = [], [], []

    def say(self, data, local, remote):
        self._datagrams.append(Datagram(data, Path(local, remote)))

    def write(self, data, path):
        self._datagrams.append(Datagram(data, path))

    def ask(self, event):
        self._events.append(event)

    def receive(self, datagram, now):
        self.heard.append(datagram)

    def stream_opened(self, path, now):
        self.opened.append(path)

    def stream_closed(self, path, reason, now):
        self.closed.append((path, reason))

    def handle_timer(self, now):
        raise AssertionError("no timer was armed")

    def close(self, now):
        pass

    def take_datagrams(self, now):
        return self._datagrams.take()

    def take_events(self):
        return self._events.take()

    @property
    def sources(self):
        return [datagram.path.remote for datagram in self.heard]

    @property
    def bytes_heard(self):
        return b"".join(datagram.data for datagram in self.heard)


@attrs.define
class Lab:
    """A host inside, behind whatever the test wants, and two outside."""

    network: Network
    realm: object
    gateway: object
    inside: Probe
    outside: Probe
    other: Probe
    programs: dict
    here: Address
    there: Address
    elsewhere: Address

    def send(self, probe, local, remote, data=b"x"):
        probe.say(data, local, remote)
        self.network.flush()
        self.network.run_for(5.0)

    def ask_out(self, remote=None):
        """Send from inside; return the address that the outside sees."""
        self.send(self.inside, self.here, remote or self.there)
        return (self.outside if remote in (None, self.there) else self.other).sources[-1]


def make_lab(behaviour=None, *, firewall=None, cable=None, hosts=(NAT_HOST,)):
    network = Network(seed=1)
    realm = network.realm("home")
    gateway = network.gateway(inside=realm, outside=network.internet, hosts=hosts, behaviour=behaviour,
                              firewall=firewall, cable=cable)  # fmt: skip
    programs, addresses, probes = {}, [], []
    for name, where, host in (
        ("inside", realm, INSIDE), ("outside", network.internet, OUTSIDE), ("other", network.internet, OTHER)
    ):  # fmt: skip
        computer = network.host(name)
        computer.attach(where, host)
        probes.append(Probe())
        programs[name] = computer.run(probes[-1])
        addresses.append(programs[name].open_socket(host, 5000))
    return Lab(network, realm, gateway, *probes, programs, *addresses)


# -- NATs -----------------------------------------------------------------------------------------------------------


def test_stranger_gets_in_nowhere_before_anything_was_sent():
    for behaviour in (*CONES, SYMMETRIC):
        lab = make_lab(behaviour)
        lab.send(lab.outside, lab.there, Address(NAT_HOST, 5000))
        assert lab.inside.heard == []
        assert lab.network.drops[DropReason.NO_MAPPING] == 1


@pytest.mark.parametrize("behaviour", CONES)
def test_cone_shows_everybody_the_same_address(behaviour):
    lab = make_lab(behaviour)
    assert lab.ask_out() == lab.ask_out(lab.elsewhere) == Address(NAT_HOST, lab.outside.sources[0].port)


def test_symmetric_nat_shows_each_another_address():
    lab = make_lab(SYMMETRIC)
    first, second = lab.ask_out(), lab.ask_out(lab.elsewhere)
    assert first.host == second.host == NAT_HOST
    assert first.port != second.port
    assert lab.ask_out() == first


def who_gets_in(behaviour):
    """(the address asked, another port of it, another address): who can answer to what the first has seen."""
    lab = make_lab(behaviour)
    mapped = lab.ask_out()
    other_port = lab.programs["outside"].open_socket(OUTSIDE, 5001)
    answers = []
    for probe, local in ((lab.outside, lab.there), (lab.outside, other_port), (lab.other, lab.elsewhere)):
        count = len(lab.inside.heard)
        lab.send(probe, local, mapped)
        answers.append(len(lab.inside.heard) > count)
    return tuple(answers)


def test_filters_are_those_of_rfc_4787():
    assert who_gets_in(FULL_CONE) == (True, True, True)
    assert who_gets_in(ADDRESS_RESTRICTED_CONE) == (True, True, False)
    assert who_gets_in(PORT_RESTRICTED_CONE) == (True, False, False)
    assert who_gets_in(SYMMETRIC) == (True, False, False)


def test_what_comes_back_has_the_inner_address():
    lab = make_lab(PORT_RESTRICTED_CONE)
    lab.send(lab.outside, lab.there, lab.ask_out())
    assert [datagram.path for datagram in lab.inside.heard] == [Path(lab.here, lab.there)]


def test_mapping_ends_so_long_after_the_last_packet_outwards():
    lab = make_lab(NatBehaviour(lifetime_s=30.0))
    mapped = lab.ask_out()
    lab.network.run_for(20.0)
    lab.send(lab.outside, lab.there, mapped)
    assert len(lab.inside.heard) == 1
    lab.network.run_for(2.0)
    lab.send(lab.outside, lab.there, mapped)
    assert len(lab.inside.heard) == 1
    assert lab.ask_out() != mapped


def test_rebinding_makes_another_address_and_forgets_the_first():
    lab = make_lab(FULL_CONE)
    mapped = lab.ask_out()
    lab.gateway.rebind()
    lab.send(lab.outside, lab.there, mapped)
    assert lab.inside.heard == []
    assert lab.ask_out() != mapped


@pytest.mark.parametrize("is_hairpinning", [True, False])
def test_hairpin_brings_packets_back_inside(is_hairpinning):
    lab = make_lab(NatBehaviour(is_hairpinning=is_hairpinning))
    neighbour = lab.network.host("neighbour")
    neighbour.attach(lab.realm, "192.168.0.3")
    probe = Probe()
    local = neighbour.run(probe).open_socket("192.168.0.3", 5000)
    mapped = lab.ask_out()
    lab.send(probe, local, lab.there)
    theirs = lab.outside.sources[-1]
    lab.send(lab.inside, lab.here, theirs)  # opens the filter
    lab.send(probe, local, mapped)
    assert lab.inside.sources == ([theirs] if is_hairpinning else [])
    assert (lab.network.drops[DropReason.NO_HAIRPIN] > 0) is not is_hairpinning


def test_neighbours_reach_each_other_without_the_gateway():
    lab = make_lab(firewall=Firewall(udp=False))
    neighbour = lab.network.host("neighbour")
    neighbour.attach(lab.realm, "192.168.0.3")
    probe = Probe()
    local = neighbour.run(probe).open_socket("192.168.0.3", 5000)
    lab.send(lab.inside, lab.here, local)
    assert probe.sources == [lab.here]


def test_two_nats_in_a_row_translate_twice():
    lab = make_lab(PORT_RESTRICTED_CONE)
    inmost = lab.network.realm("inmost")
    lab.network.gateway(inside=inmost, outside=lab.realm, hosts=["192.168.0.9"])
    computer = lab.network.host("inmost")
    computer.attach(inmost, "10.0.0.2")
    probe = Probe()
    local = computer.run(probe).open_socket("10.0.0.2", 5000)
    lab.send(probe, local, lab.there)
    assert lab.outside.sources[-1].host == NAT_HOST
    lab.send(lab.outside, lab.there, lab.outside.sources[-1])
    assert probe.sources == [lab.there]


# -- firewalls --------------------------------------------------------------------------------------------------------


def test_firewall_without_translation_keeps_addresses_and_strangers_out():
    lab = make_lab(PORT_RESTRICTED_CONE, hosts=())
    lab.send(lab.outside, lab.there, lab.here)
    assert lab.inside.heard == []
    assert lab.ask_out() == lab.here
    lab.send(lab.outside, lab.there, lab.here)
    assert lab.inside.sources == [lab.there]


def test_plain_router_lets_everybody_in():
    lab = make_lab(hosts=())
    lab.send(lab.outside, lab.there, lab.here)
    assert lab.inside.sources == [lab.there]


def test_firewall_that_has_had_enough_of_udp_lets_none_through_either_way():
    lab = make_lab(firewall=Firewall(udp_for_s=12.0))
    mapped = lab.ask_out()
    lab.send(lab.outside, lab.there, mapped)
    assert len(lab.inside.heard) == 1
    lab.network.run_for(10.0)
    lab.send(lab.inside, lab.here, lab.there)
    lab.send(lab.outside, lab.there, mapped)
    assert (len(lab.outside.heard), len(lab.inside.heard)) == (1, 1)
    assert lab.network.drops[DropReason.BLOCKED] == 2


# -- cables and hosts -------------------------------------------------------------------------------------------------


def test_cable_delays_and_loses():
    lab = make_lab(cable=Cable(LinkConditions(delay_s=0.25)))
    lab.inside.say(b"x", lab.here, lab.there)
    assert lab.network.run_until(lambda: bool(lab.outside.heard)) == 0.25
    lab.gateway.outer.cable.conditions = LinkConditions(loss=1.0)
    lab.send(lab.inside, lab.here, lab.there)
    assert lab.network.drops[DropReason.LOST] == 1


def test_packet_larger_than_the_mtu_vanishes():
    lab = make_lab(cable=Cable(mtu_bytes=1280))
    lab.send(lab.inside, lab.here, lab.there, bytes(1252))
    lab.send(lab.inside, lab.here, lab.there, bytes(1253))
    assert [len(datagram.data) for datagram in lab.outside.heard] == [1252]
    assert lab.network.drops[DropReason.TOO_BIG] == 1


def test_interface_that_is_gone_reaches_nobody():
    lab = make_lab()
    mapped = lab.ask_out()
    host = lab.programs["inside"].host
    host.detach(host.interfaces[0])
    lab.send(lab.inside, lab.here, lab.there)
    lab.send(lab.outside, lab.there, mapped)
    assert (len(lab.outside.heard), lab.inside.heard) == (1, [])
    assert lab.network.drops[DropReason.NO_LINK] == 1


def test_address_belongs_to_one_host():
    lab = make_lab()
    with pytest.raises(InvalidArgument, match="is taken"):
        lab.network.host("again").attach(lab.realm, INSIDE)
    with pytest.raises(InvalidArgument, match="is taken"):
        lab.programs["inside"].open_socket(INSIDE, 5000)
    with pytest.raises(InvalidArgument, match="has no address"):
        lab.programs["inside"].open_socket(OUTSIDE)


def test_packets_without_a_way_are_dropped_and_counted():
    lab = make_lab()
    lab.send(lab.inside, lab.here, Address("192.0.2.99", 1))
    lab.send(lab.outside, lab.there, Address(OTHER, 99))
    assert lab.network.drops == {DropReason.NO_ROUTE: 1, DropReason.NO_SOCKET: 1}


# -- TCP --------------------------------------------------------------------------------------------------------------


def connect(lab, protocol="tcp", port=443):
    """Ask for a stream from inside to outside; return its path."""
    path = Path(Address(INSIDE, 0), Address(OUTSIDE, port), protocol, stream=7)
    lab.inside.ask(StreamNeeded(path))
    lab.network.flush()
    lab.network.run_for(30.0)
    return path


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_stream_carries_every_byte_in_order_in_pieces(protocol):
    lab = make_lab(SYMMETRIC, cable=Cable(LinkConditions(delay_s=0.05, loss=0.2, jitter_s=0.01)))
    lab.programs["outside"].listen(OUTSIDE, 443, protocol)
    path = connect(lab, protocol)
    assert lab.inside.opened == [path]
    (accepted,) = lab.outside.opened
    assert (accepted.local, accepted.remote.host, accepted.protocol) == (Address(OUTSIDE, 443), NAT_HOST, protocol)
    frames = [bytes([number]) * 700 for number in range(20)]
    for frame in frames:
        lab.inside.write(frame, path)
        lab.outside.write(frame[::-1], accepted)
    lab.network.run_for(30.0)
    assert lab.outside.bytes_heard == lab.inside.bytes_heard == b"".join(frames)
    assert {len(datagram.data) for datagram in lab.outside.heard} != {700}
    assert {datagram.path for datagram in lab.inside.heard} == {path}


def test_end_of_a_stream_comes_after_its_bytes_and_is_told_once():
    lab = make_lab(cable=Cable(LinkConditions(delay_s=0.05)))
    lab.programs["outside"].listen(OUTSIDE, 443)
    path = connect(lab)
    lab.inside.write(b"last words", path)
    lab.inside.ask(StreamUnneeded(path))
    lab.network.run_for(5.0)
    assert lab.outside.bytes_heard == b"last words"
    assert lab.outside.closed == [(lab.outside.opened[0], "closed by the other end")]
    assert lab.inside.closed == []
    lab.inside.write(b"too late", path)
    lab.network.run_for(5.0)
    assert lab.network.drops[DropReason.NO_STREAM] == 1


def test_stream_that_cannot_be_opened_says_why():
    lab = make_lab(firewall=Firewall(tcp_ports=frozenset({443})))
    refused = connect(lab)
    blocked = connect(lab, port=3478)
    assert lab.inside.closed == [(refused, "connection refused"), (blocked, "timed out")]


@pytest.mark.parametrize("misfortune", ["rebind", "detach", "unplug"])
def test_stream_whose_way_is_gone_times_out(misfortune):
    lab = make_lab()
    lab.programs["outside"].listen(OUTSIDE, 443)
    path = connect(lab)
    host = lab.programs["inside"].host
    match misfortune:
        case "rebind":
            lab.gateway.rebind()
        case "detach":
            host.detach(host.interfaces[0])
        case "unplug":
            host.interfaces[0].cable.is_up = False
    lab.inside.write(b"hello?", path)
    lab.network.run_for(30.0)
    assert lab.outside.heard == []
    assert lab.inside.closed == [(path, "timed out")]


def test_stream_does_not_get_in_from_outside():
    lab = make_lab(FULL_CONE)
    lab.programs["inside"].listen(INSIDE, 443)
    mapped = lab.ask_out()
    path = Path(Address(OUTSIDE, 0), Address(mapped.host, 443), "tcp", stream=1)
    lab.outside.ask(StreamNeeded(path))
    lab.network.flush()
    lab.network.run_for(30.0)
    assert lab.inside.opened == []
    assert lab.outside.closed == [(path, "timed out")]
