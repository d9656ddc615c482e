"""Two peer connections on the hosts of a topology, their signalling, and what comes of it."""

import functools
import math

import attrs

from sans_rtc import dtls
from sans_rtc.datachannel import ChannelMessage, ChannelOpened, ChannelOptions
from sans_rtc.ice import IceConfig, StunServer, TurnServer
from sans_rtc.machine import Terminated
from sans_rtc.peer import (
    ConnectionState,
    DescriptionType,
    GatheringNeeded,
    LocalCandidate,
    NegotiationNeeded,
    PeerConfig,
    PeerConnection,
)
from sans_rtc.testing import ContractMonitor, Network, SeededEntropy
from tests.nat.oracle import BY_PROTOCOL, DIRECT, NONE, OUTCOMES, expected, expected_in_the_end
from tests.nat.servers import PASSWORD, USERNAME, TurnHost
from tests.nat.topology import SERVER_HOSTS, STUN_PORT, build, draw_topology

NOT_BEFORE = 0
# A pair that can connect has its channel open and a message there and back within this.
CONNECT_BOUND_S = 30.0
# A pair that cannot says so within this; one whose way is cut off later likewise, consent (30 s) included.
FAIL_BOUND_S = 45.0
CUT_OFF_BOUND_S = 90.0
# A pair whose firewall has had enough of UDP carries messages again within this.
RETURN_BOUND_S = 30.0
MESSAGE = "through"
ENDED = (ConnectionState.FAILED, ConnectionState.CLOSED)


@functools.cache
def certificate(number):
    """One of a few certificates: making one is a third of a handshake."""
    return dtls.Certificate.generate(SeededEntropy(f"certificate {number}"), NOT_BEFORE)


@attrs.frozen
class Outcome:
    """What has come of a topology.

    outcome    one of OUTCOMES
    took_s     virtual time until both ends were connected and a message had gone there and back; None without a way
    """

    seed: int
    outcome: str
    took_s: float | None
    datagrams: int


class TopologyError(AssertionError):
    """Something else than what must be; the message holds the topology and where both ends stand."""


def simulate(seed, *, topology=None):
    """Let the pair of a topology connect; TopologyError where that does not end as it must."""
    topology = topology or draw_topology(seed)
    pair = NatPair(topology)
    try:
        return pair.live()
    except AssertionError as error:
        explanations = "\n".join(str(peer.explain()) for peer in pair.peers)
        where = f"{topology}\ndrops {dict(pair.network.drops)}\n{explanations}"
        raise TopologyError(f"{error}\nexpected {expected(topology)!r}\n{where}") from error


class NatPair:
    """Two peers, one of which offers a channel; the other sends every message back."""

    def __init__(self, topology):
        self.topology = topology
        self.network = Network(seed=topology.seed)
        TurnHost(self.network, topology.services)
        self.hosts = build(self.network, topology)
        self.peers = tuple(self._peer(end) for end in (0, 1))
        self.programs = [
            self.hosts[end].run(ContractMonitor(peer), functools.partial(self._on_event, end))
            for end, peer in enumerate(self.peers)
        ]
        self.channel = None
        self.echoed = []
        self._signalled_at = [0.0, 0.0]

    def _peer(self, end):
        access = self.topology.accesses[end]
        servers = tuple(StunServer(SERVER_HOSTS[family], STUN_PORT) for family in access.families)
        relays = tuple(
            TurnServer(SERVER_HOSTS[family], port, USERNAME, PASSWORD, transport=protocol)
            for protocol, port in self.topology.services
            for family in access.families
        )
        config = PeerConfig(ice=IceConfig(stun_servers=servers, turn_servers=relays))
        entropy = SeededEntropy(f"{self.topology.seed}/{end}")
        number = 2 * (self.topology.seed % 4) + end
        return PeerConnection(config, certificate=certificate(number), entropy=entropy)

    # -- life --------------------------------------------------------------------------------------------------------

    def live(self):
        """Connect, and compare what comes of it with what must come of it."""
        topology, network = self.topology, self.network
        at_first, in_the_end = expected(topology), expected_in_the_end(topology)
        self.peers[0].create_channel("data", ChannelOptions(), network.now)
        if in_the_end == NONE:
            network.run_until(self._has_failed, within_s=FAIL_BOUND_S if at_first == NONE else CUT_OFF_BOUND_S)
            assert at_first != NONE or not self.echoed, "a message got through where there is no way"
            self._assert_reasons()
            return Outcome(topology.seed, NONE, None, network.carried)
        took_s = network.run_until(self._is_through, within_s=CONNECT_BOUND_S)
        if at_first != in_the_end:
            self._outlive_udp()
        for program in self.programs:
            program.machine.check(network.now)
        outcome = self.outcome()
        is_worse = OUTCOMES.index(outcome) > OUTCOMES.index(in_the_end)
        assert outcome == in_the_end or (is_worse and topology.is_lossy), f"connected {outcome}"
        return Outcome(topology.seed, outcome, took_s, network.carried)

    def _outlive_udp(self):
        """Go on until UDP is over, and find another way."""
        network = self.network
        network.run_for(max(access.udp_for_s for access in self.topology.accesses if access.udp_for_s < math.inf))
        count = len(self.echoed)
        self.peers[0].send(self.channel, MESSAGE, network.now)
        network.run_until(lambda: len(self.echoed) > count and self._is_through(), within_s=RETURN_BOUND_S)

    def _is_through(self):
        return bool(self.echoed) and all(peer.connection_state is ConnectionState.CONNECTED for peer in self.peers)

    def outcome(self):
        """How data travel now: the worst of what both ends need."""
        return max((_way_of(peer.explain().ice) for peer in self.peers), key=OUTCOMES.index)

    def _has_failed(self):
        return all(peer.connection_state in ENDED for peer in self.peers)

    def _assert_reasons(self):
        for peer, program in zip(self.peers, self.programs, strict=True):
            explanation = peer.explain()
            assert "the connection is" not in explanation.likely_cause, (
                f"no reason is given: {explanation.likely_cause}"
            )
            for event in program.events:
                assert not isinstance(event, Terminated) or event.detail, "ended without a reason"

    # -- signalling and applications -----------------------------------------------------------------------------------

    def _signal(self, end, call):
        """Bring something to the other end, after everything that was signalled before."""
        at = self.network.now + self.topology.signalling_s * self.topology.chance.random()
        self._signalled_at[end] = max(self._signalled_at[end], at)
        self.network.at(self._signalled_at[end], call)

    def _describe(self, end):
        peer = self.peers[end]
        peer.set_local_description(None, self.network.now)
        description = peer.local_description
        self._signal(end, lambda: self._on_description(1 - end, description))

    def _on_description(self, end, description):
        self.peers[end].set_remote_description(description, self.network.now)
        if description.type is DescriptionType.OFFER:
            self._describe(end)

    def _on_event(self, end, event):
        peer, now = self.peers[end], self.network.now
        match event:
            case NegotiationNeeded():
                self._describe(end)
            case GatheringNeeded():
                for interface in self.hosts[end].interfaces:
                    for host in interface.hosts:
                        peer.add_local_address(self.programs[end].open_socket(host), interface.name, now)
                peer.end_of_local_addresses(now)
            case LocalCandidate():
                other = self.peers[1 - end]
                self._signal(end, lambda: other.add_remote_candidate(event.candidate, event.mid, self.network.now))
            case ChannelOpened() if end == 0:
                self.channel = event.channel
                peer.send(event.channel, MESSAGE, now)
            case ChannelMessage():
                peer.consume(event.channel, event.byte_count, now)
                if end == 1:
                    peer.send(event.channel, event.data, now)
                else:
                    self.echoed.append(event.data)


def _way_of(explanation):
    """How an end sends: from a socket of its own, or by a relay that it reaches so."""
    path = explanation.selected.path
    protocols = (relay.path.protocol for relay in explanation.relays if path.local in relay.relayed)
    return BY_PROTOCOL.get(next(protocols, None), DIRECT)
