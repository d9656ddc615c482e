"""SRTP and SRTCP (RFC 3711, 7714, 6188, 5764) as pure transforms: bytes to bytes, no clock, no queue.

send_key, receive_key = keys_from_dtls(profile, exported, is_client=True)
sender, receiver = SrtpSender(profile, send_key), SrtpReceiver(profile, receive_key)
datagram = sender.protect_rtp(packet)
packet = receiver.unprotect_rtp(datagram)       # None: discarded, and counted in receiver.stats.discards

A packet's key stream is never used twice: a sender refuses a sequence number that it has seen. What arrives changes
nothing before it is authentic. Header extensions can be encrypted one by one (RFC 6904) or altogether (RFC 9335).
"""

from sans_rtc.srtp.config import CryptexPolicy, SrtpConfig
from sans_rtc.srtp.keys import DTLS_EXPORTER_LABEL, MasterKey, dtls_keying_material_bytes, keys_from_dtls
from sans_rtc.srtp.profile import SrtpProfile
from sans_rtc.srtp.receiver import MASTER_KEY_COUNT_MAX, SrtpReceiver
from sans_rtc.srtp.sender import SrtpSender
from sans_rtc.srtp.stats import DiscardReason, SrtpExplanation, SrtpStats, StreamExplanation

__all__ = [
    "DTLS_EXPORTER_LABEL",
    "MASTER_KEY_COUNT_MAX",
    "CryptexPolicy",
    "DiscardReason",
    "MasterKey",
    "SrtpConfig",
    "SrtpExplanation",
    "SrtpProfile",
    "SrtpReceiver",
    "SrtpSender",
    "SrtpStats",
    "StreamExplanation",
    "dtls_keying_material_bytes",
    "keys_from_dtls",
]
