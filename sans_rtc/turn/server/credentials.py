"""Who may allocate: users with passwords, and the ephemeral credentials of the TURN REST API.

    user    USERNAME:realm:password digested -> key                                       RFC 8489 section 9.2.2
    REST    USERNAME is "expiry:user", the password base64(HMAC-SHA1(secret, USERNAME))   draft-uberti-rtcweb-turn-rest

Of both kinds several can be valid side by side, so that a password or a secret can be replaced without a gap.
"""

from __future__ import annotations

import base64
import hmac
from typing import NamedTuple

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.stun.credentials import PasswordAlgorithm, long_term_key, opaque_string, userhash

USER_COUNT_MAX = 10_000
# A request with REST credentials is tried with each: about 10 us for one.
REST_SECRET_COUNT_MAX = 8
# Digits of an expiry time: 12 reach far beyond what anybody means.
_EXPIRY_DIGITS_MAX = 12


@attrs.frozen(slots=True)
class User:
    """A name and a password; InvalidArgument where they cannot be prepared (RFC 8489 section 9.2.2)."""

    name: str
    password: str = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        opaque_string(self.name)
        opaque_string(self.password)


@attrs.frozen(slots=True, kw_only=True)
class Credentials:
    """Everybody who may allocate.

    users         the same name may stand there with several passwords
    rest_secrets  shared with whoever hands out ephemeral credentials; all are valid side by side
    """

    users: tuple[User, ...] = ()
    rest_secrets: tuple[str, ...] = attrs.field(default=(), repr=False)

    def __attrs_post_init__(self) -> None:
        if len(self.users) > USER_COUNT_MAX:
            raise InvalidArgument(f"{len(self.users)} users, {USER_COUNT_MAX} is the most")
        if len(self.rest_secrets) > REST_SECRET_COUNT_MAX:
            raise InvalidArgument(f"{len(self.rest_secrets)} secrets, {REST_SECRET_COUNT_MAX} is the most")
        if not all(self.rest_secrets):
            raise InvalidArgument("an empty secret is no secret")


class Account(NamedTuple):
    """What a user name leads to.

    keys        that the user's requests may be made with; none: nobody of this name
    owner       whose quota it counts for
    is_rest     of the REST API: the name alone says nothing, a key proves it
    is_expired  of the REST API, and its time is over
    """

    keys: tuple[bytes, ...]
    owner: str
    is_rest: bool = False
    is_expired: bool = False


NOBODY = Account((), "")


class CredentialTable:
    """The credentials as a server looks them up.

    wall_clock_offset_s  what makes Unix time of `now`
    """

    __slots__ = ("_keys", "_names_by_hash", "_realm", "_secrets", "_wall_clock_offset_s")

    def __init__(self, credentials: Credentials, realm: str, wall_clock_offset_s: float) -> None:
        self._realm = realm
        self._wall_clock_offset_s = wall_clock_offset_s
        self._secrets = tuple(secret.encode() for secret in credentials.rest_secrets)
        self._keys: dict[tuple[str, PasswordAlgorithm], tuple[bytes, ...]] = {}
        self._names_by_hash: dict[bytes, str] = {}
        for user in credentials.users:
            name = opaque_string(user.name)
            self._names_by_hash[userhash(name, realm)] = name
            for algorithm in PasswordAlgorithm:
                key = long_term_key(name, realm, user.password, algorithm)
                self._keys[name, algorithm] = (*self._keys.get((name, algorithm), ()), key)

    @property
    def can_hide_names(self) -> bool:
        """True where USERHASH is enough. The name of a REST user is nowhere but in the request: it must be said."""
        return not self._secrets

    def name_of(self, digest: bytes) -> str | None:
        """The user whom a USERHASH means."""
        return self._names_by_hash.get(digest)

    def account(self, name: str, algorithm: PasswordAlgorithm, now: float) -> Account:
        """What is known of a user name."""
        keys = self._keys.get((name, algorithm))
        if keys is not None:
            return Account(keys, name)
        if not self._secrets:
            return NOBODY
        expiry, _, user = name.partition(":")
        if not (expiry.isascii() and expiry.isdigit() and len(expiry) <= _EXPIRY_DIGITS_MAX):
            return NOBODY
        try:
            made = tuple([long_term_key(name, self._realm, _rest_password(s, name), algorithm) for s in self._secrets])
        except ValueError:  # the name cannot be prepared
            return NOBODY
        # The account of a quota is the user behind the colon; where there is none, each pair of credentials is one.
        is_expired = int(expiry) <= now + self._wall_clock_offset_s
        return Account(made, user or name, is_rest=True, is_expired=is_expired)

    def is_still_valid(self, name: str, key: bytes) -> bool:
        """True where a user with a password is there still, with this key."""
        return any(key in self._keys.get((name, algorithm), ()) for algorithm in PasswordAlgorithm)


def _rest_password(secret: bytes, name: str) -> str:
    return base64.b64encode(hmac.digest(secret, name.encode(), "sha1")).decode()
