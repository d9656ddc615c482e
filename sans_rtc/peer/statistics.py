"""Statistics of a peer connection beside those of its streams: transport, candidate pairs, channels, certificates.

Source: webrtc-stats, sections 8.12 to 8.21; RTP streams and codecs are `sans_rtc.media.statistics`.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

import attrs

from sans_rtc import dtls, ice
from sans_rtc.datachannel import ChannelInfo
from sans_rtc.dtls.ciphers import CipherSuite
from sans_rtc.media.statistics import TRANSPORT_ID, Stats
from sans_rtc.peer.transport import PeerTransport
from sans_rtc.srtp import SrtpProfile

LOCAL_CERTIFICATE_ID = "CL"
REMOTE_CERTIFICATE_ID = "CR"

# RFC 5764 section 4.1.2, RFC 7714 section 14.2: as the registry writes them, which is how browsers tell them.
_SRTP_NAMES = {
    SrtpProfile.AES128_CM_SHA1_80: "SRTP_AES128_CM_HMAC_SHA1_80",
    SrtpProfile.AES128_CM_SHA1_32: "SRTP_AES128_CM_HMAC_SHA1_32",
    SrtpProfile.AEAD_AES_128_GCM: "SRTP_AEAD_AES_128_GCM",
    SrtpProfile.AEAD_AES_256_GCM: "SRTP_AEAD_AES_256_GCM",
}


@attrs.define(slots=True, kw_only=True)
class PeerConnectionStats(Stats):
    """RTCPeerConnectionStats."""

    type: str = attrs.field(default="peer-connection", init=False)

    data_channels_opened: int
    data_channels_closed: int


@attrs.define(slots=True, kw_only=True)
class TransportStats(Stats):
    """RTCTransportStats: datagrams and bytes of UDP payload above ICE."""

    type: str = attrs.field(default="transport", init=False)

    packets_sent: int
    packets_received: int
    bytes_sent: int
    bytes_received: int
    ice_role: str
    ice_state: str
    dtls_state: str
    dtls_role: str
    tls_version: str | None = None
    dtls_cipher: str | None = None
    srtp_cipher: str | None = None
    selected_candidate_pair_id: str | None = None
    selected_candidate_pair_changes: int = 0
    local_certificate_id: str | None = None
    remote_certificate_id: str | None = None


@attrs.define(slots=True, kw_only=True)
class CandidatePairStats(Stats):
    """RTCIceCandidatePairStats; times in seconds."""

    type: str = attrs.field(default="candidate-pair", init=False)

    transport_id: str
    local_candidate_id: str
    remote_candidate_id: str
    state: str
    nominated: bool
    requests_sent: int
    requests_received: int
    responses_received: int
    current_round_trip_time: float | None = None
    available_outgoing_bitrate: int | None = None


@attrs.define(slots=True, kw_only=True)
class CandidateStats(Stats):
    """RTCIceCandidateStats of either end."""

    type: str = attrs.field(default="", init=False)

    transport_id: str
    address: str
    port: int
    protocol: str
    candidate_type: str
    priority: int
    foundation: str
    related_address: str | None = None
    related_port: int | None = None
    tcp_type: str | None = None


@attrs.define(slots=True, kw_only=True)
class LocalCandidateStats(CandidateStats):
    """One of ours."""

    type: str = attrs.field(default="local-candidate", init=False)


@attrs.define(slots=True, kw_only=True)
class RemoteCandidateStats(CandidateStats):
    """One of the peer's."""

    type: str = attrs.field(default="remote-candidate", init=False)


@attrs.define(slots=True, kw_only=True)
class DataChannelStats(Stats):
    """RTCDataChannelStats."""

    type: str = attrs.field(default="data-channel", init=False)

    label: str
    protocol: str
    data_channel_identifier: int | None
    state: str
    messages_sent: int
    bytes_sent: int
    messages_received: int
    bytes_received: int


@attrs.define(slots=True, kw_only=True)
class CertificateStats(Stats):
    """RTCCertificateStats."""

    type: str = attrs.field(default="certificate", init=False)

    fingerprint: str
    fingerprint_algorithm: str
    base64_certificate: str


def transport_statistics(
    transport: PeerTransport, certificate: dtls.Certificate | None, timestamp: float
) -> Iterator[Stats]:
    """The objects of everything below the streams."""
    picture = transport.agent.explain()
    yield from _certificates(transport, certificate, timestamp)
    yield _transport(transport, picture, certificate, timestamp)
    yield from _candidates(picture, timestamp)
    for pair in picture.pairs:
        yield _pair(pair, transport, timestamp)
    channels = transport.data.channels.infos()
    for channel in channels:
        yield _channel(channel, timestamp)
    stats = transport.data.channels.stats
    yield PeerConnectionStats(
        id="P",
        timestamp=timestamp,
        data_channels_opened=stats.opened,
        data_channels_closed=stats.closed,
    )


def _certificates(
    transport: PeerTransport, certificate: dtls.Certificate | None, timestamp: float
) -> Iterator[CertificateStats]:
    connected = transport.dtls_connected
    encoded = {
        LOCAL_CERTIFICATE_ID: None if certificate is None else certificate.der,
        REMOTE_CERTIFICATE_ID: None if connected is None else connected.peer_certificate_der,
    }
    for name, der in encoded.items():
        if der is not None:
            algorithm, _, value = str(dtls.Fingerprint.of(der, "sha-256")).partition(" ")
            yield CertificateStats(
                id=name,
                timestamp=timestamp,
                fingerprint=value,
                fingerprint_algorithm=algorithm,
                base64_certificate=base64.b64encode(der).decode(),
            )


def _transport(
    transport: PeerTransport, picture: ice.IceExplanation, certificate: dtls.Certificate | None, timestamp: float
) -> TransportStats:
    connected, selected, role = transport.dtls_connected, picture.selected, transport.dtls_role
    profile = None if connected is None else connected.srtp_profile
    return TransportStats(
        id=TRANSPORT_ID,
        timestamp=timestamp,
        packets_sent=transport.traffic.packets_sent,
        packets_received=transport.traffic.packets_received,
        bytes_sent=transport.traffic.bytes_sent,
        bytes_received=transport.traffic.bytes_received,
        ice_role=str(picture.role),
        ice_state=str(picture.state),
        dtls_state=str(transport.dtls_state),
        dtls_role="unknown" if role is None else str(role.value),
        tls_version=None if connected is None else f"{connected.version:04X}",
        dtls_cipher=None if connected is None else f"TLS_{CipherSuite(connected.cipher_suite).name}",
        srtp_cipher=None if profile is None else _SRTP_NAMES.get(SrtpProfile(profile)),
        selected_candidate_pair_id=None if selected is None else _pair_id(selected),
        selected_candidate_pair_changes=transport.traffic.path_changes,
        local_certificate_id=None if certificate is None else LOCAL_CERTIFICATE_ID,
        remote_certificate_id=None if connected is None else REMOTE_CERTIFICATE_ID,
    )


def _candidates(picture: ice.IceExplanation, timestamp: float) -> Iterator[CandidateStats]:
    local, remote = dict.fromkeys(picture.local_candidates), dict.fromkeys(picture.remote_candidates)
    for pair in picture.pairs:
        local[pair.local] = remote[pair.remote] = None
    for candidate in local:
        yield _candidate(LocalCandidateStats, candidate, timestamp)
    for candidate in remote:
        yield _candidate(RemoteCandidateStats, candidate, timestamp)


def _candidate(kind: type[CandidateStats], candidate: ice.Candidate, timestamp: float) -> CandidateStats:
    related = candidate.related_address
    return kind(
        id=_candidate_id(kind is LocalCandidateStats, candidate),
        timestamp=timestamp,
        transport_id=TRANSPORT_ID,
        address=candidate.address.host,
        port=candidate.address.port,
        protocol=candidate.protocol,
        candidate_type=str(candidate.type),
        priority=candidate.priority,
        foundation=candidate.foundation,
        related_address=None if related is None else related.host,
        related_port=None if related is None else related.port,
        tcp_type=candidate.tcp_type,
    )


def _pair(pair: ice.PairExplanation, transport: PeerTransport, timestamp: float) -> CandidatePairStats:
    counts, session = pair.statistics, transport.media.session
    return CandidatePairStats(
        id=_pair_id(pair),
        timestamp=timestamp,
        transport_id=TRANSPORT_ID,
        local_candidate_id=_candidate_id(True, pair.local),
        remote_candidate_id=_candidate_id(False, pair.remote),
        state=str(pair.state),
        nominated=pair.is_nominated,
        requests_sent=counts.requests_sent,
        requests_received=counts.checks_received,
        responses_received=counts.responses_received,
        current_round_trip_time=pair.rtt_s,
        available_outgoing_bitrate=session.target_bitrate_bps if session is not None and pair.is_selected else None,
    )


def _channel(channel: ChannelInfo, timestamp: float) -> DataChannelStats:
    return DataChannelStats(
        id=f"D{channel.channel}",
        timestamp=timestamp,
        label=channel.label,
        protocol=channel.protocol,
        data_channel_identifier=channel.id,
        state=str(channel.state),
        messages_sent=channel.messages_sent,
        bytes_sent=channel.bytes_sent,
        messages_received=channel.messages_received,
        bytes_received=channel.bytes_received,
    )


def _candidate_id(is_local: bool, candidate: ice.Candidate) -> str:
    return f"{'L' if is_local else 'R'}{candidate.protocol}-{candidate.type}-{candidate.address}"


def _pair_id(pair: ice.PairExplanation) -> str:
    return f"P{pair.generation}-{_candidate_id(True, pair.local)}-{_candidate_id(False, pair.remote)}"
