"""Rule-based state machines of pairs: ICE agents, DTLS connections, SCTP associations, data channels, peers.

Each is a `hypothesis.stateful.RuleBasedStateMachine`: `TestIce = IceAgentPair.TestCase` makes a test of it.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from sans_rtc import dtls, ice, sctp
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.testing.entropy import SeededEntropy
from sans_rtc.testing.strategies.machines import PairRules, allow_misuse
from sans_rtc.testing.strategies.sctp import nearly_sctp_packets, reliabilities
from sans_rtc.testing.strategies.stun import nearly_stun_datagrams

SEEDS = st.integers(0, 1 << 16)
COUNTS = st.integers(1, 5)
HEAD_STARTS = st.sampled_from((5.0, 0.0))
"""How long the ends are left in peace at first, seconds: as a rule until they are connected."""
ENDS = st.integers(0, 1)
HOSTS = (Address("10.0.0.1", 5000), Address("10.0.0.2", 5000))
CERTIFICATE_NOT_BEFORE = 1_790_000_000


class IceAgentPair(PairRules):
    """Two ICE agents that trickle, check, send, restart and are lied to by strangers.

    In peace   both have a path, and what is sent then arrives
    """

    agents: tuple[ice.Agent, ice.Agent]

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        """Two agents with an address each, which know of each other."""
        roles = (ice.Role.CONTROLLING, ice.Role.CONTROLLED)
        first, second = (
            ice.Agent(ice.IceConfig(), role=role, entropy=SeededEntropy(f"{seed} {role}")) for role in roles
        )
        self.agents = (first, second)
        self.payloads: tuple[list[bytes], list[bytes]] = ([], [])
        self.join(first, second, seed)
        for agent, address in zip(self.agents, HOSTS, strict=True):
            agent.add_local_address(address, "eth0", self.now)
            agent.end_of_local_addresses(self.now)
        self._exchange()

    def on_event(self, end: int, event: object) -> None:
        """Candidates are trickled, payloads kept."""
        if isinstance(event, ice.LocalCandidate):
            self.agents[1 - end].add_remote_candidate(event.candidate, self.now)
        elif isinstance(event, Datagram):
            self.payloads[end].append(event.data)

    @rule(end=ENDS, data=st.binary(max_size=30))
    def send(self, end: int, data: bytes) -> None:
        """Data, which begin as DTLS does."""
        allow_misuse(self.agents[end].send, b"\x16" + data, self.now)
        self.link.flush()

    @rule(end=ENDS)
    def restart(self, end: int) -> None:
        """New credentials on both sides, as an offer and an answer bring them."""
        self.agents[end].restart(self.now)
        self.agents[1 - end].restart(self.now)
        self._exchange()

    @rule(end=ENDS, data=nearly_stun_datagrams(), host=st.sampled_from((*HOSTS, Address("192.0.2.66", 666))))
    def forge(self, end: int, data: bytes, host: Address) -> None:
        """A stranger says something, perhaps under the other's address."""
        self.link.inject(end, Datagram(data, Path(HOSTS[end], host)))
        self.link.flush()

    def check_peace(self) -> None:
        """There is a path, and it carries data both ways."""
        for end, agent in enumerate(self.agents):
            if agent.state is ice.ConnectionState.FAILED:
                self.restart(end)
                self.link.run_for(10.0)
        for end, agent in enumerate(self.agents):
            assert agent.can_send, f"no path in peace: {agent.explain()}"
            agent.send(b"\x16 the last", self.now)
            self.link.run_for(1.0)
            assert self.payloads[1 - end][-1:] == [b"\x16 the last"]

    def _exchange(self) -> None:
        for end in (0, 1):
            self.agents[end].set_remote_parameters(self.agents[1 - end].local_parameters, self.now)
        self.link.flush()


class DtlsPair(PairRules):
    """A DTLS client and a server over a link that loses, doubles, reorders and cuts.

    Always     nothing is told that was not sent, nothing twice
    In peace   both are connected, unless the handshake's time has run out, and agree on keys
    """

    connections: tuple[dtls.Connection, dtls.Connection]

    @initialize(seed=SEEDS, head_start_s=HEAD_STARTS)
    def begin(self, seed: int, head_start_s: float) -> None:
        """Both ends know the other's fingerprint, and start."""
        entropies = [SeededEntropy(f"{seed} {role}") for role in dtls.Role]
        certificates = [dtls.Certificate.generate(entropy, CERTIFICATE_NOT_BEFORE) for entropy in entropies]
        first, second = (
            dtls.Connection(
                dtls.DtlsConfig(),
                role=role,
                certificate=certificates[end],
                peer_fingerprints=[certificates[1 - end].fingerprint()],
                entropy=entropies[end],
            )
            for end, role in enumerate(dtls.Role)
        )
        self.connections = (first, second)
        self.sent: tuple[set[bytes], set[bytes]] = (set(), set())
        self.told: tuple[list[bytes], list[bytes]] = ([], [])
        self.join(first, second, seed)
        for connection in self.connections:
            connection.start(self.now)
        self.link.run_for(head_start_s)

    def on_event(self, end: int, event: object) -> None:
        """Data are kept; the handshake lets nothing but `Connected` stand before them."""
        if isinstance(event, dtls.ApplicationData):
            assert event.data in self.sent[1 - end], "data that nobody sent"
            assert event.data not in self.told[end], "the same record twice"
            self.told[end].append(event.data)

    @rule(end=ENDS, size=st.integers(1, 1200), count=COUNTS)
    def send(self, end: int, size: int, count: int) -> None:
        """A few records of data, no two alike."""
        for _ in range(count):
            data = (len(self.sent[end]) + 1).to_bytes(4, "big") + bytes(size)
            if allow_misuse(self.connections[end].send, data, self.now):
                self.sent[end].add(data)
        self.link.flush()

    @rule(
        end=ENDS,
        data=st.one_of(st.binary(max_size=40), st.binary(max_size=60).map(lambda tail: b"\x17\xfe\xfd" + tail)),
    )
    def forge(self, end: int, data: bytes) -> None:
        """A stranger sends what is no record of a handshake: those are not protected, and could end it."""
        if data[:1] not in (b"\x14", b"\x15", b"\x16"):
            self.link.inject(end, data)
            self.link.flush()

    def check_peace(self) -> None:
        """Connected both, with the same keys."""
        if any(connection.is_terminated for connection in self.connections):
            return
        keys = {connection.export_keying_material(b"EXPERIMENTAL", 20) for connection in self.connections}
        assert len(keys) == 1, "the ends disagree on their keys"
        for end in (0, 1):
            self.send(end, 100, 1)
            self.link.run_for(1.0)
            assert max(self.sent[end]) in self.told[1 - end]


class SctpPair(PairRules):
    """Two SCTP associations: messages of every reliability on a few streams, resets, a stranger under the right tag.

    Always     nothing is told that was not sent, nothing twice
    In peace   what is ordered and reliable has arrived, whole and in its order
    """

    associations: tuple[sctp.Association, sctp.Association]
    STREAMS = 4
    SIZES = st.integers(0, 5000)

    @initialize(seed=SEEDS, head_start_s=HEAD_STARTS)
    def begin(self, seed: int, head_start_s: float) -> None:
        """Both connect at once, as WebRTC does."""
        config = sctp.SctpConfig(association_retransmissions_max=100, init_retransmissions_max=100, rto_max_s=1.0)
        first, second = (sctp.Association(config, entropy=SeededEntropy(f"{seed} {end}")) for end in (0, 1))
        self.associations = (first, second)
        self.sent: list[dict[bytes, tuple[int, bool]]] = [{}, {}]
        self.told: list[list[bytes]] = [[], []]
        self.join(first, second, seed)
        for association in self.associations:
            association.connect(self.now)
        self.link.run_for(head_start_s)

    def on_event(self, end: int, event: object) -> None:
        """A message is one of those that were sent, on its stream, for the first time; its credit goes back."""
        if isinstance(event, sctp.Message):
            assert event.data in self.sent[1 - end], "a message that nobody sent"
            assert event.data not in self.told[end], "the same message twice"
            assert self.sent[1 - end][event.data][0] == event.stream_id, "on another stream"
            self.told[end].append(event.data)
            self.associations[end].consume(len(event.data), self.now)

    @rule(end=ENDS, stream=st.integers(0, STREAMS - 1), size=SIZES, reliability=reliabilities(), count=COUNTS)
    def send(self, end: int, stream: int, size: int, reliability: sctp.Reliability, count: int) -> None:
        """A few messages, no two alike."""
        for _ in range(count):
            data = len(self.sent[end]).to_bytes(4, "big") + bytes(size)
            self.sent[end][data] = (stream, reliability == sctp.RELIABLE)
            if not allow_misuse(self.associations[end].send, stream, 53, data, reliability, self.now):
                del self.sent[end][data]
        self.link.flush()

    @rule(end=ENDS, stream=st.integers(0, STREAMS - 1))
    def reset(self, end: int, stream: int) -> None:
        """A stream's numbers begin again, behind what was sent on it."""
        allow_misuse(self.associations[end].reset_streams, [stream], self.now)
        self.link.flush()

    @rule(end=ENDS, packet=nearly_sctp_packets())
    def forge(self, end: int, packet: bytes) -> None:
        """A packet of another association, as a stranger sends who does not know the tag."""
        tags = {each[4:8] for each in self.link.sent[1 - end]}
        if packet[4:8] not in tags | {bytes(4)}:
            self.link.inject(end, packet)
            self.link.flush()

    def check_peace(self) -> None:
        """All that was promised has come."""
        assert not any(association.is_terminated for association in self.associations), "it ended in spite of all"
        for end in (0, 1):
            for stream in range(self.STREAMS):
                sent = [data for data, promise in self.sent[1 - end].items() if promise == (stream, True)]
                told = [data for data in self.told[end] if data in set(sent)]
                assert told == sent, f"{len(sent)} sent on stream {stream}, {len(told)} told, or in another order"
