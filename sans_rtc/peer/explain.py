"""Why is it not connected? The state of every layer as plain data, and the likely cause in a sentence.

`explain` only reads. `str()` of what it returns is a page for a person; its fields are for programs and tests.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from sans_rtc import ice, sctp
from sans_rtc.datachannel import ChannelInfo
from sans_rtc.machine import Terminated
from sans_rtc.peer.diagnosis import diagnose
from sans_rtc.peer.negotiation import Negotiation, SignalingState
from sans_rtc.peer.relay_diagnosis import describe_relays, describe_streams
from sans_rtc.peer.states import ConnectionState, DtlsState, SctpState
from sans_rtc.peer.transceivers import TransceiverInfo
from sans_rtc.peer.transport import PeerTransport


@attrs.frozen(slots=True)
class Explanation:
    """Everything a peer connection knows about itself.

    ice           pairs, candidates, servers
    sctp          the association's windows and times; None where there is none
    target_bitrate_bps  what may be sent of media; None where the peer gives no feedback to tell
    waiting_for   which layer waits for what; empty where nothing is waited for
    likely_cause  one sentence: why it is not connected, or how it is
    discards      what was dropped, by layer and reason
    """

    connection_state: ConnectionState
    signaling_state: SignalingState
    ice: ice.IceExplanation
    dtls_state: DtlsState
    sctp_state: SctpState
    sctp: sctp.Statistics | None
    channels: tuple[ChannelInfo, ...]
    transceivers: tuple[TransceiverInfo, ...]
    target_bitrate_bps: int | None
    discards: Mapping[str, Mapping[str, int]]
    terminated: Terminated | None
    waiting_for: str
    likely_cause: str

    def __str__(self) -> str:
        return "\n".join([*self._head(), *self._pairs(), *self._servers(), *self._relays(), *self._upper_layers()])

    def _head(self) -> list[str]:
        state, cause = self.connection_state, self.likely_cause
        lines = [cause if cause.startswith(state) else f"{state}: {cause}"]
        if self.waiting_for:
            lines.append(f"  waiting for: {self.waiting_for}")
        if self.terminated is not None:
            lines.append(f"  ended: {self.terminated.reason} {self.terminated.detail}".rstrip())
        lines.append(
            f"  signalling {self.signaling_state}, gathering {self.ice.gathering_state}, "
            f"ICE {self.ice.state} ({self.ice.role}, generation {self.ice.generation}), "
            f"DTLS {self.dtls_state}, SCTP {self.sctp_state}"
        )
        for title, candidates in (("local", self.ice.local_candidates), ("remote", self.ice.remote_candidates)):
            named = ", ".join(f"{candidate.type} {candidate.address}" for candidate in candidates)
            lines.append(f"  {title} candidates: {named or 'none'}")
        return lines

    def _pairs(self) -> list[str]:
        return [describe_pair(pair) for pair in self.ice.pairs]

    def _servers(self) -> list[str]:
        return [
            f"  STUN server {server.server} asked from {server.base}: {server.state}"
            + (f", we are {server.mapped}" if server.mapped else "")
            + (f", {server.code} {server.reason}" if server.code else "")
            for server in self.ice.servers
        ]

    def _relays(self) -> list[str]:
        return [*describe_relays(self.ice.relays), *describe_streams(self.ice)]

    def _upper_layers(self) -> list[str]:
        lines = []
        if self.sctp is not None:
            figures = attrs.asdict(self.sctp)
            lines.append("  SCTP: " + ", ".join(f"{name} {_figure(value)}" for name, value in figures.items()))
        lines += [
            f"  channel {channel.label!r} (id {channel.id}): {channel.state}, sent {channel.messages_sent}, "
            f"received {channel.messages_received}, buffered {channel.buffered_amount} bytes"
            for channel in self.channels
        ]
        lines += [_describe_transceiver(each) for each in self.transceivers]
        if self.target_bitrate_bps is not None and self.transceivers:
            lines.append(f"  media may take {self.target_bitrate_bps / 1000:.0f} kbit/s")
        for layer, discards in self.discards.items():
            if discards:
                lines.append(f"  {layer} dropped: " + ", ".join(f"{count} {name}" for name, count in discards.items()))
        return lines


def describe_pair(pair: ice.PairExplanation) -> str:
    """One line about a candidate pair."""
    marks = "".join([" selected" * pair.is_selected, " nominated" * pair.is_nominated])
    counts = pair.statistics
    line = (
        f"  {pair.local.type} {pair.path.local} -> {pair.remote.type} {pair.path.remote}: {pair.state}{marks}; "
        f"checks sent {counts.requests_sent}, answered {counts.responses_received}, "
        f"received {counts.checks_received}, timed out {counts.checks_timed_out}"
    )
    if counts.checks_refused:
        line += f", refused {counts.checks_refused} (last {counts.refused_code})"
    if pair.rtt_s is not None:
        line += f"; round trip {pair.rtt_s * 1000:.1f} ms"
    return line


def _describe_transceiver(info: TransceiverInfo) -> str:
    """One line about a transceiver: what is wished, what is agreed, and in which format."""
    agreed = info.current_direction or "not negotiated"
    send = None if info.section is None else info.section.send
    codec = f", sends {send.codecs[0].codec.name}" if send is not None and send.codecs else ""
    layers = f" in {len(send.encodings)} layers" if send is not None and len(send.encodings) > 1 else ""
    return f"  {info.kind} (mid {info.mid}): wanted {info.direction}, agreed {agreed}{codec}{layers}"


def explain(
    state: ConnectionState, negotiation: Negotiation, transport: PeerTransport, terminated: Terminated | None
) -> Explanation:
    """Describe a peer connection; changes nothing."""
    picture = transport.agent.explain()
    channels = tuple(transport.data.channels.infos())
    waiting_for, likely_cause = diagnose(state, negotiation, picture, transport, terminated)
    return Explanation(
        connection_state=state,
        signaling_state=negotiation.state,
        ice=picture,
        dtls_state=transport.dtls_state,
        sctp_state=transport.data.state,
        sctp=None if transport.data.association is None else transport.data.association.statistics,
        channels=channels,
        transceivers=tuple(negotiation.media.infos()),
        target_bitrate_bps=None if transport.media.session is None else transport.media.session.target_bitrate_bps,
        discards=_discards(transport),
        terminated=terminated,
        waiting_for=waiting_for,
        likely_cause=likely_cause,
    )


def _discards(transport: PeerTransport) -> dict[str, dict[str, int]]:
    discards = {"ICE": transport.agent.stats.discards, "channels": transport.data.channels.stats.discards}
    if transport.connection is not None:
        discards["DTLS"] = transport.connection.stats.discards
    if transport.data.association is not None:
        discards["SCTP"] = transport.data.association.stats.discards
    if transport.media.session is not None:
        discards["media"] = {str(name): count for name, count in transport.media.session.stats.discards.items()}
    if transport.discarded_payloads:
        discards["peer"] = {"not_dtls_or_too_early": transport.discarded_payloads}
    return {layer: {name: count for name, count in each.items() if count} for layer, each in discards.items()}


def _figure(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
