"""Options of one data channel and bounds of all (RFC 8831, RFC 8832, W3C WebRTC section 6.2)."""

from __future__ import annotations

import attrs

from sans_rtc.datachannel.wire import PRIORITY_MAX, RELIABILITY_PARAMETER_MAX, TEXT_BYTES_MAX
from sans_rtc.errors import InvalidArgument
from sans_rtc.sctp.config import Reliability

# RFC 8832 section 6 and 8831 section 6.2: 65535 is reserved, so ids run from 0 to 65534.
STREAM_ID_MAX = 65534


@attrs.frozen(slots=True, kw_only=True)
class ChannelOptions:
    """What a new channel shall be; made once, checked at once (InvalidArgument).

    ordered          messages arrive in the order they were sent
    max_retransmits  how often a lost message is sent again before it is given up; None: no such limit
    lifetime_s       seconds after which an undelivered message is given up; None: no such limit
    protocol         name of the subprotocol, up to 65535 bytes of UTF-8
    negotiated_id    both ends create the channel with this id, 0 to 65534, and nothing is sent to open it
    priority         0 to 65535; the scheduler shares the path in this proportion (RFC 8831 section 6.4; 256: normal)
    """

    ordered: bool = True
    max_retransmits: int | None = None
    lifetime_s: float | None = None
    protocol: str = ""
    negotiated_id: int | None = None
    priority: int = 256

    def __attrs_post_init__(self) -> None:
        if self.max_retransmits is not None and self.lifetime_s is not None:
            raise InvalidArgument("a channel has max_retransmits or lifetime_s, not both (RFC 8832 section 5.1)")
        if self.max_retransmits is not None and not 0 <= self.max_retransmits <= RELIABILITY_PARAMETER_MAX:
            raise InvalidArgument(f"max_retransmits is 0 to {RELIABILITY_PARAMETER_MAX}, not {self.max_retransmits}")
        if self.lifetime_s is not None and not 0 <= self.lifetime_s * 1000 <= RELIABILITY_PARAMETER_MAX:
            raise InvalidArgument(f"lifetime_s is 0 to {RELIABILITY_PARAMETER_MAX / 1000}, not {self.lifetime_s}")
        if self.negotiated_id is not None and not 0 <= self.negotiated_id <= STREAM_ID_MAX:
            raise InvalidArgument(f"negotiated_id is 0 to {STREAM_ID_MAX}, not {self.negotiated_id}")
        if not 0 <= self.priority <= PRIORITY_MAX:
            raise InvalidArgument(f"priority is 0 to {PRIORITY_MAX}, not {self.priority}")
        if len(self.protocol.encode()) > TEXT_BYTES_MAX:
            raise InvalidArgument(f"protocol is over {TEXT_BYTES_MAX} bytes of UTF-8")

    @property
    def reliability(self) -> Reliability:
        """The promise in SCTP's terms."""
        return Reliability(ordered=self.ordered, max_retransmits=self.max_retransmits, lifetime_s=self.lifetime_s)


@attrs.frozen(slots=True, kw_only=True)
class ChannelConfig:
    """Bounds of the data channels of one peer.

    channels_max          channels open at once; what the peer opens beyond is refused by resetting its stream
    early_messages_max    messages kept for streams whose DATA_CHANNEL_OPEN has not arrived; further ones are dropped
    early_bytes_max       their bytes
    """

    channels_max: int = 1024
    early_messages_max: int = 64
    early_bytes_max: int = 256 * 1024

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.channels_max <= STREAM_ID_MAX + 1:
            raise InvalidArgument(f"channels_max is 1 to {STREAM_ID_MAX + 1}, not {self.channels_max}")
        if self.early_messages_max < 0 or self.early_bytes_max < 0:
            raise InvalidArgument("the bounds for early messages must not be negative")
