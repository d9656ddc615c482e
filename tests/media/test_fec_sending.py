"""Error correction that is sent: FlexFEC by the loss that the peer reports, behind the frames, bounded."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.media import Encoding, FecParameters, MediaConfig
from sans_rtc.media.events import SenderBitrateChanged
from sans_rtc.media.layout import NO_EXTRA, HeaderLayout
from sans_rtc.media.outbound import OutboundStream, OutgoingPacket
from sans_rtc.media.protection import REPAIR_FRAME_NUMBER, Protection, repair_window_s
from sans_rtc.rtcp import Nack
from sans_rtc.rtp import Extension, is_rtcp, parse_rtp
from sans_rtc.rtp.extensions import ExtensionMap
from sans_rtc.rtp.ntp import WallClock
from sans_rtc.rtp.recovery import parse_flexfec
from sans_rtc.srtp import SrtpReceiver
from sans_rtc.testing import LinkConditions, SeededEntropy

FEC = FecParameters(118, "flexfec", "repair-window=500000")
SSRC, RTX_SSRC, FEC_SSRC = 0xB1, 0xB2, 0xB3
WITHOUT_NACK = frozenset(("nack pli", "transport-cc"))
LOSS = LinkConditions(loss=0.05, delay_s=0.02)


def one_way(pair, media, *, fec=FEC, feedback=WITHOUT_NACK, rtx=None, **settings):
    """A pair of which the first sends video, with error correction where `fec` is given."""
    codec = media.video_codec(feedback=feedback, rtx=rtx)
    mine = media.video_section(codec=codec, encodings=(Encoding("", SSRC, RTX_SSRC, fec_ssrc=FEC_SSRC),), receive=False)
    mine = media.evolve(mine, send=media.evolve(mine.send, fec=fec))
    theirs = media.video_section(ssrc=0xB5, codec=codec, fec=(fec,) if fec else (), send=False)
    return pair(sections=[mine], other_sections=[theirs], **settings)


def listen(pair, media):
    """What the first end sends of RTP, decrypted and parsed, as it is sent."""
    opener, heard = SrtpReceiver(media.PROFILE, media.KEY_A), []
    before = pair.link.filter

    def hear(end, datagram):
        if end == 0 and not is_rtcp(datagram):
            plain = opener.unprotect_rtp(datagram)
            if plain is not None:  # None: sent again as it was
                heard.append(parse_rtp(plain))
        return before(end, datagram) if before is not None else datagram

    pair.link.filter = hear
    return heard


def play_with_loss(made, count, *, warm_up=60, size=3000):
    """Frames of which one part goes by before the loss is reported, and one afterwards; those of the latter."""
    made.play_video(1)
    made.link.conditions = LOSS
    made.play_video(warm_up, first=1, key_every=1000, size=size)
    sent = made.play_video(count, first=1 + warm_up, key_every=1000, size=size)
    made.link.run_for(1.0)
    return sent


def arrived(made, sent):
    """The part of these frames that the other end has."""
    return len({frame.data for frame in made.frames(1)} & set(sent)) / len(sent)


@pytest.mark.parametrize("seed", range(3))
def test_losses_are_repaired_without_nack(pair, media, seed):
    with_fec, without = one_way(pair, media, seed=seed), one_way(pair, media, seed=seed, fec=None)
    share, share_without = [arrived(made, play_with_loss(made, 300)) for made in (with_fec, without)]
    # three packets a frame: 0.95 ** 3; and of the losses four in five are found
    assert share_without < 0.9
    assert share > 0.94
    assert with_fec.a.stats.fec_packets_sent > 100
    assert without.a.stats.fec_packets_sent == 0


@pytest.mark.parametrize("seed", range(3))
def test_with_nack_both_repair_and_no_frame_or_packet_comes_twice(pair, media, seed):
    made = one_way(pair, media, feedback=media.FEEDBACK, rtx=97, seed=seed)
    made.b.set_output(media.VIDEO, frames=True, packets=True)
    sent = play_with_loss(made, 200)
    frames = [frame.data for frame in made.frames(1)]
    assert len(frames) == len(set(frames))
    assert set(frames) >= set(sent[:-1])
    packets = [e.packet.sequence_number for e in made.link.events[1] if type(e).__name__ == "PacketReceived"]
    assert len(packets) == len(set(packets))
    (inbound,) = [stats for stats in made.b.statistics(made.now) if stats.type == "inbound-rtp"]
    assert inbound.fec_packets_received > 50
    assert inbound.nack_count > 0
    (stream,) = made.b._sections.receivers[media.VIDEO].streams.values()
    assert stream.packets_repaired > 10


def test_nothing_is_sent_for_repair_where_little_is_lost(pair, media):
    made = one_way(pair, media)
    heard = listen(made, media)
    made.play_video(200)
    assert {packet.ssrc for packet in heard} == {SSRC}
    assert made.a.stats.fec_packets_sent == 0


def test_protection_ends_when_the_loss_does(pair, media):
    made = one_way(pair, media)
    play_with_loss(made, 60)
    made.link.conditions = LinkConditions(delay_s=0.02)
    made.play_video(600, first=200, key_every=1000, size=500)
    before = made.a.stats.fec_packets_sent
    made.play_video(60, first=800, key_every=1000)
    assert made.a.stats.fec_packets_sent == before > 0


def test_repair_packets_are_of_a_stream_of_their_own_with_mid_and_transport_wide_numbers(pair, media):
    made = one_way(pair, media)
    heard = listen(made, media)
    play_with_loss(made, 100)
    repairs = [packet for packet in heard if packet.ssrc == FEC_SSRC]
    assert len(repairs) > 30
    ids = {uri: element_id for element_id, uri in media.EXTENSIONS}
    first = dict(repairs[0].extensions)
    assert first[ids[Extension.MID]] == b"m2"
    assert {packet.payload_type for packet in repairs} == {118}
    assert {tuple(packet.csrcs) for packet in repairs} == {(SSRC,)}
    numbers = [int.from_bytes(dict(packet.extensions)[ids[Extension.TRANSPORT_CC]], "big") for packet in heard]
    assert numbers == list(range(len(numbers)))
    own = [packet.sequence_number for packet in repairs]
    assert own == [(own[0] + index) & 0xFFFF for index in range(len(own))]


def test_repair_follows_the_frame_that_it_protects(pair, media):
    made = one_way(pair, media)
    heard = listen(made, media)
    play_with_loss(made, 100)
    for index, packet in enumerate(heard):
        if packet.ssrc == FEC_SSRC:
            before = next(each for each in reversed(heard[:index]) if each.ssrc == SSRC)
            assert before.marker or before.padding_bytes
            ((_, base, offsets),) = parse_flexfec(packet.payload, packet.csrcs).protected
            assert (base + offsets[-1] - before.sequence_number) & 0xFFFF in (0, 0xFFFE, 0xFFFF)


def test_repair_packets_are_never_sent_again(pair, media):
    made = one_way(pair, media, feedback=media.FEEDBACK, rtx=97)
    heard = listen(made, media)
    play_with_loss(made, 60)
    repairs = [packet.sequence_number for packet in heard if packet.ssrc == FEC_SSRC]
    unknown = made.a.stats.discards["unknown_source"]
    made.a._reader.read([Nack(1, FEC_SSRC, repairs)], made.now)
    made.link.run_for(0.5)
    assert [packet.sequence_number for packet in heard if packet.ssrc == FEC_SSRC] == repairs
    assert made.a.stats.discards["unknown_source"] == unknown + 1


@pytest.mark.parametrize("size", [60, 700, 1500, 3000, 12000])
@pytest.mark.parametrize("ratio_max", [0.1, 0.25, 0.5])
def test_repair_is_bounded_in_bytes(pair, media, ratio_max, size):
    made = one_way(pair, media, config=MediaConfig(fec_ratio_max=ratio_max))
    made.link.conditions = LinkConditions(loss=0.3, delay_s=0.02)
    heard = listen(made, media)
    made.play_video(100, key_every=1000, size=size)
    sizes = {ssrc: sum(len(packet.payload) for packet in heard if packet.ssrc == ssrc) for ssrc in (SSRC, FEC_SSRC)}
    headers = 30 * len(heard)
    assert 0 < sizes[FEC_SSRC] <= ratio_max * (sizes[SSRC] + headers)


def test_ratio_of_nothing_sends_nothing(pair, media):
    made = one_way(pair, media, config=MediaConfig(fec_ratio_max=0.0))
    play_with_loss(made, 60)
    assert made.a.stats.fec_packets_sent == 0


def test_no_datagram_exceeds_the_mtu(pair, media):
    made = one_way(pair, media, config=MediaConfig(mtu_bytes=600))
    sizes = []
    made.link.filter = lambda end, datagram: sizes.append(len(datagram)) or datagram
    play_with_loss(made, 100)
    before = made.a.stats.fec_packets_sent
    assert before > 30
    made.play_video(1, first=200, key_every=1000, size=30_000)  # its packets are full, and leave room for their repair
    made.link.run_for(0.5)
    assert made.a.stats.fec_packets_sent - before >= 8
    assert 560 < max(sizes) <= 600


def test_encoder_is_told_what_error_correction_leaves(pair, media):
    made = one_way(pair, media)
    made.play_video(30)
    encoding = next(iter(made.a._sections.senders[media.VIDEO].encodings.values()))
    encoding.settings = media.evolve(encoding.settings, max_bitrate_bps=200_000)
    play_with_loss(made, 60)
    told = [event.bitrate_bps for event in made.events(0, SenderBitrateChanged)][-1]
    ratio = encoding.correction_ratio
    assert 0.1 < ratio <= 0.25
    assert told == pytest.approx(min(200_000, made.a.target_bitrate_bps) / (1 + ratio), rel=0.02)


def test_statistics_of_the_media_are_without_repair(pair, media):
    made = one_way(pair, media)
    heard = listen(made, media)
    play_with_loss(made, 60)
    (out,) = [stats for stats in made.a.statistics(made.now) if stats.type == "outbound-rtp"]
    assert out.packets_sent == sum(packet.ssrc == SSRC for packet in heard)
    assert made.a.stats.fec_packets_sent == sum(packet.ssrc == FEC_SSRC for packet in heard)


def test_protection_goes_on_under_another_ssrc_after_a_collision(pair, media):
    made = one_way(pair, media)
    play_with_loss(made, 30)
    for ssrc in (SSRC, FEC_SSRC):
        made.a._ingress.collisions.append(ssrc)
    made.a._resolve_collisions(made.now)
    made.link.conditions = LinkConditions()
    heard = listen(made, media)
    made.play_video(30, first=200, key_every=1000)
    streams = made.a._sections.streams.keys()
    assert {packet.ssrc for packet in heard} == set(streams)
    assert not {SSRC, FEC_SSRC} & set(streams)
    repair = [packet for packet in heard if packet.payload_type == 118][-1]
    assert repair.csrcs[0] == made.a._sections.senders[media.VIDEO].encodings[""].media.ssrc


def test_renegotiation_without_it_ends_it_and_the_peer_hears(pair, media):
    made = one_way(pair, media)
    play_with_loss(made, 60)
    (section,) = made.a._sections.all
    made.a.configure([media.evolve(section, send=media.evolve(section.send, fec=None))], made.now)
    made.link.run_for(0.1)
    heard = listen(made, media)
    made.play_video(60, first=400, key_every=1000)
    assert {packet.ssrc for packet in heard} == {SSRC}
    assert FEC_SSRC not in made.b._router.sources


@pytest.mark.proves("RFC5764-3-4-1ff4")
def test_ssrc_of_repair_is_checked_to_be_the_only_one(media, pair):
    made = one_way(pair, media)
    section = media.video_section(encodings=(Encoding("", 7, 8, fec_ssrc=8),))
    with pytest.raises(InvalidArgument):
        made.a.configure([section], made.now)


# --- the transform alone ----------------------------------------------------------------------------------------------


def protection(**settings):
    config = MediaConfig(**settings)
    streams = [OutboundStream(1, "", ssrc, 90_000, WallClock(), SeededEntropy(ssrc)) for ssrc in (SSRC, FEC_SSRC)]
    for stream in streams:
        stream.set_layout(HeaderLayout(ExtensionMap(), WallClock(), is_numbered=False), NO_EXTRA)
    return Protection(streams[1], FEC, config, SeededEntropy(1)), streams[0]


def feed(made, stream, sizes, *, numbers=None, now=0.0, step_s=0.0, room=1200, marker=0x80):
    """Packets of these sizes; what follows each."""
    found = []
    for index, size in enumerate(sizes):
        number = (numbers or range(100, 10_000))[index]
        packet = OutgoingPacket(stream, 96 | marker, number, 0, b"", NO_EXTRA, 1)
        plain = b"\x80\x60" + number.to_bytes(2, "big") + bytes(4) + SSRC.to_bytes(4, "big") + bytes(size - 12)
        found.append(made.protect(plain, packet, room, now + index * step_s))
    return found


@pytest.mark.parametrize(
    ("loss", "row"), [(0.0, None), (0.008, None), (0.02, 11), (0.04, 6), (0.05, 5), (0.5, 5)], ids=str
)
def test_length_of_rows_follows_the_loss(loss, row):
    made, stream = protection()
    for _ in range(20):
        made.loss_reported(loss)
    found = feed(made, stream, [1000] * 44)
    at = [index + 1 for index, repair in enumerate(found) if repair is not None]
    assert at == ([] if row is None else [row * count for count in range(1, 44 // row + 1)])


def test_protection_comes_with_one_report_and_goes_slowly():
    made, _ = protection()
    assert made.loss_reported(0.05)
    assert made.ratio > 0.1
    reports = 0
    while made.ratio:
        made.loss_reported(0.0)
        reports += 1
    assert 5 < reports < 30


def test_gap_in_the_numbers_begins_a_new_row():
    made, stream = protection()
    made.loss_reported(1.0)
    numbers = [*range(3), *range(10, 16)]
    found = feed(made, stream, [1000] * 9, numbers=numbers)
    assert [repair is not None for repair in found] == [False] * 7 + [True, False]
    ((_, base, offsets),) = parse_flexfec(found[7].payload, (SSRC,)).protected
    assert (base, offsets) == (10, (0, 1, 2, 3, 4))
    assert (found[7].frame_number, found[7].stream.ssrc) == (REPAIR_FRAME_NUMBER, FEC_SSRC)


def test_row_that_is_old_is_closed_at_the_end_of_a_frame_as_far_as_the_bound_allows():
    made, stream = protection()
    for _ in range(20):
        made.loss_reported(0.012)  # rows of 17 or more
    assert not any(feed(made, stream, [1000] * 8, step_s=0.01))
    made, stream = protection()
    for _ in range(20):
        made.loss_reported(0.012)
    found = feed(made, stream, [1000] * 8, step_s=0.03)
    assert [repair is not None for repair in found] == [False] * 4 + [True] + [False] * 3
    assert not any(feed(made, stream, [1000] * 8, numbers=range(500, 600), step_s=0.03, marker=0))


def test_row_beyond_the_repair_window_is_given_up():
    made, stream = protection()
    made.loss_reported(1.0)
    assert not any(feed(made, stream, [1000] * 20, step_s=0.3))


def test_packet_that_leaves_no_room_for_repair_is_not_protected():
    made, stream = protection()
    made.loss_reported(1.0)
    assert not any(feed(made, stream, [1000] * 20, room=1010))
    assert made.reserved_bytes > 10


def test_row_of_a_large_packet_among_small_ones_is_given_up_at_the_end_of_the_mask():
    made, stream = protection(fec_ratio_max=0.01)
    made.loss_reported(1.0)
    assert not any(feed(made, stream, [1000] * 200))


@pytest.mark.parametrize(
    ("text", "window_s"),
    [
        ("repair-window=200000", 0.2),
        ("x=1; Repair-Window=1000000", 1.0),
        ("", 0.5),
        ("repair-window=", 0.5),
        ("repair-window=-1", 0.5),
        ("repair-window=" + "9" * 13, 0.5),
        ("repair-window=²", 0.5),
    ],
    ids=["plain", "others", "none", "empty", "negative", "long", "digit"],
)
def test_repair_window_is_read_of_the_parameters(text, window_s):
    assert repair_window_s(text, 0.5) == window_s
