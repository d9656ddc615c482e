"""WebRTC for libraries written on anyio: `sans_rtc_asyncio` or `sans_rtc_trio`, whichever loop is running.

from sans_rtc_anyio import PeerConnection

async with PeerConnection() as pc:
    channel = pc.create_data_channel("chat")
    await pc.set_local_description()
    ...
"""

from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded, LocalError, SansRtcError
from sans_rtc.media import EncodingSettings, MediaFrame, PacketReceived
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.negotiation import Description
from sans_rtc_anyio.choice import PeerConnection
from sans_rtc_net.async_channel import DataChannel
from sans_rtc_net.async_transceiver import Receiver, Sender, Transceiver
from sans_rtc_net.binding import BindConfig
from sans_rtc_net.candidates import IceCandidate
from sans_rtc_net.errors import ChannelClosed, ConnectionFailed, ConnectionLost
from sans_rtc_net.hand_over import HandedOver
from sans_rtc_net.ice_servers import IceServer
from sans_rtc_net.options import StreamConfig, UdpConfig
from sans_rtc_net.proxy import Proxy
from sans_rtc_net.session import CloseReport

__all__ = [
    "BindConfig",
    "ChannelClosed",
    "CloseReport",
    "ConnectionFailed",
    "ConnectionLost",
    "DataChannel",
    "Description",
    "EncodingSettings",
    "HandedOver",
    "IceCandidate",
    "IceServer",
    "InvalidArgument",
    "InvalidState",
    "LimitExceeded",
    "LocalError",
    "MediaFrame",
    "PacketReceived",
    "PeerConfig",
    "PeerConnection",
    "Proxy",
    "Receiver",
    "SansRtcError",
    "Sender",
    "StreamConfig",
    "Transceiver",
    "UdpConfig",
]
