"""What an SCTP association says, told to the data channels over it."""

from __future__ import annotations

from sans_rtc import sctp
from sans_rtc.datachannel.channels import DataChannels
from sans_rtc.machine import Terminated


def carry_event(event: sctp.SctpEvent, channels: DataChannels, now: float) -> None:
    """Tell the channels of one event of their association.

    `Connected` is not among what is carried: who made the association knows what `DataChannels.on_connected` asks.
    """
    match event:
        case sctp.Message():
            channels.on_message(event.stream_id, event.ppid, event.data, now)
        case sctp.IncomingStreamsReset():
            channels.on_incoming_reset(event.stream_ids, now)
        case sctp.OutgoingStreamsReset():
            channels.on_outgoing_reset(event.stream_ids, now)
        case sctp.OutgoingResetDenied():
            channels.on_reset_denied(event.stream_ids)
        case sctp.BufferLow():
            channels.on_buffer_low(event.stream_id)
        case sctp.Restarted():
            channels.on_restarted()
        case Terminated():
            channels.on_terminated()
        case _:
            pass
