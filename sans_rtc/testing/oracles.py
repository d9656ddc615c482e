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
from sans_rtc.peer import ConnectionState, ConnectionStateChanged, PeerConnection
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
        self._of(program).nonces.see(data)

    def on_event(self, program: Program, event: Any) -> None:
        """See `Watch`: nothing is told before the peer has been authenticated."""
        seen = self._of(program)
        if isinstance(event, ConnectionStateChanged):
            seen.is_authenticated |= event.state is ConnectionState.CONNECTED
        elif isinstance(event, _APPLICATION_DATA):
            assert seen.is_authenticated, f"{program.host.name} is told {type(event).__name__} before it is connected"

    def on_step(self, program: Program) -> None:
        """See `Watch`: the contract, and the books of a peer connection."""
        self.steps += 1
        machine = program.machine
        if isinstance(machine, ContractMonitor):
            machine.check(program.now)
            machine = machine.machine
        if isinstance(machine, PeerConnection):
            check_peer(machine)
            connected = machine._transport.dtls_connected
            if connected is not None and connected.srtp_profile is not None:
                is_aead = connected.srtp_profile in _AEAD
                self._of(program).nonces.rtcp_tag_bytes = 0 if is_aead else _RTCP_TAG_BYTES
        for check in self.checks:
            check(program)

    def _of(self, program: Program) -> _Seen:
        seen = self._seen.get(program)
        if seen is None:
            seen = self._seen[program] = _Seen()
        return seen
