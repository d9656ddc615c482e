"""From a drawn picture to a recorded file through two RTP sessions and a link that loses packets, in virtual time."""

import itertools

import pytest

from sans_rtc.media import (
    CodecParameters,
    Encoding,
    FrameReceived,
    KeyframeRequested,
    MediaConfig,
    MediaSection,
    OutgoingFrame,
    ReceiveParameters,
    RtpSession,
    SenderBitrateChanged,
    SendParameters,
)
from sans_rtc.rtp import Extension
from sans_rtc.rtp.payload import MediaKind, codecs_named
from sans_rtc.srtp import MasterKey, SrtpProfile
from sans_rtc.testing import Link, LinkConditions, SeededEntropy

pytest.importorskip("av", reason="PyAV is not installed: pip install 'sans-rtc[av]'")

import av

from sans_rtc_av import (
    PictureSource,
    Recorder,
    SourcePlayer,
    ToneSource,
    available_encoders,
    frame_number_of,
    new_decoder,
    samples_of_sound,
)

HANDLES = {MediaKind.AUDIO: 1, MediaKind.VIDEO: 2}
EXTENSIONS = ((3, Extension.TRANSPORT_CC), (4, Extension.MID))
FEEDBACK = frozenset(("nack", "nack pli", "transport-cc"))
KEYS = MasterKey(b"a" * 16, b"s" * 12), MasterKey(b"b" * 16, b"t" * 12)


def section(kind, codec_name, *, sends, feedback=FEEDBACK):
    codec = codecs_named(codec_name)[0]
    codecs = (CodecParameters(96 + HANDLES[kind], codec, codec.parameters, feedback),)
    send = SendParameters(codecs, (Encoding("", 0xA0 + HANDLES[kind]),), EXTENSIONS, "cname")
    receive = ReceiveParameters(codecs, EXTENSIONS)
    return MediaSection(HANDLES[kind], f"m{HANDLES[kind]}", kind, send if sends else None, None if sends else receive)


class Call:
    """One end plays, the other takes frames."""

    def __init__(self, player, names, conditions, feedback=FEEDBACK):
        self.player = player
        self.sender = RtpSession(MediaConfig(), entropy=SeededEntropy("a"))
        self.receiver = RtpSession(MediaConfig(), entropy=SeededEntropy("b"))
        self.link = Link(self.sender, self.receiver, seed=1, conditions=conditions)
        self.seen = [0, 0]
        for session, keys, sends in ((self.sender, KEYS, True), (self.receiver, KEYS[::-1], False)):
            session.set_keys(SrtpProfile.AEAD_AES_128_GCM, *keys, self.link.now)
            session.configure([section(k, n, sends=sends, feedback=feedback) for k, n in names.items()], self.link.now)

    def run(self, on_frame):
        """Send each frame when it is due; on_frame(kind, frame) for each that arrives."""
        begin = self.link.now
        for frame in self.player.frames():
            self.link.run_for(max(0.0, begin + frame.due_s - self.link.now))
            self.sender.send_frame(HANDLES[frame.kind], OutgoingFrame(frame.data, frame.timestamp), self.link.now)
            self.link.flush()
            self.handle_events(on_frame)
        self.link.run_for(1.0)
        self.handle_events(on_frame)

    def handle_events(self, on_frame):
        kinds = {handle: kind for kind, handle in HANDLES.items()}
        for end in (0, 1):
            events = self.link.events[end][self.seen[end] :]
            self.seen[end] += len(events)
            for event in events:
                if isinstance(event, FrameReceived):
                    on_frame(kinds[event.handle], event.frame)
                elif isinstance(event, KeyframeRequested):
                    self.player.request_keyframe()
                elif isinstance(event, SenderBitrateChanged) and event.bitrate_bps:
                    self.player.set_bitrate(kinds[event.handle], event.bitrate_bps)


@pytest.mark.parametrize(
    ("video", "suffix", "loss"),
    [("VP8", ".webm", 0), ("VP9", ".mkv", 0), ("H264", ".mp4", 0), ("AV1", ".mkv", 0), ("VP8", ".webm", 0.05)],
)
def test_what_is_played_here_is_recorded_there(video, suffix, loss, tmp_path, frequency_of, quietest_of):
    if video not in available_encoders():
        pytest.skip(f"this build of PyAV has no encoder of {video}")
    names = {MediaKind.VIDEO: video, MediaKind.AUDIO: "opus"}
    player = SourcePlayer(PictureSource(320, 180), ToneSource(440), duration_s=2.0)
    player.choose(video=video, audio="opus")
    call = Call(player, names, LinkConditions(delay_s=0.02))
    path = tmp_path / f"a{suffix}"
    with Recorder(path) as recorder:
        tracks = {kind: recorder.add_track(name, kind) for kind, name in names.items()}

        def take(kind, frame):
            call.link.conditions = LinkConditions(loss=loss, delay_s=0.02)  # once something is there
            recorder.write(
                tracks[kind],
                frame.data,
                frame.timestamp,
                frame.is_keyframe,
                is_contiguous=frame.is_contiguous,
                at_s=frame.received_at,
            )
            if recorder.needs_keyframe(tracks[kind]):
                call.receiver.request_keyframe(HANDLES[kind], call.link.now)

        call.run(take)
    with av.open(str(path)) as container:
        pictures = [(frame_number_of(picture), picture.time) for picture in container.decode(video=0)]
    numbers = [number for number, _ in pictures]
    assert numbers == list(range(60)) if not loss else numbers == sorted(set(numbers)) and len(numbers) > 20
    assert [at - pictures[0][1] for _, at in pictures] == pytest.approx([n / 30 for n in numbers], abs=0.002)
    with av.open(str(path)) as container:
        sounds = list(container.decode(audio=0))
    channels = len(sounds[0].layout.channels)
    samples = b"".join(map(samples_of_sound, sounds))[4 * 4800 : -4 * 4800]
    if not loss:
        assert frequency_of(samples, 48000, channels) == pytest.approx(440, rel=0.005)
        assert quietest_of(samples, 48000, channels) > 3000
        assert len(samples) / (2 * channels * 48000) > 1.5


@pytest.mark.parametrize("video", ["VP8", "H264"])
def test_decoder_asks_for_a_keyframe_after_a_loss_that_nothing_repairs(video):
    player = SourcePlayer(PictureSource(320, 180), duration_s=3.0)
    player.choose(video=video)
    call = Call(player, {MediaKind.VIDEO: video}, LinkConditions(delay_s=0.02), frozenset(("nack pli",)))
    decoder, numbers, lost = new_decoder(video), [], itertools.count()

    def take(kind, frame):
        pictures = decoder.decode(frame.data, frame.timestamp, is_contiguous=frame.is_contiguous)
        numbers.extend(map(frame_number_of, pictures))
        if decoder.needs_keyframe:
            call.receiver.request_keyframe(HANDLES[kind], call.link.now)

    call.link.filter = lambda end, data: None if end == 0 and 25 <= next(lost) < 35 else data
    call.run(take)
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 89
    assert 50 < len(numbers) < 90
