"""Cutting messages into DATA chunks and packets, as far as the windows allow (RFC 9260 6.1, 6.9, 6.10).

A long message is cut into chunks that fill a packet each, so equal packets follow each other and the kernel can segment
them (UDP GSO); what is left at its end shares a packet with the beginning of the next message. `_send_full_chunks` is
the hottest loop of the library: it does per packet what must be done per packet, and everything else, windows included,
once per run.
"""

from __future__ import annotations

from sans_rtc.sctp.chunks import FLAG_BEGINNING, FLAG_ENDING, FLAG_IMMEDIATE, FLAG_UNORDERED
from sans_rtc.sctp.flow import Flow
from sans_rtc.sctp.outstanding import OutstandingChunk
from sans_rtc.sctp.scheduler import OutboundMessage
from sans_rtc.sctp.state import State
from sans_rtc.sctp.wire import CHECKSUM, DATA_HEADER, DATA_HEADER_BYTES, crc32c_extend, pad

_TSN_MASK = 0xFFFFFFFF
_SSN_MASK = 0xFFFF


class Packetizer:
    """Writes chunks that are sent for the first time."""

    __slots__ = ("_flow",)

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def send_new(self, packets_before: int, now: float) -> None:
        """Send as many new chunks as may go now.

        packets_before  the writer's packet number when the burst began
        """
        flow = self._flow
        outstanding = flow.outstanding
        if not outstanding.flight_bytes:
            flow.congestion.on_idle(now - flow.last_sent_at, flow.tcb.rto.rto_s)
        sent_before = outstanding.sent_bytes
        while flow.has_new:
            chunks_max = self._take_allowance(flow.writer.number - packets_before)
            if chunks_max <= 0 or (message := self._message_to_send(now)) is None:
                break
            left = len(message.data) - message.offset
            if left <= flow.payload_bytes_max:
                self._send_chunk(message, left, now)
                flow.current = None
            elif self._is_worth_filling():
                self._send_chunk(message, flow.writer.room - DATA_HEADER_BYTES, now)
            else:
                self._send_full_chunks(message, chunks_max, now)
        if outstanding.sent_bytes > sent_before:
            flow.last_sent_at = now
            flow.is_bulk = flow.is_bulk or flow.writer.number > packets_before

    def _message_to_send(self, now: float) -> OutboundMessage | None:
        """The message being sent, or else the next; those whose lifetime is over are given up on the way."""
        flow = self._flow
        message = flow.current
        if message is not None:
            if not message.is_expired(now) or not flow.partial.is_supported:
                return message
            flow.abandon(message)
        while (message := flow.scheduler.next()) is not None:
            if not message.is_expired(now):
                flow.current = message
                return message
            flow.abandon(message)
        return None

    def _take_allowance(self, packets: int) -> int:
        """How many full chunks may go, by cwnd (6.1 B), rwnd (6.1 A), the burst (6.1 D) and our own bounds.

        A chunk may go where less than cwnd is in flight, so the last may reach beyond it; rwnd is kept to the byte.
        """
        flow = self._flow
        outstanding, config = flow.outstanding, flow.tcb.config
        size, flight = flow.chunk_bytes_max, outstanding.flight_bytes
        in_window = (flow.peer_window_bytes - flight) // size
        if in_window <= 0 and not flight:
            # One chunk may always be in flight. Where the window is closed, the timer of the probe sends it.
            in_window = 1 if flow.peer_window_bytes or flow.window_probe_is_due else 0
            flow.is_window_probe = flow.window_probe_is_due
            flow.window_probe_is_due = False
        return min(
            -((flight - flow.congestion.cwnd) // size),
            in_window,
            flow.burst_left - packets,
            (config.outstanding_bytes_max - outstanding.held_bytes) // size,
            config.outstanding_chunks_max - len(outstanding.chunks),
        )

    def _begin(self, message: OutboundMessage, tsn: int) -> int:
        """Number the message at its first chunk, and return that chunk's additional flag."""
        message.first_tsn = tsn
        if message.is_ordered:
            stream = message.stream
            message.ssn = stream.next_ssn
            stream.next_ssn = (message.ssn + 1) & _SSN_MASK
        self._flow.tcb.stats.messages_sent += 1
        return FLAG_BEGINNING

    def _send_full_chunks(self, message: OutboundMessage, chunks_max: int, now: float) -> None:
        """Send fragments that fill a packet each; the last fragment is left for `_send_chunk`."""
        flow = self._flow
        writer, outstanding = flow.writer, flow.outstanding
        writer.flush()
        data, offset, size = message.data, message.offset, flow.payload_bytes_max
        count = min(chunks_max, (len(data) - offset - 1) // size)
        end = offset + count * size
        tsn, number, sent_bytes = outstanding.next_tsn, writer.number, outstanding.sent_bytes
        flags = 0 if message.is_ordered else FLAG_UNORDERED
        first_flag = 0 if offset else self._begin(message, tsn)
        if flow.timed_tsn < 0:
            flow.timed_tsn, flow.timed_at = tsn, now
        stream_id, ssn, ppid, length = message.stream.id, message.ssn, message.ppid, DATA_HEADER_BYTES + size
        prefix, prefix_crc = writer.sealer.prefix, writer.sealer.prefix_crc
        pack_header, pack_crc, extend_crc, new_chunk = DATA_HEADER.pack, CHECKSUM.pack, crc32c_extend, OutstandingChunk
        packets, chunks = writer.packets, outstanding.chunks
        for start in range(offset, end, size):
            body = (
                pack_header(0, flags | first_flag, length, tsn & _TSN_MASK, stream_id, ssn, ppid)
                + data[start : start + size]
            )
            packets.append(prefix + pack_crc(extend_crc(prefix_crc, body)) + body)
            sent_bytes += length
            chunks.append(new_chunk(tsn, body, message, number, now, sent_bytes))
            first_flag = 0
            tsn += 1
            number += 1
        writer.number = number
        outstanding.note_appended(sent_bytes)
        message.offset = end
        message.last_tsn = tsn - 1
        flow.tcb.stats.chunks_sent += count
        flow.note_sent(message, end - offset)

    def _is_worth_filling(self) -> bool:
        """True where the open packet has room for a first fragment that spares about a packet in four."""
        writer = self._flow.writer
        return writer.capacity // 4 < writer.room < writer.capacity

    def _send_chunk(self, message: OutboundMessage, byte_count: int, now: float) -> None:
        """Send one fragment, or the whole of a short message; several may share a packet."""
        flow = self._flow
        outstanding = flow.outstanding
        tsn, offset = outstanding.next_tsn, message.offset
        end = offset + byte_count
        is_last = end == len(message.data)
        payload = message.data if is_last and not offset else message.data[offset:end]
        flags = 0 if message.is_ordered else FLAG_UNORDERED
        if not offset:
            flags |= self._begin(message, tsn)
        if is_last:
            flags |= FLAG_ENDING
            if self._is_last_and_urgent():
                flags |= FLAG_IMMEDIATE
        if flow.timed_tsn < 0:
            flow.timed_tsn, flow.timed_at = tsn, now
        length = DATA_HEADER_BYTES + byte_count
        header = DATA_HEADER.pack(0, flags, length, tsn & _TSN_MASK, message.stream.id, message.ssn, message.ppid)
        body = pad(header + payload)
        number = flow.writer.add(body)
        sent_bytes = outstanding.sent_bytes + len(body)
        outstanding.chunks.append(OutstandingChunk(tsn, body, message, number, now, sent_bytes))
        outstanding.note_appended(sent_bytes)
        message.offset = end
        message.last_tsn = tsn
        flow.tcb.stats.chunks_sent += 1
        flow.note_sent(message, byte_count)

    def _is_last_and_urgent(self) -> bool:
        """RFC 7053 section 4: ask for an immediate SACK where nothing follows and a delayed one would be waited for."""
        flow = self._flow
        if flow.scheduler.has_waiting():
            return False
        return flow.loss.wants_immediate or flow.tcb.state is not State.ESTABLISHED
