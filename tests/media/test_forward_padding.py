"""Padding that a stream sends on its own, between packets that it forwards, shares their numbers."""

import pytest

from sans_rtc.media.forward import SourceMap
from sans_rtc.rtp import RtpPacket
from sans_rtc.rtp.payload import codecs_named

OPUS = codecs_named("opus")[0]


class Stream:
    """Numbers as a stream gives them: to forwarded packets as the map says, to padding the next ones."""

    def __init__(self, first=65_530):
        self.sources, self.next_number = SourceMap(), first

    def forward(self, number):
        packet = RtpPacket(payload_type=111, sequence_number=number & 0xFFFF, timestamp=0, ssrc=1, payload=b"x")
        place = self.sources.place(packet, OPUS, self.next_number, 0.0)
        if place is None:
            return None
        if place[2]:
            self.next_number = place[0] + 1 & 0xFFFF
        return place[0]

    def pad(self, count=1):
        self.next_number = self.next_number + count & 0xFFFF


def test_what_follows_padding_moves_up():
    stream = Stream()
    sent = [stream.forward(1000), stream.forward(1001)]
    stream.pad(3)
    sent += [stream.forward(1002), stream.forward(1003)]
    assert sent == [65_530, 65_531, 65_535, 0]


def test_late_packets_go_where_their_place_was_before_the_padding():
    stream = Stream(10)
    assert [stream.forward(number) for number in (1, 3)] == [10, 12]
    stream.pad()  # 13
    assert stream.forward(5) == 15
    stream.pad(2)  # 16 and 17
    assert stream.forward(6) == 18
    assert [stream.forward(number) for number in (2, 4)] == [11, 14]


@pytest.mark.parametrize("late", [1, 3, 7])
def test_no_number_is_used_twice_however_much_is_padded(late):
    stream, used = Stream(0), set()
    waiting = []
    for number in range(3000):
        if number % 5 == late % 5:
            waiting.append(number)
            continue
        taken = [stream.forward(number), stream.next_number]
        stream.pad()
        if number % 50 == 49:
            taken += [stream.forward(each) for each in waiting]
            waiting.clear()
        taken = [each for each in taken if each is not None]
        assert not used & set(taken)
        used |= set(taken)
