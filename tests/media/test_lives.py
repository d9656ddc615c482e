"""Whole lives of two sessions: random media, verbs, negotiation and networks; the contract holds all along."""

import pytest

from sans_rtc.media import DiscardReason, Encoding, EncodingSettings, MediaConfig, OutgoingFrame, PacketReceived
from sans_rtc.rtp.recovery import KeyframeRequestKind
from sans_rtc.testing import ContractMonitor, Link, LinkConditions, SeededEntropy

FEEDBACKS = (
    frozenset(("nack", "nack pli", "ccm fir", "transport-cc")),
    frozenset(("nack", "nack pli", "ack ccfb")),
    frozenset(("nack", "ccm fir", "goog-remb")),
    frozenset(("nack pli",)),
    frozenset(),
)
CONDITIONS = (
    LinkConditions(),
    LinkConditions(loss=0.1, jitter_s=0.02),
    LinkConditions(reordering=0.3, duplication=0.2, loss=0.02),
    LinkConditions(corruption=0.2, loss=0.3),
    LinkConditions(rate_bytes_s=40_000, queue_bytes=20_000),
    LinkConditions(loss=1.0),
)


class Life:
    """One run, driven by a seed."""

    def __init__(self, pair, media, seed):
        self.chance = SeededEntropy(f"life {seed}")
        self.media = media
        config = MediaConfig(frames_max=64, inbound_streams_max=12)
        self.sections = [[], []]
        self.pair = pair(config=config, sections=[], other_sections=[], seed=seed)
        self.ends = (self.pair.a, self.pair.b)
        self.link = Link(*map(ContractMonitor, self.ends), seed=seed, clock=self.pair.link.clock)
        self.frame_count = 0
        self.forward = False
        self.link.on_event = self.on_event
        self.negotiate()

    def of(self, *choices):
        return choices[self.chance.below(len(choices))]

    def on_event(self, end, event):
        if self.forward and isinstance(event, PacketReceived) and event.handle in self.handles(end):
            session = self.ends[end]
            session.send_packet(event.handle, event.packet, self.link.now, source=event.extensions, codec=event.codec)

    def handles(self, end):
        return [
            section.handle for section in self.sections[end] if section.send and section.send.encodings[0].rid == ""
        ]

    def negotiate(self):
        """Sections of both ends, that fit each other."""
        feedback, rtx = self.of(*FEEDBACKS), self.of(97, None)
        codec = self.media.video_codec(self.of("VP8", "H264"), feedback=feedback, rtx=rtx)
        rids = self.of((), ("a", "b"))
        both = []
        for end in (0, 1):
            base = 0x1000 * (end + 1)
            encodings = tuple(Encoding(rid, base + 2 * i, base + 2 * i + 1) for i, rid in enumerate(rids or ("",), 1))
            made = []
            if self.chance.below(4):
                made.append(self.media.audio_section(ssrc=base + 100, receive=self.of(True, True, False)))
            if self.chance.below(4):
                settings = {"is_reduced_size": self.of(True, False), "wants_receiver_rtt": self.of(True, False)}
                extensions = self.of(self.media.EXTENSIONS, (), ((20, "urn:ietf:params:rtp-hdrext:sdes:mid"),))
                made.append(
                    self.media.video_section(
                        codec=codec, encodings=encodings, rids=rids, send=self.of(True, True, False),
                        extensions=extensions, **settings,
                    )
                )  # fmt: skip
            both.append(made)
        for end in (0, 1):
            self.sections[end] = both[end]
            self.ends[end].configure(both[end], self.link.now)

    def step(self):
        end = self.chance.below(2)
        session, now = self.ends[end], self.link.now
        what = self.chance.below(30)
        if what == 0:
            self.link.conditions = self.of(*CONDITIONS)
        elif what == 1:
            self.negotiate()
        elif what == 2:
            session.path_changed(now)
        elif what == 3:
            session.set_path_overhead(self.of(0, 4, 36, 300))
        elif what == 4:
            session.clear_keys(now)
        elif what == 5:
            for which, (send, receive) in enumerate(
                ((self.media.KEY_A, self.media.KEY_B), (self.media.KEY_B, self.media.KEY_A))
            ):
                self.ends[which].set_keys(self.media.PROFILE, send, receive, now)
        elif what == 6:
            self.link.run_for(self.of(0.5, 3.0, 20.0))
        elif what == 7:
            self.forward = not self.forward
        else:
            self.use(end, session, what, now)
        self.link.flush()
        self.link.run_for(self.of(0.0, 0.001, 0.02, 0.033))
        for monitor in self.link.ends:
            monitor.check(self.link.now)

    def use(self, end, session, what, now):
        for section in self.sections[end]:
            if what == 8:
                session.request_keyframe(section.handle, now, kind=self.of(*KeyframeRequestKind))
            elif what == 9:
                session.set_output(section.handle, frames=self.of(True, False), packets=self.of(True, False))
            elif what == 10 and section.send:
                settings = [
                    EncodingSettings(e.rid, self.of(True, True, False), self.of(None, 0, 300_000))
                    for e in section.send.encodings
                ]
                session.set_encodings(section.handle, settings, now)
            elif what == 11:
                assert all(stats.to_json() for stats in session.statistics(now))
            elif section.send:
                self.send(session, section, now)

    def send(self, session, section, now):
        self.frame_count += 1
        index = self.frame_count
        for encoding in section.send.encodings:
            if section.kind == "audio":
                frame = OutgoingFrame(self.media.opus(index), int(now * 48000), audio_level_dbov=self.of(None, 30))
            else:
                name = section.send.codecs[0].codec.name
                data = self.media.VIDEO_FRAMES[name](index % 20 == 1, self.of(100, 3000, 60_000), index)
                frame = OutgoingFrame(data, int(now * 90000), encoding.rid, rotation=self.of(None, 90))
            session.send_frame(section.handle, frame, now)


@pytest.mark.parametrize("seed", range(8))
def test_sessions_live_whatever_happens(pair, media, seed):
    life = Life(pair, media, seed)
    for _ in range(150):
        life.step()
    for session in life.ends:
        for receiver in session._sections.receivers.values():
            for stream in receiver.streams.values():
                stream._buffer.check()
        assert len(session._router.sources) <= 12
        assert DiscardReason.SRTP_EXHAUSTED not in session.stats.discards
        session.close(life.link.now)
    life.link.flush()
    life.link.run_for(60.0)
    assert [session.is_terminated for session in life.ends] == [True, True]
    assert life.link._deadline() == float("inf")
