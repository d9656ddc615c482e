"""The rule-based state machines: each machine alone, driven by any inputs; and pairs over links that go wrong."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from sans_rtc import dtls, ice, mdns, sctp, stun
from sans_rtc.datachannel import ChannelOptions
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.peer import Description, PeerConfig, PeerConnection
from sans_rtc.testing import SeededEntropy
from sans_rtc.testing import strategies as s

HERE, THERE = Address("10.0.0.1", 5000), Address("10.0.0.2", 5000)
PATHS = st.sampled_from((Path(HERE, THERE), Path(HERE, Address("192.0.2.1", 9)), Path(Address("::1", 1), THERE)))


def addressed(data):
    return st.builds(Datagram, st.one_of(data, st.binary(max_size=40)), PATHS)


def rules_of(build, datagrams, verbs=(), *, examples=16, steps=20):
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

TestIceAgentPair = as_case(s.IceAgentPair, 24, 15)
TestDtlsPair = as_case(s.DtlsPair, 30, 15)
TestSctpPair = as_case(s.SctpPair, 30, 20)
TestDataChannelPair = as_case(s.DataChannelPair, 30, 20)
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
