"""The parts of an association, each with one concern."""

from __future__ import annotations

import attrs

from sans_rtc.sctp.handshake import Handshake
from sans_rtc.sctp.heartbeat import HeartbeatMonitor
from sans_rtc.sctp.inbound import Inbound
from sans_rtc.sctp.outbound import Outbound
from sans_rtc.sctp.path_mtu import PathMtuDiscovery
from sans_rtc.sctp.reconfig import Reconfiguration
from sans_rtc.sctp.responder import Responder
from sans_rtc.sctp.shutdown import ShutdownSequence
from sans_rtc.sctp.stats import Statistics
from sans_rtc.sctp.tcb import TransmissionControlBlock
from sans_rtc.sctp.wire import PacketWriter


@attrs.define(slots=True)
class Parts:
    """What `Association` and `PacketReceiver` route between.

    streams_outbound  stream identifiers 0 to this, exclusive, may be sent on
    """

    tcb: TransmissionControlBlock
    writer: PacketWriter
    handshake: Handshake
    responder: Responder
    outbound: Outbound
    inbound: Inbound
    reconfig: Reconfiguration
    heartbeat: HeartbeatMonitor
    path_mtu: PathMtuDiscovery
    shutdown: ShutdownSequence
    streams_outbound: int

    @classmethod
    def assemble(cls, tcb: TransmissionControlBlock) -> Parts:
        """Make the parts around a transmission control block."""
        writer = PacketWriter(tcb.config.packet_bytes_max)
        handshake = Handshake(tcb)
        outbound = Outbound(tcb, writer)
        inbound = Inbound(tcb)
        return cls(
            tcb=tcb,
            writer=writer,
            handshake=handshake,
            responder=Responder(tcb, handshake),
            outbound=outbound,
            inbound=inbound,
            reconfig=Reconfiguration(tcb, outbound, inbound),
            heartbeat=HeartbeatMonitor(tcb),
            path_mtu=PathMtuDiscovery(tcb, outbound.flow),
            shutdown=ShutdownSequence(tcb),
            streams_outbound=tcb.config.streams_outbound,
        )


def statistics_of(tcb: TransmissionControlBlock, outbound: Outbound, inbound: Inbound) -> Statistics:
    """How path and windows stand now."""
    flow, rto = outbound.flow, tcb.rto
    return Statistics(
        congestion_window_bytes=flow.congestion.cwnd,
        slow_start_threshold_bytes=flow.congestion.ssthresh,
        flight_bytes=flow.outstanding.flight_bytes,
        lost_bytes=flow.outstanding.lost_bytes,
        queued_bytes=flow.scheduler.queued_bytes,
        peer_window_bytes=flow.peer_window_bytes,
        local_window_bytes=inbound.window_bytes,
        srtt_s=rto.srtt_s,
        rto_s=rto.rto_s,
        mtu_bytes=flow.packet_bytes,
    )
