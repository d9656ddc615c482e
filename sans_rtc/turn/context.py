"""What the parts of one TURN client share."""

from __future__ import annotations

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.outbox import Outbox
from sans_rtc.turn.config import TurnConfig
from sans_rtc.turn.events import TurnEvent
from sans_rtc.turn.requests import Requester
from sans_rtc.turn.stats import TurnStatistics


@attrs.define(slots=True, eq=False)
class Context:
    """Configuration, entropy, outputs and requests of one client, and where its server is.

    path           of the control connection; another one after a redirection
    server_name    that its certificate proves, with TLS
    dont_fragment  asked for, and the server has not said that it cannot
    relayed        the relayed address of each family, once there is one
    """

    config: TurnConfig
    entropy: Entropy
    stats: TurnStatistics
    datagrams: Outbox[Datagram]
    events: Outbox[TurnEvent]
    requester: Requester
    path: Path
    server_name: str = attrs.field(init=False)
    dont_fragment: bool = attrs.field(init=False)
    relayed: dict[int, Address] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.server_name = self.config.server_name
        self.dont_fragment = self.config.dont_fragment

    def relayed_for(self, peer: Address) -> Address:
        """The relayed address that this peer sees; InvalidArgument where there is none of its family."""
        relayed = self.relayed.get(peer.family)
        if relayed is None:
            raise InvalidArgument(f"{peer} is of another IP version than the relayed address")
        return relayed
