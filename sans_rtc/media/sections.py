"""The m= sections of a session: their senders and receivers as negotiation has them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sans_rtc.entropy import Entropy, draw_uint
from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.media.config import MediaConfig
from sans_rtc.media.control import FeedbackMode
from sans_rtc.media.encoding import EncodingSender
from sans_rtc.media.event_queue import EventQueue
from sans_rtc.media.events import StreamEndReason
from sans_rtc.media.outbound import OutboundStream, OutgoingPacket
from sans_rtc.media.parameters import MediaSection
from sans_rtc.media.receiver import SectionReceiver
from sans_rtc.media.routing import Router
from sans_rtc.media.sender import SectionSender
from sans_rtc.media.stats import MediaStats
from sans_rtc.rtp.extensions import Extension, ExtensionMap
from sans_rtc.rtp.payload.interface import MediaKind


class Sections:
    """Senders and receivers by handle, and what follows from all of them together.

    senders, receivers   by handle
    encodings            of media, by SSRC
    streams              all that is sent, by SSRC
    """

    def __init__(
        self, config: MediaConfig, router: Router, events: EventQueue, stats: MediaStats, entropy: Entropy
    ) -> None:
        self._config = config
        self._router = router
        self._events = events
        self._stats = stats
        self._entropy = entropy
        self._outputs: dict[int, tuple[bool, bool]] = {}
        self._collisions = 0
        self._next_numbers: dict[int, int] = {}
        self.all: tuple[MediaSection, ...] = ()
        self.senders: dict[int, SectionSender] = {}
        self.receivers: dict[int, SectionReceiver] = {}
        self.encodings: dict[int, EncodingSender] = {}
        self.streams: dict[int, OutboundStream] = {}

    # --- negotiation --------------------------------------------------------------------------------------------------

    def configure(self, sections: Sequence[MediaSection]) -> list[int]:
        """Take the sections in force; returns the SSRCs that are sent no more.

        Errors  InvalidArgument for a handle, MID, SSRC or extension id that is there twice; LimitExceeded. Nothing has
                changed then
        """
        self._check(sections)
        self.all = tuple(sections)
        before = list(self.streams)
        for section in sections:
            sender = self.senders.get(section.handle)
            if sender is None:
                sender = self.senders[section.handle] = SectionSender(section, self._config, self._entropy)
            sender.configure(section)
            self._configure_receiver(section)
        handles = {section.handle for section in sections}
        for handle in self.senders.keys() - handles:
            del self.senders[handle]
            self._outputs.pop(handle, None)
        for handle in self.receivers.keys() - {section.handle for section in sections if section.receive is not None}:
            self._end_receiver(self.receivers.pop(handle))
        self._router.configure(list(self.receivers.values()))
        self.index()
        return [ssrc for ssrc in before if ssrc not in self.streams]

    def _check(self, sections: Sequence[MediaSection]) -> None:
        config = self._config
        encodings = [encoding for section in sections if section.send for encoding in section.send.encodings]
        of_each = ((encoding.ssrc, encoding.rtx_ssrc, encoding.fec_ssrc) for encoding in encodings)
        ssrcs = [ssrc for all_of_one in of_each for ssrc in all_of_one if ssrc]
        for name, values in (
            ("a handle", [section.handle for section in sections]),
            ("a MID", [section.mid for section in sections]),
            ("an SSRC", ssrcs),
        ):
            if len(set(values)) < len(values):
                raise InvalidArgument(f"{name} is there twice")
        if not all(encoding.ssrc for encoding in encodings):
            raise InvalidArgument("an encoding has no SSRC")
        if len(sections) > config.sections_max:
            raise LimitExceeded(f"{len(sections)} sections; {config.sections_max} are taken")
        for section in sections:
            for parameters in (section.send, section.receive):
                if parameters is not None:
                    ExtensionMap(parameters.extensions)
            if section.send is not None:
                rids = [encoding.rid for encoding in section.send.encodings]
                if len(rids) > config.encodings_max:
                    raise LimitExceeded(f"{len(rids)} encodings; {config.encodings_max} are taken")
                if len(set(rids)) < len(rids):
                    raise InvalidArgument("a rid is there twice")

    def _configure_receiver(self, section: MediaSection) -> None:
        if section.receive is None:
            return
        receiver = self.receivers.get(section.handle)
        if receiver is None:
            receiver = SectionReceiver(section.handle, self._config, self._events, self._stats)
            self.receivers[section.handle] = receiver
            receiver.wants_frames, receiver.wants_packets = self._outputs.get(section.handle, (True, False))
        receiver.configure(section, section.receive)

    def _end_receiver(self, receiver: SectionReceiver) -> None:
        for ssrc in list(receiver.streams):
            self._router.forget(ssrc, StreamEndReason.REMOVED)

    def index(self) -> None:
        """Make the tables of what is sent anew. An SSRC that was sent before goes on where it stopped.

        For SRTP a number under the same SSRC and key may never be used twice.
        """
        for ssrc, stream in self.streams.items():
            self._next_numbers[ssrc] = stream.next_sequence
        self.encodings, streams = {}, {}
        for sender in self.senders.values():
            for encoding in sender.encodings.values():
                self.encodings[encoding.media.ssrc] = encoding
                for stream in encoding.streams:
                    streams[stream.ssrc] = stream
                    if self.streams.get(stream.ssrc) is not stream and stream.ssrc in self._next_numbers:
                        stream.next_sequence = self._next_numbers[stream.ssrc]
        self.streams = streams

    # --- what follows from all ----------------------------------------------------------------------------------------

    @property
    def sending_streams(self) -> list[OutboundStream]:
        """Of the sections that send."""
        return [
            stream
            for sender in self.senders.values()
            if sender.is_sending
            for encoding in sender.encodings.values()
            for stream in encoding.streams
        ]

    @property
    def feedback_mode(self) -> FeedbackMode:
        """The feedback that the peer gives on what is sent: the one that tells the most."""
        kinds: set[str] = set()
        for sender in self.senders.values():
            if sender.is_sending:
                uris = {uri for _, uri in sender.parameters.extensions}
                for codec in sender.parameters.codecs:
                    kinds |= codec.feedback - (set() if Extension.TRANSPORT_CC in uris else {"transport-cc"})
        return _feedback_mode(kinds)

    @property
    def arrival_feedback_mode(self) -> FeedbackMode:
        """The feedback that we give on what comes."""
        kinds: set[str] = set()
        for receiver in self.receivers.values():
            has_numbers = receiver.extensions.id_of(Extension.TRANSPORT_CC) is not None
            kinds |= receiver.feedback - (set() if has_numbers else {"transport-cc"})
        return _feedback_mode(kinds)

    def id_of(self, uri: Extension) -> int:
        """The id of an extension in what comes; bundled sections share it. 0: none."""
        ids = [receiver.extensions.id_of(uri) for receiver in self.receivers.values()]
        return next((number for number in ids if number), 0)

    @property
    def cname(self) -> str:
        """Of this end, as the descriptions have it."""
        return next((sender.parameters.cname for sender in self.senders.values() if sender.parameters.cname), "")

    def make_padding(self, size_bytes: int) -> list[OutgoingPacket]:
        """Fill up with video that was sent last, by RTX where there is one."""
        for sender in self.senders.values():
            if sender.is_sending and sender.kind is MediaKind.VIDEO:
                for encoding in reversed(list(sender.encodings.values())):
                    is_sent = encoding.settings.is_active and encoding.media.watch.breaker.reason is None
                    packets = encoding.make_padding(size_bytes) if is_sent else []
                    if packets:
                        return packets
        return []

    @property
    def can_pad(self) -> bool:
        """There is video."""
        return any(sender.is_sending and sender.kind is MediaKind.VIDEO for sender in self.senders.values())

    def set_output(self, handle: int, frames: bool, packets: bool) -> None:
        """What a receiver hands over."""
        self._outputs[handle] = (frames, packets)
        receiver = self.receivers.get(handle)
        if receiver is not None:
            receiver.wants_frames, receiver.wants_packets = frames, packets

    def require(self, handle: int) -> None:
        """InvalidArgument where there is no such section."""
        if handle not in self.senders:
            raise InvalidArgument(f"there is no section with handle {handle}")

    def resolve_collision(self, ssrc: int) -> bool:
        """The peer sends with an SSRC of ours: ours changes (RFC 3550 section 8.2). False: too often already."""
        stream = self.streams.get(ssrc)
        if stream is None or self._collisions >= self._config.collisions_max:
            return False
        self._collisions += 1
        sender = self.senders[stream.handle]
        encoding = next(item for item in sender.encodings.values() if stream in item.streams)
        encoding.change_ssrc(stream, self._draw_ssrc())
        sender.lay_out()
        self.index()
        return True

    def _draw_ssrc(self) -> int:
        taken: Iterable[int] = self.streams.keys() | self._router.sources.keys() | self._next_numbers.keys()
        while True:
            ssrc = draw_uint(self._entropy, 32)
            if ssrc and ssrc not in taken:
                return ssrc


def _feedback_mode(kinds: set[str]) -> FeedbackMode:
    if "ack ccfb" in kinds:
        return FeedbackMode.PER_STREAM
    if "transport-cc" in kinds:
        return FeedbackMode.TRANSPORT_WIDE
    return FeedbackMode.REMB if "goog-remb" in kinds else FeedbackMode.NONE
