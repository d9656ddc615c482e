"""What must hold inside a peer connection whatever happens to it: sums are sums, windows and queues keep their bounds.

White boxes: these look at the machines' own books, and say what is wrong with them by AssertionError; nothing is
changed.
"""

from __future__ import annotations

from sans_rtc.dtls import Connection
from sans_rtc.ice import Agent
from sans_rtc.peer import PeerConnection
from sans_rtc.peer.states import DtlsState
from sans_rtc.sctp import Association
from sans_rtc.sctp.flow import Flow
from sans_rtc.sctp.outstanding import ABANDONED

# What a receiver takes over its window: the packet that was on its way when it closed, and the one that probes it.
_WINDOW_SLACK_BYTES = 1 << 16


def check_peer(peer: PeerConnection) -> None:
    """Assert all of them for every layer of a peer connection."""
    transport = peer._transport
    check_agent(transport.agent)
    connection, association = transport.connection, transport.data.association
    if connection is not None:
        check_connection(connection)
    if association is not None:
        assert transport.dtls_state is not DtlsState.NEW, "an association before the peer has proved who it is"
        check_association(association)
    assert len(transport._early) <= peer._config.early_datagrams_max, "more early datagrams than there may be"
    session = transport.media.session
    if session is not None and transport.dtls_connected is None:
        assert not transport.media.is_secured, "keys for media before the peer has proved who it is"


def check_association(association: Association) -> None:
    """Assert what holds of an SCTP association: flight, windows, buffers, what partial reliability promises."""
    tcb, flow, inbound = association._tcb, association._outbound.flow, association._inbound
    config, scheduler, outstanding = tcb.config, flow.scheduler, flow.outstanding
    outstanding.check()
    inbound.reassembly.check()
    buffered = sum(stream.buffered_bytes for stream in scheduler.streams.values())
    assert scheduler.queued_bytes == buffered, "the send buffer is not what is buffered on its streams"
    assert 0 <= scheduler.queued_bytes <= config.send_buffer_bytes_max, "the send buffer holds more than it may"
    assert 0 <= scheduler.queued_messages <= config.send_buffer_messages_max, "and too many messages"
    assert len(outstanding.chunks) <= config.outstanding_chunks_max, "more chunks outstanding than there may be"
    assert outstanding.held_bytes <= config.outstanding_bytes_max + _WINDOW_SLACK_BYTES
    held = inbound.reassembly.held_bytes
    assert held <= config.receive_window_bytes + _WINDOW_SLACK_BYTES, "more is held than the window lets in"
    assert inbound.window_bytes + min(held, config.receive_window_bytes) == config.receive_window_bytes
    assert 0 <= inbound._advertised_bytes <= config.receive_window_bytes, "more is advertised than there is"
    assert flow.congestion.cwnd >= flow.chunk_bytes_max, "less than a packet may be sent"
    assert len(inbound.tsns.firsts) <= config.gap_ranges_max, "more gaps than there may be"
    assert len(tcb.control) <= config.control_chunks_max, "more answers wait than may"
    _check_partial(flow)


def _check_partial(flow: Flow) -> None:
    """RFC 3758, RFC 7496: not sent again more often than was allowed, and not after the lifetime."""
    if not flow.partial.is_supported:
        return
    for chunk in flow.outstanding.chunks:
        message = chunk.message
        if not message.is_partial or chunk.status == ABANDONED:
            continue
        if message.max_retransmits is not None:
            assert chunk.transmit_count <= 1 + message.max_retransmits, "sent again more often than was promised"
        if message.expires_at is not None:
            assert chunk.sent_at <= message.expires_at, "sent after its lifetime"


def check_connection(connection: Connection) -> None:
    """Assert what holds of a DTLS connection: what waits to be sent, and what is early, is bounded."""
    config = connection._config
    assert len(connection._outbox) <= config.send_queue_count_max, "more records wait than may"
    early = connection._early_data
    assert early._bytes <= config.early_bytes_max, "more early data than there may be"


def check_agent(agent: Agent) -> None:
    """Assert what holds of an ICE agent: pairs, checks and early payload keep their bounds."""
    generations = agent._generations
    config = generations._context.config
    for session in (generations.current, generations.previous):
        if session is not None:
            assert len(session.checklist._pairs) <= config.pair_count_max, "more pairs than there may be"
            assert len(session._client._checks) <= config.transaction_count_max, "more checks than there may be"
    gate = agent._inbound.gate
    assert len(gate._waiting) <= config.early_datagram_count_max, "more early payload than there may be"
    assert gate._bytes == sum(len(datagram.data) for datagram in gate._waiting) <= config.early_bytes_max
