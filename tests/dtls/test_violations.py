"""Violations: what a peer must not say, field by field and state by state, and what it is told."""

import pytest

from sans_rtc.dtls import DtlsConfig
from sans_rtc.dtls import messages as dtls_messages
from sans_rtc.dtls.extensions import UseSrtp, serialize_extensions
from sans_rtc.dtls.groups import KeyShare
from sans_rtc.dtls.handshake import HandshakeMessage, HandshakeType

CLIENT, SERVER = 0, 1


@pytest.mark.parametrize("type_", [HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO])
def test_hello_without_extended_master_secret_is_refused(make_pair, type_, refuses, tamper):
    def remove(hello):
        hello.extensions.extended_master_secret = None

    pair = make_pair()
    tamper.on_the_path(pair, type_, remove)
    end = SERVER if type_ is HandshakeType.CLIENT_HELLO else CLIENT
    refuses(pair, end, "extended_master_secret_missing", "handshake_failure")


@pytest.fixture
def refuses_hello(make_pair, refuses, tamper):
    """Change a hello on its way; whoever gets it ends for the reason and says so in the alert."""

    def check(type_, change, reason, alert, config=None):
        pair = make_pair(config)
        tamper.on_the_path(pair, type_, change)
        refuses(pair, SERVER if type_ is HandshakeType.CLIENT_HELLO else CLIENT, reason, alert)

    return check


def set_field(name, value):
    return lambda hello: setattr(hello, name, value)


def set_extension(name, value):
    return lambda hello: setattr(hello.extensions, name, value)


@pytest.mark.proves(
    "RFC8261-5-2-6e39",
    "RFC5246-7.2.2-3-5b40",
    "RFC5246-7.4.1.2-6-7580",
    "RFC5246-7.4.2-2-ed8e",
    "RFC5246-7.4.3-3-5a46",
    "RFC5246-E.1-3-7a30",
)
@pytest.mark.parametrize(
    ("change", "reason", "alert"),
    [
        (set_field("version", 0xFEFF), "version_unsupported", "protocol_version"),
        (set_field("version", 0x0303), "version_unsupported", "protocol_version"),
        (set_extension("supported_versions", (0xFEFC,)), "version_unsupported", "protocol_version"),
        (set_field("cipher_suites", (0x1301, 0xC009)), "nothing_shared", "handshake_failure"),
        (set_field("cipher_suites", (0xC02F,)), "nothing_shared", "handshake_failure"),
        (set_field("compression_methods", b"\x01"), "protocol_violation", "illegal_parameter"),
        (set_extension("supported_groups", (0x11EC, 25)), "nothing_shared", "handshake_failure"),
        (set_extension("signature_algorithms", (0x0203, 0x0201)), "nothing_shared", "handshake_failure"),
        (set_extension("signature_algorithms", None), "nothing_shared", "handshake_failure"),
        (set_extension("renegotiation_info", bytes(12)), "protocol_violation", "handshake_failure"),
        (set_extension("ec_point_formats", (1, 2)), "protocol_violation", "illegal_parameter"),
    ],
)
def test_client_hello_that_cannot_be_answered_is_refused(refuses_hello, change, reason, alert):
    refuses_hello(HandshakeType.CLIENT_HELLO, change, reason, alert)


@pytest.mark.proves(
    "RFC8261-5-2-6e39", "RFC5246-7.2.2-3-5b40", "RFC5246-7.4.1.4-2-f597", "RFC5246-7.4.5-1-28aa", "RFC5246-E.1-1-ed7e"
)
@pytest.mark.parametrize(
    ("change", "reason", "alert"),
    [
        (set_field("version", 0xFEFF), "version_unsupported", "protocol_version"),
        (set_field("version", 0xFEFC), "version_unsupported", "protocol_version"),
        (set_field("cipher_suite", 0xC009), "protocol_violation", "illegal_parameter"),
        (set_field("cipher_suite", 0x1301), "protocol_violation", "illegal_parameter"),
        (set_field("compression_method", 1), "protocol_violation", "illegal_parameter"),
        (set_extension("unknown", ((35, b""),)), "protocol_violation", "unsupported_extension"),
        (set_extension("renegotiation_info", bytes(12)), "protocol_violation", "handshake_failure"),
        (set_extension("ec_point_formats", (1,)), "protocol_violation", "illegal_parameter"),
    ],
)
def test_server_hello_that_answers_something_else_is_refused(refuses_hello, change, reason, alert):
    refuses_hello(HandshakeType.SERVER_HELLO, change, reason, alert)


@pytest.mark.proves("RFC5764-4.1.3-4-3f67")
@pytest.mark.parametrize(("profiles", "mki"), [((5,), b""), ((7, 8), b""), ((7,), b"mki")])
def test_srtp_that_was_not_offered_is_refused(refuses_hello, profiles, mki):
    """RFC 5764 sections 4.1.1 and 4.1.3"""
    change = set_extension("use_srtp", UseSrtp(profiles, mki))
    refuses_hello(HandshakeType.SERVER_HELLO, change, "protocol_violation", "illegal_parameter")


@pytest.mark.proves("RFC5246-7.4.1.4-2-f597")
def test_srtp_that_was_not_asked_for_is_refused(refuses_hello):
    change = set_extension("use_srtp", UseSrtp((7,)))
    config = DtlsConfig(srtp_profiles=())
    alert = "unsupported_extension"
    refuses_hello(HandshakeType.SERVER_HELLO, change, "protocol_violation", alert, config=config)


@pytest.mark.proves("RFC5246-7.4.2-6-7496")
def test_suite_that_does_not_fit_the_certificate_is_refused(refuses_hello):
    change = set_field("cipher_suite", 0xC02F)
    refuses_hello(HandshakeType.SERVER_HELLO, change, "protocol_violation", "illegal_parameter")


@pytest.mark.parametrize("group", [0x0019, 0x11EC, 0x0017])
def test_group_that_was_not_offered_is_refused(make_pair, group, refuses, tamper):
    pair = make_pair(DtlsConfig(groups=(0x001D,)))
    tamper.on_the_path(pair, HandshakeType.SERVER_KEY_EXCHANGE, lambda exchange: setattr(exchange, "group", group))
    refuses(pair, CLIENT, "protocol_violation", "illegal_parameter")


def swap_share(monkeypatch, pair, end, public):
    """Let an end send another share than its own."""
    liars_entropy = (pair.client_session, pair.server_session)[end]().entropy
    original = KeyShare.__init__

    def lie(self, group, entropy):
        original(self, group, entropy)
        if entropy is liars_entropy:
            self.public = public

    monkeypatch.setattr(KeyShare, "__init__", lie)


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), bytes(31), bytes(33)])
@pytest.mark.parametrize("end", [CLIENT, SERVER])
def test_share_that_gives_no_secret_is_refused(make_pair, monkeypatch, public, end, refuses):
    """RFC 8422 section 5.11; signed by the dishonest peer itself."""
    pair = make_pair(DtlsConfig(groups=(0x001D,)))
    swap_share(monkeypatch, pair, 1 - end, public)
    refuses(pair, end, "protocol_violation", "illegal_parameter")


@pytest.mark.parametrize("public", [b"\x04" + bytes(64), b"\x02" + bytes(32), b"\x04" + b"\xff" * 64, b"\x00"])
@pytest.mark.parametrize("end", [CLIENT, SERVER])
def test_share_that_is_not_on_the_curve_is_refused(make_pair, monkeypatch, public, end, refuses):
    pair = make_pair(DtlsConfig(groups=(0x0017,)))
    swap_share(monkeypatch, pair, 1 - end, public)
    refuses(pair, end, "protocol_violation", "illegal_parameter")


# renegotiation


def test_renegotiation_by_the_client_is_refused_with_a_warning(make_pair, read_messages, tamper):
    pair = make_pair().connect()
    hello = tamper.body_of(pair.link.sent[0], HandshakeType.CLIENT_HELLO)
    message = HandshakeMessage(HandshakeType.CLIENT_HELLO, 0, hello).serialize()
    sent = len(pair.link.sent[1])
    for _ in range(5):
        pair.server.receive(pair.client._records.seal(22, message), pair.now)
    pair.link.flush()
    assert len(pair.link.sent[1]) == sent + 1  # one answer to a burst
    pair.link.run_for(1.0)
    assert pair.client.stats.discards["warning_alert"] == 1
    assert pair.server.stats.discards["renegotiation"] == 5
    assert pair.is_connected()


@pytest.mark.proves("RFC5246-7.4-2-fb0d", "RFC5246-7.4.1.1-3-f741")
def test_hello_request_is_ignored(make_pair):
    pair = make_pair()
    pair.start()
    request = HandshakeMessage(HandshakeType.HELLO_REQUEST, 0, b"").serialize()
    from_server = b"\x16\xfe\xfd" + bytes(8) + len(request).to_bytes(2, "big") + request
    pair.client.receive(from_server, pair.now)
    pair.link.run_until(pair.is_connected)
    sent = len(pair.link.sent[0])
    pair.client.receive(pair.server._records.seal(22, request), pair.now)
    pair.link.run_for(1.0)
    assert pair.client.stats.discards["hello_request"] == 2
    assert len(pair.link.sent[0]) == sent


def test_other_protected_handshake_messages_are_discarded_once_connected(make_pair):
    pair = make_pair().connect()
    for type_ in (2, 4, 11, 16, 24, 99):
        message = HandshakeMessage(type_, 0, b"body").serialize()
        for sender, receiver in ((pair.client, pair.server), (pair.server, pair.client)):
            receiver.receive(sender._records.seal(22, message), pair.now)
    pair.client.receive(pair.server._records.seal(20, b"\x01"), pair.now)
    pair.link.run_for(1.0)
    assert pair.is_connected()
    assert [end.stats.discards["unexpected_handshake"] for end in pair.ends] == [7, 6]


@pytest.mark.proves("RFC6347-4.2.8-1-b555")
def test_new_client_hello_of_a_stranger_does_not_touch_a_connection(make_pair):
    pair, stranger = make_pair().connect(), make_pair(seed=9).start()
    (hello,) = stranger.client.take_datagrams(stranger.now)
    pair.server.receive(hello, pair.now)
    pair.link.run_for(5.0)
    assert pair.is_connected()
    assert pair.server.stats.discards["unknown_epoch"] == 1


# what goes wrong in each state: a well-formed message that does not belong there

ORDER = {
    "client": [2, 11, 12, 13, 14],
    "server": [1, 11, 16, 15],
}


@pytest.mark.proves("RFC5246-7.2.2-4-5bc6", "RFC5246-7.4-1-bf1e")
@pytest.mark.parametrize("wrong", [1, 2, 3, 4, 11, 12, 13, 14, 15, 16, 22, 99])
@pytest.mark.parametrize(
    ("role", "step"), [(role, step) for role, order in ORDER.items() for step in range(len(order))]
)
def test_unexpected_message_in_each_state_ends_the_handshake(make_pair, make_record, role, step, wrong, tamper):
    order = ORDER[role]
    allowed = {order[step]} | ({3} if (role, step) == ("client", 0) else set())
    allowed |= {14} if (role, step) == ("client", 3) else set()  # refused for its own reason
    if wrong in allowed:
        return
    pair = make_pair()
    end = CLIENT if role == "client" else SERVER
    tamper.hold_from(pair, end, order[step])
    machine = pair.ends[end]
    seq = machine._handshake._reassembler.next_seq
    message = HandshakeMessage(wrong, seq, b"anything").serialize()
    machine.receive(make_record(22, message, number=500), pair.now)
    (event,) = machine.take_events()
    assert (event.reason, machine.state) == ("protocol_violation", "failed")
    assert machine.take_datagrams(pair.now)[-1][-2:] == b"\x02\x0a"


def test_finished_without_change_cipher_spec_is_not_read(make_pair, tamper):
    """RFC 5246 section 7.4.9"""
    pair = make_pair(DtlsConfig(handshake_timeout_s=3))

    pair.link.filter = lambda end, datagram: b"".join([r for r in tamper.cut(datagram) if r[0] != 20])
    pair.run_to_the_end()
    assert pair.reason(SERVER) == "handshake_timeout"


def test_unprotected_finished_is_not_read(make_pair, make_record, tamper):
    pair = make_pair()
    tamper.hold_from(pair, SERVER, HandshakeType.CERTIFICATE_VERIFY)
    message = HandshakeMessage(HandshakeType.FINISHED, 3, bytes(12)).serialize()
    pair.server.receive(make_record(22, message), pair.now)
    assert pair.server.stats.discards["wrong_epoch"] == 1
    assert pair.server.take_events() == ()


@pytest.mark.proves("RFC5246-7.4.1.2-2-1509")
def test_unknown_extensions_of_a_client_are_ignored(make_pair):
    pair = make_pair()
    session = pair.client_session()
    grease = tuple((value, b"grease") for value in (0x0A0A, 0xFAFA, 16, 28, 51))
    original = session.message

    def with_grease(type_, body):
        if type_ is HandshakeType.CLIENT_HELLO:
            hello = dtls_messages.parse_client_hello(body)
            hello.extensions.unknown = grease
            hello.cipher_suites = (0x0A0A, 0x1301, *hello.cipher_suites, 0x00FF)
            body = dtls_messages.serialize_client_hello(hello)
            assert serialize_extensions(hello.extensions) in body
        return original(type_, body)

    session.message = with_grease
    pair.connect()


def test_renegotiation_scsv_is_understood(make_pair, read_messages, tamper):
    """RFC 5746 section 3.6: the suite value stands for an empty extension."""
    for suites, expected in (((0xC02B, 0x00FF), b""), ((0xC02B,), None)):
        pair = make_pair()

        def change(hello, suites=suites):
            hello.extensions.renegotiation_info = None
            hello.cipher_suites = suites

        tamper.on_the_path(pair, HandshakeType.CLIENT_HELLO, change)
        pair.start()
        pair.link.run_for(0.015)
        _, answer = read_messages(pair.link.sent[1])[0]
        assert answer.extensions.renegotiation_info == expected
