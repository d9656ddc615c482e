"""What somebody can do to a DTLS handshake who can send from the peer's own address, and what not.

The handshake is not protected, so a message that is well-formed and wrong ends it, with the reason that a broken peer
deserves (see the essay in `sans_rtc/dtls/connection.py`). Nothing else does; nothing ever makes a session that is not
the peer's, and nothing leaves one that neither works nor ends.
"""

import functools

import pytest

from sans_rtc.datachannel import ChannelOpened
from sans_rtc.dtls import DtlsConfig
from sans_rtc.machine import Terminated
from sans_rtc.peer import TerminationReason
from sans_rtc.testing import SeededEntropy
from tests.property.hostile import HostileSession, expected, flip, is_protected

RECORD_HEADER_BITS = 8 * 13
FATAL_ALERTS = [bytes([2, description]) for description in (0, 10, 20, 40, 42, 46, 47, 50, 70, 80, 90)]
ENDS = (0, 1)


class Forging(HostileSession):
    """A session in which what `forge(data)` returns arrives just before each DTLS datagram that is on its way.

    place  (end, index): only before this one of those that an end is sent; None: before each
    """

    def __init__(self, forge, place=None):
        super().__init__()
        self._forge, self._place = forge, place
        self._counts = [0, 0]

    def _route(self, end, datagram):
        data, receiver = datagram.data, 1 - end
        if 20 <= data[0] <= 63:
            place = receiver, self._counts[receiver]
            self._counts[receiver] += 1
            if self._place in (None, place):
                for forged in self._forge(data):
                    self.strike(receiver, forged, "own address")
        return super()._route(end, datagram)

    def run(self):
        """To the open channel or the end of both; returns "works" or the reasons why they ended."""
        self.describe()
        self.check_paths()
        self.link.run_until(lambda: self._is_decided(), within_s=5.0)
        if self.handle_at(1, "test") is None:
            return tuple(event.reason for end in ENDS for event in self.events(end, Terminated))
        self.theirs = self.handle_at(1, "test")
        self.transfer()
        self.link.run_until(lambda: [list(got) for got in self.messages] == [expected(0), expected(1)], within_s=5.0)
        return "works"

    def _is_decided(self):
        return self.handle_at(1, "test") is not None or all(peer.is_terminated for peer in self.peers)


@functools.cache
def datagrams_of_a_session():
    """The DTLS datagrams that each end is sent up to the open channel, as (end, index, data)."""
    lived = HostileSession()
    lived.connect()
    return [
        (end, index, data)
        for end in ENDS
        for index, data in enumerate([data for data in lived.overheard[end] if 20 <= data[0] <= 63])
    ]


def bits_of(data, first, stop, count):
    """A few bits of a part of a datagram, the same at every run."""
    chance = SeededEntropy(data)
    stop = min(stop, 8 * len(data))
    return [first + chance.below(stop - first) for _ in range(count)] if first < stop else []


CASES = [(end, index) for end, index, _ in datagrams_of_a_session()]
PLAIN = [(end, index) for end, index, data in datagrams_of_a_session() if not is_protected(data)]
PROTECTED = [(end, index) for end, index, data in datagrams_of_a_session() if is_protected(data)]


def datagram_at(place):
    return next(data for end, index, data in datagrams_of_a_session() if (end, index) == place)


@pytest.mark.parametrize("place", PLAIN, ids=str)
def test_flipped_bit_in_a_handshake_message_spoils_the_handshake_or_nothing(place):
    """There is no third way: both ends end and say that DTLS failed, or everything works."""
    data = datagram_at(place)
    outcomes = {
        Forging(lambda real, bit=bit: [flip(real, bit)], place).run()
        for bit in bits_of(data, RECORD_HEADER_BITS, 8 * len(data), 12)
    }
    assert outcomes <= {"works", (TerminationReason.DTLS_FAILED, TerminationReason.DTLS_FAILED)}


@pytest.mark.parametrize("place", PLAIN, ids=str)
def test_flipped_bit_in_a_record_header_spoils_nothing(place):
    for bit in bits_of(datagram_at(place), 0, RECORD_HEADER_BITS, 8):
        assert Forging(lambda real, bit=bit: [flip(real, bit)], place).run() == "works", bit


@pytest.mark.parametrize("place", PROTECTED, ids=str)
def test_flipped_bit_in_what_is_protected_spoils_nothing(place):
    data = datagram_at(place)
    for bit in bits_of(data, 0, 8 * len(data), 4):
        assert Forging(lambda real, bit=bit: [flip(real, bit)], place).run() == "works", bit


@pytest.mark.parametrize("place", CASES, ids=str)
def test_repeated_datagram_spoils_nothing(place):
    assert Forging(lambda real: [real] * 5, place).run() == "works"


@pytest.mark.parametrize("place", CASES, ids=str)
def test_truncated_datagram_spoils_nothing(place):
    data = datagram_at(place)
    pieces = [data[: bit // 8] for bit in bits_of(data, 8, 8 * len(data), 8)]
    assert Forging(lambda real: pieces, place).run() == "works"


@pytest.mark.parametrize("level", [1, 2], ids=["warning", "fatal"])
def test_forged_alerts_before_every_datagram_spoil_nothing_while_the_handshake_goes_on(level):
    alerts = [b"\x15\xfe\xfd" + bytes(8) + b"\0\2" + bytes([level]) + alert[1:] for alert in FATAL_ALERTS]
    assert Forging(lambda real: alerts).run() == "works"


def test_three_messages_that_make_no_sense_are_forgotten_and_the_fourth_ends_the_handshake():
    """malformed_message_count_max, taken as the peer's own."""
    assert DtlsConfig().malformed_message_count_max == 4
    nonsense = b"\x16\xfe\xfd" + bytes(8) + b"\0\x0c" + b"\2\0\0\0" + bytes(8)  # a ServerHello of no bytes
    assert Forging(lambda real: [nonsense] * 3, (1, 0)).run() == "works"
    assert Forging(lambda real: [nonsense] * 4, (1, 0)).run() == (TerminationReason.DTLS_FAILED,) * 2


def test_spoiled_handshake_tells_no_application_that_a_channel_is_open():
    forged = Forging(lambda real: [flip(real, RECORD_HEADER_BITS + 8 * 13)], (1, 0))  # the server's version
    assert forged.run() == (TerminationReason.DTLS_FAILED, TerminationReason.DTLS_FAILED)
    assert [forged.events(end, ChannelOpened) for end in ENDS] == [[], []]
    forged.check()


@pytest.mark.parametrize("source", ["other host", "other port"])
def test_stranger_who_replays_the_peers_checks_cannot_spoil_the_handshake_from_its_own_address(source):
    """Its check is answered, as ICE must; but what it then says is not DTLS's to hear."""

    class Replaying(Forging):
        def _route(self, end, datagram):
            if datagram.data[:2] == b"\x00\x01":
                self.strike(1 - end, datagram.data, source)
            return super()._route(end, datagram)

        def strike(self, end, data, source_of_forgery, **keywords):
            super().strike(end, data, source, **keywords)

    session = Replaying(lambda real: [flip(real, RECORD_HEADER_BITS + 8 * 13), flip(real, RECORD_HEADER_BITS)])
    assert session.run() == "works"
    assert sum(session.injected) > 10
