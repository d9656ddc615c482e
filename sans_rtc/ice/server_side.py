"""The peer's checks: who asks, with what right, in which role, and the response (RFC 8445 section 7.3)."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from sans_rtc.ice.addresses import without_zone
from sans_rtc.ice.context import AgentContext
from sans_rtc.ice.network_cost import cost_of_info
from sans_rtc.ice.role import Role, Verdict
from sans_rtc.ice.stats import DiscardReason
from sans_rtc.machine import Datagram, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.integrity import IntegrityAlgorithm, is_fingerprint_valid, is_integrity_valid
from sans_rtc.stun.wire import Attribute, Message, Method, error_response, serialize_message, success_response

BAD_REQUEST = 400
UNAUTHENTICATED = 401
UNKNOWN_ATTRIBUTE = 420
ROLE_CONFLICT = 487


@attrs.frozen(slots=True)
class CheckRequest:
    """A check of the peer that has been authenticated and answered with success.

    path           on which it came
    local_ufrag    which generation of ours it was for
    remote_ufrag   which generation of the peer it says it is from
    priority       of the peer-reflexive candidate that it may make known
    use_candidate  the peer nominates this pair
    nomination     the value of NOMINATION, 0 without it
    transaction_id of the request: the same again where it is repeated, or replayed by somebody
    network_cost   of the peer's network, as GOOG_NETWORK_INFO says it; 0 without
    """

    path: Path
    local_ufrag: str
    remote_ufrag: str
    priority: int
    use_candidate: bool
    nomination: int
    transaction_id: bytes = b""
    network_cost: int = 0


@attrs.frozen(slots=True)
class SessionKey:
    """What a check of one generation is proven by.

    key           of our password
    remote_ufrag  the peer's fragment that goes with it; None while the peer has not signalled it
    """

    key: bytes
    remote_ufrag: str | None


class ServerSide:
    """Answers Binding requests. It remembers nothing but how many refusals it may still send."""

    def __init__(self, context: AgentContext) -> None:
        self._context = context
        self._refusals_left = float(context.config.refusals_per_s_max)
        self._refused_at = 0.0

    def receive(
        self, message: Message, datagram: Datagram, keys: Mapping[str, SessionKey], now: float
    ) -> CheckRequest | None:
        """Answer a request. Returns it where the answer is success, else None.

        keys  by our user name fragment: of this generation and the previous
        The order of the tests is that of RFC 8489 sections 7.3 and 9.1.3.
        """
        stats = self._context.stats
        # RFC 8445 section 7.3: the agent "MUST utilize the FINGERPRINT mechanism".
        if not is_fingerprint_valid(datagram.data):
            stats.discard(DiscardReason.BAD_FINGERPRINT)
            return None
        if message.method != Method.BINDING:
            stats.discard(DiscardReason.UNEXPECTED_STUN)
            return None
        ufrags = self._authenticate(message, datagram, keys, now)
        if ufrags is None:
            return None
        stats.requests_received += 1
        priority = message.value(AttributeType.PRIORITY)
        code = self._judge(message, priority)
        self._answer(message, datagram, keys[ufrags[0]].key, code)
        if code or priority is None:
            return None
        use_candidate = message.value(AttributeType.USE_CANDIDATE) is True
        nomination = (message.value(AttributeType.NOMINATION) or 0) & 0xFFFFFF
        cost = cost_of_info(message.value(AttributeType.GOOG_NETWORK_INFO) or 0)
        return CheckRequest(
            datagram.path, *ufrags, priority, use_candidate, nomination, message.transaction_id, network_cost=cost
        )

    def _authenticate(
        self, message: Message, datagram: Datagram, keys: Mapping[str, SessionKey], now: float
    ) -> tuple[str, str] | None:
        """Our fragment and the peer's, where the request was made by somebody who knows our password.

        deviation: RFC 8445 section 7.3 asks only for our own fragment. A libwebrtc that restarts checks from its new
        port with its new fragment and our old one, before it has our answer. A success would make it select that pair,
        and stay with it: it then takes no candidate of the new generation that has the address of the old one. So, as
        libwebrtc and pion do it, the peer's fragment must be the one that goes with ours.
        """
        username = message.value(AttributeType.USERNAME)
        if username is None or _algorithm(message) is None:
            self._refuse(message, datagram, BAD_REQUEST, now)
            return None
        local_ufrag, separator, remote_ufrag = username.partition(":")
        known = keys.get(local_ufrag)
        if known is None or not separator or not is_integrity_valid(datagram.data, known.key):
            self._refuse(message, datagram, UNAUTHENTICATED, now)
            return None
        if known.remote_ufrag not in (None, remote_ufrag):
            self._refuse(message, datagram, UNAUTHENTICATED, now, DiscardReason.FOREIGN_GENERATION)
            return None
        return local_ufrag, remote_ufrag

    def _answer(self, message: Message, datagram: Datagram, key: bytes, code: int) -> None:
        if code:
            answer = error_response(message, code, unknown=message.unknown_required)
        else:
            # 7.3.1.2: the source as we see it; nobody else knows our zones.
            mapped = Attribute(AttributeType.XOR_MAPPED_ADDRESS, without_zone(datagram.path.remote))
            answer = success_response(message, [mapped])
        algorithm = _algorithm(message)
        assert algorithm is not None
        response = serialize_message(answer, key=key, algorithm=algorithm, fingerprint=True)
        self._context.datagrams.append(Datagram(response, datagram.path))

    def _judge(self, message: Message, priority: int | None) -> int:
        """The error code for an authenticated request, 0 where it is accepted; may switch our role."""
        if message.unknown_required:
            return UNKNOWN_ATTRIBUTE
        if priority is None:  # 7.1.1: "MUST be included in a Binding request"
            return BAD_REQUEST
        return ROLE_CONFLICT if self._is_refused_for_role(message) else 0

    def _is_refused_for_role(self, message: Message) -> bool:
        controlling = message.value(AttributeType.ICE_CONTROLLING)
        controlled = message.value(AttributeType.ICE_CONTROLLED)
        if controlling is not None:
            claimed, tie_breaker = Role.CONTROLLING, controlling
        elif controlled is not None:
            claimed, tie_breaker = Role.CONTROLLED, controlled
        else:
            return False  # it claims nothing, so there is no conflict
        roles, config = self._context.roles, self._context.config
        verdict = roles.judge(claimed, tie_breaker)
        if verdict is Verdict.NO_CONFLICT:
            return False
        self._context.stats.role_conflicts += 1
        # 6.1.1: of a full and a lite agent the full one controls, whatever the tie-breakers say.
        if verdict is Verdict.REFUSE or config.is_lite or roles.switch_count >= config.role_switch_count_max:
            return True
        roles.switch()
        return False

    def _refuse(
        self,
        message: Message,
        datagram: Datagram,
        code: int,
        now: float,
        reason: DiscardReason = DiscardReason.NOT_AUTHENTICATED,
    ) -> None:
        """Tell a request that proves nothing why it is not answered, up to a rate: its source may be forged."""
        self._context.stats.discard(reason)
        rate = self._context.config.refusals_per_s_max
        self._refusals_left = min(rate, self._refusals_left + (now - self._refused_at) * rate)
        self._refused_at = now
        if self._refusals_left < 1.0:
            return
        self._refusals_left -= 1.0
        # RFC 8489 section 9.1.3: neither USERNAME nor an integrity attribute; no secret is shared with such a client.
        response = serialize_message(error_response(message, code), fingerprint=True)
        self._context.datagrams.append(Datagram(response, datagram.path))


def _algorithm(message: Message) -> IntegrityAlgorithm | None:
    """What proves the request, and is to prove the response; None where nothing does."""
    if message.value(AttributeType.MESSAGE_INTEGRITY_SHA256) is not None:
        return IntegrityAlgorithm.SHA256
    return None if message.value(AttributeType.MESSAGE_INTEGRITY) is None else IntegrityAlgorithm.SHA1
