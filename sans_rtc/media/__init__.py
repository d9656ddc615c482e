"""Media over one transport: SRTP, RTP and RTCP, loss recovery and congestion control as one session (RFC 3550, 8834).

parameters   what negotiation says of it, as plain data
"""

from sans_rtc.media.parameters import (
    CodecParameters,
    Encoding,
    EncodingSettings,
    FecParameters,
    MediaSection,
    ReceiveParameters,
    RemoteSource,
    SendParameters,
)

__all__ = [
    "CodecParameters",
    "Encoding",
    "EncodingSettings",
    "FecParameters",
    "MediaSection",
    "ReceiveParameters",
    "RemoteSource",
    "SendParameters",
]
