"""The client's side of the long-term credential mechanism (RFC 8489 section 9.2): challenge, answer, nonce, proof.

    request without credentials -> 401 with REALM, NONCE -> request with credentials -> response with integrity
                                                            438 with a new NONCE -> the same again

A transform for whoever runs the transactions (TURN): it says what a request carries, takes challenges, and judges
responses. A challenge is itself unauthenticated, so whoever is on the path can forge one; the nonce cookie and the rule
of section 9.2.5 keep such a forger from talking the client into weaker algorithms.
"""

from __future__ import annotations

import base64
import binascii
from enum import IntFlag, StrEnum

from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.credentials import PasswordAlgorithm, long_term_key, opaque_string, userhash
from sans_rtc.stun.integrity import IntegrityAlgorithm, is_integrity_valid
from sans_rtc.stun.values import PasswordAlgorithmEntry
from sans_rtc.stun.wire import Attribute, Message

# RFC 8489 section 9.2: the nonce cookie is these nine characters and the base64 of 24 bits in four.
NONCE_COOKIE = b"obMatJos2"
NONCE_COOKIE_BYTES = len(NONCE_COOKIE) + 4
# Fresh nonces in a row without one authenticated response; a server that works needs one.
STALE_NONCE_COUNT_MAX = 4


class SecurityFeatures(IntFlag):
    """What a server says in its nonce cookie (RFC 8489 section 18.1)."""

    NONE = 0
    PASSWORD_ALGORITHMS = 1
    USERNAME_ANONYMITY = 2


class ChallengeOutcome(StrEnum):
    """What is to follow a 401 or 438 response."""

    RETRY = "retry"  # send the request again, as a new transaction, with `attributes` and `key`
    REFUSED = "refused"  # the server does not take these credentials
    UNUSABLE = "unusable"  # the challenge lacks something, offers nothing we have, or smells of a bid-down


def security_features(nonce: bytes) -> SecurityFeatures | None:
    """The features in the nonce's cookie; None where it has no cookie.

    Section 9.2 counts the bits from the most significant, an erratum from the least, as the nonce of appendix B.1 does.
    The two assigned bits are told apart either way, so both counts are read.
    """
    if len(nonce) < NONCE_COOKIE_BYTES or not nonce.startswith(NONCE_COOKIE):
        return None
    try:
        bits = int.from_bytes(base64.b64decode(nonce[len(NONCE_COOKIE) : NONCE_COOKIE_BYTES], validate=True), "big")
    except binascii.Error:
        return None
    features = SecurityFeatures.NONE
    if bits & 0x800001:
        features |= SecurityFeatures.PASSWORD_ALGORITHMS
    if bits & 0x400002:
        features |= SecurityFeatures.USERNAME_ANONYMITY
    return features


class LongTermAuthenticator:
    """Credentials for one server, and what the server has said about them.

    username, password   InvalidArgument where they cannot be prepared (see `opaque_string`)
    prefers_sha256       choose SHA-256 wherever it is offered, as TURN wants it (RFC 8656 section 6); else the first of
                         the server's list that we have (RFC 8489 section 9.2.5)

    Attributes
    key         for serialize_message; None until challenged
    algorithm   for serialize_message
    """

    __slots__ = ("_algorithms", "_chosen", "_features", "_nonce", "_password", "_prefers_sha256", "_realm",
                 "_stale_count", "_username", "algorithm", "key")  # fmt: skip

    def __init__(self, username: str, password: str, *, prefers_sha256: bool = False) -> None:
        self._username = opaque_string(username)
        self._password = opaque_string(password)
        self._prefers_sha256 = prefers_sha256
        self._realm: str | None = None
        self._nonce = b""
        self._features: SecurityFeatures | None = None
        self._algorithms: tuple[PasswordAlgorithmEntry, ...] | None = None
        self._chosen: PasswordAlgorithmEntry | None = None
        self._stale_count = 0
        self.key: bytes | None = None
        self.algorithm = IntegrityAlgorithm.SHA1

    @property
    def realm(self) -> str | None:
        """The realm of the challenge taken last; None before the first."""
        return self._realm

    def attributes(self) -> list[Attribute]:
        """What a request carries besides its own attributes; nothing before the first challenge (section 9.2.3.1)."""
        if self._realm is None:
            return []
        if self._features and self._features & SecurityFeatures.USERNAME_ANONYMITY:
            user = Attribute(AttributeType.USERHASH, userhash(self._username, self._realm))
        else:
            user = Attribute(AttributeType.USERNAME, self._username)
        attributes = [user, Attribute(AttributeType.REALM, self._realm), Attribute(AttributeType.NONCE, self._nonce)]
        if self._chosen is not None:
            attributes.append(Attribute(AttributeType.PASSWORD_ALGORITHMS, self._algorithms))
            attributes.append(Attribute(AttributeType.PASSWORD_ALGORITHM, self._chosen))
        return attributes

    def take_challenge(self, response: Message) -> ChallengeOutcome:
        """Take a 401 or 438 response to a request that carried `attributes`; say what is to follow.

        Effects   with RETRY, key, algorithm and attributes are those of the challenge; else all stays as it was
        Source    RFC 8489 section 9.2.5
        """
        error = response.value(AttributeType.ERROR_CODE)
        realm = response.value(AttributeType.REALM)
        nonce = response.value(AttributeType.NONCE)
        if error is None or error.code not in (401, 438) or nonce is None:
            return ChallengeOutcome.UNUSABLE
        if error.code == 438:
            realm = realm if realm is not None else self._realm
            if self._stale_count >= STALE_NONCE_COUNT_MAX:
                return ChallengeOutcome.REFUSED
        elif self._realm is not None and realm == self._realm:
            # "The client MUST NOT perform this retry if it is not changing the USERNAME, USERHASH, REALM, or its
            # associated password from the previous attempt."
            return ChallengeOutcome.REFUSED
        if not realm:
            return ChallengeOutcome.UNUSABLE
        return self._adopt(realm, nonce, _algorithms_of(response), is_stale=error.code == 438)

    def is_response_authentic(self, response: Message, data: bytes) -> bool:
        """True where a response other than a challenge was made with our key. One that is not is to be discarded as if
        it had never come; the request goes on being sent (section 9.2.5).

        response  the message, parsed
        data      the message as it arrived
        """
        nonce = response.value(AttributeType.NONCE)
        if nonce is not None and _is_stripped(security_features(nonce), _algorithms_of(response)):
            return False
        if self.key is None or not is_integrity_valid(data, self.key):
            return False
        is_sha256 = response.value(AttributeType.MESSAGE_INTEGRITY_SHA256) is not None
        if self.algorithm is IntegrityAlgorithm.SHA256 and not is_sha256:
            return False
        self._stale_count = 0
        return True

    def _adopt(
        self, realm: str, nonce: bytes, algorithms: tuple[PasswordAlgorithmEntry, ...] | None, *, is_stale: bool
    ) -> ChallengeOutcome:
        features = security_features(nonce)
        if _is_stripped(features, algorithms) or (self._algorithms is not None and algorithms is None):
            return ChallengeOutcome.UNUSABLE
        chosen = None
        if algorithms is not None:
            supported = [entry for entry in algorithms if _is_supported(entry)]
            if not supported:
                return ChallengeOutcome.UNUSABLE
            chosen = supported[0]
            if self._prefers_sha256:
                chosen = max(supported, key=lambda entry: entry.algorithm == PasswordAlgorithm.SHA256)
        try:
            digest = PasswordAlgorithm(chosen.algorithm) if chosen is not None else PasswordAlgorithm.MD5
            self.key = long_term_key(self._username, realm, self._password, digest)
        except ValueError:  # the server's realm cannot be prepared
            return ChallengeOutcome.UNUSABLE
        # "If the response contains a PASSWORD-ALGORITHMS attribute, all the subsequent requests MUST be authenticated
        # using MESSAGE-INTEGRITY-SHA256 only."
        self.algorithm = IntegrityAlgorithm.SHA256 if chosen is not None else IntegrityAlgorithm.SHA1
        self._realm, self._nonce, self._features = realm, nonce, features
        self._algorithms, self._chosen = algorithms, chosen
        self._stale_count = self._stale_count + 1 if is_stale else 0
        return ChallengeOutcome.RETRY


def _algorithms_of(response: Message) -> tuple[PasswordAlgorithmEntry, ...] | None:
    return response.value(AttributeType.PASSWORD_ALGORITHMS)


def _is_stripped(features: SecurityFeatures | None, algorithms: object | None) -> bool:
    """True where the nonce promises PASSWORD-ALGORITHMS and somebody has taken it out."""
    return bool(features and features & SecurityFeatures.PASSWORD_ALGORITHMS) and algorithms is None


def _is_supported(entry: PasswordAlgorithmEntry) -> bool:
    # RFC 8489 section 18.5.1: both have no parameters.
    return entry.algorithm in (PasswordAlgorithm.MD5, PasswordAlgorithm.SHA256) and not entry.parameters
