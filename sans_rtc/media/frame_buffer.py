"""The buffer that makes frames of the packets of one stream: its bounds, and where its frames begin and end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.rtp.recovery import ReceiveBuffer, ReceiveBufferConfig, packet_boundaries

if TYPE_CHECKING:
    from sans_rtc.media.receiver import SectionReceiver


def new_buffer(receiver: SectionReceiver, clock_rate: int) -> ReceiveBuffer:
    """The buffer of a stream of this section."""
    config = receiver.config
    settings = ReceiveBufferConfig(
        clock_rate_hz=clock_rate,
        delay_s_max=config.receive_delay_s_max,
        give_up_after_s=config.repair_wait_s if receiver.can_repair else config.reorder_wait_s,
        packet_count_max=config.receive_packets_max,
        byte_count_max=config.receive_bytes_max,
    )

    return ReceiveBuffer(settings, receiver.boundaries if receiver.kind is MediaKind.VIDEO else packet_boundaries)
