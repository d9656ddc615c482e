"""What the two ends tell each other before anything else: user name fragment, password, lite or full, pacing."""

from __future__ import annotations

import re

import attrs

from sans_rtc.entropy import Entropy, draw_text
from sans_rtc.errors import InvalidArgument

# RFC 8839 section 5.4: at least 24 and 128 bits of randomness at 6 bits a character; up to 256 characters are accepted.
UFRAG_CHARACTERS = 8
PWD_CHARACTERS = 24
UFRAG_CHARACTERS_MIN, PWD_CHARACTERS_MIN, CHARACTERS_MAX = 4, 22, 256

# The grammar says ice-char (letters, digits, + and /). Peers are known to use - = _ # too, which harm nobody: all
# but the colon that parts the two fragments in USERNAME.
_TEXT = re.compile(r"[!-9;-~]*")
_OWN_TEXT = re.compile(r"[A-Za-z0-9+/]*")
# Two of them and the colon fit the 508 bytes of USERNAME (RFC 8489 section 14.3).
OWN_UFRAG_CHARACTERS_MAX = 250

# ICE options (RFC 8839 section 5.6) that change what an agent does.
OPTION_ICE2 = "ice2"  # RFC 8445 section 10: no aggressive nomination
OPTION_RENOMINATION = "renomination"  # draft-thatcher-ice-renomination section 3
OPTION_COUNT_MAX = 32


@attrs.frozen(slots=True)
class Parameters:
    """One end's part of the credentials of a generation (RFC 8445 section 5.3).

    ufrag         user name fragment, 4 to 256 characters
    pwd           password, 22 to 256 characters; kept out of the repr
    is_lite       the end is a lite implementation: it answers checks and sends none
    check_pace_s  the Ta that the end proposes (a=ice-pacing); None: the default of 50 ms
    options       ICE options of the end, such as "ice2" (a=ice-options); unknown ones mean nothing
    """

    ufrag: str
    pwd: str = attrs.field(repr=False)
    is_lite: bool = False
    check_pace_s: float | None = None
    options: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not UFRAG_CHARACTERS_MIN <= len(self.ufrag) <= CHARACTERS_MAX or not _TEXT.fullmatch(self.ufrag):
            raise InvalidArgument("ice-ufrag is 4 to 256 characters of ASCII without spaces and colons")
        if not PWD_CHARACTERS_MIN <= len(self.pwd) <= CHARACTERS_MAX or not _TEXT.fullmatch(self.pwd):
            raise InvalidArgument("ice-pwd is 22 to 256 characters of ASCII without spaces and colons")
        if self.check_pace_s is not None and not 0.0 < self.check_pace_s <= 60.0:
            raise InvalidArgument(f"check_pace_s is above 0 and at most 60, not {self.check_pace_s}")
        if len(self.options) > OPTION_COUNT_MAX:
            raise InvalidArgument(f"more than {OPTION_COUNT_MAX} ICE options")


def check_own_parameters(ufrag: str, pwd: str) -> None:
    """Raise InvalidArgument for credentials that a description of ours could not tell (RFC 8839 section 5.4)."""
    Parameters(ufrag, pwd)
    if not _OWN_TEXT.fullmatch(ufrag) or not _OWN_TEXT.fullmatch(pwd) or len(ufrag) > OWN_UFRAG_CHARACTERS_MAX:
        raise InvalidArgument(
            f"local_ufrag and local_pwd are letters, digits, + and /, the first {OWN_UFRAG_CHARACTERS_MAX} at most"
        )


def draw_parameters(
    entropy: Entropy, *, is_lite: bool, check_pace_s: float | None, options: tuple[str, ...] = ()
) -> Parameters:
    """Draw the credentials of a new generation: 48 bits of ufrag, 144 of pwd."""
    ufrag = draw_text(entropy, UFRAG_CHARACTERS)
    return Parameters(ufrag, draw_text(entropy, PWD_CHARACTERS), is_lite, check_pace_s, options)
