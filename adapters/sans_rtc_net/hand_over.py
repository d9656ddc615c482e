"""A live connection changes hands, as every adapter does it (docs/snapshots.md).

    old end   give_away(session) --> snapshot with what is untaken; its sockets are detached, and it ends
    heir      machine of the snapshot --> take_up(session) --> go_on(session): the first flush tells the untaken

The machine knows everything but what an adapter has taken of it and the application has not: that is put back in front
of what it has to tell, and so told to the heir first, once.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence

import attrs

from sans_rtc.datachannel.events import ChannelClosed, ChannelOpened, ChannelState
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.ice import GatheringState
from sans_rtc.media import FrameReceived, KeyframeRequested, SenderBitrateChanged, StreamStarted
from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc.peer.events import LocalCandidate, NegotiationNeeded, PeerEvent, PublishName, ResolveName, TrackAdded
from sans_rtc.rtp.recovery import KeyframeRequestKind
from sans_rtc_net.inbox import ChannelInbox, SignalT
from sans_rtc_net.media_inbox import MediaInboxes, TransceiverInbox
from sans_rtc_net.options import UdpConfig
from sans_rtc_net.session import Session
from sans_rtc_net.stream_set import StreamSet
from sans_rtc_net.udp import UdpSocket

STREAM_STAYED = "it stayed with the process that has handed the connection over"


@attrs.frozen(slots=True)
class HandedOver:
    """What an heir needs of a connection that has been handed over.

    snapshot  sealed with the key; to be restored once
    sockets   the UDP sockets, open and bound: pass them to the heir's process, or hold on to them until it has begun.
              What arrives meanwhile waits in them. They are the caller's to close
    """

    snapshot: bytes = attrs.field(repr=lambda snapshot: f"<{len(snapshot)} bytes>")
    sockets: tuple[socket.socket, ...]


# -- the old end -------------------------------------------------------------------------------------------------------


def give_away(
    session: Session[SignalT], standing: Sequence[ResolveName | PublishName], key: bytes, now: float
) -> bytes:
    """End the machine and return its snapshot, with what nobody has taken: it is the heir's from now on.

    standing  what the machine has asked of the adapter, and goes on
    Errors    those of the machine's `hand_over`; InvalidState where there is nothing to hand over yet, or any more
    """
    _require_ready(session)
    snapshot = session.machine.hand_over(key, untaken_events(session, standing), now)
    _forget_untaken(session)
    return snapshot


def _require_ready(session: Session[SignalT]) -> None:
    machine = session.machine
    if session.terminated is not None:
        raise InvalidState(f"the connection has ended: {session.terminated.reason}")
    if machine.local_description is None and machine.remote_description is None:
        raise InvalidState("there is nothing to hand over before a description is set: make a new connection instead")


def untaken_events(session: Session[SignalT], standing: Sequence[ResolveName | PublishName]) -> list[PeerEvent]:
    """What the machine has told and the application has not taken, as it would be told again."""
    events: list[PeerEvent] = [
        LocalCandidate(item.candidate, item.sdp_mid or "", item.sdp_mline_index or 0)
        for item in session.candidates.items
    ]
    if session.candidates.is_complete:
        events.append(LocalCandidate("", "", 0))
    if session.is_negotiation_needed:
        events.append(NegotiationNeeded())
    return [*events, *standing, *_of_channels(session), *_of_media(session.machine, session.media)]


def _of_channels(session: Session[SignalT]) -> Iterator[PeerEvent]:
    for inbox in session.incoming:
        yield ChannelOpened(inbox.handle, inbox.label, inbox.protocol, True)
    for inbox in session.inboxes():
        yield from inbox.messages
        if inbox.is_closed and inbox.messages:
            yield ChannelClosed(inbox.handle)


def _of_media(machine: Machine, media: MediaInboxes[SignalT]) -> Iterator[PeerEvent]:
    for inbox in media.incoming:
        yield TrackAdded(inbox.handle, inbox.kind, machine.transceiver(inbox.handle).remote_streams)
    if media.target is not None:
        yield media.target
    for inbox in media.by_handle.values():
        yield from _of_transceiver(inbox)


def _of_transceiver(inbox: TransceiverInbox[SignalT]) -> Iterator[PeerEvent]:
    handle = inbox.handle
    if type(inbox.stream) is StreamStarted:
        yield inbox.stream
    for rid, bitrate_bps in inbox.bitrates.items():
        yield SenderBitrateChanged(handle, rid, bitrate_bps)
    for rid in inbox.keyframes_wanted:
        yield KeyframeRequested(handle, rid, KeyframeRequestKind.PLI)
    for frame in inbox.frames:
        yield FrameReceived(handle, frame)
    yield from inbox.packets


def _forget_untaken(session: Session[SignalT]) -> None:
    for inbox in session.inboxes():
        inbox.messages.clear()
    session.incoming.clear()
    session.media.incoming.clear()
    for transceiver in session.media.by_handle.values():
        transceiver.frames.clear()
        transceiver.packets.clear()
        transceiver.frame_bytes = 0


# -- the heir ----------------------------------------------------------------------------------------------------------


def check_sockets(sockets: Sequence[socket.socket], config: UdpConfig) -> None:
    """Raise InvalidArgument for what an heir cannot go on with; the sockets stay the caller's then."""
    addresses = [UdpSocket(sock, config).local for sock in sockets]
    if len(set(addresses)) < len(addresses):
        raise InvalidArgument("two of the sockets have one address")


def take_up(session: Session[SignalT]) -> None:
    """Make the inboxes of what a restored machine has, before its first event is taken."""
    machine = session.machine
    for channel in machine.channels():
        inbox = session.add_channel(channel.channel, channel.label, channel.protocol, is_incoming=channel.is_incoming)
        inbox.take_up(channel.state)
    for transceiver in machine.transceivers():
        session.media.add(transceiver.handle, transceiver.kind).output = None


def go_on(
    session: Session[SignalT], begin_gathering: Callable[[], None], flush: Callable[[], None]
) -> list[ChannelInbox[SignalT]]:
    """What an heir does first: the untaken is told again. Returns closed channels that have messages to be read.

    begin_gathering  called where the machine knows sockets, before the first flush
    flush            takes the machine's outputs and events
    """
    taken_up = list(session.channels.values())
    if session.machine.ice_gathering_state is not GatheringState.NEW:
        begin_gathering()
    flush()
    if session.terminated is not None:
        return []
    for inbox in list(session.channels.values()):
        if inbox.state is ChannelState.CLOSED:
            session.forget_channel(inbox.handle)
    return [inbox for inbox in taken_up if inbox.is_closed and inbox.messages]


def tell_lost_streams(machine: Machine, streams: StreamSet | None, now: float) -> None:
    """Tell a restored machine that lives that its TCP and TLS streams and listeners have not come along."""
    in_use = machine.sockets
    listening = [] if streams is None else [listener.local for listener in streams.listeners]
    for address in in_use.listeners:
        if address not in listening:
            machine.remove_tcp_listener(address, now)
    for path in machine.sockets.streams:
        if streams is None or path not in streams:
            machine.stream_closed(path, STREAM_STAYED, now)


def channels_given(
    session: Session[SignalT], inherited: Sequence[ChannelInbox[SignalT]]
) -> list[ChannelInbox[SignalT]]:
    """The inboxes of the channels that the application has, or had where the connection comes from."""
    waiting = {inbox.handle for inbox in session.incoming}
    unread = [inbox for inbox in inherited if inbox.messages]
    return [inbox for inbox in (*unread, *session.channels.values()) if inbox.handle not in waiting]
