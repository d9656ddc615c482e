"""How a Binding client behaves."""

from __future__ import annotations

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.stun.transaction import RetransmissionSchedule
from sans_rtc.stun.values import TEXT_CHARACTERS_MAX


def _fits_software(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if len(value) > TEXT_CHARACTERS_MAX:
        raise InvalidArgument(f"{attribute.name} has {len(value)} characters, {TEXT_CHARACTERS_MAX} is the most")


@attrs.frozen(slots=True)
class BindingConfig:
    """How a Binding client behaves.

    schedule         when the request is sent again and when it fails; RELIABLE_TRANSPORT over TCP or TLS
    software         text for SOFTWARE; empty: left out, so that servers learn less
    use_fingerprint  add FINGERPRINT to the request; needed only where STUN shares its port (RFC 8489 section 7)
    """

    schedule: RetransmissionSchedule = attrs.field(factory=RetransmissionSchedule)
    software: str = attrs.field(default="", validator=_fits_software)
    use_fingerprint: bool = False
