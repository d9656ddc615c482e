"""Rules of STUN and ICE (RFC 8489, RFC 8445, RFC 7675)."""

import os

from sans_rtc.stun import (
    Attribute,
    AttributeType,
    MessageClass,
    is_fingerprint_valid,
    is_integrity_valid,
    short_term_key,
)
from tests.conformance.black_box.rules import Failed, NotRun, expect, rule
from tests.conformance.black_box.session import PWD, SILENCE_S, UFRAG

SUCCESS, ERROR = MessageClass.SUCCESS_RESPONSE, MessageClass.ERROR_RESPONSE
CONSENT_S, CONSENT_GRACE_S = 30.0, 1.5


def error_of(heard):
    """The code of an error response, None for another."""
    code = heard.parsed.value(AttributeType.ERROR_CODE)
    return None if code is None else code.code


def expect_refused(session, message, codes, **changes):
    """A request gets one of these errors, or silence; never success."""
    session.need_ice()
    heard = session.ask(message, within_s=3 * SILENCE_S, data=session.signed(message, **changes))
    if heard is None:
        expect_alive(session)
        return "silence"
    expect(heard.parsed.message_class is not SUCCESS, "a success response")
    expect(error_of(heard) in codes, f"error {error_of(heard)}, not {' or '.join(map(str, codes))}")
    return f"error {error_of(heard)}"


def expect_alive(session):
    """A good check succeeds."""
    heard = session.ask(session.check())
    expect(heard is not None and heard.parsed.message_class is SUCCESS, "a good check no longer succeeds")


def answered(session):
    """The response to a good check."""
    session.need_ice()
    heard = session.ask(session.check())
    expect(heard is not None, "a good check gets no response")
    return heard


@rule("stun-success", "main", "A check with the right credentials gets a success response", "RFC8445-7.3-5-1760")
def _success(session):
    expect(answered(session).parsed.message_class is SUCCESS, "an error response")


@rule("stun-mapped-address", "main", "XOR-MAPPED-ADDRESS is the address that the check came from", "RFC 8489 6.3.1")
def _mapped(session):
    told = answered(session).parsed.value(AttributeType.XOR_MAPPED_ADDRESS)
    expect(told == session.address, f"{told}, the check came from {session.address}")


@rule("stun-fingerprint", "main", "The response has a right FINGERPRINT as its last attribute", "RFC8445-7.3-8-11b0",
      "RFC5389-15.5-1-10e3")  # fmt: skip
def _fingerprint(session):
    expect(is_fingerprint_valid(answered(session).data), "no FINGERPRINT, or a wrong one")


@rule("stun-response-integrity", "main", "The response is proved with the peer's password and has no USERNAME",
      "RFC8445-7.3-3-4c08", "RFC5389-10.1.2-10-4e04", "RFC5389-10.1.2-11-fa5a")  # fmt: skip
def _integrity(session):
    heard = answered(session)
    expect(is_integrity_valid(heard.data, session.peer_key), "no MESSAGE-INTEGRITY, or a wrong one")
    expect(heard.parsed.value(AttributeType.USERNAME) is None, "a USERNAME")


@rule("stun-no-integrity", "main", "A check without MESSAGE-INTEGRITY gets no success response",
      "RFC8445-7.3-2-3037", "RFC5389-10.1.2-2-7f15")  # fmt: skip
def _no_integrity(session):
    session.need_ice()
    return expect_refused(session, session.check(), (400, 401), key=None)


@rule("stun-wrong-key", "main", "A check under a wrong password gets 401 or silence", "RFC5389-10.1.2-8-60b2")
def _wrong_key(session):
    session.need_ice()
    return expect_refused(session, session.check(), (401,), key=short_term_key("x" * 24))


@rule("stun-wrong-username", "main", "A check with another user name gets 401 or silence", "RFC5389-10.1.2-5-60b2",
      "RFC8445-7.3-4-6f45")  # fmt: skip
def _wrong_username(session):
    session.need_ice()
    return expect_refused(session, session.check(username=f"nobody01:{UFRAG}"), (401,))


@rule("stun-wrong-fingerprint", "main", "A check whose FINGERPRINT is wrong gets no success response", "RFC 8489 6.3")
def _wrong_fingerprint(session):
    session.need_ice()
    message = session.check()
    data = session.signed(message)
    heard = session.ask(message, within_s=3 * SILENCE_S, data=data[:-1] + bytes([data[-1] ^ 1]))
    expect(heard is None or heard.parsed.message_class is not SUCCESS, "a success response")
    expect_alive(session)
    return "silence" if heard is None else f"error {error_of(heard)}"


@rule("stun-unknown-required", "main", "An unknown attribute that must be understood gets 420 and is named",
      "RFC5389-7.3.1.1-3-0886")  # fmt: skip
def _unknown_required(session):
    session.need_ice()
    heard = session.ask(session.check(more=[Attribute(0x7F0A, b"what")]))
    expect(heard is not None, "silence")
    expect(error_of(heard) == 420, f"{heard.parsed.message_class.name} {error_of(heard)}")
    expect(0x7F0A in (heard.parsed.value(AttributeType.UNKNOWN_ATTRIBUTES) or ()), "not named")


@rule("stun-unknown-optional", "main", "An unknown attribute that need not be understood is ignored", "RFC 8489 14")
def _unknown_optional(session):
    session.need_ice()
    heard = session.ask(session.check(more=[Attribute(0xFF0A, b"what")]))
    expect(heard is not None and heard.parsed.message_class is SUCCESS, "no success response")


@rule("stun-repeated", "main", "The response to a repeated request says the same", "RFC5389-7.3.1-1-1d00")
def _repeated(session):
    session.need_ice()
    message = session.check()
    first, second = session.ask(message), session.ask(message)
    expect(first is not None and second is not None, "one of them gets no response")
    expect(first.data == second.data or first.parsed == second.parsed, "the responses differ")


@rule("stun-role-conflict", "main", "A check of another controlled agent with the greater tie-breaker gets 487",
      "RFC 8445 7.3.1.1")  # fmt: skip
def _role_conflict(session):
    session.need_ice()
    heard = session.ask(session.check(controlled=(1 << 64) - 1))
    expect(heard is not None, "silence")
    expect(error_of(heard) == 487, f"{heard.parsed.message_class.name} {error_of(heard)}")
    expect_alive(session)


@rule("stun-indication", "main", "A Binding indication gets no response", "RFC 8489 6.3.2")
def _indication(session):
    session.need_ice()
    message = session.check()
    message.message_class = MessageClass.INDICATION
    expect(session.ask(message, within_s=3 * SILENCE_S) is None, "a response")
    expect_alive(session)


@rule("stun-stray-response", "main", "A response to no request changes nothing", "RFC 8489 6.3.3")
def _stray_response(session):
    session.need_ice()
    message = session.check()
    message.message_class = SUCCESS
    session.send_raw(session.signed(message))
    expect_alive(session)


@rule("port-garbage", "main", "Garbage that no protocol claims changes nothing", "RFC 7983 7")
def _garbage(session):
    session.need_ice()
    for first in (0, 1, 3, 4, 19, 64, 79, 127, 128, 191, 192, 200, 255):
        session.send_raw(bytes([first]) + os.urandom(first))
    session.rest(0.05)
    expect_alive(session)


@rule("port-garbage-dtls", "hostile", "Garbage that begins as DTLS changes nothing: DTLS comes up after it",
      "RFC6347-4.1.2.7-1-7638")  # fmt: skip
def _garbage_dtls(session):
    session.need_ice()
    for first in (20, 21, 22, 23, 26, 47, 63):
        session.send_raw(bytes([first]) + os.urandom(first))
        session.send_raw(bytes([first]))
    session.rest(0.1)
    expect_alive(session)
    try:
        session.need_dtls()
    except NotRun as reason:
        raise Failed(str(reason)) from reason


@rule("port-empty", "hostile", "Datagrams without a byte change nothing: checks and data go on", "RFC 7983 7")
def _empty(session):
    from tests.conformance.black_box.sctp_rules import expect_heartbeat

    session.need_sctp()
    for _ in range(3):
        session.send_raw(b"")
        session.rest(0.05)
    expect_alive(session)
    expect_heartbeat(session)


@rule("stun-own-checks", "main", "Its own checks have USERNAME, PRIORITY, its role, a right integrity and FINGERPRINT",
      "RFC8445-7.1.1-1-bd30", "RFC8445-7.2.4-2-7e5e")  # fmt: skip
def _own_checks(session):
    session.need_ice()
    session.wait(session.requests)
    heard = session.requests()
    if not heard:
        raise NotRun("it sends no checks: a lite agent")
    data, message = heard[0].data, heard[0].parsed
    expect(is_integrity_valid(data, short_term_key(PWD)), "MESSAGE-INTEGRITY is wrong")
    expect(is_fingerprint_valid(data), "FINGERPRINT is wrong")
    username = message.value(AttributeType.USERNAME) or ""
    expect(username.startswith(f"{UFRAG}:"), f"USERNAME {username!r}")
    expect(message.value(AttributeType.PRIORITY) is not None, "no PRIORITY")
    expect(message.value(AttributeType.ICE_CONTROLLED) is not None, "no ICE-CONTROLLED")
    expect(message.value(AttributeType.USE_CANDIDATE) is None, "USE-CANDIDATE of a controlled agent")


@rule("consent-expires", "consent", "Without answers to its checks, data stop within 30 s", "RFC7675-5.1-2-215e",
      is_slow=True)  # fmt: skip
def _consent(session):
    """The peer is given data to send all the while."""
    from tests.conformance.black_box.channel_rules import open_channel

    channel = open_channel(session, "silent")
    session.answers_checks = False
    silent_at, last = session.now, 0.0
    while session.now < silent_at + CONSENT_S + 10.0:
        session.foreign.say("send", label="silent", text="more")
        count = len(session.dtls)
        session.rest(1.0)
        if len(session.dtls) > count:
            last = session.dtls[-1].at - silent_at
    expect(last <= CONSENT_S + CONSENT_GRACE_S, f"data {last:.0f} s after the last answer, on stream {channel}")
    return f"data stopped {last:.1f} s after the last answer"
