"""Memory is bounded: however much arrives, from whomever, and whatever it is."""

import pytest

from sans_rtc.ice import DiscardReason, IceConfig
from sans_rtc.testing import SeededEntropy
from tests.property.hostile import FORMS, MADE_UP, HostileSession, accounted, expected, forms_of, is_protected
from tests.property.objects import Footprint, footprint

FLOOD = 20_000
SMALL_FLOOD = 2_000  # at the stages between, to save time
BATCH = 500
# What a stranger may occupy. ICE learns peer_reflexive_count_max = 16 addresses from replayed checks: a candidate, a
# pair and a transaction or two each, of about 25 entries and 400 bytes in all; 16 early datagrams of 32 KiB.
BOUND = Footprint(items=16 * 25, bytes=16 * 400 + 32_768)
FLOOD_S = 2.0  # of virtual time, while nothing genuine gets through

STAGES = {"before descriptions": 0, "after the offer": 1, "while checking": 2, "during DTLS": 3, "during SCTP": 4,
          "connected": 5}  # fmt: skip
SIZES = [(stage, FLOOD if stage in ("while checking", "connected") else SMALL_FLOOD) for stage in STAGES]


def session_at(stage):
    """A session that has come to this stage, and one of its kind that was lived to the end, for its datagrams."""
    lived = HostileSession()
    for step in (lived.describe, lived.check_paths, lived.secure, lived.associate, lived.open)[: STAGES[stage]]:
        step()
    return lived


def finish(lived, stage):
    """The rest of the session; asserts that it completes."""
    steps = (lived.describe, lived.check_paths, lived.secure, lived.associate, lived.open, lived.transfer)
    for step in steps[STAGES[stage] :]:
        step()
    lived.link.run_until(lambda: [list(got) for got in lived.messages] == [expected(0), expected(1)], within_s=20.0)


def overheard_in_a_whole_session():
    other = HostileSession(seed=1)  # under other keys: with the same ones its datagrams would be the peer's own
    other.connect()
    other.link.run_for(1.0)
    return other.overheard


def flood(lived, end, forms, source, count, is_worth=lambda data: True):
    """So many datagrams in bursts, and nothing else; returns the largest growth of the end."""
    chance = SeededEntropy("flood")
    # Of this session, so that some are authentic, and of another, of the kinds of stages that this one has not reached.
    real = [data for data in (*lived.overheard[end], *overheard_in_a_whole_session()[end]) if is_worth(data)]
    peer, route = lived.peers[end], lived.link.filter
    lived.link.filter = lambda end, datagram: None
    before, most, number = footprint(peer), Footprint(0, 0), 0
    for _ in range(count // BATCH):
        for _ in range(BATCH):
            data = real[chance.below(len(real))]
            lived.strike(end, forms_of(forms[number % len(forms)], data, chance)[0], source, number=number)
            number += 1
        lived.link.run_for(0.0)
        grown = footprint(peer) - before
        most = Footprint(max(most.items, grown.items), max(most.bytes, grown.bytes))
        lived.link.run_for(FLOOD_S * BATCH / count)
    lived.link.filter = route
    return most


@pytest.mark.parametrize(("stage", "count"), SIZES)
def test_flood_of_strangers_does_not_grow_a_machine_beyond_the_bound_and_the_session_goes_on(stage, count):
    lived = session_at(stage)
    most = flood(lived, 0, FORMS, "other host", count)
    assert most.items <= BOUND.items and most.bytes <= BOUND.bytes, most
    finish(lived, stage)


@pytest.mark.parametrize(("stage", "count"), SIZES)
def test_flood_of_what_strangers_make_up_grows_nothing_and_is_counted_to_the_last_datagram(stage, count):
    lived = session_at(stage)
    before = accounted(lived.peers[1])
    most = flood(lived, 1, MADE_UP, "other port", count)
    # The entries of the discard table, and datagrams of the session itself that happen to be on their way.
    assert most.items <= 100 and most.bytes <= 10_000, most
    assert accounted(lived.peers[1]) - before in range(count, count + 10)
    finish(lived, stage)


@pytest.mark.parametrize("stage", ["before descriptions", "after the offer", "while checking", "connected"])
def test_flood_from_the_peers_own_address_does_not_grow_a_machine_beyond_the_bound(stage):
    """What can be told from a forgery is; the session goes on."""
    lived = session_at(stage)
    most = flood(lived, 0, FORMS, "own address", SMALL_FLOOD, is_protected)
    assert most.items <= BOUND.items and most.bytes <= BOUND.bytes, most
    finish(lived, stage)


@pytest.mark.parametrize("stage", ["during DTLS", "during SCTP"])
def test_flood_during_the_handshake_from_the_peers_own_address_does_not_grow_a_machine_beyond_the_bound(stage):
    """Whether the session survives is for `test_hostile_handshake`; memory is bounded either way."""
    lived = session_at(stage)
    most = flood(lived, 1, FORMS, "own address", SMALL_FLOOD)
    assert most.items <= BOUND.items and most.bytes <= BOUND.bytes, most


def test_flood_of_replayed_checks_reaches_the_limit_of_learned_addresses_and_no_further():
    lived = session_at("connected")
    checks = [data for data in lived.overheard[0] if data[:2] == b"\x00\x01"]
    for number in range(SMALL_FLOOD):
        lived.strike(0, checks[number % len(checks)], "other host", number=number)
    lived.link.run_for(1.0)
    ice, count_max = lived.peers[0].explain().ice, IceConfig().peer_reflexive_count_max
    assert len(ice.remote_candidates) == 1 + count_max
    assert ice.statistics.discards[DiscardReason.PEER_REFLEXIVE_LIMIT] == SMALL_FLOOD - count_max
    assert (
        len(lived.strays) <= SMALL_FLOOD + 16 * 10
    )  # each is answered, as ICE must, and the learned addresses are checked
    finish(lived, "connected")


def test_flood_of_payload_from_a_learned_address_fills_a_bounded_buffer():
    lived = session_at("connected")
    check = next(data for data in lived.overheard[0] if data[:2] == b"\x00\x01")
    lived.strike(0, check, "other host")
    for _ in range(1000):
        lived.strike(0, b"\x16" * 1200, "other host")
    lived.link.run_for(0.1)
    ice, count_max = lived.peers[0].explain().ice, IceConfig().early_datagram_count_max
    assert ice.early_datagrams == count_max
    assert ice.statistics.discards[DiscardReason.EARLY_BUFFER_FULL] == 1000 - count_max
    finish(lived, "connected")
