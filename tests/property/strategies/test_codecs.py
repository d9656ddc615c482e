"""What the strategies call valid is read and written back as it was; what is nearly valid raises WireError only."""

import contextlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sans_rtc.datachannel.wire import parse_dcep, serialize_dcep
from sans_rtc.dtls.alert import parse_alert
from sans_rtc.dtls.config import DtlsConfig
from sans_rtc.dtls.handshake import parse_fragments
from sans_rtc.dtls.messages import MESSAGES
from sans_rtc.dtls.record import RecordLayer
from sans_rtc.dtls.stats import DtlsStats
from sans_rtc.errors import WireError
from sans_rtc.ice import parse_candidate, serialize_candidate
from sans_rtc.mdns.wire import parse_message as parse_dns
from sans_rtc.mdns.wire import serialize_message as serialize_dns
from sans_rtc.rtcp import parse_compound, serialize_compound
from sans_rtc.rtp import parse_rtp, serialize_rtp
from sans_rtc.sctp.chunks import parse_chunk, serialize
from sans_rtc.sctp.params import parse_reconfig, serialize_reconfig
from sans_rtc.sctp.wire import parse_packet, serialize_packet, split_chunks
from sans_rtc.sdp import check_attributes, parse_description, serialize_description
from sans_rtc.srtp import SrtpReceiver
from sans_rtc.stun import is_fingerprint_valid, is_integrity_valid, parse_message, serialize_message
from sans_rtc.testing import strategies as s
from sans_rtc.turn import parse_channel_data, serialize_channel_data

FEW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def reduced(data):
    return parse_compound(data, allow_reduced_size=True)


def chunk_of(data):
    (raw,), is_whole = split_chunks(data, 0)
    assert is_whole
    return parse_chunk(raw)


OBJECTS = {
    "STUN": (s.stun_messages(), serialize_message, parse_message),
    "DNS": (s.dns_messages(), serialize_dns, parse_dns),
    "RTP": (s.rtp_packets(), serialize_rtp, parse_rtp),
    "RTCP": (s.rtcp_compounds(), serialize_compound, parse_compound),
    "RTCP of reduced size": (st.lists(s.rtcp_packets(), min_size=1, max_size=2), serialize_compound, reduced),
    "SCTP chunk": (s.sctp_chunks(), serialize, chunk_of),
    "SCTP re-configuration": (s.sctp_reconfig_parameters(), serialize_reconfig, parse_reconfig),
    "DCEP": (s.dcep_messages(), serialize_dcep, parse_dcep),
    "candidate": (s.ice_candidates(), serialize_candidate, parse_candidate),
}
BYTES = {
    "STUN": (s.stun_datagrams(), parse_message, None),
    "ChannelData": (s.channel_data_frames(), parse_channel_data, None),
    "DNS": (s.dns_datagrams(), parse_dns, serialize_dns),
    "DTLS fragments": (s.handshake_fragments(), parse_fragments, None),
    "DTLS alert": (s.alert_contents(), parse_alert, None),
    "RTP": (s.rtp_datagrams(), parse_rtp, None),
    "RTCP": (s.rtcp_datagrams(reduced_size=True), reduced, serialize_compound),
    "SCTP": (s.sctp_packets(), parse_packet, serialize_packet),
    "DCEP": (s.dcep_datagrams(), parse_dcep, serialize_dcep),
    "candidate": (s.candidate_lines(), parse_candidate, serialize_candidate),
    "SDP": (s.session_descriptions(), parse_description, serialize_description),
}
NEARLY = {
    "STUN": (s.nearly_stun_datagrams(b"key"), parse_message, serialize_message),
    "ChannelData": (s.nearly_channel_data_frames(), parse_channel_data, None),
    "DNS": (s.nearly_dns_datagrams(), parse_dns, serialize_dns),
    "RTP": (s.nearly_rtp_datagrams(), parse_rtp, serialize_rtp),
    "RTCP": (s.nearly_rtcp_datagrams(), reduced, serialize_compound),
    "SCTP": (s.nearly_sctp_packets(), parse_packet, serialize_packet),
    "DCEP": (s.nearly_dcep_datagrams(), parse_dcep, serialize_dcep),
    "candidate": (s.nearly_candidate_lines(), parse_candidate, serialize_candidate),
    "SDP": (s.nearly_session_descriptions(), parse_description, serialize_description),
}


@pytest.mark.parametrize("name", OBJECTS)
@FEW
@given(data=st.data())
def test_valid_object_is_read_back_as_it_was(name, data):
    strategy, write, read = OBJECTS[name]
    value = data.draw(strategy)
    assert read(write(value)) == value


@pytest.mark.parametrize("name", BYTES)
@FEW
@given(data=st.data())
def test_valid_bytes_are_read_and_written_back(name, data):
    strategy, read, write = BYTES[name]
    value = data.draw(strategy)
    parsed = read(value)
    if write is not None:
        assert write(parsed) == value


@pytest.mark.parametrize("name", NEARLY)
@FEW
@given(data=st.data())
def test_nearly_valid_bytes_raise_nothing_but_wire_errors(name, data):
    strategy, read, write = NEARLY[name]
    with contextlib.suppress(WireError):
        parsed = read(data.draw(strategy))
        if write is not None:
            again = write(parsed)
            assert write(read(again)) == again


@FEW
@given(each=s.handshake_messages())
def test_handshake_message_is_read_back_as_it_was(each):
    kind, body = each
    row = MESSAGES[kind]
    assert row.parse(row.serialize(body)) == body


@FEW
@given(each=s.nearly_handshake_bodies(), fragments=s.nearly_dtls_datagrams())
def test_nearly_a_handshake_message_raises_nothing_but_wire_errors(each, fragments):
    with contextlib.suppress(WireError):
        MESSAGES[each[0]].parse(each[1])
    RecordLayer(DtlsConfig(), DtlsStats()).open(fragments)
    with contextlib.suppress(WireError):
        parse_fragments(fragments[13:])


@FEW
@given(datagram=s.dtls_datagrams())
def test_records_of_a_datagram_are_all_opened(datagram):
    stats = DtlsStats()
    records = RecordLayer(DtlsConfig(), stats).open(datagram)
    assert 1 <= len(records) <= 3 and not stats.discards


@FEW
@given(data=s.stun_datagrams(b"key"))
def test_stun_datagram_has_the_proof_of_its_key(data):
    assert is_integrity_valid(data, b"key") and not is_integrity_valid(data, b"another")


@FEW
@given(data=s.nearly_stun_datagrams(b"key"))
def test_checks_of_nearly_stun_raise_nothing(data):
    is_fingerprint_valid(data)
    is_integrity_valid(data, b"key")


@FEW
@given(frame=s.channel_data_frames())
def test_channel_data_is_read_back(frame):
    parsed = parse_channel_data(frame)
    assert frame.startswith(serialize_channel_data(parsed.number, parsed.data, pad=False))


@FEW
@given(packet=s.srtp_packets())
def test_srtp_packet_opens_with_its_key(packet):
    assert SrtpReceiver(packet.profile, packet.master).unprotect_rtp(packet.data) == packet.plain


@FEW
@given(each=s.nearly_srtp_packets())
def test_damaged_srtp_packet_is_nothing_or_what_was_sent(each):
    packet, damaged = each
    assert SrtpReceiver(packet.profile, packet.master).unprotect_rtp(damaged) in (None, packet.plain)


@FEW
@given(text=s.session_descriptions())
def test_attributes_of_a_description_are_valid(text):
    check_attributes(parse_description(text))


@FEW
@given(data=st.data())
def test_damage_damages(data):
    """Of forty messages nearly valid, most are not what they were made of."""
    whole = bytes(range(40))
    damaged = [data.draw(s.nearly(st.just(whole))) for _ in range(10)]
    assert any(each != whole for each in damaged)
