"""What every adapter shares and no event loop is needed for: sockets in bursts, interfaces, clocks, a blocking peer.

from sans_rtc_net import BlockingPeerConnection    # for threads and scripts
from sans_rtc_net import drive                     # any machine, in this thread
from sans_rtc_net import Pump                      # any machine, in any other loop
"""

from sans_rtc_net.binding import BindConfig, bind_config_from, bind_sockets
from sans_rtc_net.blocking import BlockingPeerConnection
from sans_rtc_net.blocking_channel import BlockingDataChannel
from sans_rtc_net.blocking_transceiver import BlockingReceiver, BlockingSender, BlockingTransceiver
from sans_rtc_net.candidates import IceCandidate, as_candidate
from sans_rtc_net.clock import monotonic, wall_clock_offset_s
from sans_rtc_net.driver import Driver, drive
from sans_rtc_net.dscp import Flow, Priority, dscp_of
from sans_rtc_net.entropy import system_entropy
from sans_rtc_net.errors import ChannelClosed, ConnectionFailed, ConnectionLost
from sans_rtc_net.gathering import Gathering
from sans_rtc_net.hand_over import HandedOver
from sans_rtc_net.ice_servers import IceServer
from sans_rtc_net.interfaces import LocalAddress, listed_addresses, usable_addresses
from sans_rtc_net.listener import Listener
from sans_rtc_net.open_metrics_text import Family, render_openmetrics
from sans_rtc_net.options import StreamConfig, UdpConfig
from sans_rtc_net.peer_metrics import PeerMetrics
from sans_rtc_net.proxy import Proxy
from sans_rtc_net.pump import Pump
from sans_rtc_net.session import CloseReport
from sans_rtc_net.settings import peer_config_from, stream_config_from
from sans_rtc_net.socket_set import SocketSet
from sans_rtc_net.stream import Stream
from sans_rtc_net.stream_set import StreamSet
from sans_rtc_net.trace_log import JsonFormatter, fan_out, trace_to_logging
from sans_rtc_net.udp import UdpSocket

__all__ = [
    "BindConfig",
    "BlockingDataChannel",
    "BlockingPeerConnection",
    "BlockingReceiver",
    "BlockingSender",
    "BlockingTransceiver",
    "ChannelClosed",
    "CloseReport",
    "ConnectionFailed",
    "ConnectionLost",
    "Driver",
    "Family",
    "Flow",
    "Gathering",
    "HandedOver",
    "IceCandidate",
    "IceServer",
    "JsonFormatter",
    "Listener",
    "LocalAddress",
    "PeerMetrics",
    "Priority",
    "Proxy",
    "Pump",
    "SocketSet",
    "Stream",
    "StreamConfig",
    "StreamSet",
    "UdpConfig",
    "UdpSocket",
    "as_candidate",
    "bind_config_from",
    "bind_sockets",
    "drive",
    "dscp_of",
    "fan_out",
    "listed_addresses",
    "monotonic",
    "peer_config_from",
    "render_openmetrics",
    "stream_config_from",
    "system_entropy",
    "trace_to_logging",
    "usable_addresses",
    "wall_clock_offset_s",
]
