"""RTCP that means something: reports and feedback about the streams that there are, with any values."""

from __future__ import annotations

from collections.abc import Sequence

from fuzz.codec import allow_misuse
from fuzz.script import Script
from sans_rtc.rtcp import (
    CongestionControlFeedback,
    DelaySinceLastReport,
    ExtendedReport,
    FirEntry,
    FullIntraRequest,
    Goodbye,
    Nack,
    PictureLossIndication,
    ReceiverDelay,
    ReceiverReferenceTime,
    ReceiverReport,
    Remb,
    ReportBlock,
    SdesChunk,
    SdesItem,
    SdesType,
    SenderReport,
    SourceDescription,
    StreamFeedback,
    TransportFeedback,
    serialize_compound,
)

_SPEAKER = 5


def a_report(script: Script, ours: Sequence[int], theirs: Sequence[int]) -> bytes:
    """A compound packet of the peer's; empty where its values cannot be written."""
    kind = script.pick(_KINDS)
    packet = kind(script, script.pick(ours), script.pick(theirs))
    head = [ReceiverReport(_SPEAKER)] if script.below(2) else []
    return allow_misuse(serialize_compound, [*head, packet]) or b""


def _word(script: Script) -> int:
    return script.below(1 << 32)


def _block(script: Script, ssrc: int) -> ReportBlock:
    return ReportBlock(ssrc, script.below(256), script.below(1 << 16), _word(script), _word(script), _word(script))


def _sender(script, ours, theirs):
    blocks = [_block(script, ours) for _ in range(script.below(3))]
    return SenderReport(theirs, _word(script) << 32 | _word(script), _word(script), 1, 1, blocks)


def _receiver(script, ours, theirs):
    return ReceiverReport(theirs, [_block(script, ours) for _ in range(script.below(4))])


def _nack(script, ours, theirs):
    first = script.below(1 << 16)
    return Nack(theirs, ours, [(first + script.below(64)) & 0xFFFF for _ in range(1 + script.below(40))])


def _pli(script, ours, theirs):
    return PictureLossIndication(theirs, ours)


def _fir(script, ours, theirs):
    return FullIntraRequest(theirs, [FirEntry(ours, script.below(256)) for _ in range(script.below(3))])


def _remb(script, ours, theirs):
    return Remb(theirs, script.below(1 << 18) << script.below(46), (ours,) * script.below(3))


def _goodbye(script, ours, theirs):
    return Goodbye((theirs, ours)[: script.below(3)], script.blob(20))


def _description(script, ours, theirs):
    return SourceDescription([SdesChunk(theirs, [SdesItem(SdesType.CNAME, script.blob(20))])])


def _transport_feedback(script, ours, theirs):
    deltas = [None if delta > 200 else delta * 16 - 400 for delta in script.blob(64)] or [0]
    return TransportFeedback(theirs, ours, script.below(256), script.below(1 << 24), script.below(256), deltas)


def _ccfb(script, ours, theirs):
    metrics = [None if each > 200 else (each & 3, each * 8) for each in script.blob(64)]
    return CongestionControlFeedback(theirs, _word(script), [StreamFeedback(ours, script.below(1 << 16), metrics)])


def _reference_time(script, ours, theirs):
    return ExtendedReport(theirs, [ReceiverReferenceTime(_word(script) << 32 | _word(script))])


def _delay(script, ours, theirs):
    return ExtendedReport(theirs, [DelaySinceLastReport([ReceiverDelay(ours, _word(script), _word(script))])])


_KINDS = (
    _sender,
    _receiver,
    _nack,
    _pli,
    _fir,
    _remb,
    _goodbye,
    _description,
    _transport_feedback,
    _ccfb,
    _reference_time,
    _delay,
)
KIND_COUNT = len(_KINDS)
