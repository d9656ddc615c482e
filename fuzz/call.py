"""A scene of two peers with audio and video between them, and what the peer that has the keys may put into them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fuzz.codec import allow_misuse
from fuzz.media import Stream, an_rtcp, written
from fuzz.reports import a_report
from fuzz.script import Script
from sans_rtc.datachannel import ChannelOptions
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.media import MediaConfig, OutgoingFrame
from sans_rtc.peer import (
    GatheringNeeded,
    LocalCandidate,
    PeerConfig,
    PeerConnection,
    TransceiverOptions,
)
from sans_rtc.sdp.values import Direction
from sans_rtc.testing import ContractMonitor, LinkConditions, SeededEntropy
from tests.property.scenes.scene import Scene

ADDRESSES = Address("10.0.0.1", 5000), Address("10.0.0.2", 5000)
OPUS, KEYFRAME = b"\xf8" + bytes(range(80)), b"\x10\x00\x00\x9d\x01\x2a\x80\x02\x68\x01" + bytes(3000)
DELTA = b"\x11\x00\x00" + bytes(2000)
CONFIG = PeerConfig(media=MediaConfig(receive_packets_max=128, receive_bytes_max=60_000, inbound_streams_max=12))


def build(conditions: LinkConditions, *, end: int) -> Scene:
    """The machine under test at this end; end 0 offers first."""
    peers = [PeerConnection(CONFIG, entropy=SeededEntropy(f"call {index}")) for index in (0, 1)]
    scene = Scene(peers[end], peers[1 - end], end=end, wrap=ContractMonitor, seed=0, conditions=conditions)
    scene.usual_path = Path(ADDRESSES[end], ADDRESSES[1 - end])
    scene.handlers.append(_signalling(scene, peers))
    _live(scene, peers)
    return scene


def _signalling(scene: Scene, peers: list[PeerConnection]) -> Callable[[int, object], None]:
    def on_event(end: int, event: object) -> None:
        peer, other = peers[end], peers[1 - end]
        if isinstance(event, GatheringNeeded):
            peer.add_local_address(ADDRESSES[end], "eth0", scene.now)
            peer.end_of_local_addresses(scene.now)
        elif isinstance(event, LocalCandidate) and other.remote_description is not None and not other.is_terminated:
            other.add_remote_candidate(event.candidate, event.mid, scene.now)

    return on_event


def _live(scene: Scene, peers: list[PeerConnection]) -> None:
    """Audio and video both ways; a section is stopped, another added, ICE restarted; then the end."""
    offerer, answerer = peers
    machine, other = scene.machine, scene.other
    scene.then(0.0, offerer.add_transceiver, "audio", TransceiverOptions())
    scene.then(0.0, offerer.add_transceiver, "video", TransceiverOptions())
    scene.then(0.0, offerer.create_channel, "chat", ChannelOptions())
    _exchange(scene, offerer, answerer, answers="sendrecv")
    for tick in range(6):
        scene.then(0.3 if tick == 0 else 0.033, _play, machine, tick)
        scene.then(0.0, _play, other, tick)
    scene.then(1.0, machine.add_transceiver, "video", TransceiverOptions(direction=Direction.SENDONLY))
    _exchange(scene, machine, other)
    scene.then(0.2, _play, machine, 7)
    scene.then(0.1, machine.restart_ice)
    _exchange(scene, machine, other)
    scene.then(0.5, _play, other, 8)
    scene.then(0.1, _stop_last, other)
    _exchange(scene, other, machine)
    scene.then(0.2, _play, machine, 9)
    scene.then(8.0, machine.close)
    scene.then(5.0, lambda now: None)


def _exchange(scene: Scene, first: PeerConnection, second: PeerConnection, *, answers: str = "") -> None:
    def answer(now: float) -> None:
        if first.local_description is not None:
            second.set_remote_description(first.local_description, now)
        for info in second.transceivers() if answers else ():
            second.set_direction(info.handle, answers, now)
        second.set_local_description(None, now)

    def end(now: float) -> None:
        if second.local_description is not None:
            first.set_remote_description(second.local_description, now)

    scene.then(0.01, lambda now: first.set_local_description(None, now))
    scene.then(0.01, answer)
    scene.then(0.01, end)


def _play(peer: PeerConnection, tick: int, now: float) -> None:
    """A frame in everything that can be sent."""
    for info in peer.transceivers():
        data = OPUS if str(info.kind) == "audio" else DELTA if tick % 4 else KEYFRAME
        allow_misuse(peer.send_frame, info.handle, OutgoingFrame(data, tick * 3000), now)


def _stop_last(peer: PeerConnection, now: float) -> None:
    transceivers = peer.transceivers()
    if transceivers:
        peer.stop_transceiver(transceivers[-1].handle, now)


def speak_media(scene: Any, script: Script) -> None:
    """The other peer sends RTP and RTCP that no session would, under the keys of this one."""
    session = scene.other._transport.media.session
    srtp = None if session is None else session._transmitter._srtp
    if srtp is None:
        return
    streams = [*session._sections.streams, 7]
    if script.below(3) == 0:
        ours = [*scene.machine._transport.media.session._sections.streams, 9] if _has_media(scene.machine) else [9]
        plain = an_rtcp(script, (*ours, *streams)) if script.below(2) else a_report(script, ours, streams)
        sealed = allow_misuse(srtp.protect_rtcp, plain)
    else:
        ssrc = script.pick(streams)
        stream = Stream(ssrc, [*_payload_types(session), 127])
        stream.number = getattr(session._sections.streams.get(ssrc), "next_sequence", 0) + script.below(64)
        sealed = allow_misuse(srtp.protect_rtp, written(stream.next_packet(script)))
    if sealed is not None:
        scene.front.receive(Datagram(sealed, scene.usual_path), scene.now)


def _has_media(peer: PeerConnection) -> bool:
    return peer._transport.media.session is not None


def _payload_types(session: Any) -> list[int]:
    found = {codec.payload_type for sender in session._sections.senders.values() for codec in sender.parameters.codecs}
    return sorted(found)
