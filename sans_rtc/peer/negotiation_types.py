"""What goes into the negotiation of a session, and what comes out of it, as plain data.

In: descriptions, and the facts of the local transport. Out: what to do with ICE, DTLS and SCTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.media.parameters import MediaSection
from sans_rtc.peer.media_config import MediaNegotiationConfig
from sans_rtc.peer.transceivers import TransceiverChange
from sans_rtc.sdp.config import DEFAULT_LIMITS, SdpLimits
from sans_rtc.sdp.grammar import is_ice_text, shorten
from sans_rtc.sdp.values import Fingerprint

CANDIDATE_CHARACTERS_MAX = 1024  # a candidate line of all fields at their longest has under 600
SCTP_PORT_DEFAULT = 5000  # RFC 8841 section 5 leaves it open; every browser says 5000
MESSAGE_SIZE_DEFAULT = 262_144  # bytes; what Chromium, libdatachannel and pion can take too


class DescriptionType(StrEnum):
    """How a description is meant (RFC 9429 section 4.1.8)."""

    OFFER = "offer"
    ANSWER = "answer"
    PRANSWER = "pranswer"
    ROLLBACK = "rollback"


class SignalingState(StrEnum):
    """Where the exchange of descriptions stands (RFC 9429 section 3.2; W3C RTCSignalingState)."""

    STABLE = "stable"
    HAVE_LOCAL_OFFER = "have-local-offer"
    HAVE_REMOTE_OFFER = "have-remote-offer"
    HAVE_LOCAL_PRANSWER = "have-local-pranswer"
    HAVE_REMOTE_PRANSWER = "have-remote-pranswer"
    CLOSED = "closed"


class Side(StrEnum):
    """Whose description."""

    LOCAL = "local"
    REMOTE = "remote"


class DtlsRole(StrEnum):
    """Which end of the DTLS handshake; the client sends the first flight (RFC 8842 section 5)."""

    CLIENT = "client"
    SERVER = "server"


class TransportAction(StrEnum):
    """What is to be done with a layer."""

    UNCHANGED = "unchanged"  # it goes on as it is, or there is none
    START = "start"  # there was none
    RESTART = "restart"  # end the one there is and start another
    STOP = "stop"  # end the one there is


class DataOutcome(StrEnum):
    """What has become of the data section."""

    ACCEPTED = "accepted"  # both ends have it
    REJECTED = "rejected"  # it was offered, and the answer refuses it
    REMOVED = "removed"  # there was one, and an offer has disabled it


class CandidateUse(StrEnum):
    """What is to be done with a candidate that the peer has trickled."""

    NOW = "now"  # hand it to ICE
    LATER = "later"  # kept; it comes with `Changes.transport` when the exchange is complete
    OTHER_SECTION = "other_section"  # it belongs to a media section that is not in use
    STALE = "stale"  # it belongs to an ICE generation that is over, or that no description has told yet
    TOO_MANY = "too_many"  # past `remote_candidate_count_max`


def _convert_type(value: DescriptionType | str) -> DescriptionType:
    try:
        return DescriptionType(value)
    except ValueError:
        raise InvalidArgument(f"a description is an offer, answer, pranswer or rollback, not {value!r}") from None


@attrs.frozen(slots=True)
class Description:
    """A session description as it is signalled: its type and its text (W3C RTCSessionDescription).

    type  a DescriptionType or its text
    sdp   the description; empty for a rollback, and empty to mean the one created last
    """

    type: DescriptionType = attrs.field(converter=_convert_type)
    sdp: str = ""

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.sdp, str):
            raise InvalidArgument(f"sdp is text, not {type(self.sdp).__name__}")


def check_candidate(candidate: str) -> str:
    """A candidate without `a=` and spaces around it; InvalidArgument where it is not one line of one."""
    text = candidate.strip(" \r\n").removeprefix("a=")
    if not text.startswith("candidate:"):
        raise InvalidArgument(f"a candidate begins with 'candidate:', not {shorten(candidate)}")
    if len(text) > CANDIDATE_CHARACTERS_MAX:
        raise InvalidArgument(f"a candidate of {len(text)} characters")
    if not text.isascii() or not text.isprintable():
        raise InvalidArgument(f"a candidate holds other than visible ASCII: {shorten(candidate)}")
    return text


def _check_fingerprint(text: str) -> str:
    try:
        return str(Fingerprint.parse(text))
    except WireError as error:
        raise InvalidArgument(str(error)) from None


UFRAG_CHARACTERS_MAX = 250
ICE_PACING_MS_MAX = 60_000  # what `sans_rtc.ice` takes; RFC 8839 section 5.5 has ten digits


@attrs.frozen(slots=True, kw_only=True)
class LocalTransport:
    """The facts about the local end that a description tells.

    ice_ufrag, ice_pwd  the credentials of the ICE agent's present generation; other ones than before restart ICE
    fingerprints        of the certificate: "sha-256 AB:CD:...", one or more
    ice_lite            the agent only answers checks
    ice_options         offered beside "trickle" and "ice2", and answered where they are offered
    ice_pacing_ms       between two checks, as this end proposes (RFC 8839 section 5.5); None: the default of 50 ms
    candidates          gathered so far in this generation: "candidate:..."
    end_of_candidates   there will be no more
    max_message_size    bytes of the longest message that is taken; 0: any (RFC 8841 section 6)
    sctp_port           1 to 65535
    """

    ice_ufrag: str
    ice_pwd: str = attrs.field(repr=False)
    fingerprints: Sequence[str]
    ice_lite: bool = False
    ice_options: tuple[str, ...] = ()
    ice_pacing_ms: int | None = None
    candidates: Sequence[str] = ()
    end_of_candidates: bool = False
    max_message_size: int = MESSAGE_SIZE_DEFAULT
    sctp_port: int = SCTP_PORT_DEFAULT

    def __attrs_post_init__(self) -> None:
        # RFC 8839 section 5.4: pwd of 22 to 256 characters; ufrag of 4 to 32 when sending and up to 256 when receiving.
        # deviation: one that is given (`IceConfig.local_ufrag`) may be longer, for the peer has chosen it then. Ours
        # have 8; two of 250 and a colon fit USERNAME.
        if not is_ice_text(self.ice_ufrag, 4, UFRAG_CHARACTERS_MAX):
            shown = shorten(self.ice_ufrag)
            raise InvalidArgument(f"ice_ufrag is 4 to {UFRAG_CHARACTERS_MAX} letters, digits, + and /, not {shown}")
        if not is_ice_text(self.ice_pwd, 22, 256):
            raise InvalidArgument("ice_pwd is 22 to 256 letters, digits, + and /")
        if not self.fingerprints:
            raise InvalidArgument("a fingerprint is needed")
        if self.ice_pacing_ms is not None and not 1 <= self.ice_pacing_ms <= ICE_PACING_MS_MAX:
            raise InvalidArgument(f"ice_pacing_ms is 1 to {ICE_PACING_MS_MAX}, not {self.ice_pacing_ms}")
        if self.max_message_size < 0:
            raise InvalidArgument(f"max_message_size must not be negative: {self.max_message_size}")
        if not 1 <= self.sctp_port <= 65_535:
            raise InvalidArgument(f"sctp_port is 1 to 65535, not {self.sctp_port}")
        object.__setattr__(self, "fingerprints", tuple(_check_fingerprint(text) for text in self.fingerprints))
        object.__setattr__(self, "candidates", tuple(check_candidate(text) for text in self.candidates))


@attrs.frozen(slots=True, kw_only=True)
class TransportParameters:
    """What has been agreed with the peer about the transport that all sections share, and about data.

    ice_ufrag, ice_pwd  the peer's credentials
    ice_lite            the peer only answers checks
    ice_options         of the peer, in lower case: "trickle", "ice2"
    ice_pacing_ms       between two checks, as the peer proposes; None: the default
    is_controlling      the local end has the controlling role (RFC 8445 section 6.1.1)
    candidates          of the peer, "candidate:...", those trickled so far included
    end_of_candidates   the peer has no more
    fingerprints        of the peer's certificate: "sha-256 AB:CD:...", lower-case name, upper-case digits
    dtls_role           of the local end
    sctp_port           of the peer; None where no data section is in use
    max_message_size    bytes of the longest message the peer takes; 0: any; 65536 where it says nothing; None as above
    mid, mline_index    of the section that the transport belongs to, the tag of the BUNDLE group
    """

    ice_ufrag: str
    ice_pwd: str = attrs.field(repr=False)
    ice_lite: bool
    ice_options: tuple[str, ...]
    ice_pacing_ms: int | None
    is_controlling: bool
    candidates: tuple[str, ...]
    end_of_candidates: bool
    fingerprints: tuple[str, ...]
    dtls_role: DtlsRole
    sctp_port: int | None
    max_message_size: int | None
    mid: str | None
    mline_index: int


@attrs.frozen(slots=True)
class RejectedSection:
    """A media section that is not used, and why, in a few words."""

    mline_index: int
    mid: str | None
    kind: str
    reason: str


@attrs.frozen(slots=True, kw_only=True)
class Changes:
    """What the application of a description has changed, and so what the peer connection has to do.

    previous_state, state  of signalling, before and after
    rolled_back            whose offer has been undone, in so many words or by a remote offer (W3C implicit rollback)
    is_ice_restart         offers: it asks for an ICE restart; answers: the restart is agreed, `transport` has the
                           peer's new credentials
    transport              what has been agreed; there whenever an answer, provisional or final, has been applied and
                           a section was accepted, and where a rollback goes back to an earlier agreement
    dtls, sctp             what is to be done with these layers
    data                   what has become of the data section; None where nothing was decided
    rejected               the sections that the answer does not use
    sections               audio and video in force, all of them; None: as before
    transceivers           what has happened to transceivers, in order
    """

    previous_state: SignalingState
    state: SignalingState
    rolled_back: Side | None = None
    is_ice_restart: bool = False
    transport: TransportParameters | None = None
    dtls: TransportAction = TransportAction.UNCHANGED
    sctp: TransportAction = TransportAction.UNCHANGED
    data: DataOutcome | None = None
    rejected: tuple[RejectedSection, ...] = ()
    sections: tuple[MediaSection, ...] | None = None
    transceivers: tuple[TransceiverChange, ...] = ()


@attrs.frozen(slots=True, kw_only=True)
class TrickledCandidate:
    """A candidate that the peer has trickled, and where it belongs.

    candidate    "candidate:..."; empty: the peer has no more
    use          what is to be done with it
    ufrag        of the generation it belongs to, where that is known
    mline_index  of its media section; None: the end of candidates of all sections
    """

    candidate: str
    use: CandidateUse
    ufrag: str | None = None
    mline_index: int | None = None


@attrs.frozen(slots=True, kw_only=True)
class NegotiationConfig:
    """What can be chosen about a negotiation.

    is_dtls_client_preferred       an answer to `actpass` is `active`, as RFC 9429 section 5.3.1 recommends
    is_implicit_rollback_allowed   a remote offer undoes a local one that is not answered yet (W3C
                                   setRemoteDescription), as perfect negotiation wants it of the polite peer
    is_tls_id_sent                 offers hold `a=tls-id` (RFC 8842 section 4), and so do answers to such offers
    accepts_media                  audio and video that the peer offers are taken, by a transceiver made for each (W3C);
                                   else only where a transceiver that was added as of a track waits for them
    media                          formats and the rest of audio and video
    remote_candidate_count_max     trickled candidates kept of one remote description; more are not used
    limits                         what is too large to be parsed
    """

    is_dtls_client_preferred: bool = True
    is_implicit_rollback_allowed: bool = True
    is_tls_id_sent: bool = True
    accepts_media: bool = True
    media: MediaNegotiationConfig = attrs.Factory(MediaNegotiationConfig)
    remote_candidate_count_max: int = 256
    limits: SdpLimits = DEFAULT_LIMITS

    def __attrs_post_init__(self) -> None:
        if self.remote_candidate_count_max < 0:
            raise InvalidArgument("remote_candidate_count_max must not be negative")
