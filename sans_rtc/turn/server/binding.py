"""Binding: tells a client what address it is seen with (RFC 8489), and helps it find out about its NAT (RFC 5780)."""

from __future__ import annotations

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute, Message, error_response, success_response
from sans_rtc.turn.server.context import ServerContext

_A = AttributeType
# RFC 5780 section 7.2: the bits of CHANGE-REQUEST.
CHANGE_HOST = 0x04
CHANGE_PORT = 0x02


class BindingServer:
    """Answers Binding requests; keeps nothing."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    def answer(self, request: Message, datagram: Datagram, *, fingerprint: bool) -> None:
        """Queue the response: from the address asked, or from another one that the client wants to hear from."""
        context, path = self._context, datagram.path
        other = self._other(path)
        unknown = request.unknown_required
        # RFC 5780 sections 6.1, 7.2: without a second address CHANGE-REQUEST is not understood; these two never are.
        unheeded = (_A.RESPONSE_PORT, _A.PADDING) if other is not None else (*_NEEDS_OTHER, _A.PADDING)
        unknown += tuple(int(type) for type in unheeded if request.value(type) is not None)
        if unknown:
            refusal = error_response(request, 420, unknown=unknown)
            context.send_response(refusal, path, None, fingerprint=fingerprint)
            return
        attributes = [Attribute(_A.XOR_MAPPED_ADDRESS, path.remote)]
        answer_path = path
        if other is not None:
            answer_path = self._changed(request, path, other)
            attributes += [Attribute(_A.RESPONSE_ORIGIN, answer_path.local), Attribute(_A.OTHER_ADDRESS, other)]
        context.stats.bindings_answered += 1
        context.send_response(success_response(request, attributes), answer_path, None, fingerprint=fingerprint)

    def _other(self, path: Path) -> Address | None:
        """The address that differs in host and port from the one asked; None where there are not two."""
        pair = self._context.config.binding_addresses
        if pair is None or path.protocol != "udp":
            return None
        hosts, ports = [pair[0].host, pair[1].host], [pair[0].port, pair[1].port]
        if path.local.host not in hosts or path.local.port not in ports:
            return None
        hosts.remove(path.local.host)
        ports.remove(path.local.port)
        return Address(hosts[0], ports[0])

    def _changed(self, request: Message, path: Path, other: Address) -> Path:
        change = request.value(_A.CHANGE_REQUEST)
        if not isinstance(change, int) or not change & (CHANGE_HOST | CHANGE_PORT):
            return path
        host = other.host if change & CHANGE_HOST else path.local.host
        port = other.port if change & CHANGE_PORT else path.local.port
        return Path(Address(host, port), path.remote)


_NEEDS_OTHER = (_A.CHANGE_REQUEST, _A.RESPONSE_PORT)
