"""The media of a peer connection: an RTP session made when media are agreed on, keyed when DTLS has proved the peer.

    negotiation --MediaSection--> MediaTransport --configure--> RtpSession --events--> PeerTransport
    DTLS --exported keys--------> MediaTransport --set_keys---> RtpSession

Security: keys are exported, and media pass, only after DTLS has said `Connected` (RFC 5764 section 4.2).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc import dtls
from sans_rtc.entropy import Entropy
from sans_rtc.machine import UNARMED, Trace
from sans_rtc.media import MediaSection, RtpSession
from sans_rtc.peer.config import PeerConfig
from sans_rtc.rtp.ntp import WallClock
from sans_rtc.srtp import DTLS_EXPORTER_LABEL, MasterKey, dtls_keying_material_bytes, keys_from_dtls


@attrs.frozen(slots=True)
class MediaKeys:
    """What DTLS has agreed on for SRTP (RFC 5764 section 4.2)."""

    profile: int
    send: MasterKey
    receive: MasterKey


class MediaTransport:
    """The RTP session under one peer connection, where there is one."""

    def __init__(self, config: PeerConfig, *, entropy: Entropy, trace: Trace | None = None) -> None:
        self.session: RtpSession | None = None
        self.has_no_profile = False
        self._config = config
        self._outputs: dict[int, tuple[bool, bool]] = {}
        self._entropy = entropy
        self._trace = trace
        self._keys: MediaKeys | None = None
        self._overhead_bytes = 0
        self._early: list[bytes] = []

    def configure(self, sections: Sequence[MediaSection], now: float) -> None:
        """An exchange of descriptions has settled which media there are."""
        if self.session is None:
            if not sections:
                return
            wall_clock = WallClock(self._config.wall_clock_offset_s)
            config = attrs.evolve(self._config.media, mtu_bytes=self._config.mtu_bytes, wall_clock=wall_clock)
            self.session = RtpSession(config, entropy=self._entropy, trace=self._trace)
            self.session.set_path_overhead(self._overhead_bytes)
            if self._keys is not None:
                self.session.set_keys(self._keys.profile, self._keys.send, self._keys.receive, now)
        self.session.configure(sections, now)
        handles = {section.handle for section in sections}
        for handle in handles & self._outputs.keys():
            self._set_output(self.session, handle)

    def set_output(self, handle: int, frames: bool, packets: bool) -> None:
        """What a transceiver's receiver tells: holds for as long as the transceiver, negotiated or not yet."""
        self._outputs[handle] = frames, packets
        if self.session is not None and self.session.has_section(handle):
            self._set_output(self.session, handle)

    def forget(self, handle: int) -> None:
        """A transceiver is over."""
        self._outputs.pop(handle, None)

    def _set_output(self, session: RtpSession, handle: int) -> None:
        frames, packets = self._outputs[handle]
        session.set_output(handle, frames=frames, packets=packets)

    def on_secured(self, connection: dtls.Connection, event: dtls.Connected, role: dtls.Role, now: float) -> None:
        """DTLS is up: the peer has proved to hold the key whose fingerprint was signalled."""
        profile = event.srtp_profile
        self.has_no_profile = profile is None
        if profile is None or connection.is_terminated:  # what ended it may have come with what made it
            return
        exported = connection.export_keying_material(DTLS_EXPORTER_LABEL, dtls_keying_material_bytes(profile))
        send, receive = keys_from_dtls(profile, exported, is_client=role is dtls.Role.CLIENT)
        self._keys = MediaKeys(profile, send, receive)
        if self.session is not None:
            self.session.set_keys(profile, send, receive, now)

    def receive_many(self, datagrams: Sequence[bytes], now: float) -> int:
        """Take SRTP and SRTCP; returns how many were dropped.

        The peer may have completed DTLS before us, and its first packets, of a keyframe as a rule, overtaken its last
        flight: some are kept until there are keys that tell whether they are authentic.
        """
        if self._keys is None or self.session is None:
            room = max(0, self._config.early_datagrams_max - len(self._early))
            self._early += datagrams[:room]
            return max(0, len(datagrams) - room)
        if self._early:
            datagrams = [*self._early, *datagrams]
            self._early = []
        self.session.receive_many(datagrams, now)
        return 0

    @property
    def has_early(self) -> bool:
        """True where packets that were kept can be taken now."""
        return bool(self._early) and self._keys is not None and self.session is not None

    def on_insecure(self, now: float) -> None:
        """DTLS has ended, or begins anew: nothing passes until it is up again."""
        self._keys = None
        self._early = []
        if self.session is not None:
            self.session.clear_keys(now)

    def on_path(self, overhead_bytes: int, *, is_other: bool, now: float) -> None:
        """ICE has selected a path."""
        self._overhead_bytes = overhead_bytes
        if self.session is not None:
            self.session.set_path_overhead(overhead_bytes)
            if is_other:
                self.session.path_changed(now)

    def close(self, now: float) -> None:
        """Say goodbye."""
        if self.session is not None:
            self.session.close(now)

    @property
    def is_secured(self) -> bool:
        """True while there are keys."""
        return self._keys is not None

    @property
    def deadline(self) -> float:
        """That of the session."""
        return UNARMED if self.session is None else self.session.deadline
