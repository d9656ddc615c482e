"""Programs of a simulated network crash and go on from a snapshot: what they had accepted arrives, and once."""

import pytest

from sans_rtc.datachannel import ChannelMessage, ChannelOpened, ChannelOptions
from sans_rtc.machine import Address, Path, Terminated
from sans_rtc.peer import ConnectionState, GatheringNeeded, LocalCandidate, PeerConnection
from sans_rtc.streams import StreamNeeded
from sans_rtc.testing import Cable, ContractMonitor, DropReason, LinkConditions, Network, SeededEntropy
from sans_rtc.turn import Client as TurnClient
from sans_rtc.turn import TurnConfig
from sans_rtc.turn.server import Credentials, ServerConfig, User
from sans_rtc.turn.server import Server as TurnServer

HOSTS = ("10.0.0.1", "10.0.0.2")
MESSAGES = [bytes([number]) * 4000 for number in range(60)]


class World:
    """Two peers on two hosts, with a channel; `programs[end].machine` is a monitor of the peer of now."""

    def __init__(self, seed, *, loss=0.03):
        self.network = network = Network(seed=seed)
        self.messages, self.channels, self.programs = ([], []), {}, []
        for end, host in enumerate(HOSTS):
            computer = network.host(host)
            computer.attach(network.internet, host, cable=Cable(LinkConditions(delay_s=0.01, loss=loss)))
            peer = PeerConnection(entropy=SeededEntropy(f"{seed}/{end}"))
            self.programs.append(computer.run(ContractMonitor(peer), lambda event, end=end: self._on_event(end, event)))
        self.peer(0).create_channel("chat", ChannelOptions(), network.now)
        for end in (0, 1):
            self.peer(end).set_local_description(None, network.now)
            network.flush()
            self.peer(1 - end).set_remote_description(self.peer(end).local_description, network.now)
        network.run_until(lambda: len(self.channels) == 2, within_s=30)

    def peer(self, end):
        return self.programs[end].machine.machine

    def _on_event(self, end, event):
        peer, now = self.peer(end), self.network.now
        if isinstance(event, GatheringNeeded):
            address = self.programs[end].open_socket(HOSTS[end], 5000)
            peer.add_local_address(address, "eth0", now)
            peer.end_of_local_addresses(now)
        elif isinstance(event, LocalCandidate):
            self.network.after(
                0.01, lambda: self.peer(1 - end).add_remote_candidate(event.candidate, event.mid, self.network.now)
            )
        elif isinstance(event, ChannelOpened):
            self.channels[end] = event.channel
        elif isinstance(event, ChannelMessage):
            self.messages[end].append(event.data)
            peer.consume(event.channel, event.byte_count, now)

    def _trickle(self, end, event):
        if self.peer(end).remote_description is not None:
            self.peer(end).add_remote_candidate(event.candidate, event.mid, self.network.now)


@pytest.mark.parametrize("seed", range(4))
def test_transfer_survives_crashes_of_both_ends(seed):
    world = World(seed)
    network, dice = world.network, SeededEntropy(f"crashes {seed}")
    for number, message in enumerate(MESSAGES):
        for end in (0, 1):
            network.run_until(lambda end=end: not world.programs[end].is_down)
        world.peer(0).send(world.channels[0], message, network.now)
        network.run_for(dice.fraction() * 0.02)
        if number % 15 == 7:
            world.programs[number % 2].crash(2 * dice.fraction(), entropy=SeededEntropy(f"{seed} {number}"))
            network.run_for(0.1)
    network.run_for(20.0)
    assert world.messages[1] == MESSAGES
    assert network.drops[DropReason.NO_SOCKET] > 0
    assert world.peer(0).connection_state is ConnectionState.CONNECTED


def test_crash_that_lasts_too_long_is_an_end_of_consent_to_the_other():
    world = World("long", loss=0.0)
    world.programs[0].crash(60.0, entropy=SeededEntropy("long"))
    world.network.run_for(50.0)
    assert world.programs[0].is_down
    assert world.peer(1).connection_state is ConnectionState.FAILED


def test_streams_break_in_a_crash_and_both_ends_are_told():
    network = Network(seed="streams")
    server_host, client_host = network.host("server"), network.host("client")
    server_host.attach(network.internet, "198.51.100.1", cable=Cable(LinkConditions(delay_s=0.01)))
    client_host.attach(network.internet, "192.0.2.1")
    credentials = Credentials(users=(User("alice", "secret"),))
    server = TurnServer(
        ServerConfig(relay_hosts=("198.51.100.1",)), credentials=credentials, entropy=SeededEntropy("server")
    )
    server_host.run(server).listen("198.51.100.1", 3478)
    path = Path(Address("192.0.2.1", 0), Address("198.51.100.1", 3478), "tcp", 1)
    config = TurnConfig(username="alice", password="secret")
    program = client_host.run(TurnClient(config, path, entropy=SeededEntropy("client")))
    program._on_event(StreamNeeded(path))  # an agent would ask for it
    program.machine.allocate(network.now)
    network.run_until(lambda: server.stream_count == 1)
    program.crash(0.5, entropy=SeededEntropy("client again"))
    network.run_for(0.4)
    assert server.stream_count == 0
    network.run_for(5.0)
    assert program.machine.is_terminated
    assert isinstance(program.events[-1], Terminated)
