"""Candidates as programs exchange them: the object of JavaScript's RTCIceCandidateInit and back."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from sans_rtc.errors import InvalidArgument


@attrs.frozen(slots=True)
class IceCandidate:
    """One candidate to be signalled.

    candidate        "candidate:..." as in SDP; empty: there are no more
    sdp_mid          which media section, by its mid
    sdp_mline_index  which media section, counted from 0
    """

    candidate: str
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None

    def as_dict(self) -> dict[str, str | int | None]:
        """The members of an RTCIceCandidateInit, ready for JSON and a browser's `addIceCandidate`."""
        return {"candidate": self.candidate, "sdpMid": self.sdp_mid, "sdpMLineIndex": self.sdp_mline_index}


def as_candidate(
    value: IceCandidate | str | Mapping[str, object] | None,
    *,
    sdp_mid: str | None = None,
    sdp_mline_index: int | None = None,
) -> IceCandidate:
    """Make an `IceCandidate` of what signalling delivers: the line, the object of a browser, or None for the end.

    Errors  InvalidArgument for an object of another form
    """
    if value is None:
        return IceCandidate("", sdp_mid, sdp_mline_index)
    if isinstance(value, IceCandidate):
        return value
    if isinstance(value, str):
        return IceCandidate(value, sdp_mid, sdp_mline_index)
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"not a candidate: {type(value).__name__}")
    line, mid, index = value.get("candidate", ""), value.get("sdpMid"), value.get("sdpMLineIndex")
    if not isinstance(line, str) or not isinstance(mid, str | None) or not isinstance(index, int | None):
        raise InvalidArgument("a candidate object has text in candidate and sdpMid, an integer in sdpMLineIndex")
    return IceCandidate(line, mid if mid is not None else sdp_mid, index if index is not None else sdp_mline_index)
