"""Hypothesis strategies for every message of every protocol, and rule-based state machines for every machine.

Needs the extra `testing` (Hypothesis). Nothing else of the library imports this package. The strategies draw bytes, so
that they test any implementation; those of decoded objects (`..._messages`, `..._packets`, `..._chunks`) draw the
classes of this library's codecs.

nearly     damage to bytes and to lines
stun       STUN and TURN messages, ChannelData
mdns       DNS messages
dtls       handshake messages, fragments, alerts, records of epoch 0
rtp        RTP packets with extensions, SRTP packets
rtcp       packets of every kind, compounds
sctp       chunks, parameters, packets, DCEP
sdp        descriptions of data and media, candidates
machines   MachineRules drives any machine by its inputs; PairRules is the base of pairs
pairs      IceAgentPair, DtlsPair, SctpPair
sessions   DataChannelPair, PeerPair
"""

from sans_rtc.testing.strategies.dtls import (
    alert_contents,
    dtls_datagrams,
    dtls_records,
    handshake_bodies,
    handshake_fragments,
    handshake_messages,
    hello_extensions,
    nearly_dtls_datagrams,
    nearly_handshake_bodies,
)
from sans_rtc.testing.strategies.machines import MachineRules, PairRules, allow_misuse, machine_rules
from sans_rtc.testing.strategies.mdns import (
    dns_datagrams,
    dns_messages,
    dns_names,
    dns_records,
    nearly_dns_datagrams,
)
from sans_rtc.testing.strategies.nearly import nearly, nearly_lines
from sans_rtc.testing.strategies.pairs import DtlsPair, IceAgentPair, SctpPair
from sans_rtc.testing.strategies.rtcp import (
    nearly_rtcp_datagrams,
    report_blocks,
    rtcp_compounds,
    rtcp_datagrams,
    rtcp_packets,
)
from sans_rtc.testing.strategies.rtp import (
    ProtectedRtp,
    nearly_rtp_datagrams,
    nearly_srtp_packets,
    rtp_datagrams,
    rtp_extension_elements,
    rtp_packets,
    srtp_packets,
)
from sans_rtc.testing.strategies.sctp import (
    data_chunks,
    dcep_datagrams,
    dcep_messages,
    nearly_dcep_datagrams,
    nearly_sctp_packets,
    reliabilities,
    sctp_causes,
    sctp_chunk_bytes,
    sctp_chunks,
    sctp_packets,
    sctp_parameters,
    sctp_reconfig_parameters,
)
from sans_rtc.testing.strategies.sdp import (
    candidate_lines,
    ice_candidates,
    nearly_candidate_lines,
    nearly_session_descriptions,
    session_descriptions,
)
from sans_rtc.testing.strategies.sessions import ChannelEnd, DataChannelPair, PeerPair
from sans_rtc.testing.strategies.stun import (
    addresses,
    channel_data_frames,
    nearly_channel_data_frames,
    nearly_stun_datagrams,
    stun_attributes,
    stun_datagrams,
    stun_messages,
)

__all__ = [
    "ChannelEnd",
    "DataChannelPair",
    "DtlsPair",
    "IceAgentPair",
    "MachineRules",
    "PairRules",
    "PeerPair",
    "ProtectedRtp",
    "SctpPair",
    "addresses",
    "alert_contents",
    "allow_misuse",
    "candidate_lines",
    "channel_data_frames",
    "data_chunks",
    "dcep_datagrams",
    "dcep_messages",
    "dns_datagrams",
    "dns_messages",
    "dns_names",
    "dns_records",
    "dtls_datagrams",
    "dtls_records",
    "handshake_bodies",
    "handshake_fragments",
    "handshake_messages",
    "hello_extensions",
    "ice_candidates",
    "machine_rules",
    "nearly",
    "nearly_candidate_lines",
    "nearly_channel_data_frames",
    "nearly_dcep_datagrams",
    "nearly_dns_datagrams",
    "nearly_dtls_datagrams",
    "nearly_handshake_bodies",
    "nearly_lines",
    "nearly_rtcp_datagrams",
    "nearly_rtp_datagrams",
    "nearly_sctp_packets",
    "nearly_session_descriptions",
    "nearly_srtp_packets",
    "nearly_stun_datagrams",
    "reliabilities",
    "report_blocks",
    "rtcp_compounds",
    "rtcp_datagrams",
    "rtcp_packets",
    "rtp_datagrams",
    "rtp_extension_elements",
    "rtp_packets",
    "sctp_causes",
    "sctp_chunk_bytes",
    "sctp_chunks",
    "sctp_packets",
    "sctp_parameters",
    "sctp_reconfig_parameters",
    "session_descriptions",
    "srtp_packets",
    "stun_attributes",
    "stun_datagrams",
    "stun_messages",
]
