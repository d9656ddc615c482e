"""Host addresses behind mDNS names (draft-ietf-rtcweb-mdns-ice-candidates-04, section 3.1)."""

import re

import pytest

from sans_rtc.ice import (
    AddressFilter,
    AddressRewrite,
    IceConfig,
    LocalCandidate,
    PublishName,
    ResolveName,
    RewriteMode,
    Role,
    StunServer,
    WithdrawName,
    serialize_candidate,
)
from sans_rtc.ice.hiding import draw_uuid
from sans_rtc.machine import Address, Datagram, Terminated
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute, parse_message, serialize_message, success_response
from sans_rtc.testing import SeededEntropy, drain

NOW = 0.0
PRIVATE, OTHER, SIX = Address("192.168.1.7", 5000), Address("192.168.2.7", 5000), Address("fd00::7", 5000)
PUBLIC = Address("203.0.113.9", 40_000)
SERVER = StunServer("192.0.2.2")
# RFC 9562 section 5.4: version 4, variant 10.
NAME = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.local")


class Host:
    """An agent that hides its addresses, and everything that it has told."""

    def __init__(self, make_agent, *addresses, **config):
        self.agent = make_agent(Role.CONTROLLING, hide_host_addresses=True, **config)
        self.events, self.sent = [], []
        for address in addresses:
            self.agent.add_local_address(address, "eth0", NOW)
        self.take()

    def take(self):
        datagrams, events = drain(self.agent, NOW)
        self.events += events
        self.sent += datagrams

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def told(self):
        return [event.candidate for event in self.of(LocalCandidate)]

    def answer_server(self, mapped):
        for request in self.sent:
            answer = success_response(
                parse_message(request.data), [Attribute(AttributeType.XOR_MAPPED_ADDRESS, mapped)]
            )
            self.agent.receive(Datagram(serialize_message(answer, fingerprint=True), request.path), NOW)
        self.take()


@pytest.mark.proves("MDNS-ICE-3.1.1-1-938d", "MDNS-ICE-3.1.2.4-1-e29b")
def test_name_is_a_version_4_uuid_and_local(make_agent):
    host = Host(make_agent, PRIVATE)
    (candidate,) = host.told
    assert NAME.fullmatch(candidate.address.host)
    assert candidate.address.port == PRIVATE.port
    assert candidate.type == "host"


@pytest.mark.proves("MDNS-ICE-3.1.1-1-938d")
def test_uuids_are_well_formed_and_differ():
    entropy = SeededEntropy("uuid")
    uuids = {draw_uuid(entropy) for _ in range(200)}
    assert len(uuids) == 200
    assert all(NAME.fullmatch(uuid + ".local") for uuid in uuids)


@pytest.mark.proves("MDNS-ICE-3.1.1-3-1eb2", "MDNS-ICE-3.1.2.1-1-05a1")
def test_name_is_asked_to_be_published_before_the_candidate_is_told(make_agent):
    host = Host(make_agent, PRIVATE)
    kinds = [type(event) for event in host.events]
    assert kinds.index(PublishName) < kinds.index(LocalCandidate)
    assert host.of(PublishName) == [PublishName(host.told[0].address.host, (PRIVATE.host,))]


@pytest.mark.proves("MDNS-ICE-3.1.1-4-9541")
def test_each_address_has_a_name_of_its_own(make_agent):
    """Section 3.1.1: "MUST expose a different mDNS name for each address"."""
    host = Host(make_agent, PRIVATE, OTHER, SIX)
    assert len({candidate.address.host for candidate in host.told}) == 3
    assert [event.hosts for event in host.of(PublishName)] == [(PRIVATE.host,), (OTHER.host,), (SIX.host,)]


def test_sockets_of_one_address_share_its_name(make_agent):
    host = Host(make_agent, PRIVATE, Address(PRIVATE.host, 6000))
    assert len({candidate.address.host for candidate in host.told}) == 1
    assert len(host.of(PublishName)) == 1


def test_name_is_kept_across_a_restart(make_agent):
    """Section 3.1.1, steps 2 and 5."""
    host = Host(make_agent, PRIVATE)
    host.agent.end_of_local_addresses(NOW)
    host.agent.restart(NOW)
    host.take()
    before, after = host.told
    assert before.address == after.address
    assert before.extension("ufrag") != after.extension("ufrag")
    assert len(host.of(PublishName)) == 1


def test_name_is_withdrawn_with_the_last_socket_of_its_address(make_agent):
    second = Address(PRIVATE.host, 6000)
    host = Host(make_agent, PRIVATE, second)
    host.agent.remove_local_address(PRIVATE, NOW)
    host.take()
    assert host.of(WithdrawName) == []
    host.agent.remove_local_address(second, NOW)
    host.take()
    assert host.of(WithdrawName) == [WithdrawName(host.told[0].address.host)]
    host.agent.add_local_address(PRIVATE, "eth0", NOW)
    host.take()
    assert [event.name for event in host.of(PublishName)] == [host.told[0].address.host] * 2


@pytest.mark.parametrize("verb", ["close", "abort"])
def test_names_are_withdrawn_at_the_end(make_agent, verb):
    host = Host(make_agent, PRIVATE, SIX)
    getattr(host.agent, verb)(NOW)
    host.take()
    assert {event.name for event in host.of(WithdrawName)} == {candidate.address.host for candidate in host.told}
    assert isinstance(host.events[-1], Terminated)


@pytest.mark.proves("ICE-SDP-5.1-9-084a", "ICE-SDP-9.1-1-084a")
@pytest.mark.proves("MDNS-ICE-3.1.2.2-2-1374")
@pytest.mark.parametrize(
    ("address", "mapped", "related"),
    [(PRIVATE, PUBLIC, Address("0.0.0.0", 9)), (SIX, Address("2001:db8::9", 40_000), Address("::", 9))],
)
def test_related_address_of_a_reflexive_candidate_is_hidden(make_agent, address, mapped, related):
    """Section 3.1.2.2: raddr 0.0.0.0 or ::, rport 9."""
    server = SERVER if address is PRIVATE else StunServer("2001:db8::2")
    host = Host(make_agent, address, stun_servers=(server,))
    host.answer_server(mapped)
    reflexive = next(candidate for candidate in host.told if candidate.type == "srflx")
    assert (reflexive.address, reflexive.related_address) == (mapped, related)


@pytest.mark.proves("MDNS-ICE-3.1.2.2-1-3a12")
def test_reflexive_candidate_with_the_address_itself_is_not_redundant(make_agent):
    """Section 3.1.2.2: "MUST NOT be considered redundant"."""
    host = Host(make_agent, PUBLIC, stun_servers=(SERVER,))
    host.answer_server(PUBLIC)
    assert [candidate.type for candidate in host.told][-2:] == ["host", "srflx"]
    assert host.told[-1].address == PUBLIC


def test_without_hiding_it_is_redundant_and_nothing_is_published(make_agent):
    agent = make_agent(stun_servers=(SERVER,))
    agent.add_local_address(PUBLIC, "eth0", NOW)
    _, events = drain(agent, NOW)
    assert [event.candidate.address for event in events if isinstance(event, LocalCandidate)] == [PUBLIC]
    assert not any(isinstance(event, PublishName) for event in events)


def test_rewritten_address_is_told_for_it_was_configured_to_be(make_agent):
    rewrite = AddressRewrite(PRIVATE.host, "203.0.113.1", RewriteMode.ADD)
    host = Host(make_agent, PRIVATE, rewrites=(rewrite,))
    hosts = [candidate.address.host for candidate in host.told]
    assert "203.0.113.1" in hosts
    assert PRIVATE.host not in hosts


@pytest.mark.proves("MDNS-ICE-3.1.2.4-4-0235")
@pytest.mark.parametrize("address", [PRIVATE, SIX, Address("fe80::7%eth0", 5000)])
def test_no_candidate_line_has_the_address(make_agent, address):
    host = Host(make_agent, address, address_filter=AddressFilter(allow_link_local=True))
    host.agent.restart(NOW)
    host.take()
    lines = [serialize_candidate(candidate) for candidate in host.told]
    assert len(lines) == 2
    assert not any(address.host.partition("%")[0] in line for line in lines)
    assert all("%" not in event.hosts[0] for event in host.of(PublishName))


def test_agents_that_hide_themselves_connect_by_each_others_names(duo):
    config = IceConfig(hide_host_addresses=True)
    pair = duo(configs=(config, config))
    known = {}

    def on_event(end, event):
        if isinstance(event, PublishName):
            known[event.name] = event.hosts
        elif isinstance(event, ResolveName):
            pair.agents[end].name_resolved(event.name, known.get(event.name, ()), pair.now)
        old(end, event)

    old, pair.link.on_event = pair.link.on_event, on_event
    pair.start()
    pair.link.run_until(pair.is_connected, within_s=1.0)
    assert len(known) == 2
    pair.run(5.0)
    assert pair.is_connected()


def test_agent_that_hides_itself_is_found_by_its_checks_where_its_name_means_nothing(duo):
    pair = duo(configs=(IceConfig(hide_host_addresses=True), IceConfig()))
    pair.start()
    pair.link.run_until(pair.is_connected, within_s=1.0)
    assert pair.agents[1].explain().selected.remote.type == "prflx"


@pytest.mark.proves("MDNS-ICE-3.3.2-1-f8e4")
@pytest.mark.parametrize(
    ("host", "is_relayed", "is_paired"),
    [("n.local", True, False), ("n.local", False, True), ("turn.example.org", True, True), ("192.168.1.9", True, True)],
)
def test_relayed_candidate_is_not_paired_with_a_hidden_one_of_the_peer(make_hand, host, is_relayed, is_paired):
    """Section 3.3.2: the TURN server would learn the address."""
    hand = make_hand(Role.CONTROLLING).meet(candidate=False)
    pairing = hand.agent._generations.current.pairing
    (gathered,) = pairing.candidates
    gathered.base.is_relayed = is_relayed
    hand.agent.add_remote_candidate(hand.candidate(Address(host, 5000)), hand.now)
    hand.agent.name_resolved(host, ["192.168.1.9"], hand.now)
    hand.drain()
    assert len(pairing.checklist) == is_paired
