"""Who looks on while peers talk in a simulated network, and says so where something is wrong.

    oracles = Oracles(network)             # from here on: AssertionError at the step that breaks a rule
    oracles.keep_secret(b"my payload")     # never to be seen in a datagram

After every step of a machine: no exception, and the contract (`ContractMonitor`); of a peer connection also that its
books are right and its queues bounded (`invariants`), that nothing is told to the application before the peer has been
authenticated, no secret goes over the wire in the clear, and no nonce is used twice (`nonces`). What applications owe
each other is kept by `Promise`; `Call` does so for its channels and frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from sans_rtc.datachannel import ChannelMessage
from sans_rtc.machine import Datagram
from sans_rtc.media import FrameReceived, PacketReceived
from sans_rtc.peer import PeerConnection
from sans_rtc.srtp import SrtpProfile
from sans_rtc.testing.contract import ContractMonitor
from sans_rtc.testing.host import Program
from sans_rtc.testing.invariants import check_peer
from sans_rtc.testing.network import Network
from sans_rtc.testing.nonces import NonceWatch

_RTCP_TAG_BYTES = 10  # of the profiles of AES-CM; those of AES-GCM have none after the index
_AEAD = (SrtpProfile.AEAD_AES_128_GCM, SrtpProfile.AEAD_AES_256_GCM)
_APPLICATION_DATA = (ChannelMessage, FrameReceived, PacketReceived)


@attrs.define(slots=True)
class _Seen:
    """What is known of one program."""

    nonces: NonceWatch = attrs.Factory(NonceWatch)
    is_authenticated: bool = False


class Oracles:
    """A `Watch` for a whole network; it takes its place in `network.watch` itself.

    steps   how many have been looked at
    checks  called with a program after each of its steps, to assert what you know of your own machines
    """

    def __init__(self, network: Network) -> None:
        self.steps = 0
        self.checks: list[Callable[[Program], None]] = []
        self._secrets: list[bytes] = []
        self._seen: dict[Program, _Seen] = {}
        network.watch = self

    def keep_secret(self, data: bytes) -> None:
        """These bytes must not be seen in any datagram; take some that do not come by chance, eight or more."""
        self._secrets.append(data)

    def on_datagram(self, program: Program, datagram: Datagram) -> None:
        """See `Watch`: no plaintext, no nonce twice."""
        data = datagram.data
        for secret in self._secrets:
            assert secret not in data, f"{program.host.name} sends {secret!r} in the clear"
        if _peer_of(program) is not None:  # a relay passes on what others have sealed
            self._of(program).nonces.see(data)

    def on_event(self, program: Program, event: Any) -> None:
        """See `Watch`: nothing is told before the peer has been authenticated."""
        if isinstance(event, _APPLICATION_DATA):
            name = type(event).__name__
            assert self._is_authenticated(program), f"{program.host.name} is told {name} before the peer is proved"

    def on_step(self, program: Program) -> None:
        """See `Watch`: the contract, and the books of a peer connection."""
        self.steps += 1
        if isinstance(program.machine, ContractMonitor):
            program.machine.check(program.now)
        peer = _peer_of(program)
        if peer is not None:
            check_peer(peer)
            connected = peer._transport.dtls_connected
            if connected is not None and connected.srtp_profile is not None:
                is_aead = connected.srtp_profile in _AEAD
                self._of(program).nonces.rtcp_tag_bytes = 0 if is_aead else _RTCP_TAG_BYTES
        for check in self.checks:
            check(program)

    def _is_authenticated(self, program: Program) -> bool:
        """DTLS has been up, now or ever. ICE may be "connected" later: its own check may still be on its way back."""
        seen, peer = self._of(program), _peer_of(program)
        if not seen.is_authenticated and peer is not None:
            seen.is_authenticated = peer._transport.dtls_connected is not None
        return seen.is_authenticated

    def _of(self, program: Program) -> _Seen:
        seen = self._seen.get(program)
        if seen is None:
            seen = self._seen[program] = _Seen()
        return seen


def _peer_of(program: Program) -> PeerConnection | None:
    machine = program.machine.machine if isinstance(program.machine, ContractMonitor) else program.machine
    return machine if isinstance(machine, PeerConnection) else None
