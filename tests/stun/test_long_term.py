"""The long-term credential mechanism against a small server that keeps RFC 8489 section 9.2.4; and against forgers."""

import base64

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    ChallengeOutcome,
    IntegrityAlgorithm,
    LongTermAuthenticator,
    Message,
    MessageClass,
    Method,
    PasswordAlgorithm,
    PasswordAlgorithmEntry,
    SecurityFeatures,
    error_response,
    is_integrity_valid,
    long_term_key,
    parse_message,
    security_features,
    serialize_message,
    success_response,
    userhash,
)
from sans_rtc.stun.long_term import STALE_NONCE_COUNT_MAX

A = AttributeType
USER, REALM, PASSWORD = "user", "example.org", "pass"
MD5, SHA256 = (PasswordAlgorithmEntry(int(algorithm)) for algorithm in PasswordAlgorithm)
UNKNOWN = PasswordAlgorithmEntry(0x7777)


def cookie(features, tail=b"rest"):
    return b"obMatJos2" + base64.b64encode(int(features).to_bytes(3, "big")) + tail


class Server:
    """Challenges, checks and answers; `algorithms` None: a server of the time before RFC 8489."""

    def __init__(self, algorithms=None, anonymity=False):
        self.algorithms, self.anonymity = algorithms, anonymity
        self.realm, self.serial = REALM, 0
        self.renew()

    def renew(self):
        self.serial += 1
        features = (SecurityFeatures.PASSWORD_ALGORITHMS if self.algorithms is not None else 0) | (
            SecurityFeatures.USERNAME_ANONYMITY if self.anonymity else 0
        )
        tail = b"nonce%d" % self.serial
        self.nonce = cookie(features, tail) if features else tail

    def challenge(self, request, code):
        response = error_response(request, code)
        response.attributes += [Attribute(A.REALM, self.realm), Attribute(A.NONCE, self.nonce)]
        if self.algorithms is not None:
            response.attributes.append(Attribute(A.PASSWORD_ALGORITHMS, self.algorithms))
        return serialize_message(response)

    def answer(self, data):
        request = parse_message(data)
        if request.value(A.REALM) is None:
            return self.challenge(request, 401)
        expected = userhash(USER, REALM) if self.anonymity else USER
        assert request.value(A.USERHASH if self.anonymity else A.USERNAME) == expected
        assert request.value(A.USERNAME if self.anonymity else A.USERHASH) is None
        assert request.value(A.PASSWORD_ALGORITHMS) == self.algorithms
        chosen = request.value(A.PASSWORD_ALGORITHM)
        algorithm = PasswordAlgorithm(chosen.algorithm) if chosen else PasswordAlgorithm.MD5
        key = long_term_key(USER, REALM, PASSWORD, algorithm)
        if not is_integrity_valid(data, key):
            return self.challenge(request, 401)
        if request.value(A.NONCE) != self.nonce:
            return self.challenge(request, 438)
        kind = IntegrityAlgorithm.SHA256 if chosen else IntegrityAlgorithm.SHA1
        return serialize_message(success_response(request), key=key, algorithm=kind)


def ask(client, server, number=0):
    """Send one request; the response, parsed and as bytes."""
    request = Message(MessageClass.REQUEST, Method.ALLOCATE, bytes([number] * 12), client.attributes())
    data = server.answer(serialize_message(request, key=client.key, algorithm=client.algorithm))
    return parse_message(data), data


@pytest.fixture
def client():
    return LongTermAuthenticator(USER, PASSWORD)


@pytest.fixture
def authenticated(client):
    """A client and its server, one exchange done."""

    def make(**options):
        server = Server(**options)
        assert client.take_challenge(ask(client, server)[0]) is ChallengeOutcome.RETRY
        assert client.is_response_authentic(*ask(client, server, 1))
        return client, server

    return make


def challenge(code=401, realm=REALM, nonce=b"nonce", algorithms=None):
    response = Message(MessageClass.ERROR_RESPONSE, Method.ALLOCATE, bytes(12))
    for type_, value in ((A.REALM, realm), (A.NONCE, nonce), (A.PASSWORD_ALGORITHMS, algorithms)):
        if value is not None:
            response.attributes.append(Attribute(type_, value))
    if code:
        response.attributes.append(Attribute(A.ERROR_CODE, (code, "")))
    return parse_message(serialize_message(response))


# --- with a server


def test_first_request_carries_nothing(client):
    assert client.attributes() == [] and client.key is None and client.realm is None


@pytest.mark.proves("RFC5389-10.2.3-2-f522", "RFC5389-10.2.3-3-69a9", "RFC5389-10.2.3-4-5d0e", "RFC5389-10.2.3-5-a3d2")
@pytest.mark.parametrize("anonymity", [False, True])
@pytest.mark.parametrize(
    ("algorithms", "kind"),
    [
        (None, IntegrityAlgorithm.SHA1),
        ((MD5,), IntegrityAlgorithm.SHA256),
        ((SHA256,), IntegrityAlgorithm.SHA256),
        ((SHA256, MD5), IntegrityAlgorithm.SHA256),
        ((UNKNOWN, MD5, SHA256), IntegrityAlgorithm.SHA256),
    ],
)
def test_challenge_is_answered_with_what_the_server_offers(authenticated, algorithms, kind, anonymity):
    client, _ = authenticated(algorithms=algorithms, anonymity=anonymity)
    assert client.algorithm is kind and client.realm == REALM


def test_first_supported_algorithm_of_the_list_is_chosen(client):
    client.take_challenge(challenge(algorithms=(UNKNOWN, PasswordAlgorithmEntry(2, b"xx"), MD5, SHA256)))
    chosen = {attribute.type: attribute.value for attribute in client.attributes()}
    assert chosen[A.PASSWORD_ALGORITHM] == MD5
    assert client.key == long_term_key(USER, REALM, PASSWORD, PasswordAlgorithm.MD5)


def test_sha256_is_chosen_wherever_it_is_offered_if_asked_for():
    client = LongTermAuthenticator(USER, PASSWORD, prefers_sha256=True)
    client.take_challenge(challenge(algorithms=(UNKNOWN, MD5, SHA256)))
    assert client.key == long_term_key(USER, REALM, PASSWORD, PasswordAlgorithm.SHA256)
    client.take_challenge(challenge(realm="other", algorithms=(MD5, UNKNOWN)))
    assert client.key == long_term_key(USER, "other", PASSWORD, PasswordAlgorithm.MD5)


@pytest.mark.proves("RFC5389-10.2.3-7-4b5c", "RFC5389-10.2.3-8-6b34", "RFC5389-15.6-9-482a")
def test_stale_nonce_is_replaced_and_the_request_goes_again(authenticated):
    client, server = authenticated(algorithms=(SHA256,))
    server.renew()
    response, _ = ask(client, server, 2)
    assert response.value(A.ERROR_CODE).code == 438
    assert client.take_challenge(response) is ChallengeOutcome.RETRY
    assert client.is_response_authentic(*ask(client, server, 3))


def test_stale_nonce_without_a_realm_keeps_the_realm(client):
    client.take_challenge(challenge())
    assert client.take_challenge(challenge(438, realm=None, nonce=b"new")) is ChallengeOutcome.RETRY
    assert client.realm == REALM
    assert client.attributes()[-1] == Attribute(A.NONCE, b"new")


@pytest.mark.proves("RFC5389-10.2.3-6-8f29")
def test_wrong_password_is_refused_at_the_second_challenge():
    client, server = LongTermAuthenticator(USER, "wrong"), Server()
    assert client.take_challenge(ask(client, server)[0]) is ChallengeOutcome.RETRY
    assert client.take_challenge(ask(client, server, 1)[0]) is ChallengeOutcome.REFUSED


def test_challenge_of_another_realm_is_answered(client):
    client.take_challenge(challenge())
    assert client.take_challenge(challenge(realm="other.example")) is ChallengeOutcome.RETRY
    assert client.key == long_term_key(USER, "other.example", PASSWORD)


def test_nonces_that_go_stale_in_a_row_come_to_an_end(authenticated):
    client, _ = authenticated()
    for number in range(STALE_NONCE_COUNT_MAX):
        assert client.take_challenge(challenge(438, nonce=b"%d" % number)) is ChallengeOutcome.RETRY
    assert client.take_challenge(challenge(438, nonce=b"last")) is ChallengeOutcome.REFUSED


def test_authentic_response_lets_nonces_go_stale_again(authenticated):
    client, server = authenticated()
    for number in range(3 * STALE_NONCE_COUNT_MAX):
        server.renew()
        assert client.take_challenge(ask(client, server, number)[0]) is ChallengeOutcome.RETRY
        assert client.is_response_authentic(*ask(client, server, number))


# --- with something else in between


@pytest.mark.parametrize(
    "response",
    [
        challenge(realm=None),
        challenge(realm=""),
        challenge(nonce=None),
        challenge(realm="\u200d"),
        challenge(400),
        challenge(0),
        challenge(438, realm=None),
        challenge(algorithms=()),
        challenge(algorithms=(UNKNOWN,)),
        challenge(nonce=cookie(SecurityFeatures.PASSWORD_ALGORITHMS)),
        challenge(nonce=cookie(0x800000)),
    ],
)
def test_challenge_that_cannot_be_answered_changes_nothing(client, response):
    assert client.take_challenge(response) is ChallengeOutcome.UNUSABLE
    assert client.attributes() == [] and client.key is None and client.realm is None


def test_stale_nonce_that_drops_the_algorithms_is_unusable(authenticated):
    client, _ = authenticated(algorithms=(SHA256,))
    before = client.attributes()
    assert client.take_challenge(challenge(438, nonce=b"plain")) is ChallengeOutcome.UNUSABLE
    assert client.attributes() == before and client.algorithm is IntegrityAlgorithm.SHA256


@pytest.mark.proves("RFC5389-10.2.3-9-8e30")
def test_response_without_integrity_is_not_authentic(authenticated):
    client, _ = authenticated()
    data = serialize_message(error_response(challenge(), 400))
    assert not client.is_response_authentic(parse_message(data), data)


@pytest.mark.proves("RFC5389-10.2.3-9-8e30")
def test_response_with_another_key_is_not_authentic(authenticated):
    client, _ = authenticated()
    data = serialize_message(success_response(challenge()), key=b"another")
    assert not client.is_response_authentic(parse_message(data), data)


def test_response_with_sha1_alone_is_not_authentic_where_sha256_was_agreed(authenticated):
    client, _ = authenticated(algorithms=(SHA256,))
    data = serialize_message(success_response(challenge()), key=client.key)
    assert is_integrity_valid(data, client.key)
    assert not client.is_response_authentic(parse_message(data), data)


def test_response_whose_nonce_promises_algorithms_that_are_missing_is_ignored(authenticated):
    client, _ = authenticated()
    nonce = Attribute(A.NONCE, cookie(SecurityFeatures.PASSWORD_ALGORITHMS))
    data = serialize_message(success_response(challenge(), [nonce]), key=client.key)
    assert not client.is_response_authentic(parse_message(data), data)


def test_response_before_any_challenge_is_not_authentic(client):
    data = serialize_message(success_response(challenge()), key=b"k")
    assert not client.is_response_authentic(parse_message(data), data)


# --- the nonce cookie, and misuse


@pytest.mark.parametrize(
    ("nonce", "features"),
    [
        (b"", None),
        (b"nonce", None),
        (b"obMatJos2AAA", None),
        (b"obMatJos3AAAA", None),
        (b"obMatJos2A*AA", None),
        (b"obMatJos2A=AA", None),
        (b"obMatJos2AAAA", SecurityFeatures.NONE),
        (b"obMatJos2AAABrest", SecurityFeatures.PASSWORD_ALGORITHMS),
        # The nonce of RFC 8489 appendix B.1, whose request carries USERHASH.
        (b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA", SecurityFeatures.USERNAME_ANONYMITY),
        (b"obMatJos2AAAD", SecurityFeatures.PASSWORD_ALGORITHMS | SecurityFeatures.USERNAME_ANONYMITY),
        (b"obMatJos2gAAA", SecurityFeatures.PASSWORD_ALGORITHMS),
        (b"obMatJos2QAAA", SecurityFeatures.USERNAME_ANONYMITY),
        (b"obMatJos2P//8", SecurityFeatures.NONE),
    ],
)
def test_features_are_read_from_the_nonce_cookie(nonce, features):
    assert security_features(nonce) == features


@pytest.mark.parametrize("pair", [("", "p"), ("u", ""), ("u\0", "p"), ("u", "p\u00ad")])
def test_credentials_that_cannot_be_prepared_are_refused(pair):
    with pytest.raises(InvalidArgument):
        LongTermAuthenticator(*pair)
