"""What clients say: STUN messages and ChannelData, over datagrams or out of a stream (RFC 8656 section 5).

request     -> Binding: answered, within the source's tokens
            -> Authenticator -> refused, within the source's tokens
                             -> 420, 437, 441, or its method's handler
indication  -> Send: to a peer
ChannelData -> to a peer (that of UDP has taken the quick way, unless something is wrong about it)
"""

from __future__ import annotations

import math

from sans_rtc.errors import WireError
from sans_rtc.machine import Datagram, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.integrity import is_fingerprint_valid
from sans_rtc.stun.wire import (
    Attribute,
    Message,
    MessageClass,
    Method,
    parse_message,
    unknown_attributes_response,
)
from sans_rtc.turn.channel_data import CHANNEL_DATA_HEADER_BYTES
from sans_rtc.turn.server.allocate import Allocator
from sans_rtc.turn.server.authentication import Authenticator, Refusal
from sans_rtc.turn.server.binding import BindingServer
from sans_rtc.turn.server.context import Handler, Request, ServerContext
from sans_rtc.turn.server.credentials import Credentials, CredentialTable
from sans_rtc.turn.server.nonce import SECRET_BYTES, NonceMint
from sans_rtc.turn.server.relaying import Indications
from sans_rtc.turn.server.requests import AllocationRequests
from sans_rtc.turn.server.stats import AuthFailure, DiscardReason
from sans_rtc.turn.server.tables import Tables
from sans_rtc.turn.server.tcp import TcpRelaying
from sans_rtc.turn.server.throttle import SourceThrottle

# RFC 8656 section 12, table 3: the first byte of STUN; that of ChannelData is 0x40 and above.
STUN_BYTE_MAX = 0x03
CHANNEL_BYTE_MIN = 0x40

_A = AttributeType


class ClientMessages:
    """Takes messages, says whose they are, and has them handled."""

    def __init__(
        self,
        context: ServerContext,
        tables: Tables,
        allocator: Allocator,
        tcp: TcpRelaying,
        indications: Indications,
        credentials: Credentials,
    ) -> None:
        config = context.config
        self._context = context
        self._tables = tables
        self._tcp = tcp
        self._indications = indications
        self._is_limited = config.allocation_bytes_per_s_max < math.inf
        mint = NonceMint(context.entropy(SECRET_BYTES), config.nonce_lifetime_s)
        table = CredentialTable(credentials, config.realm, config.wall_clock_offset_s)
        self._authenticator = Authenticator(config.realm, table, mint)
        self._throttle = SourceThrottle(
            config.unauthenticated_per_s,
            config.unauthenticated_burst,
            config.source_bucket_count,
            context.entropy(SECRET_BYTES),
        )
        self._binding = BindingServer(context)
        requests = AllocationRequests(context, tables)
        self._handlers: dict[int, Handler] = {
            Method.ALLOCATE: allocator.allocate,
            Method.REFRESH: requests.refresh,
            Method.CREATE_PERMISSION: requests.create_permission,
            Method.CHANNEL_BIND: requests.bind_channel,
            Method.CONNECT: tcp.connect,
            Method.CONNECTION_BIND: self._join,
        }

    def set_credentials(self, credentials: Credentials) -> CredentialTable:
        """Replace everybody who may allocate; returns how they are looked up from now on."""
        config = self._context.config
        table = CredentialTable(credentials, config.realm, config.wall_clock_offset_s)
        self._authenticator.table = table
        return table

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take a STUN message or ChannelData of a client."""
        data, stats = datagram.data, self._context.stats
        first = data[0] if data else 0xFF
        if CHANNEL_BYTE_MIN <= first <= self._context.config.channel_number_max >> 8:
            self._receive_channel_data(datagram, now)
            return
        try:
            message = parse_message(data) if first <= STUN_BYTE_MAX else None
        except WireError:
            message = None
        if message is None:
            stats.discard(DiscardReason.NOT_STUN)
            return
        has_fingerprint = message.value(_A.FINGERPRINT) is not None
        if has_fingerprint and not is_fingerprint_valid(data):
            stats.discard(DiscardReason.BAD_FINGERPRINT)
        elif message.message_class is MessageClass.REQUEST:
            self._on_request(message, datagram, has_fingerprint, now)
        elif message.message_class is MessageClass.INDICATION and message.method == Method.SEND:
            allocation = self._tables.allocations.get(datagram.path)
            if allocation is None or not allocation.is_open:
                stats.discard(DiscardReason.NO_ALLOCATION)
            else:
                self._indications.send(message, allocation, datagram.ecn, now)
        elif message.message_class is not MessageClass.INDICATION or message.method != Method.BINDING:
            stats.discard(DiscardReason.UNEXPECTED_STUN)  # a Binding indication keeps a NAT's mapping, and that is all

    def answer(self, answered: tuple[Request, Message] | None) -> None:
        """Send the response to a request; nothing where there is none yet."""
        if answered is None:
            return
        request, response = answered
        # RFC 8656 section 5 wants SOFTWARE "in all Allocate and Refresh responses"; a challenge it would only swell.
        if self._context.config.software and request.message.method in (Method.ALLOCATE, Method.REFRESH):
            response.attributes.append(Attribute(_A.SOFTWARE, self._context.config.software))
        self._context.send_response(response, request.path, request.identity, fingerprint=request.fingerprint)

    def _receive_channel_data(self, datagram: Datagram, now: float) -> None:
        """ChannelData over a stream, or with something wrong about it, or where the rate is limited."""
        data, stats = datagram.data, self._context.stats
        allocation = self._tables.allocations.get(datagram.path)
        if allocation is None or not allocation.is_open:
            stats.discard(DiscardReason.NO_ALLOCATION)
            return
        size = int.from_bytes(data[2:4], "big")
        payload = data[CHANNEL_DATA_HEADER_BYTES : CHANNEL_DATA_HEADER_BYTES + size]
        if len(data) < CHANNEL_DATA_HEADER_BYTES or len(payload) < size:
            stats.discard(DiscardReason.TRUNCATED_CHANNEL_DATA)
            return
        channel = allocation.channels.get(int.from_bytes(data[:2], "big"))
        if channel is None or channel.expires_at <= now:
            stats.discard(DiscardReason.UNBOUND_CHANNEL)
        elif not self._is_limited or self._indications.spend(allocation, size, now):
            stats.packets_to_peers += 1
            stats.bytes_to_peers += size
            self._context.datagrams.append(Datagram(payload, channel.path, datagram.ecn))

    # -- requests ------------------------------------------------------------------------------------------------------

    def _on_request(self, message: Message, datagram: Datagram, has_fingerprint: bool, now: float) -> None:
        path, context = datagram.path, self._context
        if message.method == Method.BINDING:
            if self._may_answer(path, now):
                self._binding.answer(message, datagram, fingerprint=has_fingerprint)
            return
        if message.method not in self._handlers or not self._context.config.relay_hosts:
            context.stats.discard(DiscardReason.UNEXPECTED_STUN)
            return
        allocation = self._tables.allocations.get(path)
        known = allocation.identity if allocation is not None else None
        verdict = self._authenticator.judge(message, datagram.data, path, known, now)
        if isinstance(verdict, Refusal):
            self._refuse(message, verdict, path, has_fingerprint, now)
            return
        request = Request(message, path, verdict, allocation, has_fingerprint)
        response = self._handle(request, now)
        if context.trace is not None:
            error = response.value(_A.ERROR_CODE) if response is not None else None
            context.note("request", now, path, method=message.method, error=error.code if error is not None else 0)
        if response is not None:
            self.answer((request, response))

    def _handle(self, request: Request, now: float) -> Message | None:
        """The response to a request whose maker is known; None where it comes later, or has been sent."""
        unknown = unknown_attributes_response(request.message)
        if unknown is not None:
            return unknown
        method, allocation = request.message.method, request.allocation
        if method not in (Method.ALLOCATE, Method.CONNECTION_BIND):
            if allocation is None or not allocation.is_open:
                return request.refuse(437)
            # RFC 8656 section 5: all requests use the name of the first, so that nobody takes over an allocation.
            if request.identity.name != allocation.identity.name:
                self._context.stats.fail_auth(AuthFailure.OTHER_USER)
                return request.refuse(441)
        return self._handlers[method](request, now)

    def _refuse(self, message: Message, refusal: Refusal, path: Path, has_fingerprint: bool, now: float) -> None:
        context = self._context
        context.stats.fail_auth(refusal.failure)
        # A stale nonce with right credentials is no stranger's; and its answer is smaller than the request.
        if refusal.code != 438 and not self._may_answer(path, now):
            return
        context.stats.challenges_sent += refusal.is_challenge
        response = self._authenticator.challenge(message, refusal, path, now)
        context.send_response(response, path, None, fingerprint=has_fingerprint)
        if context.trace is not None:
            context.note("refused", now, path, code=refusal.code, failure=str(refusal.failure))

    def _may_answer(self, path: Path, now: float) -> bool:
        if self._throttle.takes(path.remote, now):
            return True
        self._context.stats.throttled += 1
        self._context.stats.discard(DiscardReason.THROTTLED)
        return False

    def _join(self, request: Request, now: float) -> None:
        stream = self._tables.streams.get(request.path)
        response, connection = self._tcp.join(request, stream, now)
        self.answer((request, response))
        if connection is not None and stream is not None:
            self._tcp.joined(stream, connection)
