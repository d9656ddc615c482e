"""Whether a packet belongs to the association: verification tags, and what to do with one that does not
(RFC 9260 8.4, 8.5, 8.5.1)."""

from __future__ import annotations

from collections.abc import Sequence

from sans_rtc.errors import WireError
from sans_rtc.sctp.chunks import FLAG_REFLECTED, Abort, ChunkType, Error, ShutdownComplete, parse_chunk
from sans_rtc.sctp.params import CauseCode
from sans_rtc.sctp.state import OPENING, State
from sans_rtc.sctp.stats import DiscardReason
from sans_rtc.sctp.tcb import TransmissionControlBlock
from sans_rtc.sctp.wire import RawChunk

# 8.5.1 B and C: these may carry the receiver's own tag back, marked by the T bit.
_REFLECTABLE = frozenset({ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE})
# 8.4: an out of the blue packet with one of these is dropped without an answer.
_UNANSWERED = frozenset({ChunkType.ABORT, ChunkType.SHUTDOWN_COMPLETE, ChunkType.COOKIE_ACK})


def is_admitted(tcb: TransmissionControlBlock, verification_tag: int, chunks: Sequence[RawChunk]) -> bool:
    """True where the chunks may be processed; otherwise the packet is counted, and answered where 8.4 says so.

    chunks  of a packet with the right ports and checksum, at least one
    """
    types = {chunk[0] for chunk in chunks}
    first_type, first_flags, _ = chunks[0]
    if ChunkType.INIT in types:
        # 8.5.1 A, 6.10: INIT travels alone and under tag 0
        if verification_tag == 0 and len(chunks) == 1:
            return True
        tcb.stats.discard(DiscardReason.BUNDLED_INIT)
        return False
    if verification_tag == 0:
        tcb.stats.discard(DiscardReason.WRONG_TAG)
        return False
    if first_type == ChunkType.COOKIE_ECHO:
        return True  # the cookie itself says under which tag it travels (5.1.5 step 3)
    if tcb.state is State.CLOSED or (ChunkType.SHUTDOWN_ACK in types and tcb.state in OPENING):
        _answer_out_of_the_blue(tcb, verification_tag, chunks, types)
        return False
    expected = tcb.local_tag
    if first_type in _REFLECTABLE and first_flags & FLAG_REFLECTED:
        expected = tcb.peer_tag
    if verification_tag == expected:
        return True
    tcb.stats.discard(DiscardReason.WRONG_TAG)
    return False


def _answer_out_of_the_blue(
    tcb: TransmissionControlBlock, verification_tag: int, chunks: Sequence[RawChunk], types: set[int]
) -> None:
    """8.4: nobody knows the association that the packet speaks of."""
    tcb.stats.discard(DiscardReason.OUT_OF_THE_BLUE)
    if types & _UNANSWERED:
        return
    if ChunkType.SHUTDOWN_ACK in types:
        tcb.queue_packet(ShutdownComplete(is_reflected=True), verification_tag)
        return
    if any(_is_stale_cookie_error(chunk) for chunk in chunks):
        return
    tcb.queue_packet(Abort([], is_reflected=True), verification_tag)


def _is_stale_cookie_error(chunk: RawChunk) -> bool:
    if chunk[0] != ChunkType.ERROR:
        return False
    try:
        error = parse_chunk(chunk)
    except WireError:
        return False
    return isinstance(error, Error) and any(cause.type == CauseCode.STALE_COOKIE for cause in error.causes)
