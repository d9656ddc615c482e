"""Which stream a packet belongs to (RFC 8843 section 9.2, RFC 8852), and the bounds of how many there may be.

SSRC known          its stream, unless its MID says that it has moved
MID                 the section of that name, of the packet or else of RTCP; one that nobody knows is not taken
SSRC of the SDP     the section that names it
payload type        the section that alone has it
rid, repaired-rid   the layer; without them the FID group of the SDP, or the only stream there is
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

from sans_rtc.media.config import MediaConfig
from sans_rtc.media.events import StreamEndReason
from sans_rtc.media.inbound import InboundStream
from sans_rtc.media.payloads import Role
from sans_rtc.media.receiver import SectionReceiver
from sans_rtc.media.repair import FecSource, RtxSource
from sans_rtc.media.stats import DiscardReason, MediaStats
from sans_rtc.rtp.wire import RtpPacket

Source: TypeAlias = InboundStream | RtxSource | FecSource

_RID_BYTES_MAX = 255


class Router:
    """Who takes a packet.

    sources   everything that is received, by SSRC
    mid_id    the id of the MID, which bundled sections share; 0: none
    """

    def __init__(self, config: MediaConfig, stats: MediaStats) -> None:
        self._config = config
        self._stats = stats
        self._by_mid: dict[bytes, SectionReceiver] = {}
        self._by_payload_type: dict[int, SectionReceiver] = {}
        self._by_signalled: dict[int, SectionReceiver] = {}
        self._ended: OrderedDict[int, float] = OrderedDict()
        self._described: OrderedDict[int, bytes] = OrderedDict()
        self.sources: dict[int, Source] = {}
        self.mid_id = 0

    def configure(self, receivers: list[SectionReceiver]) -> None:
        """Make the tables anew. Streams of sections that are gone have been removed before."""
        self._by_mid = {receiver.mid_bytes: receiver for receiver in receivers}
        self._by_signalled = {}
        counts: dict[int, list[SectionReceiver]] = {}
        for receiver in receivers:
            for payload_type in receiver.rows:
                counts.setdefault(payload_type, []).append(receiver)
            for source in receiver.parameters.sources:
                for ssrc in (source.ssrc, source.rtx_ssrc, source.fec_ssrc):
                    if ssrc:
                        self._by_signalled[ssrc] = receiver
        self._by_payload_type = {number: users[0] for number, users in counts.items() if len(users) == 1}
        self.mid_id = next((receiver.mid_id for receiver in receivers if receiver.mid_id), 0)

    def described(self, ssrc: int, mid: bytes) -> None:
        """RTCP tells the MID of an SSRC (RFC 9143 section 15.1), maybe before its first packet."""
        if ssrc not in self.sources and mid in self._by_mid:
            self._described[ssrc] = mid
            self._described.move_to_end(ssrc)
            if len(self._described) > self._config.inbound_streams_max:
                self._described.popitem(last=False)

    # --- packets ------------------------------------------------------------------------------------------------------

    def moved(self, source: Source, mid: bytes) -> bool:
        """Whether a MID says that a known SSRC belongs to another section now; it is forgotten then."""
        receiver = source.receiver if isinstance(source, InboundStream) else source.target.receiver
        if receiver.mid_bytes == mid or mid not in self._by_mid:
            return False
        self.forget(source.ssrc, StreamEndReason.REPLACED)
        return True

    def resolve(self, packet: RtpPacket, now: float) -> Source | None:
        """The stream of an SSRC that is not known yet, made where it may be; None where the packet is not taken."""
        ssrc = packet.ssrc
        ended_at = self._ended.get(ssrc)
        if ended_at is not None and now - ended_at < self._config.ended_wait_s:
            return self._refuse(DiscardReason.ENDED_SOURCE)
        receiver = self._section_of(packet)
        if receiver is None:
            return self._refuse(DiscardReason.UNROUTED)
        row = receiver.rows.get(packet.payload_type)
        if row is None:
            return self._refuse(DiscardReason.UNKNOWN_PAYLOAD_TYPE)
        if row.role in (Role.RTX, Role.FLEXFEC):
            return self._resolve_repair(receiver, packet, row.role)
        rid = self._token(packet, receiver.rid_id)
        if receiver.parameters.rids and rid and rid not in receiver.parameters.rids:
            return self._refuse(DiscardReason.UNROUTED)
        if not self._make_room():
            return self._refuse(DiscardReason.TOO_MANY_STREAMS)
        stream, replaced = receiver.add(ssrc, rid, packet.payload_type)
        for old in replaced:
            self._drop(old, now)
        self.sources[ssrc] = stream
        self._ended.pop(ssrc, None)
        return stream

    def _section_of(self, packet: RtpPacket) -> SectionReceiver | None:
        if self.mid_id:
            for element_id, value in packet.extensions:
                if element_id == self.mid_id:
                    return self._by_mid.get(value)
        if packet.ssrc in self._described:
            return self._by_mid.get(self._described[packet.ssrc])
        signalled = self._by_signalled.get(packet.ssrc)
        return signalled if signalled is not None else self._by_payload_type.get(packet.payload_type)

    def _resolve_repair(self, receiver: SectionReceiver, packet: RtpPacket, role: Role) -> Source | None:
        target = self._repaired(receiver, packet, role)
        if target is None:
            return self._refuse(DiscardReason.UNROUTED)
        if not self._make_room():
            return self._refuse(DiscardReason.TOO_MANY_STREAMS)
        kind = RtxSource if role is Role.RTX else FecSource
        for old in [source for source in self.sources.values() if type(source) is kind and source.target is target]:
            del self.sources[old.ssrc]
        source = kind(packet.ssrc, target, receiver.clock_rate_of(packet.payload_type))
        self.sources[packet.ssrc] = source
        return source

    def _repaired(self, receiver: SectionReceiver, packet: RtpPacket, role: Role) -> InboundStream | None:
        """The stream that an SSRC repairs."""
        rid = self._token(packet, receiver.repaired_rid_id)
        streams = receiver.streams
        if rid:
            return next((stream for stream in streams.values() if stream.rid == rid), None)
        for source in receiver.parameters.sources:
            if packet.ssrc in (source.rtx_ssrc, source.fec_ssrc):
                return streams.get(source.ssrc)
        for csrc in packet.csrcs if role is Role.FLEXFEC else ():
            if csrc in streams:
                return streams[csrc]
        return next(iter(streams.values())) if len(streams) == 1 else None

    @staticmethod
    def _token(packet: RtpPacket, element_id: int) -> str:
        if element_id:
            for number, value in packet.extensions:
                if number == element_id:
                    return value.decode("ascii", "replace")
        return ""

    # --- bounds and ends ----------------------------------------------------------------------------------------------

    def _make_room(self) -> bool:
        """True where one more fits, maybe for one that has ended."""
        if len(self.sources) < self._config.inbound_streams_max:
            return True
        for source in self.sources.values():
            if isinstance(source, InboundStream) and not source.is_live:
                self.forget(source.ssrc, StreamEndReason.REPLACED)
                return True
        return False

    def forget(self, ssrc: int, reason: StreamEndReason) -> None:
        """An SSRC is over, with what repairs it."""
        source = self.sources.get(ssrc)
        if isinstance(source, InboundStream):
            source.receiver.remove(ssrc, reason)
            self._unlink(source)
        else:
            self.sources.pop(ssrc, None)

    def left(self, ssrc: int, now: float) -> None:
        """The peer has said BYE for an SSRC: late packets do not begin it again."""
        if ssrc in self.sources:
            self.forget(ssrc, StreamEndReason.BYE)
            self._remember_end(ssrc, now)

    def _drop(self, stream: InboundStream, now: float) -> None:
        self._unlink(stream)
        self._remember_end(stream.ssrc, now)

    def _unlink(self, stream: InboundStream) -> None:
        self.sources.pop(stream.ssrc, None)
        for source in list(self.sources.values()):
            if not isinstance(source, InboundStream) and source.target is stream:
                del self.sources[source.ssrc]

    def _remember_end(self, ssrc: int, now: float) -> None:
        self._ended[ssrc] = now
        self._ended.move_to_end(ssrc)
        if len(self._ended) > self._config.ended_sources_max:
            self._ended.popitem(last=False)

    def _refuse(self, reason: DiscardReason) -> Source | None:
        """Count a packet that nobody takes."""
        self._stats.discard(reason)
        return None
