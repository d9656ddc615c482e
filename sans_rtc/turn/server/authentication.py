"""The server's side of the long-term credential mechanism (RFC 8489 section 9.2.4): whose request is this?

    no integrity -> 401 with REALM, NONCE, PASSWORD-ALGORITHMS
    something missing, or algorithms other than offered -> 400
    nobody of this name, a wrong password, a time that is over -> 401 as above
    a nonce that is not ours or too old -> 438 with a new one
    else the identity

Nothing is remembered of a request that fails: neither nonces nor names.
"""

from __future__ import annotations

import attrs

from sans_rtc.machine import Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.credentials import PasswordAlgorithm
from sans_rtc.stun.integrity import IntegrityAlgorithm, is_integrity_valid
from sans_rtc.stun.long_term import SecurityFeatures
from sans_rtc.stun.values import PasswordAlgorithmEntry
from sans_rtc.stun.wire import Attribute, Message, error_response
from sans_rtc.turn.server.credentials import NOBODY, CredentialTable
from sans_rtc.turn.server.nonce import NonceMint
from sans_rtc.turn.server.stats import AuthFailure

# RFC 8489 section 9.2.3.2 lets the client take the first that it has: the stronger is offered first.
OFFERED_ALGORITHMS = (
    PasswordAlgorithmEntry(PasswordAlgorithm.SHA256),
    PasswordAlgorithmEntry(PasswordAlgorithm.MD5),
)
# Tried where there is no key, so that an unknown name takes as long to refuse as a wrong password.
_NO_KEY = bytes(16)


@attrs.frozen(slots=True)
class Identity:
    """Who has made a request.

    name       as in USERNAME, or as USERHASH has it
    owner      whose quota it counts for
    key        that proved it; responses are proven by it too
    is_rest    of the REST API
    algorithm  of the integrity attribute of request and response
    """

    name: str
    owner: str
    key: bytes = attrs.field(repr=False)
    is_rest: bool
    algorithm: IntegrityAlgorithm


@attrs.frozen(slots=True)
class Refusal:
    """Why a request is not taken for anybody's; with or without a challenge."""

    code: int
    failure: AuthFailure

    @property
    def is_challenge(self) -> bool:
        """True for a response from which the client can learn how to ask rightly."""
        return self.code != 400


class Authenticator:
    """Judges requests and makes challenges. Remembers nothing of them."""

    __slots__ = ("_mint", "_realm", "table")

    def __init__(self, realm: str, table: CredentialTable, mint: NonceMint) -> None:
        self.table = table
        self._realm = realm
        self._mint = mint

    def judge(
        self, request: Message, data: bytes, path: Path, known: Identity | None, now: float
    ) -> Identity | Refusal:
        """Who has made the request.

        data   the request as it arrived
        known  whose allocation it is for: the key that made it goes on being good for it, so that ephemeral
               credentials may expire and secrets be replaced without harm to what stands
        """
        is_sha256 = request.value(AttributeType.MESSAGE_INTEGRITY_SHA256) is not None
        if not is_sha256 and request.value(AttributeType.MESSAGE_INTEGRITY) is None:
            return Refusal(401, AuthFailure.NO_CREDENTIALS)
        digest = request.value(AttributeType.USERHASH)
        name = request.value(AttributeType.USERNAME)
        realm, nonce = request.value(AttributeType.REALM), request.value(AttributeType.NONCE)
        if (name is None and digest is None) or realm is None or nonce is None:
            return Refusal(400, AuthFailure.INCOMPLETE)
        algorithm = _algorithm_of(request)
        if algorithm is None:
            return Refusal(400, AuthFailure.BAD_ALGORITHMS)
        if realm != self._realm:
            return Refusal(401, AuthFailure.WRONG_REALM)
        if name is None:
            name = self.table.name_of(digest) if digest is not None else None
        integrity = IntegrityAlgorithm.SHA256 if is_sha256 else IntegrityAlgorithm.SHA1
        proven = self._prove(name, algorithm, data, integrity, known, now)
        if isinstance(proven, Identity) and not self._mint.is_good(nonce, path, now):
            return Refusal(438, AuthFailure.STALE_NONCE)
        return proven

    def challenge(self, request: Message, refusal: Refusal, path: Path, now: float) -> Message:
        """The response to a request that is refused."""
        response = error_response(request, refusal.code)
        if refusal.is_challenge:
            features = SecurityFeatures.PASSWORD_ALGORITHMS
            if self.table.can_hide_names:
                features |= SecurityFeatures.USERNAME_ANONYMITY
            response.attributes += [
                Attribute(AttributeType.REALM, self._realm),
                Attribute(AttributeType.NONCE, self._mint.make(path, features, now)),
                Attribute(AttributeType.PASSWORD_ALGORITHMS, OFFERED_ALGORITHMS),
            ]
        return response

    def _prove(
        self,
        name: str | None,
        algorithm: PasswordAlgorithm,
        data: bytes,
        integrity: IntegrityAlgorithm,
        known: Identity | None,
        now: float,
    ) -> Identity | Refusal:
        if known is not None and name == known.name and is_integrity_valid(data, known.key):
            return known if known.algorithm is integrity else attrs.evolve(known, algorithm=integrity)
        account = self.table.account(name, algorithm, now) if name is not None else NOBODY
        for key in account.keys:
            if not is_integrity_valid(data, key):
                continue
            if account.is_expired:
                return Refusal(401, AuthFailure.EXPIRED)
            assert name is not None
            return Identity(name, account.owner, key, account.is_rest, integrity)
        if account.keys:
            return Refusal(401, AuthFailure.WRONG_PASSWORD)
        is_integrity_valid(data, _NO_KEY)
        return Refusal(401, AuthFailure.UNKNOWN_USER)


def _algorithm_of(request: Message) -> PasswordAlgorithm | None:
    """The algorithm of the key; None where the request does not repeat our offer, as section 9.2.4 has it."""
    offered = request.value(AttributeType.PASSWORD_ALGORITHMS)
    chosen = request.value(AttributeType.PASSWORD_ALGORITHM)
    if offered is None and chosen is None:
        return PasswordAlgorithm.MD5
    if offered != OFFERED_ALGORITHMS or not isinstance(chosen, PasswordAlgorithmEntry):
        return None
    return PasswordAlgorithm(chosen.algorithm) if chosen in OFFERED_ALGORITHMS else None
