"""Where a datagram goes: to the server side, to a check that waits for it, to a STUN query, to the gate, or nowhere."""

from __future__ import annotations

from sans_rtc.errors import WireError
from sans_rtc.ice.addresses import without_zone
from sans_rtc.ice.base import Base
from sans_rtc.ice.context import AgentContext
from sans_rtc.ice.gather import Gatherer
from sans_rtc.ice.generations import Generations
from sans_rtc.ice.payload import PayloadGate
from sans_rtc.ice.server_side import ServerSide
from sans_rtc.ice.stats import DiscardReason
from sans_rtc.machine import Datagram, Path
from sans_rtc.stun.wire import Message, MessageClass, parse_message


class Inbound:
    """Sorts what arrives, except for payload on proven paths, which the agent passes on itself.

    gate  which paths are proven, and what waits for them
    """

    def __init__(self, context: AgentContext, gatherer: Gatherer, generations: Generations) -> None:
        self.gate = PayloadGate(context.config)
        self._stats = context.stats
        self._is_relay_only = context.config.is_relay_only
        self._gatherer = gatherer
        self._generations = generations
        self._server = ServerSide(context)
        self._released: list[Datagram] = []

    def hold(self, datagram: Datagram) -> None:
        """Take payload on a path that is not proven: it waits, where the peer has named its source."""
        path = datagram.path
        if self._gatherer.base_at(path) is None:
            self._stats.discard(DiscardReason.UNKNOWN_LOCAL_ADDRESS)
            return
        source = without_zone(path.remote)
        sessions = self._generations.sessions
        if not any(session.remotes.find(source, path.protocol) or session.knows(path) for session in sessions):
            self._stats.discard(DiscardReason.UNKNOWN_SOURCE)
        elif not self.gate.hold(datagram):
            self._stats.discard(DiscardReason.EARLY_BUFFER_FULL)

    def receive_stun(self, datagram: Datagram, now: float) -> bool:
        """Take what claims to be STUN. True where it may have changed something: what strangers send never does."""
        if not datagram.data:
            self._stats.discard(DiscardReason.EMPTY)
            return False
        base = self._gatherer.base_at(datagram.path)
        if base is None:
            self._stats.discard(DiscardReason.UNKNOWN_LOCAL_ADDRESS)
            return False
        # An answer would tell whoever asks that somebody is here, and from where.
        if self._is_relay_only and not base.is_relayed:
            self._stats.discard(DiscardReason.NOT_RELAYED)
            return False
        try:
            message = parse_message(datagram.data)
        except WireError:
            self._stats.discard(DiscardReason.MALFORMED_STUN)
            return False
        match message.message_class:
            case MessageClass.REQUEST:
                return self._on_request(message, datagram, base, now)
            case MessageClass.INDICATION:
                # RFC 8445 section 11: a keepalive. It proves nothing, for anybody could have sent it.
                self._stats.indications_received += 1
                return False
            case _:
                return self._on_response(message, datagram, now)

    def trust_without_checks(self) -> None:
        """Between two lite agents nothing is ever checked: the paths of their pairs are all the proof there is.

        What arrives there may be forged, as anything on UDP may; DTLS tells.
        """
        for session in self._generations.sessions:
            if session.is_checkless:
                for pair in session.checklist:
                    self._prove(pair.path)

    def take_released(self) -> list[Datagram]:
        """Hand over payload that has waited for a path which is proven now."""
        released = self._released
        if released:
            self._released = []
        return released

    def _on_request(self, message: Message, datagram: Datagram, base: Base, now: float) -> bool:
        request = self._server.receive(message, datagram, self._generations.keys, now)
        if request is None:
            return False
        session = self._generations.of_local_ufrag(request.local_ufrag)
        if session.on_request(request, base, now) and session.pairing.is_proof(datagram.path):
            self._prove(datagram.path)
        return True

    def _on_response(self, message: Message, datagram: Datagram, now: float) -> bool:
        session = self._generations.of_transaction(message.transaction_id)
        if session is None:
            if self._gatherer.receive(message, datagram, now):
                return True
            self._stats.discard(DiscardReason.UNKNOWN_TRANSACTION)
            return False
        answered = session.on_response(message, datagram, now)
        if answered is None:
            return False
        if answered:
            self._prove(datagram.path)
        return True

    def _prove(self, path: Path) -> None:
        self._released += self.gate.prove(path)
