"""Whatever happens to relays and connections, a restart connects; whatever arrives, nothing raises or grows."""

import math

import pytest

from sans_rtc.ice import IceConfig, TcpPolicy, TransportPolicy, TurnServer
from sans_rtc.ice.framing import serialize_frame
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.streams import StreamNeeded
from sans_rtc.testing import Firewall, LinkConditions, SeededEntropy, drain
from sans_rtc.turn import serialize_channel_data

HOST = "203.0.113.200"
SERVERS = (
    TurnServer(HOST, 3478, "user", "password"),
    TurnServer(HOST, 3478, "user", "password", "tcp"),
    TurnServer(HOST, 5349, "user", "password", "tls"),
)
TCP = TcpPolicy(active=True, passive=True)


def cut(program, paths):
    """Streams end for both sides."""
    for path in paths:
        program._streams[path].close(program, path)
        program.tell_closed(path, "the network is gone")


def upset(pair, chance):
    """One thing that happens to an end, its streams, or the server."""
    end = chance.below(2)
    agent, program = pair.agents[end], pair.programs[end]
    streams = list(program._streams)
    match chance.below(6):
        case 0:
            cut(program, streams[:1])
        case 1:
            cut(program, streams)
        case 2:
            pair.restart(end)
        case 3:
            agent.restart(pair.now)  # and the peer never hears of it
        case 4:
            pair.gateways[end].firewall.udp = not pair.gateways[end].firewall.udp
        case 5:
            if agent.can_send:
                agent.send(b"\x17", pair.now)
    pair.network.touch_all()


@pytest.mark.parametrize("seed", range(16))
def test_after_whatever_has_happened_a_restart_connects(ends, seed):
    policy = (TransportPolicy.RELAY, TransportPolicy.ALL)[seed % 2]
    config = IceConfig(turn_servers=SERVERS, transport_policy=policy, tcp=TCP, relay_release_after_s=3.0)
    pair = ends(
        configs=(config, config),
        seed=seed,
        firewalls=(Firewall(), Firewall()),
        conditions=LinkConditions(delay_s=0.02, loss=0.05, reordering=0.05),
    )
    server = pair.add_turn_server()
    chance = SeededEntropy(f"upset {seed}")
    pair.start(listeners=(0, 1))
    for _ in range(8):
        pair.network.run_for(5.0 * chance.fraction() ** 2)
        upset(pair, chance)
    for gateway in pair.gateways:
        gateway.firewall.udp = True
    pair.restart(seed % 2)
    pair.network.run_until(
        lambda: pair.is_connected() and all(a.explain().selected for a in pair.agents), within_s=40.0
    )
    pair.network.run_for(8.0)
    assert all(count >= 10 for count in pair.exchange())
    assert all(len(agent.explain().streams) <= 4 for agent in pair.agents)
    for agent in pair.agents:
        agent.close(pair.now)
    pair.network.touch_all()
    pair.network.run_for(5.0)
    assert server.machine.stream_count == 0
    assert all(not program._streams for program in pair.programs)


@pytest.mark.parametrize("seed", range(30))
def test_any_bytes_on_any_path_in_any_order(make_hand, seed):
    """Datagrams, pieces, openings and closings at random: nothing raises, the deadline is sane, little is kept."""
    chance = SeededEntropy(f"bytes {seed}")
    config = {"turn_servers": SERVERS, "tcp": TcpPolicy(active=True, passive=True, accepted_count_max=4)}
    hand = make_hand(**config).meet()
    agent, listener = hand.agent, Address("10.0.0.1", 7000)
    agent.add_tcp_listener(listener, "eth0", hand.now)
    for _ in range(150):
        needed = [event.path for event in hand.of(StreamNeeded)]
        callers = [Path(listener, Address("10.0.0.2", 50_000 + chance.below(8)), "tcp") for _ in range(2)]
        paths = [hand.path, Path(hand.local, Address(HOST, 3478)), *needed, *callers]
        path = paths[chance.below(len(paths))]
        match chance.below(5):
            case 0:
                agent.stream_opened(path, hand.now)
            case 1:
                agent.stream_closed(path, "fuzz", hand.now)
            case 2:
                hand.wait(chance.fraction())
            case _:
                agent.receive_many(
                    [Datagram(some_bytes(hand, chance), path) for _ in range(1 + chance.below(3))], hand.now
                )
        hand.drain()
        assert agent.deadline == math.inf or agent.deadline < hand.now + 1e6
    assert len(agent.explain().streams) <= 4 + 16
    assert len(agent.explain().remote_candidates) <= 20
    agent.close(hand.now)
    hand.drain()
    agent.stream_opened(hand.path, hand.now)
    assert drain(agent, hand.now) == ([], [])


def some_bytes(hand, chance):
    match chance.below(7):
        case 0:
            return chance(chance.below(40))
        case 1:
            return serialize_frame(chance(1 + chance.below(60)))
        case 2:
            return serialize_frame(hand.request().data)
        case 3:
            return serialize_frame(hand.request(pwd="w" * 22).data)[: 10 + chance.below(60)]
        case 4:
            return serialize_channel_data(0x4000 + chance.below(3), chance(12), pad=bool(chance.below(2)))
        case 5:
            return hand.request().data
        case _:
            return b"\x17" + chance(20)
