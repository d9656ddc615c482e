"""The world of a scenario in virtual time, with every oracle looking on; then faults stop, and all must go on."""

import functools
import random

import attrs

from sans_rtc import dtls
from sans_rtc.datachannel import ChannelOptions
from sans_rtc.ice import IceConfig, StunServer, TurnServer
from sans_rtc.media import OutgoingFrame
from sans_rtc.peer import PeerConfig
from sans_rtc.sctp import SctpConfig
from sans_rtc.testing import Cable, Call, LinkConditions, Network, Oracles, SeededEntropy
from tests.nat.servers import PASSWORD, USERNAME, TurnHost
from tests.nat.topology import SERVER_HOSTS, STUN_PORT
from tests.sim.scenario import CHANNEL_KINDS, NATS, draw_conditions
from tests.sim.transcript import Transcript

# Once faults have stopped, whatever is open delivers everything within this virtual time. The slowest legitimate cause:
# a NAT has rebound before another that filters, so that neither end hears of the other; ICE fails after 30 s of silence
# (RFC 7675), the session is restarted, which takes four signalled things of up to 0.3 s; then SCTP sends again what
# waits. Or it takes an ICE generation that began while nothing got through 17.5 s to give its checks up.
PROGRESS_BOUND_S = 40.0
# An end whose path has fallen silent says so after disconnected_after_s = 3.0.
NOTICE_S = 4.0
SILENCING = ("rebind", "lose network", "jump", "crash", "unplug", "part")
# What is sent when all is calm arrives at once; a message that follows a path that fell silent waits for its successor.
CALM_BOUND_S = 6.0
# close_timeout_s, and the way of the last word to the other end.
CLOSE_BOUND_S = 4.0
# A key frame of VP8, 640 by 360, and a packet of Opus: what they begin with.
BEGINNINGS = {"video": b"\x10\x00\x00\x9d\x01\x2a\x80\x02\x68\x01", "audio": b"\xf8"}
CLOCKS = {"video": 1800, "audio": 960}
FRAME_S = 0.02
# In every message, label and frame: no datagram may show it.
SECRET = b"not-for-the-wire"
NOT_BEFORE = 0


@functools.cache
def certificate(number):
    """One of a few certificates: making one is a third of a handshake."""
    return dtls.Certificate.generate(SeededEntropy(f"certificate {number}"), NOT_BEFORE)


@attrs.frozen
class Outcome:
    """What has come of a scenario: for people, and to compare two runs of a seed.

    digest  of every datagram, its moment and its way, and of all that both applications were given
    """

    seed: int
    steps: int
    datagrams: int
    messages: int
    frames: int
    progress_s: float
    virtual_s: float
    digest: str


class ScenarioError(AssertionError):
    """An oracle says no; the message holds the scenario and where everything stands."""


def run(scenario):
    """Live through a scenario; ScenarioError where something is not as it must be, whatever was raised."""
    arena = Arena(scenario)
    try:
        return arena.live()
    except Exception as error:  # a bug of the library may raise anything, and all of it is to be shrunk
        said = f"{type(error).__name__}: {error}"
        message = f"{said}\nat {arena.network.now - arena.began_at:.4f}\n{scenario}\n{arena.describe()}"
        raise ScenarioError(message) from error


class Arena:
    """Plays the actions of a scenario."""

    def __init__(self, scenario):
        self.scenario = scenario
        self.network = Network(seed=scenario.seed)
        self.began_at = self.network.now
        self.gateways = [None, None]
        self.oracles = Oracles(self.network)
        self.oracles.keep_secret(SECRET)
        self.transcript = Transcript(self.network)
        self.hosts = [self._host(end) for end in (0, 1)]
        if any(scenario.nats):
            TurnHost(self.network, (("udp", STUN_PORT),) if "symmetric" in scenario.nats else ())
        self.call = Call(
            tuple(self.hosts),
            seed=scenario.seed,
            configs=tuple(self._config(end) for end in (0, 1)),
            certificates=tuple(certificate(2 * (scenario.seed % 4) + end) for end in (0, 1)),
            signalling_s=scenario.signalling_s,
            oracles=self.oracles,
        )
        self.tracks = {}
        self.sent = 0
        self._has_connected = False
        self._is_calm = False
        self._be(scenario.conditions)

    # -- the world ---------------------------------------------------------------------------------------------------

    def _host(self, end):
        network, scenario = self.network, self.scenario
        host = network.host(f"end {end}")
        if scenario.nats[end] is None:
            host.attach(network.internet, f"203.0.113.{10 + end}", name="wifi")
        else:
            home = network.realm(f"home {end}")
            behaviour = NATS[scenario.nats[end]]
            outer = (f"203.0.113.{20 + end}",)
            self.gateways[end] = network.gateway(
                inside=home, outside=network.internet, hosts=outer, behaviour=behaviour
            )
            host.attach(home, f"192.168.{end}.2", name="wifi")
        if scenario.interfaces[end] == 2:
            host.attach(network.internet, f"203.0.113.{30 + end}", name="mobile", cable=Cable())
        return host

    def _config(self, end):
        scenario = self.scenario
        sctp = SctpConfig()
        if scenario.windows[end] is not None:
            window, buffer = scenario.windows[end]
            sctp = SctpConfig(receive_window_bytes=window, message_bytes_max=window // 2, send_buffer_bytes_max=buffer)
        ice = IceConfig()
        if any(scenario.nats):
            relays = (TurnServer(SERVER_HOSTS[4], STUN_PORT, USERNAME, PASSWORD, transport="udp"),)
            ice = IceConfig(
                stun_servers=(StunServer(SERVER_HOSTS[4], STUN_PORT),),
                turn_servers=relays if "symmetric" in scenario.nats else (),
            )
        return PeerConfig(ice=ice, sctp=sctp)

    def _be(self, conditions):
        """Let all cables of the hosts be so from now on; what damages, only where the handshake is over."""
        if not self._has_connected:
            conditions = attrs.evolve(conditions, corruption=0.0, truncation=0.0)
        for host in self.hosts:
            for interface in host.interfaces:
                interface.cable.conditions = conditions

    # -- life --------------------------------------------------------------------------------------------------------

    def live(self):
        """Faults, then calm, then the end."""
        network, scenario = self.network, self.scenario
        self._after(0.5, self._note_connected)
        for _, moment, what, *arguments in scenario.actions:
            network.schedule(self.began_at + moment, functools.partial(self._play, what, *arguments))
        network.run_for(scenario.faults_end_s)
        self._calm_down()
        progress_s = 0.0
        if self.call.channels or self.tracks:
            if any(what in SILENCING for _, _, what, *_ in scenario.actions):
                network.run_for(NOTICE_S)
            progress_s = self.call.settle(within_s=PROGRESS_BOUND_S)
            self._assert_calm_is_productive()
            self._end()
        frames = sum(len(party.frames) for party in self.call.parties)
        messages = sum(len(party.messages) for party in self.call.parties)
        virtual_s = network.now - self.began_at
        digest = self.transcript.digest(*((party.messages, party.frames) for party in self.call.parties))
        steps, carried = self.oracles.steps, network.carried
        return Outcome(scenario.seed, steps, carried, messages, frames, progress_s, virtual_s, digest)

    def _after(self, pause_s, call):
        """Have call() done in so many seconds; what it does to a machine it says itself, by `touch`."""
        self.network.schedule(self.network.now + pause_s, call)

    def describe(self):
        """Where everything stands."""
        return "\n".join([f"drops {dict(self.network.drops)}", *self.call.describe()])

    def _note_connected(self):
        """Damage begins with the first moment that both are connected."""
        if self._is_calm:
            return
        if self.call.is_connected:
            self._has_connected = True
            self._be(self.scenario.conditions)
        else:
            self._after(0.25, self._note_connected)

    def _calm_down(self):
        """No more faults."""
        self._is_calm = True
        self._be(LinkConditions(delay_s=self.scenario.conditions.delay_s))
        self.network.join_all()
        for end in (0, 1):
            self._play_plug(end)
            self._play_read(end)

    def _assert_calm_is_productive(self):
        """Each channel and track that is open carries something now, both ways, without delay."""
        call = self.call
        before = {name: call.tracks[name].received for name in self.tracks.values()}
        for channel in call.channels.values():
            for end in (0, 1):
                if channel.is_open and not channel.closers:
                    channel.send_when_possible(end, self._payload(channel.label, end, 100))
        for number in self.tracks:
            self._play_play(number, 5)
        call.settle(within_s=CALM_BOUND_S)
        if self.tracks:
            self.network.run_for(5 * FRAME_S + 1.0)
        for name, count in before.items():
            assert call.tracks[name].received > count, f"no frame of {name} arrives"

    def _end(self):
        network, ending, closer = self.network, self.scenario.ending, self.scenario.seed % 2
        for end in (0, 1) if ending == "both close" else (closer,):
            party = self.call.parties[end]
            party.abort() if ending == "abort" else party.close()
        network.run_for(CLOSE_BOUND_S)
        assert self.call.parties[closer].peer.is_terminated, "closing takes too long"
        assert self.call.parties[1 - closer].peer.is_terminated, "the other end is not told"

    # -- actions -----------------------------------------------------------------------------------------------------

    def _play(self, what, *arguments):
        getattr(self, "_play_" + what.replace(" ", "_"))(*arguments)

    def _payload(self, label, end, size):
        """A message that no other is like: text for even numbers, bytes for odd ones."""
        self.sent += 1
        text = f"{self.sent} {SECRET.decode()} {label} {end} "
        text = (text * (size // len(text) + 1))[:size]
        return text if self.sent % 2 else text.encode()

    def _play_create(self, end, label, kind):
        options = dict(CHANNEL_KINDS[kind])
        if "negotiated_id" in options:
            options["negotiated_id"] += len(self.call.channels)
            if self.call.parties[1 - end].is_over:
                return
        if not self.call.parties[end].is_over:
            self.call.create_channel(end, f"{label} {SECRET.decode()}", ChannelOptions(**options))

    def _channel(self, label):
        return self.call.channels.get(f"{label} {SECRET.decode()}")

    def _play_send(self, end, label, sizes):
        channel = self._channel(label)
        if channel is not None and not self.call.parties[end].is_over and end not in channel.closers:
            for size in sizes:
                channel.send_when_possible(end, self._payload(label, end, size))

    def _play_close(self, end, label):
        channel, party = self._channel(label), self.call.parties[end]
        if channel is not None and not party.is_over and channel.label in party.channels:
            channel.close(end)

    def _play_track(self, end, kind, number):
        if not self.call.parties[end].is_over:
            self.tracks[number] = self.call.add_track(end, kind)

    def _play_play(self, number, count):
        name = self.tracks.get(number)
        for index in range(count if name is not None else 0):
            self._after(index * FRAME_S, functools.partial(self._send_frame, name))

    def _send_frame(self, name):
        kind = name.partition("-")[0]
        end = next(party.end for party in self.call.parties if name in party.senders)
        if self.call.parties[end].is_over:
            return
        self.sent += 1
        data = BEGINNINGS[kind] + b"%d " % self.sent + SECRET * (100 if kind == "video" else 4)
        self.call.send_frame(end, name, OutgoingFrame(data, self.sent * CLOCKS[kind]))

    def _play_restart(self, end):
        party = self.call.parties[end]
        if not party.is_over:
            party.peer.restart_ice(party.now)
            party.touch()

    def _play_unplug(self, end):
        self.hosts[end].interfaces[0].cable.is_up = False

    def _play_plug(self, end):
        for interface in self.hosts[end].interfaces:
            interface.cable.is_up = True

    def _play_part(self, end):
        ends = [self.gateways[number] or self.hosts[number] for number in (end, 1 - end)]
        self.network.part(*ends)

    def _play_join(self, end):
        self.network.join_all()

    def _play_rebind(self, end):
        if self.gateways[end] is not None:
            self.gateways[end].rebind()

    def _play_crash(self, end, pause_s):
        if not self.call.parties[end].is_over:
            self.call.parties[end].crash(pause_s)

    def _play_jump(self, end, duration_s):
        if self.call.is_connected:
            self.hosts[end].jump_clock(duration_s)

    def _play_stop_reading(self, end):
        self.call.parties[end].stop_reading()

    def _play_read(self, end):
        party = self.call.parties[end]
        if party.is_down:
            self._after(0.1, functools.partial(self._play_read, end))
        else:
            party.read()

    def _play_weather(self, number):
        if not self._is_calm:
            self._be(draw_conditions(random.Random(number)))

    def _play_lose_network(self, end):
        host, party = self.hosts[end], self.call.parties[end]
        if len(host.interfaces) == 2:
            host.detach(host.interfaces[0])
            self._look_again(party)

    def _play_look_again(self, end):
        self._look_again(self.call.parties[end])

    def _look_again(self, party):
        """The system says that something about the network is another."""
        if party.is_down:
            self._after(0.1, functools.partial(self._look_again, party))
        elif not party.is_over:
            party.change_network()
