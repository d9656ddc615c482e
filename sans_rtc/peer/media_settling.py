"""What two descriptions say together of a section of audio or video (RFC 9429 section 5.11).

    terms of this end + terms of the peer --settle--> MediaSection, which the media session carries out

What is sent goes by the peer's description: its payload types, its parameters, its ids. What is received goes by ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.media.parameters import (
    CodecParameters,
    Encoding,
    FecParameters,
    MediaSection,
    ReceiveParameters,
    SendParameters,
)
from sans_rtc.peer.media_config import FEC_NAMES, FLEXFEC
from sans_rtc.peer.media_terms import Format, MediaTerms
from sans_rtc.peer.numbering import match
from sans_rtc.peer.transceivers import intersect, reverse
from sans_rtc.rtp.extensions import Extension
from sans_rtc.rtp.payload.interface import Codec, Purpose
from sans_rtc.sdp.values import Direction

_SENDING = (Direction.SENDRECV, Direction.SENDONLY)
_RECEIVING = (Direction.SENDRECV, Direction.RECVONLY)


@attrs.frozen(slots=True)
class _Pair:
    """One format, as each end numbers and describes it."""

    codec: Codec
    local: Format
    remote: Format


def settled_direction(local: MediaTerms, remote: MediaTerms) -> Direction:
    """The direction that both ends agree on, as this end sees it."""
    return intersect(local.direction, reverse(remote.direction))


def settle(
    handle: int, encodings: Sequence[Encoding], local: MediaTerms, remote: MediaTerms, *, is_local_offer: bool
) -> MediaSection:
    """Settle what is sent and received in a section."""
    pairs = _pair(local, remote)
    has_media = any(pair.codec.purpose is Purpose.MEDIA for pair in pairs)
    direction = settled_direction(local, remote) if has_media else Direction.INACTIVE
    return MediaSection(
        handle=handle,
        mid=local.mid or "",
        kind=local.kind,
        send=_settle_sending(pairs, encodings, local, remote, is_local_offer) if direction in _SENDING else None,
        receive=_settle_receiving(pairs, local, remote) if direction in _RECEIVING else None,
        is_reduced_size=local.is_reduced_size and remote.is_reduced_size,
        allows_mixed=local.allows_mixed and remote.allows_mixed,
        wants_receiver_rtt=local.answers_rtt and remote.answers_rtt,
    )


def _pair(local: MediaTerms, remote: MediaTerms) -> list[_Pair]:
    """The formats that both ends have, in our order; RFC 3264 section 6.1 lets each end number them for itself."""
    pairs = []
    left = {format_.payload_type: format_ for format_ in remote.formats}
    for format_ in local.formats:
        if format_.codec is None:
            continue
        ours = attrs.evolve(format_.codec, parameters=format_.parameters)
        candidates = sorted(left.values(), key=lambda each: each.payload_type != format_.payload_type)
        found = next((each for each in candidates if match((ours,), each) is not None), None)
        if found is not None:
            del left[found.payload_type]
            pairs.append(_Pair(format_.codec, format_, found))
    return pairs


def _settle_sending(
    pairs: Sequence[_Pair],
    encodings: Sequence[Encoding],
    local: MediaTerms,
    remote: MediaTerms,
    is_local_offer: bool,
) -> SendParameters:
    if is_local_offer:  # an answer lists formats in the order that its author wants them
        ranks = {format_.payload_type: rank for rank, format_ in enumerate(remote.formats)}
        pairs = sorted(pairs, key=lambda pair: ranks[pair.remote.payload_type])
    repairs = _repairs(remote) if _repairs(local) else {}
    return SendParameters(
        codecs=tuple(_codec(pair, pair.remote, repairs) for pair in pairs),
        encodings=_settle_encodings(encodings, local, remote),
        extensions=_extensions(remote, local),
        cname=local.cname,
        fec=_settle_correction(local, remote),
        bandwidth_bps=remote.bandwidth_bps,
    )


def _settle_correction(local: MediaTerms, remote: MediaTerms) -> FecParameters | None:
    """What is sent, under the number and with the parameters that the peer has said; None unless both have it."""
    ours, theirs = ([each for each in terms.formats if each.name.lower() == FLEXFEC] for terms in (local, remote))
    return FecParameters(theirs[0].payload_type, FLEXFEC, theirs[0].parameters) if ours and theirs else None


def _settle_encodings(encodings: Sequence[Encoding], local: MediaTerms, remote: MediaTerms) -> tuple[Encoding, ...]:
    """RFC 8853 section 5.3: the layers that both have; without a simulcast the first alone, without a name."""
    wanted = [rid for rid in local.sent if rid in remote.received]
    layers = tuple(
        attrs.evolve(encoding, is_active=encoding.is_active and encoding.rid not in remote.paused)
        for encoding in encodings
        if encoding.rid in wanted
    )
    has_rids = any(uri == Extension.RID for _, uri in _extensions(remote, local))
    chosen = layers if layers and has_rids else (attrs.evolve(encodings[0], rid=""),)
    if remote.bandwidth_bps == 0:  # RFC 3264 section 5.1: nothing is to be sent
        return tuple(attrs.evolve(encoding, is_active=False) for encoding in chosen)
    return chosen


def _settle_receiving(pairs: Sequence[_Pair], local: MediaTerms, remote: MediaTerms) -> ReceiveParameters:
    repairs = _repairs(local) if _repairs(remote) else {}
    names = {format_.name.lower() for format_ in remote.formats}
    return ReceiveParameters(
        codecs=tuple(_codec(pair, pair.local, repairs) for pair in pairs),
        extensions=_extensions(local, remote),
        sources=remote.sources,
        rids=tuple(rid for rid in remote.sent if rid in local.received),
        fec=tuple(
            FecParameters(format_.payload_type, format_.name.lower(), format_.parameters)
            for format_ in local.formats
            if format_.codec is None and format_.name.lower() in FEC_NAMES & names
        ),
    )


def _codec(pair: _Pair, said: Format, repairs: dict[int, int]) -> CodecParameters:
    return CodecParameters(
        payload_type=said.payload_type,
        codec=pair.codec,
        parameters=said.parameters,
        feedback=frozenset(pair.local.feedback) & frozenset(pair.remote.feedback),
        rtx_payload_type=repairs.get(said.payload_type),
    )


def _repairs(terms: MediaTerms) -> dict[int, int]:
    """For each payload type the one of its retransmissions (RFC 4588 section 8.6)."""
    found: dict[int, int] = {}
    for format_ in terms.formats:
        if format_.apt is not None:
            found.setdefault(format_.apt, format_.payload_type)
    return found


def _extensions(receiver: MediaTerms, sender: MediaTerms) -> tuple[tuple[int, str], ...]:
    """(id, URI) of what the one takes and the other sends, under the id that the receiver has said (RFC 8285 6)."""
    sent = {
        extension.uri
        for extension in sender.extensions
        if extension.direction in (None, Direction.SENDRECV, Direction.SENDONLY)
    }
    taken: dict[int, str] = {}
    for extension in receiver.extensions:
        is_taken = extension.direction in (None, Direction.SENDRECV, Direction.RECVONLY)
        if is_taken and extension.uri in sent and 0 < extension.id <= 255:
            taken.setdefault(extension.id, extension.uri)
    return tuple(taken.items())
