"""Offers and answers with audio and video: two ends, transceivers that come and go, strangers' descriptions.

What comes out of it is what a media session is configured with; that takes whatever was agreed on.
"""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import allow_misuse
from fuzz.script import Script
from fuzz.targets import negotiation as plain
from sans_rtc.errors import LocalError, WireError
from sans_rtc.media import EncodingSettings, MediaConfig, RtpSession
from sans_rtc.peer import TransceiverOptions
from sans_rtc.peer.negotiation import Description, Negotiation
from sans_rtc.rtp.payload import CODECS, MediaKind
from sans_rtc.sdp.values import Direction
from sans_rtc.srtp import MasterKey
from sans_rtc.testing import SeededEntropy
from tests.media.conftest import PROFILE
from tests.peer.negotiation.conftest import make_negotiation
from tests.property.objects import footprint, snapshot

OPERATIONS_MAX = 30
DIRECTIONS = tuple(Direction)
RIDS = ("", "h", "l", "m")
ITEMS_MAX, BYTES_MAX = 150_000, 2_000_000


def run(data: bytes) -> None:
    """The bytes are a script."""
    script = Script(data)
    ends = [make_negotiation(seed, wants_data=seed == 1, accepts_media=True) for seed in (1, 2)]
    sessions = [_session(), _session()]
    said: list[Description] = []
    for _ in range(OPERATIONS_MAX):
        if script.is_over:
            break
        side = script.below(2)
        _step(ends[side], "ab"[side], said, script)
        for end, session in zip(ends, sessions, strict=True):
            session.configure(end.media.sections, 1.0)
            session.take_datagrams(1.0)
            session.take_events()
    size = footprint(ends)
    assert size.items <= ITEMS_MAX and size.bytes <= BYTES_MAX, size


def _session() -> RtpSession:
    session = RtpSession(MediaConfig(), entropy=SeededEntropy("session"))
    session.set_keys(PROFILE, MasterKey(bytes(16), bytes(12)), MasterKey(bytes(16), bytes(12)), 0.0)
    return session


def _step(end: Negotiation, name: str, said: list[Description], script: Script) -> None:
    """One call; where it is refused, nothing has changed."""
    operation = script.pick(OPERATIONS)
    before = snapshot(end) if script.below(4) == 1 and operation not in (_exchange, _answer) else None
    try:
        operation(end, name, said, script)
    except (LocalError, WireError):
        assert before is None or snapshot(end) == before, "a call was refused, and something has changed"
    for read in (end.local_description, end.remote_description, end.is_negotiation_needed, end.media.infos()):
        repr(read)


def _handle(end: Negotiation, script: Script) -> int:
    known = [info.handle for info in end.media.infos()]
    return script.pick(known) if known and script.below(16) else script.below(256)


def _settings(script: Script) -> tuple[EncodingSettings, ...]:
    return tuple(
        EncodingSettings(script.pick(RIDS), bool(script.below(2)), script.pick((None, 1, 10**6)))
        for _ in range(script.below(4))
    )


def _add(end, name, said, script):
    direction, streams = script.pick(DIRECTIONS), tuple(script.pick(("s", "t", "")) for _ in range(script.below(3)))
    settings = _settings(script) if script.below(2) else ()
    options = allow_misuse(
        lambda: TransceiverOptions(
            direction=direction, streams=streams, encodings=settings, is_from_track=bool(script.below(2))
        )
    )
    if options is not None:
        end.media.add_transceiver(script.pick((MediaKind.AUDIO, MediaKind.VIDEO)), options)


def _direct(end, name, said, script):
    end.media.set_direction(_handle(end, script), script.pick(DIRECTIONS))


def _prefer(end, name, said, script):
    end.media.set_codec_preferences(_handle(end, script), [script.pick(CODECS) for _ in range(script.below(4))])


def _encode(end, name, said, script):
    end.media.set_encodings(_handle(end, script), _settings(script))


def _stream(end, name, said, script):
    end.media.set_streams(_handle(end, script), [script.text(8) for _ in range(script.below(3))])


def _stop(end, name, said, script):
    end.media.stop(_handle(end, script))


def _exchange(end, name, said, script):
    """All that an offer takes: it is made and applied; the other's answer comes by other steps."""
    said.append(end.create_offer(plain.make_transport(name, 0)))
    end.apply_local(said[-1])


def _answer(end, name, said, script):
    end.apply_remote(said[-1] if said else Description("offer", ""))
    said.append(end.create_answer(plain.make_transport(name, 0)))
    end.apply_local(said[-1])


OPERATIONS = (
    *plain.OPERATIONS,
    _add,
    _add,
    _direct,
    _prefer,
    _encode,
    _stream,
    _stop,
    _exchange,
    _answer,
    plain._apply_altered,
    plain._apply_foreign,
)
FIRST = len(plain.OPERATIONS)


def seeds() -> Iterator[bytes]:
    """Exchanges of audio and video with everything in between; every stranger's offer, answered, then altered."""
    add = bytes((0, FIRST, 0, 0, 0, 0, 0, 1, 0, FIRST, 0, 0, 0, 0, 0, 0))
    exchange = bytes((0, FIRST + 7, 0, 1, FIRST + 8, 0, 0, 3, 0, 0))
    for operation in range(FIRST + 9):
        yield add + exchange + bytes((operation & 1, operation, 1, 1, 1, 1, 1, 1)) + exchange
        yield add + bytes((0, operation, 1, 2, 2, 1, 1, 1, 1, 1)) + exchange + exchange
    simulcast = bytes((0, FIRST, 0, 0, 0, 1, 3, 1, 1, 0, 2, 1, 0, 3, 1, 0, 0, 1))
    yield simulcast + exchange + exchange
    for number in range(len(plain.FOREIGN)):
        for kind in range(3):
            foreign = bytes((1, 5, 0, kind, number, 0))
            yield foreign + bytes((1, 1, 0, 0, 1, 2, 0, 0))
            for line in range(0, 60, 5):
                changed = bytes((1, 5, 0, kind, number, 1, line, line % 5, 3, 4, 49, 50, 51))
                yield changed + bytes((1, 1, 0, 0, 1, 2, 0, 0)) + foreign
