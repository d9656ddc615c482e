"""A stream of frames as packets: each payload names its frame and its place, so that a wrong frame shows."""

import heapq
import math
import random

import attrs
import pytest

from sans_rtc.rtp.recovery import (
    FecReceiverConfig,
    FlexFecEncoder,
    FlexFecReceiver,
    KeyframeConfig,
    KeyframeRequester,
    KeyframeRequestKind,
    NackConfig,
    NackGenerator,
    ReceiveBuffer,
    ReceiveBufferConfig,
    RtxReceiver,
    RtxSender,
    SendHistory,
    SendHistoryConfig,
    row_pattern,
)
from sans_rtc.rtp.wire import RtpPacket, parse_rtp, serialize_rtp
from sans_rtc.testing import SeededEntropy
from sans_rtc.testing.cable import Lane

FRAME_TICKS = 3000  # 30 frames a second at 90 kHz


def video(sizes, *, first=0, timestamp=0, ssrc=0x1234, payload_bytes=20):
    """Frames of so many packets as a list of lists of RtpPacket; the first byte of a payload is 1 where one begins."""
    frames = []
    number = first
    for index, size in enumerate(sizes):
        frames.append([])
        for part in range(size):
            head = bytes([part == 0]) + f"{index}/{part}/{size} ".encode()
            frames[-1].append(
                RtpPacket(
                    96,
                    number & 0xFFFF,
                    (timestamp + index * FRAME_TICKS) & 0xFFFFFFFF,
                    ssrc,
                    head.ljust(payload_bytes, b"."),
                    marker=part == size - 1,
                )
            )
            number += 1
    return frames


def begins_and_ends(packet):
    """The boundaries of `video`."""
    return packet.payload[0] == 1, packet.marker


@pytest.fixture(scope="session")
def make_video():
    return video


@pytest.fixture(scope="session")
def boundaries():
    return begins_and_ends


@pytest.fixture(scope="session")
def make_random():
    return random.Random


@attrs.define
class Result:
    """sent, taken  frames as lists of packets; decodable  taken behind a keyframe with nothing missing since"""

    sent: list
    taken: list
    decodable: int
    delays_s: list
    world: object

    @property
    def delivered(self):
        return len(self.taken) / len(self.sent)


class VideoCall:
    """A sender and a receiver of video over a link that loses, delays, reorders and doubles, both ways.

    30 frames a second of 8 packets; a keyframe of 30 packets first and when one is asked for.
    """

    def __init__(self, *, seed, conditions, with_rtx=True, pattern=None, buffer=None, nack=None, history=None):
        self.chance = SeededEntropy(f"call {seed}")
        self.conditions = conditions
        self.pattern = pattern
        self.with_rtx = with_rtx
        rtt_s = 2 * conditions.delay_s
        self.history = SendHistory(history or SendHistoryConfig(), rtt_s=rtt_s)
        self.rtx_sender = RtxSender(2, {96: 97}, entropy=self.chance)
        self.encoder = FlexFecEncoder(98, 3, pattern or row_pattern(2), entropy=self.chance)
        self.rtx_receiver = RtxReceiver(1, {97: 96})
        self.fec = FlexFecReceiver(FecReceiverConfig())
        self.nack = NackGenerator(nack or NackConfig(), rtt_s=rtt_s)
        self.keyframes = KeyframeRequester(KeyframeConfig(), rtt_s=rtt_s)
        config = buffer or ReceiveBufferConfig(give_up_after_s=1.0)
        self.buffer = ReceiveBuffer(config, begins_and_ends)
        self.lanes = Lane(), Lane()
        self.queue = []
        self.order = 0
        self.next_number = self.chance.below(0x10000)
        self.needs_keyframe = True
        self.sent, self.taken, self.delays_s = [], [], []
        self.decodable, self.is_decodable = 0, False
        self.held_max = 0

    def run(self, frame_count, *, drain_s=6.0):
        for index in range(frame_count):
            self.at(index / 30, self.send_frame, index)
        end = frame_count / 30 + drain_s
        now = 0.0
        while True:
            deadlines = [self.buffer.deadline, self.keyframes.deadline]
            if self.with_rtx:
                deadlines.append(self.nack.deadline)
            moment = min(*deadlines, self.queue[0][0] if self.queue else math.inf)
            assert moment >= now, "a deadline in the past that does not clear"
            if moment > end:
                return Result(self.sent, self.taken, self.decodable, self.delays_s, self)
            now = moment
            while self.queue and self.queue[0][0] <= now:
                _, _, call, item = heapq.heappop(self.queue)
                call(item, now)
            self.feed_back(now)
            self.take(now)

    def at(self, moment, call, item):
        self.order += 1
        heapq.heappush(self.queue, (moment, self.order, call, item))

    def transmit(self, direction, size, call, item, now):
        for arrival in self.lanes[direction].arrivals(size, self.conditions, self.chance, now):
            self.at(arrival, call, item)

    def send_frame(self, index, now):
        is_key, self.needs_keyframe = self.needs_keyframe, False
        size = 30 if is_key else 8
        (frame,) = video([size], first=self.next_number, timestamp=index * FRAME_TICKS, ssrc=1, payload_bytes=1100)
        self.next_number += size
        for packet in frame:
            packet.payload = packet.payload[:1] + bytes([is_key]) + index.to_bytes(4, "big") + packet.payload[6:]
            self.history.add(packet, now)
            data = serialize_rtp(packet)
            self.transmit(0, len(data), self.on_packet, data, now)
            if self.pattern is not None:
                for repair in self.encoder.protect(data):
                    data = serialize_rtp(repair)
                    self.transmit(0, len(data), self.on_packet, data, now)
        self.sent.append(frame)

    def on_packet(self, data, now):
        packet = parse_rtp(data)
        if packet.ssrc == 3:
            found = self.fec.receive_repair(packet)
        elif packet.ssrc == 2:
            packet = self.rtx_receiver.unwrap(packet)
            self.on_media(packet, self.buffer.receive_recovered, now)
            found = self.fec.receive_media(serialize_rtp(packet)) if self.pattern is not None else []
        else:
            self.on_media(packet, self.buffer.receive, now)
            found = self.fec.receive_media(data) if self.pattern is not None else []
        for lost in found:
            self.on_media(parse_rtp(lost), self.buffer.receive_recovered, now)

    def on_media(self, packet, receive, now):
        receive(packet, now)
        self.nack.receive(packet.sequence_number, now)
        self.held_max = max(self.held_max, self.buffer.packet_count)

    def feed_back(self, now):
        if self.with_rtx:
            numbers = self.nack.take_requests(now)
            if numbers:
                self.transmit(1, 80, self.on_nack, numbers, now)
            for number in self.nack.take_given_up():
                self.buffer.give_up(number, now)
            if self.nack.take_keyframe_needed():
                self.keyframes.request(KeyframeRequestKind.PLI, now)
        if self.keyframes.take_request(now) is not None:
            self.transmit(1, 80, self.on_keyframe_request, None, now)

    def on_nack(self, numbers, now):
        for packet in self.history.answer(numbers, now):
            data = serialize_rtp(self.rtx_sender.wrap(packet))
            self.transmit(0, len(data), self.on_packet, data, now)

    def on_keyframe_request(self, _, now):
        self.needs_keyframe = True

    def take(self, now):
        for frame in self.buffer.take_frames(now):
            index = int.from_bytes(frame.payloads[0][2:6], "big")
            is_key = frame.payloads[0][1] == 1
            if is_key:
                self.keyframes.on_keyframe()
            self.is_decodable = is_key or (self.is_decodable and frame.is_contiguous)
            self.decodable += self.is_decodable
            if not self.is_decodable:
                self.keyframes.request(KeyframeRequestKind.PLI, now)
            self.taken.append((index, frame))
            self.delays_s.append(now - index / 30)


@pytest.fixture(scope="session")
def make_call():
    return VideoCall
