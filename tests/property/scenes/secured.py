"""Scenes of DTLS and SCTP, and of the peer connection that they are the upper floors of."""

from sans_rtc import dtls, sctp
from sans_rtc.datachannel import ChannelClosed, ChannelMessage, ChannelOpened, ChannelOptions
from sans_rtc.ice import IceConfig, StunServer
from sans_rtc.machine import Address, Path
from sans_rtc.peer import Description, GatheringNeeded, LocalCandidate, PeerConfig, PeerConnection, ResolveName
from sans_rtc.sctp import Reliability, SctpConfig
from sans_rtc.testing import SeededEntropy
from tests.property.scenes.forgeries import forge_any, forge_dtls, forge_sctp, reseal_sctp
from tests.property.scenes.scene import Kind, Misuse, Scene

NOT_BEFORE = 1_790_000_000
ADDRESSES = Address("10.0.0.1", 5000), Address("10.0.0.2", 5000)


# -- DTLS ------------------------------------------------------------------------------------------------------------


def _dtls(wrap, seed, conditions, *, end):
    entropies = [SeededEntropy(f"dtls {seed} {role}") for role in dtls.Role]
    certificates = [dtls.Certificate.generate(entropy, NOT_BEFORE) for entropy in entropies]
    connections = [
        dtls.Connection(
            dtls.DtlsConfig(send_queue_count_max=8),
            role=role,
            certificate=certificates[index],
            peer_fingerprints=[certificates[1 - index].fingerprint()],
            entropy=entropies[index],
        )
        for index, role in enumerate(dtls.Role)
    ]
    machine = connections[end]
    scene = Scene(machine, connections[1 - end], end=end, wrap=wrap, seed=seed, conditions=conditions)

    def send(data, now):
        if machine.state is dtls.ConnectionState.CONNECTED:
            machine.send(data, now)

    scene.then(0.0, machine.start)
    scene.then(0.005, scene.other.start)
    for pause_s in (0.02, 0.02, 0.03, 5.0):
        scene.then(pause_s, send, b"too early, as a rule, but for the last")
    for size in (1, 500, 1163):
        scene.then(0.01, send, bytes(size))
    scene.then(1.0, machine.close)
    return scene


def dtls_client(wrap, seed, conditions):
    """The end that begins."""
    return _dtls(wrap, seed, conditions, end=0)


def dtls_server(wrap, seed, conditions):
    """The end that is asked."""
    return _dtls(wrap, seed, conditions, end=1)


def _fill(connection, now):
    for _ in range(8):
        connection.send(b"x", now)


DTLS_MISUSES = {
    "send before the start": Misuse(0, lambda connection, now: connection.send(b"x", now)),
    "start twice": Misuse(1, lambda connection, now: connection.start(now)),
    "send before connected": Misuse(2, lambda connection, now: connection.send(b"x", now)),
    "export before connected": Misuse(2, lambda connection, now: connection.export_keying_material(b"x", 20)),
    "send nothing": Misuse(6, lambda connection, now: connection.send(b"", now)),
    "send more than fits": Misuse(6, lambda connection, now: connection.send(bytes(1200), now)),
    "send more than may wait": Misuse(6, lambda connection, now: connection.send(b"x", now), prepare=_fill),
}


# -- SCTP ------------------------------------------------------------------------------------------------------------


def _sctp(wrap, seed, conditions, *, end):
    config = SctpConfig(send_buffer_bytes_max=100_000, streams_outbound=100, rto_initial_s=0.3)
    associations = [sctp.Association(config, entropy=SeededEntropy(f"sctp {seed} {index}")) for index in (0, 1)]
    machine = associations[end]
    scene = Scene(machine, associations[1 - end], end=end, wrap=wrap, seed=seed, conditions=conditions)

    def consume(end, event):
        if isinstance(event, sctp.Message):
            associations[end].consume(len(event.data), scene.now)

    scene.handlers.append(consume)
    scene.then(0.0, associations[0].connect)  # the other end is called
    scene.then(0.0, machine.send, 1, 51, b"early", sctp.RELIABLE)
    scene.then(3.0, machine.send, 2, 53, bytes(30_000), Reliability(ordered=False))
    scene.then(0.0, scene.other.send, 2, 53, bytes(range(250)) * 40, sctp.RELIABLE)
    for number in range(4):
        scene.then(0.004, machine.send, 3, 53, bytes(2500), Reliability(max_retransmits=number % 2))
        scene.then(0.0, machine.send, 4, 53, bytes(100), Reliability(ordered=False, lifetime_s=0.02))
    scene.then(0.01, machine.set_stream_weight, 1, 1000)
    scene.then(0.0, machine.set_low_threshold, 1, 10_000)
    scene.then(0.0, machine.send, 1, 51, bytes(40_000), sctp.RELIABLE)
    scene.then(0.01, machine.reset_streams, [1, 3])
    scene.then(0.0, machine.send, 3, 53, b"after the reset", sctp.RELIABLE)
    scene.then(0.2, scene.other.reset_streams, [2])
    scene.then(40.0, machine.send, 2, 53, bytes(5000), sctp.RELIABLE)
    scene.then(0.0, machine.close)
    scene.then(60.0, lambda now: None)
    return scene


def sctp_caller(wrap, seed, conditions):
    """The end that sends INIT."""
    return _sctp(wrap, seed, conditions, end=0)


def sctp_callee(wrap, seed, conditions):
    """The end that answers it."""
    return _sctp(wrap, seed, conditions, end=1)


def _send(stream_id=1, ppid=51, data=b"x"):
    return lambda association, now: association.send(stream_id, ppid, data, sctp.RELIABLE, now)


SCTP_MISUSES = {
    "send nothing": Misuse(0, _send(data=b"")),
    "send text": Misuse(2, _send(data="text")),
    "send on a stream below zero": Misuse(0, _send(stream_id=-1)),
    "send on a stream beyond the last": Misuse(3, _send(stream_id=100)),
    "send with a ppid of 33 bits": Misuse(3, _send(ppid=1 << 32)),
    "send more than the buffer": Misuse(3, _send(data=bytes(100_000)), prepare=_send(data=b"x")),
    "consume what was not delivered": Misuse(5, lambda association, now: association.consume(1, now)),
    "consume less than nothing": Misuse(5, lambda association, now: association.consume(-1, now)),
    "reset a stream beyond the last": Misuse(5, lambda association, now: association.reset_streams([1, 100], now)),
    "weigh a stream with nothing": Misuse(5, lambda association, now: association.set_stream_weight(1, 0, now)),
    "set a threshold below zero": Misuse(5, lambda association, now: association.set_low_threshold(1, -1, now)),
    "send after close": Misuse(20, _send()),
    "reset after close": Misuse(20, lambda association, now: association.reset_streams([1], now)),
}


# -- the peer connection ---------------------------------------------------------------------------------------------


def _peer(wrap, seed, conditions, *, end):
    config = PeerConfig(
        ice=IceConfig(stun_servers=(StunServer("stun.example", 3478),)), sctp=SctpConfig(send_buffer_bytes_max=200_000)
    )
    peers = [PeerConnection(config, entropy=SeededEntropy(f"peer {seed} {index}")) for index in (0, 1)]
    scene = Scene(peers[end], peers[1 - end], end=end, wrap=wrap, seed=seed, conditions=conditions)
    scene.usual_path = Path(ADDRESSES[end], ADDRESSES[1 - end])
    handles = {}
    scene.handlers.append(_signalling_of(scene, peers, handles))
    _live_as_a_peer(scene, peers, handles)
    return scene


def _signalling_of(scene, peers, handles):
    """What applications and drivers do at once; `handles` holds the open channels by end and label."""

    def signal(end, event):
        peer, other = peers[end], peers[1 - end]
        if isinstance(event, GatheringNeeded):
            peer.add_local_address(ADDRESSES[end], "eth0", scene.now)
            peer.end_of_local_addresses(scene.now)
        elif isinstance(event, ResolveName):
            peer.name_resolved(event.name, (), scene.now)
        elif isinstance(event, LocalCandidate) and other.remote_description is not None and not other.is_terminated:
            other.add_remote_candidate(event.candidate, event.mid, scene.now)
        elif isinstance(event, ChannelMessage):
            peer.consume(event.channel, event.byte_count, scene.now)
        elif isinstance(event, ChannelOpened):
            handles[end, event.label] = event.channel
        elif isinstance(event, ChannelClosed):
            handles.pop((end, "chat"), None)

    return signal


def _tell(teller, told, now):
    if teller.local_description is not None:
        told.set_remote_description(teller.local_description, now)


def _describe_itself(peer, now):
    peer.set_local_description(None, now)


def _live_as_a_peer(scene, peers, handles):
    """Connect, send, offer a restart and take it back, restart, close a channel, open another, close."""
    (offerer, answerer), machine, other, end = peers, scene.machine, scene.other, scene.end

    def on_chat(verb, *arguments):
        if (end, "chat") in handles:
            getattr(machine, verb)(handles[end, "chat"], *arguments)

    scene.then(0.0, offerer.create_channel, "chat", ChannelOptions())
    scene.then(0.0, _describe_itself, offerer)
    scene.then(0.01, _tell, offerer, answerer)
    scene.then(0.01, _describe_itself, answerer)
    scene.then(0.01, _tell, answerer, offerer)
    for pause_s in (0.05, 0.05, 3.0):
        scene.then(pause_s, on_chat, "send", "hello")
    scene.then(0.0, on_chat, "send", bytes(50_000))
    scene.then(0.01, machine.create_channel, "loose", ChannelOptions(ordered=False, max_retransmits=0))
    scene.then(0.1, machine.restart_ice)
    scene.then(0.0, _describe_itself, machine)
    scene.then(0.05, machine.set_local_description, Description("rollback"))
    scene.then(0.05, _describe_itself, machine)
    scene.then(0.05, _tell, machine, other)
    scene.then(0.0, _describe_itself, other)
    scene.then(0.05, _tell, other, machine)
    scene.then(1.0, on_chat, "send", "after the restart")
    scene.then(5.0, on_chat, "close_channel")
    scene.then(5.0, machine.create_channel, "last", ChannelOptions())
    scene.then(3.0, machine.close)
    scene.then(10.0, lambda now: None)


def peer_offerer(wrap, seed, conditions):
    """The end that offers first."""
    return _peer(wrap, seed, conditions, end=0)


def peer_answerer(wrap, seed, conditions):
    """The end that answers first."""
    return _peer(wrap, seed, conditions, end=1)


def _channel(verb, *arguments):
    """A verb on the machine's first channel."""
    return lambda peer, now: getattr(peer, verb)(peer.channels()[0].channel, *arguments, now)


def _create(label="x", **options):
    return lambda peer, now: peer.create_channel(label, ChannelOptions(**options), now)


def _describe(verb, kind, sdp=""):
    return lambda peer, now: getattr(peer, verb)(Description(kind, sdp), now)


def _candidate(line):
    return lambda peer, now: peer.add_remote_candidate(line, "0", now)


CONNECTED = 8  # steps of the life, after which the channel is open at both ends
_GOOD = "candidate:1 1 udp 1 10.0.0.9 1 typ host"

PEER_MISUSES = {
    "offer nothing": Misuse(0, lambda peer, now: peer.create_offer(now)),
    "answer no offer": Misuse(0, lambda peer, now: peer.create_answer(now)),
    "answer no offer when a restart is wanted": Misuse(
        CONNECTED, lambda peer, now: peer.create_answer(now), prepare=lambda peer, now: peer.restart_ice(now)
    ),
    "take an answer to no offer": Misuse(0, _describe("set_remote_description", "answer", "v=0\r\n")),
    "take what is no description": Misuse(0, _describe("set_remote_description", "offer", "hello")),
    "take an empty offer": Misuse(CONNECTED, _describe("set_remote_description", "offer")),
    "roll back nothing": Misuse(CONNECTED, _describe("set_local_description", "rollback")),
    "put an altered offer in force": Misuse(CONNECTED, _describe("set_local_description", "offer", "v=0\r\n")),
    "take a candidate before a description": Misuse(0, _candidate(_GOOD)),
    "take what is no candidate": Misuse(CONNECTED, _candidate("nonsense")),
    "take a candidate of no section": Misuse(
        CONNECTED, lambda peer, now: peer.add_remote_candidate(_GOOD, "nowhere", now)
    ),
    "name a local address by a name": Misuse(
        CONNECTED, lambda peer, now: peer.add_local_address(Address("host.local", 1), "", now)
    ),
    "send on a channel that never was": Misuse(0, lambda peer, now: peer.send(99, b"", now)),
    "send more than the peer takes": Misuse(CONNECTED, _channel("send", bytes(300_000))),
    "send more than the buffer": Misuse(
        CONNECTED, _channel("send", bytes(150_000)), prepare=_channel("send", bytes(150_000))
    ),
    "consume what was not delivered": Misuse(CONNECTED, _channel("consume", 1)),
    "set a threshold below zero": Misuse(CONNECTED, _channel("set_buffered_low_threshold", -1)),
    "close a channel that never was": Misuse(CONNECTED, lambda peer, now: peer.close_channel(99, now)),
    "take an id twice": Misuse(CONNECTED, _create(negotiated_id=7), prepare=_create(negotiated_id=7)),
    "create a channel with an endless label": Misuse(CONNECTED, _create("x" * 65_536)),
    "create a channel after close": Misuse(21, _create()),
    "restart after close": Misuse(21, lambda peer, now: peer.restart_ice(now)),
}


def _each_channel(peer):
    return [(peer.channel(info.channel), peer.buffered_amount(info.channel)) for info in peer.channels()]


PEER_READS = (lambda peer: str(peer.explain()), lambda peer: peer.channels(), _each_channel)
SCTP_READS = (lambda association: [association.buffered_bytes(stream_id) for stream_id in range(-1, 10)],)

KINDS = (
    Kind("dtls client", dtls_client, misuses=DTLS_MISUSES, forge=forge_dtls, cost=2),
    Kind("dtls server", dtls_server, forge=forge_dtls, cost=2),
    Kind("sctp caller", sctp_caller, SCTP_READS, SCTP_MISUSES, forge_sctp, reseal_sctp),
    Kind("sctp callee", sctp_callee, SCTP_READS, forge=forge_sctp, reseal=reseal_sctp),
    Kind("peer offerer", peer_offerer, PEER_READS, PEER_MISUSES, forge_any, cost=1),
    Kind("peer answerer", peer_answerer, PEER_READS, forge=forge_any, cost=1),
)
