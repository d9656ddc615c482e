"""Helpers for the tests of ICE: agents on a link, a small Internet with NATs and STUN servers, and a peer by hand."""

from functools import partial

import attrs
import pytest

from sans_rtc.ice import (
    Agent,
    Candidate,
    CandidateType,
    GatheringState,
    GatheringStateChanged,
    IceConfig,
    LocalCandidate,
    Parameters,
    Role,
)
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.integrity import short_term_key
from sans_rtc.stun.wire import (
    Attribute,
    MessageClass,
    Method,
    error_response,
    new_request,
    parse_message,
    serialize_message,
    success_response,
)
from sans_rtc.testing import Cable, ContractMonitor, Link, LinkConditions, Network, SeededEntropy, drain
from sans_rtc.turn.server import Credentials, RelayNeeded, RelayUnneeded, Server, ServerConfig, User

HERE = Address("10.0.0.1", 1111)
THERE = Address("10.0.0.2", 2222)
STUN_SERVER = Address("192.0.2.2", 3478)
TURN_SERVER = Address("203.0.113.200", 3478)
T0 = 1000.0


class Nat:
    """A NAT with one public address.

    mapping    "endpoint_independent" or "symmetric" (a port for each destination)
    filtering  "endpoint_independent", "address" or "port": who may send in
    """

    def __init__(self, public, mapping="endpoint_independent", filtering="port"):
        self.public, self.mapping, self.filtering = public, mapping, filtering
        self.next_port = 40000
        self.outer_of = {}
        self.inner_of = {}
        self.permitted = set()

    def outgoing(self, inner, destination):
        key = (inner, destination if self.mapping == "symmetric" else None)
        if key not in self.outer_of:
            self.next_port += 1
            self.outer_of[key] = Address(self.public, self.next_port)
            self.inner_of[self.outer_of[key]] = inner
        outer = self.outer_of[key]
        self.permitted |= {(outer, destination), (outer, destination.host), (outer, None)}
        return outer

    def incoming(self, outer, source):
        who = {"port": source, "address": source.host, "endpoint_independent": None}[self.filtering]
        return self.inner_of.get(outer) if (outer, who) in self.permitted else None


class Duo:
    """Two agents, their signalling, and the network between them.

    servers  what a STUN server at this address does: "answer", "silent" or "error"
    nats     a Nat or None before each end
    """

    def __init__(
        self,
        *,
        seed=0,
        conditions=None,
        configs=None,
        roles=(Role.CONTROLLING, Role.CONTROLLED),
        addresses=((HERE,), (THERE,)),
        nats=(None, None),
        servers=None,
        signals=True,
    ):
        configs = configs or (IceConfig(), IceConfig())
        self.agents = [
            Agent(config, role=role, entropy=SeededEntropy(f"{seed}/{end}"))
            for end, (config, role) in enumerate(zip(configs, roles, strict=True))
        ]
        self.monitors = [ContractMonitor(agent) for agent in self.agents]
        self.link = Link(*self.monitors, seed=seed, conditions=conditions or LinkConditions(delay_s=0.001))
        self.link.filter = self._route
        self.link.on_event = self._on_event
        self.addresses, self.nats, self.servers = addresses, nats, servers or {}
        self.signals = signals
        self.is_cut = False
        self.drops = lambda end, datagram: False
        self.states = ([], [])
        self.told = [[], []]
        self.has_ended = [False, False]

    @property
    def now(self):
        return self.link.now

    def events(self, end, kind):
        return [event for event in self.link.events[end] if isinstance(event, kind)]

    def gather(self):
        for agent, addresses in zip(self.agents, self.addresses, strict=True):
            for address in addresses:
                agent.add_local_address(address, "eth0", self.now)
            agent.end_of_local_addresses(self.now)

    def exchange_parameters(self):
        first, second = self.agents
        first.set_remote_parameters(second.local_parameters, self.now)
        second.set_remote_parameters(first.local_parameters, self.now)

    def start(self):
        self.exchange_parameters()
        self.gather()
        self.link.flush()
        return self

    def is_connected(self):
        return all(agent.state in ("connected", "completed") for agent in self.agents)

    def connect(self, within_s=30.0):
        self.start()
        took = self.link.run_until(self.is_connected, within_s=within_s)
        self.check()
        return took

    def restart(self, end=0):
        self.agents[end].restart(self.now)
        self.agents[1 - end].set_remote_parameters(self.agents[end].local_parameters, self.now)
        self.agents[end].set_remote_parameters(self.agents[1 - end].local_parameters, self.now)
        self.link.flush()
        for number in (0, 1):
            self.describe(number)

    def run(self, duration_s):
        self.link.run_for(duration_s)
        self.check()

    def check(self):
        for monitor in self.monitors:
            monitor.check(self.now)
        self.link.flush()

    def _on_event(self, end, event):
        if hasattr(event, "state") and not isinstance(event, GatheringStateChanged):
            self.states[end].append(str(event.state))
        if isinstance(event, LocalCandidate):
            self.told[end].append(event.candidate)
        elif isinstance(event, GatheringStateChanged):
            self.has_ended[end] = event.state is GatheringState.COMPLETE
        if self.signals:
            self.describe(end)

    def describe(self, end):
        """Tell the other end all candidates of this generation, and that they are all, as a description does.

        What belongs to a generation that the other end has not been told of stays here.
        """
        agent, other = self.agents[end], self.agents[1 - end]
        ufrag = agent.local_parameters.ufrag
        if other.remote_parameters is None or other.remote_parameters.ufrag != ufrag:
            return
        for candidate in self.told[end]:
            if candidate.extension("ufrag") == ufrag:
                other.add_remote_candidate(candidate, self.now)
        self.told[end] = []
        if self.has_ended[end]:
            other.end_of_remote_candidates(self.now)

    def _route(self, end, datagram):
        path = datagram.path
        source = self.nats[end].outgoing(path.local, path.remote) if self.nats[end] else path.local
        if path.remote in self.servers:
            self._serve(end, datagram, source)
            return None
        if self.is_cut or self.drops(end, datagram):
            return None
        nat = self.nats[1 - end]
        destination = nat.incoming(path.remote, source) if nat else path.remote
        if destination not in self.addresses[1 - end]:
            return None
        return Datagram(datagram.data, Path(source, destination), datagram.ecn)

    def _serve(self, end, datagram, source):
        behaviour = self.servers[datagram.path.remote]
        request = parse_message(datagram.data)
        if behaviour == "answer":
            answer = success_response(request, [Attribute(AttributeType.XOR_MAPPED_ADDRESS, source)])
        elif behaviour == "error":
            answer = error_response(request, 500)
        else:
            return
        response = Datagram(serialize_message(answer, fingerprint=True), datagram.path)
        self.monitors[end].receive(response, self.now)


@attrs.define
class Hand:
    """A peer played by the test: it speaks STUN to one agent, with the right credentials or with wrong ones."""

    agent: Agent
    now: float = T0
    parameters: Parameters = attrs.Factory(lambda: Parameters("peer", "p" * 22))
    local: Address = HERE
    remote: Address = THERE
    entropy: SeededEntropy = attrs.Factory(lambda: SeededEntropy("hand"))
    events: list = attrs.Factory(list)
    sent: list = attrs.Factory(list)

    @property
    def path(self):
        return Path(self.local, self.remote)

    def meet(self, *, candidate=True, address=True):
        """Give the agent a socket, the peer's parameters and candidate, and take what it says."""
        if address:
            self.agent.add_local_address(self.local, "eth0", self.now)
            self.agent.end_of_local_addresses(self.now)
        self.agent.set_remote_parameters(self.parameters, self.now)
        if candidate:
            self.agent.add_remote_candidate(self.candidate(), self.now)
        self.drain()
        return self

    def candidate(self, address=None, *, priority=2130706431, foundation="1", **more):
        return Candidate(
            foundation, 1, "udp", priority, address or self.remote, more.pop("type", CandidateType.HOST), **more
        )

    def request(self, **choices):
        """A check of the peer. choices: path, username, pwd, role, tie_breaker, priority, use_candidate, more,
        fingerprint, transaction_id, method, integrity"""
        choice = choices.get
        local = self.agent.local_parameters
        username = choice("username", f"{local.ufrag}:{self.parameters.ufrag}")
        attributes = [] if username is None else [Attribute(AttributeType.USERNAME, username)]
        default_role = self.agent.role.other
        claim = f"ICE_{choice('role', default_role).name}"
        attributes.append(Attribute(AttributeType[claim], choice("tie_breaker", 1)))
        if choice("priority", 1845501695) is not None:
            attributes.append(Attribute(AttributeType.PRIORITY, choice("priority", 1845501695)))
        if choice("use_candidate", False):
            attributes.append(Attribute(AttributeType.USE_CANDIDATE, True))
        attributes += choice("more", [])
        message = new_request(choice("method", Method.BINDING), self.entropy, attributes)
        key = short_term_key(choice("pwd", local.pwd)) if choice("integrity", True) else None
        data = serialize_message(message, key=key, fingerprint=choice("fingerprint", True), **choice("serialize", {}))
        return Datagram(data, choice("path", self.path))

    def response(self, request, *, mapped=None, path=None, pwd=None, code=0, key=True):
        """The response to a check of the agent."""
        message = parse_message(request.data)
        if code:
            answer = error_response(message, code)
        else:
            answer = success_response(
                message, [Attribute(AttributeType.XOR_MAPPED_ADDRESS, mapped or request.path.local)]
            )
        key = short_term_key(pwd or self.parameters.pwd) if key else None
        return Datagram(serialize_message(answer, key=key, fingerprint=True), path or request.path)

    def receive(self, datagram):
        """Hand a datagram to the agent; return what it says to it."""
        self.agent.receive(datagram, self.now)
        return self.drain()

    def drain(self):
        datagrams, events = drain(self.agent, self.now)
        self.events += events
        self.sent += datagrams
        return datagrams

    def wait(self, duration_s):
        """Let time pass; return what the agent has said meanwhile."""
        until, said, turns = self.now + duration_s, [], 0
        while self.agent.deadline <= until:
            turns = turns + 1 if self.agent.deadline <= self.now else 0
            assert turns < 100, "a timer stays due however often it is handled"
            self.now = max(self.now, self.agent.deadline)
            self.agent.handle_timer(self.now)
            said += self.drain()
        self.now = until
        return said + self.drain()

    def checks(self, datagrams=None):
        """The requests among datagrams, those of all times where none are given."""
        return [datagram for datagram in (self.sent if datagrams is None else datagrams) if is_request(datagram)]

    def answer_all(self, datagrams, **choices):
        """Answer every check among these; return what the agent says then."""
        said = []
        for request in self.checks(datagrams):
            said += self.receive(self.response(request, **choices))
        return said

    def connect(self):
        """Bring the agent to a selected pair."""
        self.meet()
        if self.agent.role is Role.CONTROLLING:
            self.answer_all(self.answer_all(self.sent))
        else:
            self.answer_all(self.sent)
            self.receive(self.request(use_candidate=True))
        assert self.agent.state in ("connected", "completed")
        return self

    def of(self, kind):
        """The events of a kind, so far."""
        return [event for event in self.events if isinstance(event, kind)]


def is_request(datagram):
    data = datagram.data
    return len(data) >= 20 and data[0] == 0 and parse_message(data).message_class is MessageClass.REQUEST


def is_response(datagram):
    data = datagram.data
    return len(data) >= 20 and data[0] == 1 and parse_message(data).message_class is not MessageClass.REQUEST


@pytest.fixture
def make_agent():
    def make(role=Role.CONTROLLING, seed="agent", **config):
        return Agent(IceConfig(**config), role=role, entropy=SeededEntropy(seed))

    return make


@pytest.fixture
def make_hand(make_agent):
    """A peer by hand before an agent with this role and configuration."""

    def make(role=Role.CONTROLLING, **config):
        return Hand(make_agent(role, **config))

    return make


@pytest.fixture
def hand_class():
    return Hand


@pytest.fixture
def duo():
    return Duo


@pytest.fixture
def nat():
    return Nat


@pytest.fixture
def parsed():
    return lambda datagram: parse_message(datagram.data)


@pytest.fixture
def value_of():
    """value_of(datagram, "PRIORITY"): an attribute of a STUN datagram."""
    return lambda datagram, name: parse_message(datagram.data).value(AttributeType[name])


# --- agents on hosts of a network in virtual time ---------------------------------------------------------------------


class Ends:
    """Two agents, each a program on a host of its own behind a gateway of its own, and their signalling.

    firewalls  of the two gateways; the NATs there are port-restricted
    behaviours of the two NATs; None: plain routers
    """

    HOSTS = ("192.0.2.1", "198.51.100.1")

    def __init__(
        self,
        *,
        configs,
        seed=0,
        conditions=None,
        behaviours=(None, None),
        firewalls=(None, None),
        roles=(Role.CONTROLLING, Role.CONTROLLED),
    ):
        self.network = Network(seed=seed)
        self.agents, self.programs, self.gateways = [], [], []
        self.told, self.has_ended = [[], []], [False, False]
        for end, (config, role) in enumerate(zip(configs, roles, strict=True)):
            realm = self.network.realm(f"realm {end}")
            outer = () if behaviours[end] is None else (f"203.0.113.{end + 1}",)
            gateway = self.network.gateway(
                inside=realm,
                outside=self.network.internet,
                hosts=outer,
                behaviour=behaviours[end],
                firewall=firewalls[end],
                cable=Cable(conditions or LinkConditions(delay_s=0.005)),
            )
            self.gateways.append(gateway)
            computer = self.network.host(f"host {end}")
            computer.attach(realm, self.HOSTS[end])
            agent = Agent(config, role=role, entropy=SeededEntropy(f"{seed}/{end}"))
            self.agents.append(agent)
            self.programs.append(computer.run(agent, partial(self._on_event, end)))

    @property
    def now(self):
        return self.network.now

    def events(self, end, kind):
        return [event for event in self.programs[end].events if isinstance(event, kind)]

    def start(self, *, udp=True, listeners=()):
        """Signal credentials, bind sockets, gather. listeners: ends that listen for TCP."""
        first, second = self.agents
        first.set_remote_parameters(second.local_parameters, self.now)
        second.set_remote_parameters(first.local_parameters, self.now)
        for end, (agent, program) in enumerate(zip(self.agents, self.programs, strict=True)):
            if udp:
                agent.add_local_address(program.open_socket(self.HOSTS[end], 5000), "eth0", self.now)
            if end in listeners:
                agent.add_tcp_listener(program.listen(self.HOSTS[end], 6000), "eth0", self.now)
            agent.end_of_local_addresses(self.now)
        self.network.touch_all()
        self.network.flush()
        return self

    def is_connected(self):
        return all(agent.state in ("connected", "completed") for agent in self.agents)

    def connect(self, within_s=15.0, **choices):
        self.start(**choices)
        return self.network.run_until(self.is_connected, within_s=within_s)

    def restart(self, end=0):
        first, second = self.agents[end], self.agents[1 - end]
        first.restart(self.now)
        second.set_remote_parameters(first.local_parameters, self.now)
        first.set_remote_parameters(second.local_parameters, self.now)
        self.network.touch_all()
        self.network.flush()
        for number in (0, 1):
            self._signal(number)

    def send(self, end, data):
        self.agents[end].send(data, self.now)
        self.network.touch_all()

    def exchange(self, count=20, *, within_s=1.0):
        """Both ends send so many datagrams; returns how many arrive in that time."""
        before = [len(self.events(end, Datagram)) for end in (0, 1)]
        for number in range(count):
            for end in (0, 1):
                self.send(end, b"\x17%d" % number)
        self.network.run_for(within_s)
        return [len(self.events(end, Datagram)) - before[end] for end in (0, 1)]

    def add_turn_server(self, address=TURN_SERVER, *, protocols=("udp", "tcp", "tls"), credentials=None, **config):
        """A TURN server of ours on the Internet. Returns its program."""
        config = ServerConfig(**{"relay_hosts": (address.host,), "realm": "test", **config})
        credentials = credentials or Credentials(users=(User("user", "password"),))
        entropy = SeededEntropy(f"turn {address}")
        server = Server(config, credentials=credentials, entropy=entropy)
        computer = self.network.host(f"turn {address.host}")
        hosts = dict.fromkeys((address.host, *config.relay_hosts))
        computer.attach(self.network.internet, *hosts, cable=Cable(LinkConditions(delay_s=0.002)))
        program = computer.run(server)

        def on_event(event):
            if isinstance(event, RelayNeeded):
                program.open_socket(event.address.host, event.address.port)
                server.relay_opened(event.relay_id, event.address, self.now)
            elif isinstance(event, RelayUnneeded):
                program.close_socket(event.address)

        program.on_event = on_event
        if "udp" in protocols:
            program.open_socket(address.host, address.port)
        if "tcp" in protocols:
            program.listen(address.host, address.port)
        if "tls" in protocols:
            program.listen(address.host, address.port + 1871, "tls")
        return program

    def _on_event(self, end, event):
        if isinstance(event, LocalCandidate):
            self.told[end].append(event.candidate)
        elif isinstance(event, GatheringStateChanged):
            self.has_ended[end] = event.state is GatheringState.COMPLETE
        else:
            return
        self.network.after(0.0, partial(self._signal, end))

    def _signal(self, end):
        agent, other = self.agents[end], self.agents[1 - end]
        ufrag = agent.local_parameters.ufrag
        if other.remote_parameters is None or other.remote_parameters.ufrag != ufrag:
            return
        for candidate in self.told[end]:
            if candidate.extension("ufrag") == ufrag:
                other.add_remote_candidate(candidate, self.now)
        self.told[end] = []
        if self.has_ended[end]:
            other.end_of_remote_candidates(self.now)


@pytest.fixture
def ends():
    return Ends
