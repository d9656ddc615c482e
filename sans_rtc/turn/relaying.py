"""Keeps permissions and channels for the peers that are in use, and lets go of those that are not.

permission   ask -> GRANTED, refreshed at 240 s while used, else gone at 300 s
                 -> REFUSED, for this host alone; asked for again by a later send
channel      ask -> BOUND, bound again at 540 s while used, else gone at 600 s; the number rests for 300 s more
                 -> REFUSED: Send indications go on
"""

from __future__ import annotations

import math

from sans_rtc.machine import Address
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute
from sans_rtc.turn.config import CHANNEL_LIFETIME_S, CHANNEL_QUARANTINE_S, PERMISSION_LIFETIME_S
from sans_rtc.turn.context import Context
from sans_rtc.turn.events import ChannelBound, ChannelRefused, DiscardReason, PeerRefused
from sans_rtc.turn.failure import Failure
from sans_rtc.turn.indications import send_indication
from sans_rtc.turn.peers import NEVER, ChannelState, Peer, PeerTable, Permission, PermissionState, canonical
from sans_rtc.turn.requests import Purpose, Request

# What is idle when its refresh is due is looked at again so often until it expires: it may come into use.
IDLE_LOOK_S = 10.0
# The peer itself is refused, not its channel: Forbidden, and Peer Address Family Mismatch.
PEER_CODES = (403, 443)


class Relaying:
    """Permissions, channels, and the data that wait for them."""

    def __init__(self, context: Context) -> None:
        self.peers = PeerTable(context.config.peer_count_max)
        self._context = context
        self._due_at = math.inf
        self._queued_count = 0
        self._queued_bytes = 0

    # --- verbs

    def ask_permission(self, permission: Permission, now: float) -> None:
        """Ask for a permission, or refresh it; no effect while a request is under way."""
        if permission.is_asking:
            return
        permission.is_asking = True
        self._expect_permission(permission, now)
        self._submit(Purpose.PERMISSION, permission, Address(permission.host, 0), now)

    def bind_channel(self, peer: Peer, now: float) -> None:
        """Bind a channel to a peer, or refresh it; no effect while a request is under way.

        Source   RFC 8656 section 12: data may come on the channel as soon as the request is sent; section 12.1: it
                 "also creates or refreshes a permission towards the peer"
        """
        if peer.is_binding:
            return
        peer.is_binding = True
        number = self.peers.number_for(peer)
        self.peers.by_number[number] = peer
        if peer.channel is not ChannelState.BOUND:
            peer.channel = ChannelState.ASKED
        if peer.permission.state in (PermissionState.NONE, PermissionState.REFUSED):
            peer.asks_permission = peer.permission.is_asking = True
            self._expect_permission(peer.permission, now)
        self._submit(Purpose.CHANNEL, peer, peer.address, now, Attribute(AttributeType.CHANNEL_NUMBER, number))

    def peer_for(self, address: Address, now: float) -> Peer:
        """The entry of an address; InvalidArgument where it cannot be relayed to, LimitExceeded without room."""
        peer = self.peers.by_address.get(address)
        if peer is not None:
            return peer
        address = canonical(address)
        return self.peers.add_peer(address, self._context.relayed_for(address), now)

    def send(self, data: bytes, peer: Peer, now: float) -> None:
        """Send by Send indication; ask for the permission first where there is none, and let the data wait."""
        permission = peer.permission
        peer.used_at = now
        if permission.state is PermissionState.GRANTED and permission.expires_at > now:
            self._indicate(data, peer, now)
            return
        if permission.state is PermissionState.REFUSED and now < permission.retry_at:
            self._context.stats.discard(DiscardReason.PEER_REFUSED)
            return
        self.ask_permission(permission, now)
        self._enqueue(data, peer)

    # --- answers

    def on_answer(self, subject: Permission | Peer, failure: Failure | None, now: float) -> None:
        """The server has answered for a permission or a channel, or has not."""
        if isinstance(subject, Peer):
            if failure is None:
                self._on_channel_bound(subject, now)
            else:
                self._on_channel_failed(subject, failure, now)
        elif failure is None:
            self._on_permission_granted(subject, now)
        else:
            self._on_permission_failed(subject, failure, now)

    # --- timers

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        return self._due_at

    def handle_timer(self, now: float) -> None:
        """Refresh what is used, let expire what is not."""
        if now < self._due_at:
            return
        self._due_at = math.inf
        for permission in list(self.peers.permissions):
            if permission.due_at <= now:
                permission.due_at = math.inf
                self._on_permission_due(permission, now)
            self._due_at = min(self._due_at, permission.due_at)
        for peer in list(self.peers.by_address.values()):
            if peer.due_at <= now:
                peer.due_at = math.inf
                self._on_channel_due(peer, now)
            self._due_at = min(self._due_at, peer.due_at)

    # --- private, in the order called

    def _expect_permission(self, permission: Permission, now: float) -> None:
        """From now on data of the host are taken: they may overtake the answer."""
        permission.used_at = now
        if permission.state is not PermissionState.GRANTED or permission.expires_at <= now:
            permission.state, permission.failure = PermissionState.ASKED, None
            permission.expires_at = now + PERMISSION_LIFETIME_S

    def _on_permission_granted(self, permission: Permission, now: float) -> None:
        """The server relays for this host."""
        permission.is_asking = False
        self._renew_permission(permission, now)
        queue, permission.queue = permission.queue, []
        for data, peer in queue:
            self._queued_count -= 1
            self._queued_bytes -= len(data)
            self._indicate(data, peer, now)

    def _on_permission_failed(self, permission: Permission, failure: Failure, now: float) -> None:
        """The server does not relay for this host, or has not answered."""
        permission.is_asking = False
        if permission.state is PermissionState.GRANTED and failure.is_server_error and permission.expires_at > now:
            self._arm(permission, permission.expires_at)  # what was granted lasts as long as it was granted for
            return
        self._refuse(permission, failure, now)

    def _on_channel_bound(self, peer: Peer, now: float) -> None:
        """The channel stands; and with it the permission (RFC 8656 section 12.3)."""
        peer.is_binding = False
        is_new = peer.channel is not ChannelState.BOUND
        peer.channel, peer.failure = ChannelState.BOUND, None
        peer.bound_until = now + CHANNEL_LIFETIME_S
        peer.free_at = peer.bound_until + CHANNEL_QUARANTINE_S
        self._arm(peer, now + self._context.config.channel_refresh_s)
        if is_new:
            self._context.events.append(ChannelBound(peer.address, peer.number))
        if peer.asks_permission:
            peer.asks_permission = False
            self._on_permission_granted(peer.permission, now)
        elif peer.permission.state is PermissionState.GRANTED:
            self._renew_permission(peer.permission, now)

    def _on_channel_failed(self, peer: Peer, failure: Failure, now: float) -> None:
        """No channel. deviation: RFC 8656 section 12.3 recommends to begin with a new allocation after an unexpected
        400; that would hurt every other peer, and Send indications reach this one as well."""
        peer.is_binding = False
        # Our request may have done its work all the same, and its answer been lost.
        peer.free_at = now + CHANNEL_LIFETIME_S + CHANNEL_QUARANTINE_S
        asks_permission, peer.asks_permission = peer.asks_permission, False
        if asks_permission:
            peer.permission.is_asking = False
        if failure.code in PEER_CODES:
            self._refuse(peer.permission, failure, now)
        elif peer.channel is ChannelState.BOUND and failure.is_server_error and peer.bound_until > now:
            self._arm(peer, peer.bound_until)
        else:
            self._unbind(peer, ChannelState.REFUSED)
            peer.failure = failure
            peer.retry_at = now + self._context.config.refusal_s
            self._context.events.append(ChannelRefused(peer.address, *failure))
            if asks_permission:
                self.ask_permission(peer.permission, now)

    def _submit(
        self, purpose: Purpose, subject: Permission | Peer, address: Address, now: float, *more: Attribute
    ) -> None:
        attributes = [*more, Attribute(AttributeType.XOR_PEER_ADDRESS, address)]
        self._context.requester.submit(Request(purpose, self._context.path, attributes, subject), now)

    def _indicate(self, data: bytes, peer: Peer, now: float) -> None:
        context, config = self._context, self._context.config
        context.stats.data_sent += 1
        context.datagrams.append(send_indication(data, peer, context))
        peer.sent_count += 1
        pays = config.channel_after is not None and peer.sent_count >= config.channel_after
        if pays and peer.channel is not ChannelState.BOUND and peer.retry_at <= now:
            self.bind_channel(peer, now)

    def _enqueue(self, data: bytes, peer: Peer) -> None:
        config = self._context.config
        is_full = self._queued_count >= config.queued_datagram_count_max
        if is_full or self._queued_bytes + len(data) > config.queued_bytes_max:
            self._context.stats.discard(DiscardReason.QUEUE_FULL)
            return
        self._queued_count += 1
        self._queued_bytes += len(data)
        peer.permission.queue.append((data, peer))

    def _renew_permission(self, permission: Permission, now: float) -> None:
        permission.state, permission.failure = PermissionState.GRANTED, None
        permission.expires_at = now + PERMISSION_LIFETIME_S
        self._arm(permission, now + self._context.config.permission_refresh_s)

    def _refuse(self, permission: Permission, failure: Failure, now: float) -> None:
        permission.state, permission.failure = PermissionState.REFUSED, failure
        permission.expires_at, permission.due_at = NEVER, math.inf
        permission.retry_at = now + self._context.config.refusal_s
        for data, _ in permission.queue:
            self._queued_count -= 1
            self._queued_bytes -= len(data)
            self._context.stats.discard(DiscardReason.PEER_REFUSED)
        permission.queue.clear()
        for peer in permission.peers:
            if not peer.is_binding:
                self._unbind(peer, ChannelState.NONE)
        for address in [peer.address for peer in permission.peers] or [Address(permission.host, 0)]:
            self._context.events.append(PeerRefused(address, *failure))

    def _unbind(self, peer: Peer, state: ChannelState) -> None:
        """Use the channel no more; the number stays the peer's, for the server may remember it."""
        peer.channel, peer.bound_until, peer.due_at = state, NEVER, math.inf
        peer.sent_count = 0
        self.peers.by_number.pop(peer.number, None)

    def _on_permission_due(self, permission: Permission, now: float) -> None:
        if permission.is_asking:
            return  # the answer arms it again
        if permission.expires_at <= now:
            permission.state, permission.expires_at = PermissionState.NONE, NEVER
        elif now - permission.last_used_at > self._context.config.idle_s:
            self._arm(permission, min(now + IDLE_LOOK_S, permission.expires_at))
        else:
            used_at = permission.last_used_at
            self.ask_permission(permission, now)
            permission.used_at = used_at  # that we refresh it is no use of it

    def _on_channel_due(self, peer: Peer, now: float) -> None:
        if peer.is_binding:
            return
        if peer.bound_until <= now:
            self._unbind(peer, ChannelState.NONE)
        elif now - peer.used_at > self._context.config.idle_s:
            self._arm(peer, min(now + IDLE_LOOK_S, peer.bound_until))
        else:
            self.bind_channel(peer, now)

    def _arm(self, entry: Permission | Peer, at: float) -> None:
        entry.due_at = at
        self._due_at = min(self._due_at, at)
