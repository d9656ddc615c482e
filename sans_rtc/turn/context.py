"""What the parts of one TURN client share."""

from __future__ import annotations

import attrs

from sans_rtc.entropy import Entropy
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
    server_name: str
    dont_fragment: bool
    relayed: dict[int, Address] = attrs.field(factory=dict)
