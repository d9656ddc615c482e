"""The transceivers of a session: what the application wants of each, and what descriptions have made of it.

wishes        kind, direction, streams, encodings, preferred codecs, stopping        (W3C RTCRtpTransceiver)
Association   mid, section, current direction: kept apart, since a rollback puts it back and leaves the wishes
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from sans_rtc.entropy import Entropy, draw_text, draw_uint
from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.media.parameters import Encoding, EncodingSettings, MediaSection
from sans_rtc.peer.media_config import CodecChoice
from sans_rtc.peer.transceiver_types import (
    RECEIVING,
    SENDING,
    TransceiverAction,
    TransceiverChange,
    TransceiverInfo,
    TransceiverOptions,
    combine,
    intersect,
    reverse,
)
from sans_rtc.rtp.payload.interface import Codec, MediaKind
from sans_rtc.sdp.values import Direction

# fmt: off
__all__ = [
    "Association", "Transceiver", "TransceiverAction", "TransceiverChange", "TransceiverInfo", "TransceiverOptions",
    "Transceivers", "combine", "draw_cname", "draw_track_id", "intersect", "reverse", "tell_difference",
]
# fmt: on


@attrs.frozen(slots=True, kw_only=True)
class Association:
    """What descriptions have made of a transceiver.

    mid, mline_index   of its section; None where it has none
    current_direction  of the last answer, as this end sees it
    is_heard           the peer's description says that it sends
    streams            of what the peer sends
    rids               layers that the peer sends, or did when it last sent
    encodings          of what is sent; a peer's offer may ask for a simulcast
    section            in force; None where nothing is
    is_stopped         it is done with
    """

    mid: str | None = None
    mline_index: int | None = None
    current_direction: Direction | None = None
    is_heard: bool = False
    streams: tuple[str, ...] = ()
    rids: tuple[str, ...] = ()
    encodings: tuple[Encoding, ...] = ()
    section: MediaSection | None = None
    is_stopped: bool = False


@attrs.define(slots=True)
class Transceiver:
    """One transceiver (W3C RTCRtpTransceiver).

    handle              its number in this session
    is_from_track       a section that the peer offers may take it over
    is_from_peer        the peer's offer has made it, and no track was added to it since
    is_provisional      the offer that has made it is not answered for good
    is_stopping         the application wants it to end
    preferences         codecs in the order wanted; empty: the configuration's
    track_id            of what is sent, in `a=msid`
    """

    handle: int
    kind: MediaKind
    direction: Direction
    track_id: str
    streams: tuple[str, ...] = ()
    is_from_track: bool = False
    is_from_peer: bool = False
    is_provisional: bool = False
    is_stopping: bool = False
    preferences: tuple[CodecChoice, ...] = ()
    association: Association = attrs.Factory(Association)

    @property
    def is_live(self) -> bool:
        """True where it is neither stopped nor to be."""
        return not self.is_stopping and not self.association.is_stopped

    @property
    def preferred(self) -> tuple[Codec, ...]:
        """The rows of the preferences."""
        return tuple(choice.codec for choice in self.preferences)

    @property
    def wants_to_send(self) -> bool:
        """True where its direction is one that sends."""
        return self.direction in SENDING

    @property
    def wants_to_receive(self) -> bool:
        """True where its direction is one that receives."""
        return self.direction in RECEIVING

    def change(self, action: TransceiverAction) -> TransceiverChange:
        """What there is to tell of it."""
        association = self.association
        return TransceiverChange(
            action=action,
            handle=self.handle,
            kind=self.kind,
            mid=association.mid,
            current_direction=association.current_direction,
            streams=association.streams,
        )


class Transceivers:
    """The transceivers of one session, in the order of their making."""

    __slots__ = ("_by_handle", "_count_max", "_draws_fec", "_entropy", "_next_handle", "_saved", "_ssrcs")

    def __init__(self, count_max: int, entropy: Entropy, *, draws_fec: bool = False) -> None:
        self._draws_fec = draws_fec
        self._by_handle: dict[int, Transceiver] = {}
        self._count_max = count_max
        self._entropy = entropy
        self._next_handle = 1
        self._ssrcs: set[int] = set()
        self._saved: dict[int, Association] | None = None

    def __iter__(self) -> Iterator[Transceiver]:
        return iter(self._by_handle.values())

    def __len__(self) -> int:
        return len(self._by_handle)

    @property
    def room(self) -> int:
        """How many more there may be."""
        return self._count_max - len(self._by_handle)

    def of(self, handle: int) -> Transceiver:
        """The transceiver of a handle; InvalidState for one that has ended, InvalidArgument for what never was."""
        found = self._by_handle.get(handle)
        if found is not None:
            return found
        if 0 < handle < self._next_handle:
            raise InvalidState(f"transceiver {handle} is stopped")
        raise InvalidArgument(f"there is no transceiver {handle}")

    def at(self, index: int, associations: Mapping[int, Association] | None = None) -> Transceiver | None:
        """The transceiver of the section at an index, or of before where the associations of then are given."""
        for transceiver in self:
            association = transceiver.association if associations is None else associations.get(transceiver.handle)
            if association is not None and association.mline_index == index:
                return transceiver
        return None

    # -- changes -----------------------------------------------------------------------------------------------------

    def add(self, kind: MediaKind, options: TransceiverOptions, *, is_from_peer: bool = False) -> Transceiver:
        """Make one."""
        if self.room <= 0:
            raise LimitExceeded(f"there are {self._count_max} transceivers")
        transceiver = Transceiver(
            self._next_handle,
            kind,
            options.direction,
            draw_track_id(self._entropy),
            streams=options.streams,
            is_from_track=options.is_from_track,
            is_from_peer=is_from_peer,
            is_provisional=is_from_peer,
            association=Association(encodings=self.draw_encodings(kind, options.encodings or (EncodingSettings(),))),
        )
        self._next_handle += 1
        self._by_handle[transceiver.handle] = transceiver
        return transceiver

    def draw_encodings(self, kind: MediaKind, settings: Sequence[EncodingSettings]) -> tuple[Encoding, ...]:
        """Encodings with SSRCs of their own (RFC 3550 section 8.1)."""
        return tuple(
            Encoding(
                rid=each.rid,
                ssrc=self._draw_ssrc(),
                rtx_ssrc=self._draw_ssrc() if kind is MediaKind.VIDEO else 0,
                is_active=each.is_active,
                max_bitrate_bps=each.max_bitrate_bps,
                scale_down_by=each.scale_down_by,
                priority=each.priority,
                fec_ssrc=self._draw_ssrc() if kind is MediaKind.VIDEO and self._draws_fec else 0,
            )
            for each in settings
        )

    def _draw_ssrc(self) -> int:
        while True:
            ssrc = draw_uint(self._entropy, 32)
            if ssrc and ssrc not in self._ssrcs:
                self._ssrcs.add(ssrc)
                return ssrc

    def find(self, handle: int) -> Transceiver | None:
        """The transceiver of a handle, None for one that has ended."""
        return self._by_handle.get(handle)

    def change_encodings(self, transceiver: Transceiver, changes: Mapping[str, EncodingSettings]) -> None:
        """Change the settings of encodings by rid, those included that a rollback would bring back."""
        transceiver.association = _with_settings(transceiver.association, changes)
        if self._saved is not None and transceiver.handle in self._saved:
            self._saved[transceiver.handle] = _with_settings(self._saved[transceiver.handle], changes)

    def remove(self, handle: int) -> None:
        """Let one go."""
        del self._by_handle[handle]

    def forget_stopped(self) -> None:
        """Let those go that are done with, and whose end both descriptions tell."""
        for transceiver in [each for each in self if each.association.is_stopped]:
            del self._by_handle[transceiver.handle]

    # -- an exchange and its undoing ---------------------------------------------------------------------------------

    @property
    def stable(self) -> dict[int, Association]:
        """The associations that a rollback would bring back; the present ones where no exchange is under way."""
        if self._saved is not None:
            return self._saved
        return {transceiver.handle: transceiver.association for transceiver in self}

    def begin(self) -> None:
        """An exchange begins: keep what a rollback brings back; without effect where one is under way."""
        if self._saved is None:
            self._saved = self.stable

    def commit(self) -> None:
        """The exchange is complete."""
        self._saved = None
        for transceiver in self:
            transceiver.is_provisional = False

    def roll_back(self) -> list[TransceiverChange]:
        """The exchange is given up (RFC 9429 section 5.7); those that the offer made go, unless a track was added."""
        saved, self._saved = self.stable, None
        changes = []
        for transceiver in list(self):
            before = transceiver.association
            encodings = before.encodings
            transceiver.association = saved.get(transceiver.handle, Association(encodings=encodings))
            is_provisional, transceiver.is_provisional = transceiver.is_provisional, False
            if is_provisional and not transceiver.is_from_track:
                changes.append(transceiver.change(TransceiverAction.REMOVED))
                del self._by_handle[transceiver.handle]
                continue
            changes += tell_difference(transceiver, before)
            if transceiver.is_stopping and transceiver.association.mline_index is None:
                transceiver.association = attrs.evolve(transceiver.association, is_stopped=True)
                changes.append(transceiver.change(TransceiverAction.STOPPED))
                del self._by_handle[transceiver.handle]
        return changes


def _with_settings(association: Association, changes: Mapping[str, EncodingSettings]) -> Association:
    encodings = tuple(_with_setting(encoding, changes) for encoding in association.encodings)
    section = association.section
    if section is not None and section.send is not None:
        sent = tuple(_with_setting(encoding, changes) for encoding in section.send.encodings)
        section = attrs.evolve(section, send=attrs.evolve(section.send, encodings=sent))
    return attrs.evolve(association, encodings=encodings, section=section)


def _with_setting(encoding: Encoding, changes: Mapping[str, EncodingSettings]) -> Encoding:
    setting = changes.get(encoding.rid)
    if setting is None:
        return encoding
    return attrs.evolve(
        encoding,
        is_active=setting.is_active,
        max_bitrate_bps=setting.max_bitrate_bps,
        scale_down_by=setting.scale_down_by,
        priority=setting.priority,
    )


def tell_difference(transceiver: Transceiver, before: Association) -> list[TransceiverChange]:
    """What there is to tell of a transceiver after its association has changed."""
    after, actions = transceiver.association, []
    if after.is_stopped and not before.is_stopped:
        return [transceiver.change(TransceiverAction.STOPPED)]
    if after.is_heard and (not before.is_heard or after.streams != before.streams):
        actions.append(TransceiverAction.TRACK)
    elif before.is_heard and not after.is_heard:
        actions.append(TransceiverAction.TRACK_ENDED)
    if after.current_direction is not before.current_direction:
        actions.append(TransceiverAction.DIRECTION)
    return [transceiver.change(action) for action in actions]


def draw_track_id(entropy: Entropy) -> str:
    """A name that tells nothing, in the form that browsers give to tracks (RFC 9562 section 5.4)."""
    data = bytearray(entropy(16))
    data[6], data[8] = data[6] & 0x0F | 0x40, data[8] & 0x3F | 0x80
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def draw_cname(entropy: Entropy) -> str:
    """RFC 7022 section 4.2: 96 bits as base64."""
    return draw_text(entropy, 16)
