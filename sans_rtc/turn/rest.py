"""Ephemeral credentials of the TURN REST API (draft-uberti-behave-turn-rest-00 section 2.2): what a web service that
shares a secret with its TURN servers hands out, good for a while and for nothing else."""

from __future__ import annotations

import base64
import hmac

from sans_rtc.errors import InvalidArgument

DAY_S = 86_400
"""The lifetime that the draft recommends."""


def ephemeral_credentials(
    secret: str | bytes, now_unix_s: float, lifetime_s: int = DAY_S, user: str = ""
) -> tuple[str, str]:
    """Make a user name and a password that the server takes for new allocations until they expire.

    secret      shared with the server (coturn: static-auth-secret); text is taken as UTF-8
    now_unix_s  wall time, seconds since 1970
    lifetime_s  how long they are good
    user        who asks, for the server's logs and quotas; anybody on the path can read it
    Returns     (username, password): `expiry:user`, or `expiry` alone; base64 of HMAC-SHA1(secret, username)
    """
    key = secret.encode() if isinstance(secret, str) else secret
    if not key:
        raise InvalidArgument("an empty secret keeps nothing")
    if lifetime_s <= 0:
        raise InvalidArgument(f"a lifetime is positive, not {lifetime_s}")
    expiry = str(int(now_unix_s) + int(lifetime_s))
    username = f"{expiry}:{user}" if user else expiry
    return username, base64.b64encode(hmac.digest(key, username.encode(), "sha1")).decode()
