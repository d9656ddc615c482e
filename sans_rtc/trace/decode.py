"""What every datagram of a WebRTC session says, layer by layer, for a bystander: captures and recordings alike.

    datagram -- first byte (RFC 7983) --> STUN, TURN, DTLS -> SCTP -> DCEP and messages, SRTP -> RTP, SRTCP -> RTCP

Keys come from an NSS key log. The bytes are anybody's: nothing here raises for what they hold, and all that is kept is
bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import attrs

from sans_rtc.errors import WireError
from sans_rtc.machine import Address
from sans_rtc.stun.attributes import AttributeType, attribute_name
from sans_rtc.stun.wire import MAGIC_COOKIE, Message, MessageClass, Method, parse_message
from sans_rtc.trace.capture import KeyLog, read_capture
from sans_rtc.trace.decode_dtls import DtlsFollower
from sans_rtc.trace.decode_media import MediaKeys, decode_media
from sans_rtc.trace.decode_sctp import Found, decode_sctp
from sans_rtc.trace.decoded import Decoded, Plain, plain
from sans_rtc.trace.key_ring import KeyRing
from sans_rtc.trace.link import udp_of

# Pairs of addresses that are followed; later ones are told by their headers. A session with 100 pairs of candidates
# has as many.
FLOW_COUNT_MAX: Final = 4096
# Sessions that a record from new addresses is tried with.
FOLLOWER_COUNT_MAX: Final = 64
_COOKIE: Final = MAGIC_COOKIE.to_bytes(4, "big")
_DEPTH_MAX: Final = 2
_TURN_METHODS: Final = frozenset(method for method in Method if method is not Method.BINDING)
_CLASSES: Final = {
    MessageClass.REQUEST: "request",
    MessageClass.INDICATION: "indication",
    MessageClass.SUCCESS_RESPONSE: "success response",
    MessageClass.ERROR_RESPONSE: "error response",
}
_PROOFS: Final = frozenset(
    {AttributeType.MESSAGE_INTEGRITY, AttributeType.MESSAGE_INTEGRITY_SHA256, AttributeType.FINGERPRINT}
)


@attrs.define(slots=True)
class _Flow:
    """What is known about the datagrams between two addresses."""

    has_stun: bool = False
    follower: DtlsFollower | None = None
    media: MediaKeys | None = None


class SessionDecoder:
    """Decodes datagrams in the order of their capture.

    unrecognized  datagrams that are of no WebRTC session, as far as can be told
    """

    def __init__(self) -> None:
        self.keys = KeyRing()
        self.unrecognized = 0
        self._flows: dict[tuple[frozenset[Address], str], _Flow] = {}
        self._followers: list[DtlsFollower] = []

    def decode(self, source: Address, destination: Address, data: bytes, at: float) -> list[Decoded]:
        """The messages in one datagram, outermost first; none in one that is not of WebRTC."""
        found = self._datagram(data, source, destination, "", 0)
        return [Decoded(at, source, destination, *each) for each in found]

    def decode_sctp(self, source: Address, destination: Address, data: bytes, at: float) -> list[Decoded]:
        """The messages in an SCTP packet as it is within DTLS."""
        return [Decoded(at, source, destination, *each) for each in decode_sctp(data)]

    def _datagram(self, data: bytes, source: Address, destination: Address, via: str, depth: int) -> Iterator[Found]:
        first = data[0] if data else 255
        flow = self._flow(source, destination, via)
        if first < 4 and data[4:8] == _COOKIE:
            flow.has_stun = True
            yield from self._stun(data, source, destination, depth)
        elif 20 <= first <= 63 and (flow.has_stun or _looks_like_dtls(data)):
            yield from self._dtls(flow, data, source, destination)
        elif 64 <= first <= 79 and flow.has_stun and len(data) >= 4 and depth < _DEPTH_MAX:
            number, size = int.from_bytes(data[:2], "big"), int.from_bytes(data[2:4], "big")
            yield "turn", "ChannelData", len(data), {"channel": f"{number:#06x}"}
            yield from self._datagram(data[4 : 4 + size], source, destination, f"{number:#06x}", depth + 1)
        elif 128 <= first <= 191 and (flow.has_stun or flow.follower is not None or via):
            yield from self._media(flow, data, source)
        else:
            self.unrecognized += 1
            if flow.has_stun:
                yield "unknown", "unknown", len(data), {"first_byte": first if data else None}

    def _flow(self, source: Address, destination: Address, via: str) -> _Flow:
        key = (frozenset((source, destination)), via)
        flow = self._flows.get(key)
        if flow is None:
            flow = _Flow(has_stun=bool(via))
            if len(self._flows) < FLOW_COUNT_MAX:
                self._flows[key] = flow
        return flow

    # -- STUN ----------------------------------------------------------------------------------------------------------

    def _stun(self, data: bytes, source: Address, destination: Address, depth: int) -> Iterator[Found]:
        try:
            message = parse_message(data)
        except WireError as error:
            yield "stun", "malformed", len(data), {"error": str(error)}
            return
        layer = "turn" if message.method in _TURN_METHODS else "stun"
        yield layer, _stun_name(message), len(data), _stun_fields(message)
        carried = message.value(AttributeType.DATA)
        if carried and depth < _DEPTH_MAX:
            peer = message.value(AttributeType.XOR_PEER_ADDRESS)
            yield from self._datagram(carried, source, destination, str(peer), depth + 1)
        embedded = message.value(AttributeType.META_DTLS_IN_STUN)
        if embedded and depth < _DEPTH_MAX:
            yield from self._datagram(embedded, source, destination, "", depth + 1)

    # -- DTLS and media ------------------------------------------------------------------------------------------------

    def _dtls(self, flow: _Flow, data: bytes, source: Address, destination: Address) -> Iterator[Found]:
        follower = flow.follower
        if follower is None:
            follower = flow.follower = self._follower_of(data, source)
        yield from follower.decode(data, source, destination)

    def _follower_of(self, data: bytes, source: Address) -> DtlsFollower:
        """The session that goes on here, else a new one."""
        is_protected = data[0] >= 32 or data[3:5] != b"\0\0"
        for follower in self._followers if is_protected else ():
            if follower.can_open(data, source):
                return follower
        follower = DtlsFollower(self.keys)
        if len(self._followers) < FOLLOWER_COUNT_MAX:
            self._followers.append(follower)
        return follower

    def _media(self, flow: _Flow, data: bytes, source: Address) -> Iterator[Found]:
        follower = flow.follower
        if flow.media is None:
            candidates = [follower] if follower is not None else self._followers
            flow.media = next((keys for each in candidates if (keys := each.media_keys()) is not None), None)
        is_from_client = None if follower is None else follower.is_from_client(source)
        opened = None if flow.media is None else flow.media.open(data, is_from_client=is_from_client)
        yield from decode_media(data, opened)


def decode_capture(data: bytes, key_log: str = "", decoder: SessionDecoder | None = None) -> Iterator[Decoded]:
    """Every message of every WebRTC session in a capture.

    data     a pcapng or pcap file
    key_log  lines of an NSS key log; secrets that the capture carries are used as well
    Errors   WireError where it is no capture, or stops being one
    """
    decoder = decoder or SessionDecoder()
    decoder.keys.add(key_log)
    for item in _items(data):
        if isinstance(item, KeyLog):
            decoder.keys.add(item.text)
    for item in read_capture(data):
        datagram = None if isinstance(item, KeyLog) else udp_of(item)
        if datagram is not None and not isinstance(item, KeyLog):
            yield from decoder.decode(datagram.source, datagram.destination, datagram.data, item.at)


def _items(data: bytes) -> Iterable[object]:
    """The items up to where the capture stops being one, which is told when they are decoded."""
    try:
        yield from read_capture(data)
    except WireError:
        return


def _stun_name(message: Message) -> str:
    known = message.method in tuple(Method)
    method = Method(message.method).name.replace("_", " ").title() if known else f"method {message.method}"
    return f"{method} {_CLASSES[message.message_class]}"


def _stun_fields(message: Message) -> dict[str, Plain]:
    fields: dict[str, Plain] = {"transaction": message.transaction_id.hex()}
    for attribute in message.attributes:
        if attribute.type in _PROOFS:
            continue
        name = attribute_name(attribute.type)
        value: object = attribute.value
        fields[name] = f"{len(value)} bytes" if isinstance(value, bytes) and len(value) > 8 else plain(value)
    return fields


def _looks_like_dtls(data: bytes) -> bool:
    """A record of DTLS 1.0 to 1.2, or a ciphertext of 1.3, by the bytes that do not vary; of other traffic few are."""
    return data[1:3] in (b"\xfe\xff", b"\xfe\xfd") and len(data) >= 13
