"""The rule-based state machines: each machine alone, driven by any inputs; and pairs over links that go wrong."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from sans_rtc import dtls, ice, mdns, sctp, stun, turn
from sans_rtc.datachannel import ChannelOptions
from sans_rtc.errors import LocalError, WireError
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.media import MediaConfig, MediaSection, RtpSession
from sans_rtc.peer import Description, Mux, PeerConfig, PeerConnection
from sans_rtc.rtp.payload import MediaKind
from sans_rtc.srtp import MasterKey, SrtpProfile, SrtpSender
from sans_rtc.testing import SeededEntropy
from sans_rtc.testing import strategies as s
from sans_rtc.turn.server import Credentials, Server, ServerConfig, User

HERE, THERE = Address("10.0.0.1", 5000), Address("10.0.0.2", 5000)
PATHS = st.sampled_from((Path(HERE, THERE), Path(HERE, Address("192.0.2.1", 9)), Path(Address("::1", 1), THERE)))


def addressed(data):
    return st.builds(Datagram, st.one_of(data, st.binary(max_size=40)), PATHS)


def rules_of(build, datagrams, verbs=(), *, examples=12, steps=20):
    """The test case of a machine by itself."""
    return as_case(s.machine_rules(build, datagrams, dict(verbs)), examples, steps)


def as_case(rules, examples, steps, **changes):
    case = rules.TestCase
    case.settings = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        **changes,
    )
    return case


def dtls_connection(role):
    def build(entropy):
        certificate = dtls.Certificate.generate(entropy, 1_790_000_000)
        return dtls.Connection(
            dtls.DtlsConfig(),
            role=role,
            certificate=certificate,
            peer_fingerprints=[certificate.fingerprint()],
            entropy=entropy,
        )

    return build


DTLS_VERBS = {
    "start": lambda machine, data, now: machine.start(now),
    "send": lambda machine, data, now: machine.send(data.draw(st.binary(max_size=60)), now),
}
SCTP_VERBS = {
    "connect": lambda machine, data, now: machine.connect(now),
    "send": lambda machine, data, now: machine.send(
        data.draw(st.integers(-1, 4)), 51, data.draw(st.binary(max_size=60)), data.draw(s.reliabilities()), now
    ),
    "reset": lambda machine, data, now: machine.reset_streams([data.draw(st.integers(0, 4))], now),
}
ICE_VERBS = {
    "address": lambda machine, data, now: machine.add_local_address(data.draw(s.addresses()), "", now),
    "candidate": lambda machine, data, now: machine.add_remote_candidate(data.draw(s.ice_candidates()), now),
    "parameters": lambda machine, data, now: machine.set_remote_parameters(ice.Parameters("abcd", "p" * 22), now),
    "restart": lambda machine, data, now: machine.restart(now),
    "send": lambda machine, data, now: machine.send(b"\x16", now),
}
PEER_VERBS = {
    "channel": lambda machine, data, now: machine.create_channel("x", ChannelOptions(), now),
    "describe": lambda machine, data, now: machine.set_local_description(None, now),
    "hear": lambda machine, data, now: machine.set_remote_description(
        Description(
            data.draw(st.sampled_from(("offer", "answer", "pranswer"))),
            data.draw(st.one_of(s.session_descriptions(media=False), s.nearly_session_descriptions(media=False))),
        ),
        now,
    ),
    "candidate": lambda machine, data, now: machine.add_remote_candidate(
        data.draw(st.one_of(s.candidate_lines(), s.nearly_candidate_lines())), "d", now
    ),
    "address": lambda machine, data, now: machine.add_local_address(HERE, "", now),
    "restart": lambda machine, data, now: machine.restart_ice(now),
}
MDNS_VERBS = {
    "resolve": lambda machine, data, now: machine.resolve(data.draw(s.dns_names()), now),
    "address": lambda machine, data, now: machine.add_local_address(Address("10.0.0.1", 5353), now),
}

TestBindingClient = rules_of(
    lambda entropy: stun.BindingClient(stun.BindingConfig(), path=Path(HERE, THERE), entropy=entropy),
    addressed(s.nearly_stun_datagrams()),
    {"start": lambda machine, data, now: machine.start(now)},
)
TestQuerier = rules_of(
    lambda entropy: mdns.Querier(mdns.MdnsConfig(), entropy=entropy), addressed(s.nearly_dns_datagrams()), MDNS_VERBS
)
TestAgent = rules_of(
    lambda entropy: ice.Agent(ice.IceConfig(), role=ice.Role.CONTROLLING, entropy=entropy),
    addressed(s.nearly_stun_datagrams()),
    ICE_VERBS,
)
TestDtlsClient = rules_of(dtls_connection(dtls.Role.CLIENT), s.nearly_dtls_datagrams(), DTLS_VERBS)
TestDtlsServer = rules_of(
    dtls_connection(dtls.Role.SERVER), st.one_of(s.dtls_datagrams(), s.nearly_dtls_datagrams()), DTLS_VERBS
)
TestAssociation = rules_of(
    lambda entropy: sctp.Association(sctp.SctpConfig(), entropy=entropy), s.nearly_sctp_packets(), SCTP_VERBS
)
TestPeer = rules_of(
    lambda entropy: PeerConnection(PeerConfig(), entropy=entropy), addressed(s.nearly_dtls_datagrams()), PEER_VERBS
)

TestBehaviorDiscovery = rules_of(
    lambda entropy: stun.BehaviorDiscovery(Path(HERE, THERE), entropy=entropy),
    addressed(s.nearly_stun_datagrams()),
    {"start": lambda machine, data, now: machine.start(now)},
)
TestResponder = rules_of(
    lambda entropy: mdns.Responder(mdns.ResponderConfig(), entropy=entropy),
    addressed(st.one_of(s.dns_datagrams(), s.nearly_dns_datagrams())),
    {
        "address": MDNS_VERBS["address"],
        "publish": lambda machine, data, now: machine.publish(data.draw(s.dns_names()), ["10.0.0.1"], now),
        "withdraw": lambda machine, data, now: machine.withdraw(data.draw(s.dns_names()), now),
    },
)
KEY = stun.long_term_key("alice", "example.org", "secret", stun.PasswordAlgorithm.MD5)
TURN_DATAGRAMS = addressed(
    st.one_of(s.stun_datagrams(KEY), s.nearly_stun_datagrams(KEY), s.nearly_channel_data_frames())
)
TestTurnClient = rules_of(
    lambda entropy: turn.Client(
        turn.TurnConfig(username="alice", password="secret"), Path(HERE, THERE), entropy=entropy
    ),
    TURN_DATAGRAMS,
    {
        "allocate": lambda machine, data, now: machine.allocate(now),
        "permit": lambda machine, data, now: machine.create_permission(data.draw(s.addresses()).host, now),
        "bind": lambda machine, data, now: machine.bind_channel(data.draw(s.addresses()), now),
        "send": lambda machine, data, now: machine.send(b"x", data.draw(s.addresses()), now),
    },
)
TestTurnServer = rules_of(
    lambda entropy: Server(
        ServerConfig(realm="example.org", relay_hosts=("192.0.2.2",), own_hosts=(HERE.host,)),
        credentials=Credentials(users=(User("alice", "secret"),)),
        entropy=entropy,
    ),
    TURN_DATAGRAMS,
)
TestMux = rules_of(
    lambda entropy: Mux(entropy=entropy),
    addressed(st.one_of(s.nearly_stun_datagrams(), s.nearly_dtls_datagrams(), s.nearly_rtp_datagrams())),
    {
        "address": lambda machine, data, now: machine.add_local_address(HERE, "", now),
        "create": lambda machine, data, now: machine.create(None, None, now),
        "remove": lambda machine, data, now: machine.remove(data.draw(st.integers(0, 3)), now),
    },
)

MASTER = MasterKey(bytes(16), bytes(14))
PROFILE = SrtpProfile.AES128_CM_SHA1_80


def media_session(entropy):
    session = RtpSession(MediaConfig(), entropy=entropy)
    session.set_keys(PROFILE, MASTER, MASTER, 0.0)
    session.configure([MediaSection(1, "0", MediaKind.AUDIO)], 0.0)
    return session


def protected(data):
    """As the peer sends it, who has the keys; what is no packet goes as it is."""
    try:
        sender = SrtpSender(PROFILE, MASTER)
        return sender.protect_rtcp(data) if 192 <= data[1] <= 223 else sender.protect_rtp(data)
    except (LocalError, WireError, IndexError):
        return data


TestRtpSession = rules_of(
    media_session,
    st.one_of(
        *(
            strategy.map(protected)
            for strategy in (
                s.rtp_datagrams(),
                s.nearly_rtp_datagrams(),
                s.rtcp_datagrams(reduced_size=True),
                s.nearly_rtcp_datagrams(),
            )
        )
    ),
)

TestIceAgentPair = as_case(s.IceAgentPair, 14, 15)
TestDtlsPair = as_case(s.DtlsPair, 24, 15)
TestSctpPair = as_case(s.SctpPair, 20, 20)
TestDataChannelPair = as_case(s.DataChannelPair, 24, 20)
TestPeerPair = as_case(s.PeerPair, 10, 12)


def test_rules_find_a_machine_that_breaks_the_contract():
    """A machine that raises for one datagram, which a strategy draws sooner or later."""

    class Fragile(stun.BindingClient):
        def receive(self, datagram, now):
            assert len(datagram.data) != 1
            super().receive(datagram, now)

    rules = s.machine_rules(
        lambda entropy: Fragile(stun.BindingConfig(), path=Path(HERE, THERE), entropy=SeededEntropy(1)),
        addressed(st.binary(max_size=3)),
    )
    case = as_case(rules, 50, 20, phases=[Phase.generate])("runTest")
    try:
        case.runTest()
    except AssertionError:
        return
    raise AssertionError("the rules did not find it")
