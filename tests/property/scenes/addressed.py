"""Scenes of the machines that know addresses: the Binding client, the mDNS querier, the ICE agent."""

from sans_rtc.ice import Agent, GatheringState, GatheringStateChanged, IceConfig, LocalCandidate, ResolveName, Role
from sans_rtc.ice import StunServer as IceStunServer
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.mdns import MdnsConfig, Querier
from sans_rtc.mdns.wire import DnsMessage, address_record, parse_message, serialize_message
from sans_rtc.stun import Attribute, AttributeType, BindingClient, BindingConfig, success_response
from sans_rtc.stun import parse_message as parse_stun
from sans_rtc.stun import serialize_message as serialize_stun
from sans_rtc.testing import SeededEntropy
from tests.property.scenes.forgeries import forge_dns, forge_stun
from tests.property.scenes.scene import Counterpart, Kind, Misuse, Scene

HERE, THERE, SERVER = Address("10.0.0.1", 1111), Address("10.0.0.2", 2222), Address("192.0.2.2", 3478)


# -- the Binding client ----------------------------------------------------------------------------------------------


def _binding(wrap, seed, conditions, *, answers_after):
    path = Path(HERE, SERVER)
    asked = []

    def answer(datagram, now):
        asked.append(datagram)
        if len(asked) <= answers_after:
            return []
        mapped = Attribute(AttributeType.XOR_MAPPED_ADDRESS, Address("203.0.113.7", 61000))
        response = serialize_stun(success_response(parse_stun(datagram.data), [mapped]), fingerprint=True)
        return [Datagram(response, datagram.path)]

    client = BindingClient(BindingConfig(software="test"), path=path, entropy=SeededEntropy(f"binding {seed}"))
    scene = Scene(client, Counterpart(answer), end=0, wrap=wrap, seed=seed, conditions=conditions)
    scene.usual_path = path
    scene.then(0.0, client.start)
    for pause_s in (0.3, 1.0, 5.0, 60.0):
        scene.then(pause_s, lambda now: None)
    return scene


def binding_answered(wrap, seed, conditions):
    """The server answers the second request."""
    return _binding(wrap, seed, conditions, answers_after=1)


def binding_unanswered(wrap, seed, conditions):
    """The server is silent."""
    return _binding(wrap, seed, conditions, answers_after=100)


BINDING_MISUSES = {"start twice": Misuse(1, lambda client, now: client.start(now))}


# -- the mDNS querier ------------------------------------------------------------------------------------------------

RESPONDER = Address("10.0.0.2", 5353)


def querier(wrap, seed, conditions):
    """One name is known to the link, one is not, one is given up."""
    here = Address("10.0.0.1", 5353)

    def answer(datagram, now):
        names = {question.name for question in parse_message(datagram.data).questions} & {"known.local"}
        records = [address_record(name, host, 120) for name in sorted(names) for host in ("10.0.0.9", "fe80::1")]
        message = DnsMessage(is_response=True, is_authoritative=True, answers=records)
        return [Datagram(serialize_message(message), Path(RESPONDER, here))] if records else []

    config = MdnsConfig(name_count_max=3, local_address_count_max=2)
    machine = Querier(config, entropy=SeededEntropy(f"querier {seed}"))
    scene = Scene(machine, Counterpart(answer), end=0, wrap=wrap, seed=seed, conditions=conditions)
    scene.usual_path = Path(here, RESPONDER)
    scene.then(0.0, machine.add_local_address, here)
    scene.then(0.0, machine.resolve, "known.local")
    scene.then(0.0, machine.resolve, "unknown.local")
    scene.then(0.0, machine.resolve, "given-up.local")
    scene.then(0.1, machine.add_local_address, Address("10.0.0.1", 40000))
    scene.then(0.5, machine.cancel, "given-up.local")
    scene.then(8.0, machine.resolve, "KNOWN.local")
    scene.then(3.0, machine.remove_local_address, here)
    scene.then(0.0, machine.resolve, "late.local")
    scene.then(1.0, machine.close)
    return scene


def _resolve(*names):
    def resolve(machine, now):
        for name in names:
            machine.resolve(name, now)

    return resolve


QUERIER_MISUSES = {
    "resolve what is not .local": Misuse(0, _resolve("example.org")),
    "resolve what is no name": Misuse(1, _resolve("..local")),
    "resolve a label that is too long": Misuse(1, _resolve("x" * 64 + ".local")),
    "resolve too many names": Misuse(4, _resolve("d.local")),
    "ask from what is no address": Misuse(1, lambda machine, now: machine.add_local_address(Address("x", 1), now)),
    "ask from too many addresses": Misuse(
        5, lambda machine, now: machine.add_local_address(Address("10.0.0.1", 5), now)
    ),
}


# -- the ICE agent ---------------------------------------------------------------------------------------------------


def _agent(wrap, seed, conditions, *, end):
    config = IceConfig(
        stun_servers=(IceStunServer("stun.example", 3478), IceStunServer("192.0.2.9", 3478)), local_address_count_max=2
    )
    agents = [
        Agent(config, role=role, entropy=SeededEntropy(f"agent {seed} {role}"))
        for role in (Role.CONTROLLING, Role.CONTROLLED)
    ]
    scene = Scene(agents[end], agents[1 - end], end=end, wrap=wrap, seed=seed, conditions=conditions)
    scene.usual_path = Path((HERE, THERE)[end], (HERE, THERE)[1 - end])

    def signal(end, event):
        agent, other = agents[end], agents[1 - end]
        if isinstance(event, LocalCandidate):
            other.add_remote_candidate(event.candidate, scene.now)
        elif isinstance(event, GatheringStateChanged) and event.state is GatheringState.COMPLETE:
            other.end_of_remote_candidates(scene.now)
        elif isinstance(event, ResolveName):
            agent.name_resolved(event.name, ("192.0.2.8",), scene.now)

    scene.handlers.append(signal)
    _live_as_an_agent(scene)
    return scene


def _live_as_an_agent(scene):
    """Connect, send, get another socket, restart, restart again and take it back, lose the socket, close."""
    machine, other = scene.machine, scene.other

    def exchange(now):
        for agent, peer in ((machine, other), (other, machine)):
            agent.set_remote_parameters(peer.local_parameters, now)

    def send(data, now):
        if machine.can_send:
            machine.send(data, now)

    scene.then(0.0, machine.add_local_address, scene.usual_path.local, "eth0")
    scene.then(0.0, other.add_local_address, scene.usual_path.remote, "eth0")
    scene.then(0.05, exchange)
    scene.then(0.02, machine.end_of_local_addresses)
    scene.then(0.0, other.end_of_local_addresses)
    scene.then(0.1, send, b"\x16 some payload")
    scene.then(4.0, send, b"\x17 some more")
    scene.then(0.0, machine.add_local_address, Address("10.0.0.1", 4444), "wlan0")
    scene.then(1.0, machine.restart)
    scene.then(0.1, exchange)
    scene.then(3.0, send, b"\x17 after the restart")
    scene.then(0.0, machine.restart)
    scene.then(0.5, machine.cancel_restart)
    scene.then(1.0, machine.remove_local_address, Address("10.0.0.1", 4444))
    scene.then(20.0, machine.close)


def agent_controlling(wrap, seed, conditions):
    """The agent that nominates."""
    return _agent(wrap, seed, conditions, end=0)


def agent_controlled(wrap, seed, conditions):
    """The agent that follows."""
    return _agent(wrap, seed, conditions, end=1)


def _local(host, port):
    return lambda agent, now: agent.add_local_address(Address(host, port), "", now)


AGENT_MISUSES = {
    "send without a path": Misuse(0, lambda agent, now: agent.send(b"\x16", now)),
    "name a local address by a name": Misuse(1, _local("host.local", 1)),
    "name a local address without a port": Misuse(1, _local("10.0.0.3", 0)),
    "name too many local addresses": Misuse(8, _local("10.0.0.3", 3)),
    "take a role after checks have begun": Misuse(4, lambda agent, now: agent.set_role(Role.CONTROLLING, now)),
    "cancel a restart that never was": Misuse(6, lambda agent, now: agent.cancel_restart(now)),
    "cancel a restart that was taken up": Misuse(10, lambda agent, now: agent.cancel_restart(now)),
}

KINDS = (
    Kind("binding answered", binding_answered, misuses=BINDING_MISUSES, forge=forge_stun),
    Kind("binding unanswered", binding_unanswered, forge=forge_stun),
    Kind("querier", querier, misuses=QUERIER_MISUSES, forge=forge_dns),
    Kind("agent controlling", agent_controlling, (lambda agent: agent.explain(),), AGENT_MISUSES, forge_stun, cost=2),
    Kind("agent controlled", agent_controlled, (lambda agent: agent.explain(),), forge=forge_stun, cost=2),
)
