"""rfc-vectors of RTP, RTCP, payloads and SDP against parsers that are not ours: pion, aiortc, libopus, tshark."""

import base64
import ctypes
import json
from pathlib import Path

import pytest
from interop_peers.absent import give_up
from interop_peers.dissection import dissect
from interop_peers.pion_codecs import PionCodecs
from interop_peers.processes import Missing

from sans_rtc.sdp import parse_description

pytestmark = pytest.mark.interop

VECTORS = Path(__file__).parents[2] / "rfc-vectors"
SDP = sorted((VECTORS / "sdp").glob("*.sdp"))
PION_RTCP = {
    "SenderReport": "SenderReport",
    "ReceiverReport": "ReceiverReport",
    "SourceDescription": "SourceDescription",
    "Goodbye": "Goodbye",
    "Nack": "TransportLayerNack",
    "PictureLossIndication": "PictureLossIndication",
    "FullIntraRequest": "FullIntraRequest",
    "Remb": "ReceiverEstimatedMaximumBitrate",
    "CongestionControlFeedback": "CCFeedbackReport",
    "ExtendedReport": "ExtendedReport",
}


def vectors_of(name):
    return json.loads((VECTORS / f"{name}.json").read_text())["vectors"]


def octets(value):
    return bytes.fromhex("".join(value).replace(" ", ""))


@pytest.fixture(scope="module")
def pion(tmp_path_factory):
    try:
        return PionCodecs(tmp_path_factory.mktemp("pion"))
    except Missing as missing:
        give_up(missing)


@pytest.fixture
def tshark(tmp_path):
    def ask(*arguments):
        try:
            return dissect(tmp_path, *arguments)
        except Missing as missing:
            give_up(missing)

    return ask


@pytest.fixture(scope="module")
def aiortc():
    try:
        import aiortc
    except ImportError:
        give_up("no aiortc")
    return aiortc


def decoded(text):
    return base64.b64decode(text or "")


# --- RTP


def test_pion_reads_the_rtp_packets(pion):
    vectors = vectors_of("rtp/packets")
    for vector, found in zip(vectors, pion.read([("rtp", octets(v["bytes"])) for v in vectors]), strict=True):
        packet = vector["packet"]
        for name in ("payload_type", "marker", "sequence_number", "timestamp", "ssrc", "csrcs", "padding_bytes"):
            assert found[name] == packet[name], (vector["name"], name)
        assert decoded(found["payload"]).hex() == packet["payload"]
        if found["profile"] == 0xBEDE:
            extensions = [[int(number), decoded(data).hex()] for number, data in found["extensions"].items()]
            assert sorted(extensions) == packet["extensions"]
        elif packet["other_extension"]:
            assert [found["profile"], decoded(found["extensions"]["0"]).hex()] == packet["other_extension"]


def test_aiortc_reads_the_rtp_packets(aiortc):
    from aiortc.rtp import RtpPacket, unpack_header_extensions

    for vector in vectors_of("rtp/packets"):
        found, packet = RtpPacket.parse(octets(vector["bytes"])), vector["packet"]
        assert (found.payload_type, bool(found.marker)) == (packet["payload_type"], packet["marker"])
        assert (found.sequence_number, found.timestamp) == (packet["sequence_number"], packet["timestamp"])
        assert (found.ssrc, found.csrc, found.payload.hex()) == (packet["ssrc"], packet["csrcs"], packet["payload"])
        if packet["extensions"]:
            data = octets(vector["bytes"])
            begin = 12 + 4 * len(packet["csrcs"])
            profile = int.from_bytes(data[begin : begin + 2])
            end = begin + 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4])
            known = profile if profile == 0xBEDE else profile & 0xFFF0  # aiortc wants application bits of zero
            values = unpack_header_extensions(known, data[begin + 4 : end])
            assert [[number, value.hex()] for number, value in values] == packet["extensions"]


def test_tshark_reads_the_rtp_packets(tshark):
    vectors = vectors_of("rtp/packets")
    names = ["rtp.p_type", "rtp.seq", "rtp.timestamp", "rtp.ssrc", "rtp.csrc.item", "rtp.padding.count"]
    for vector, row in zip(vectors, tshark("rtp", [octets(v["bytes"]) for v in vectors], names), strict=True):
        packet = vector["packet"]
        found = [[int(value, 0) for value in values] for values in row]
        expected = [[packet[name]] for name in ("payload_type", "sequence_number", "timestamp", "ssrc")]
        padding = [packet["padding_bytes"]] if packet["padding_bytes"] else []
        assert found == [*expected, packet["csrcs"], padding], vector["name"]


def test_pion_and_aiortc_read_the_header_extensions_that_they_know(pion, aiortc):
    from aiortc import RTCRtpHeaderExtensionParameters, RTCRtpParameters
    from aiortc.rtp import HeaderExtensionsMap

    from sans_rtc.rtp import Extension

    readers = {
        "SSRC_AUDIO_LEVEL": ("audio-level", lambda found: [found["Level"], found["Voice"]], "audio_level"),
        "ABS_SEND_TIME": ("abs-send-time", lambda found: found["Timestamp"], "abs_send_time"),
        "TRANSPORT_CC": ("transport-cc", lambda found: found["TransportSequence"], "transport_sequence_number"),
        "TRANSMISSION_OFFSET": (None, None, "transmission_offset"),
        "MID": (None, None, "mid"),
        "RID": (None, None, "rtp_stream_id"),
        "REPAIRED_RID": (None, None, "repaired_rtp_stream_id"),
    }
    seen = set()
    for vector in vectors_of("rtp/extensions"):
        name, data = vector["extension"], bytes.fromhex(vector["bytes"])
        if name not in readers:
            continue
        seen.add(name)
        kind, read, attribute = readers[name]
        if kind:
            assert read(pion.read([(kind, data)])[0]) == vector["value"]
        known = HeaderExtensionsMap()
        uri = str(Extension[name].value)
        known.configure(RTCRtpParameters(headerExtensions=[RTCRtpHeaderExtensionParameters(id=1, uri=uri)]))
        value = getattr(known.get(0xBEDE, bytes([0x10 | len(data) - 1]) + data), attribute)
        level = list(reversed(value)) if isinstance(value, tuple) else value
        assert level == vector["value"], name
    assert seen == set(readers)


# --- RTCP


def test_pion_reads_the_rtcp_packets_that_it_knows(pion):
    vectors = [vector for vector in vectors_of("rtcp/packets") if vector["class"] in PION_RTCP]
    for vector, found in zip(vectors, pion.read([("rtcp", octets(v["bytes"])) for v in vectors]), strict=True):
        assert found["types"] == [PION_RTCP[vector["class"]]], vector["name"]
        theirs, ours = found["packets"][0], vector["packet"]
        match vector["class"]:
            case "SenderReport":
                assert (theirs["NTPTime"], theirs["RTPTime"]) == (ours["ntp"], ours["rtp_timestamp"])
                assert (theirs["PacketCount"], theirs["OctetCount"]) == (ours["packet_count"], ours["octet_count"])
                assert [block["LastSequenceNumber"] for block in theirs["Reports"]] == [b[3] for b in ours["blocks"]]
            case "Nack":
                pairs = [(item["PacketID"], item["LostPackets"]) for item in theirs["Nacks"]]
                bits = [(pid, 1 << bit) for pid, mask in pairs for bit in range(16) if mask & 1 << bit]
                named = {pid for pid, _ in pairs} | {(pid + bit.bit_length()) % 65536 for pid, bit in bits}
                assert named == set(ours["lost"])
            case "Remb":
                assert (theirs["Bitrate"], theirs["SSRCs"]) == (ours["bitrate_bps"], ours["ssrcs"])
            case "FullIntraRequest":
                assert [[item["SSRC"], item["SequenceNumber"]] for item in theirs["FIR"]] == ours["entries"]
            case "SourceDescription":
                chunks = [
                    [c["Source"], [[i["Type"], i["Text"].encode().hex()] for i in c["Items"]]] for c in theirs["Chunks"]
                ]
                assert chunks == ours["chunks"]
            case "CongestionControlFeedback":
                (block,) = theirs["ReportBlocks"]
                # pion 1.2 takes the number of reports for that of the last one: its list has one more
                metrics = [[m["ECN"], m["ArrivalTimeOffset"]] if m["Received"] else None for m in block["MetricBlocks"]]
                assert [block["MediaSSRC"], block["BeginSequence"]] == ours["streams"][0][:2]
                assert metrics[: len(ours["streams"][0][2])] == ours["streams"][0][2]


def test_pion_reads_the_transport_feedback_with_times(pion):
    vectors = [v for v in vectors_of("rtcp/packets") if v["class"] == "TransportFeedback" and v["packet"]["has_times"]]
    assert len(vectors) == 2
    for vector, found in zip(vectors, pion.read([("rtcp", octets(v["bytes"])) for v in vectors]), strict=True):
        (theirs,), ours = found["packets"], vector["packet"]
        assert (theirs["BaseSequenceNumber"], theirs["ReferenceTime"]) == (
            ours["base_sequence"],
            ours["reference_time"],
        )
        assert theirs["PacketStatusCount"] == len(ours["deltas"])
        deltas = [delta for delta in ours["deltas"] if delta is not None]
        assert [delta["Delta"] for delta in theirs["RecvDeltas"]] == [250 * delta for delta in deltas]  # us


def test_tshark_reads_every_rtcp_packet(tshark):
    vectors = vectors_of("rtcp/packets")
    names = ["rtcp.pt", "rtcp.senderssrc", "rtcp.length", "_ws.malformed"]
    for vector, row in zip(vectors, tshark("rtcp", [octets(v["bytes"]) for v in vectors], names), strict=True):
        kinds, senders, _, malformed = row
        # the form of transport feedback without times is libwebrtc's own, and no such packet type is registered
        is_strange = vector["packet"].get("has_times") is False or vector["class"] == "UnknownPacket"
        assert (kinds[:1], bool(malformed)) == ([str(octets(vector["bytes"])[1])], is_strange), vector["name"]
        expected = vector["packet"].get("sender_ssrc", vector["packet"].get("ssrc"))
        assert not senders or expected is None or int(senders[0], 0) == expected, vector["name"]


# --- payload formats


def test_pion_reads_the_vp8_descriptors(pion):
    vectors = vectors_of("rtp-payload/vp8")
    names = {"partition_id": "PID", "picture_id": "PictureID", "tl0_picture_index": "TL0PICIDX", "key_index": "KEYIDX"}
    names |= {"starts_partition": "S", "is_discardable": "N", "temporal_id": "TID", "is_layer_sync": "Y"}
    names |= {"has_long_picture_id": None}
    questions = [("vp8", octets(vector["payload"])) for vector in vectors]
    for vector, found in zip(vectors, pion.read(questions), strict=True):
        for name, value in vector["fields"].items():
            if names[name] is not None and "error" not in found:
                assert found[names[name]] == int(value or 0), (vector["name"], name)
        # pion 1.7 takes no payload of less than four bytes
        assert ("error" in found) == (len(octets(vector["payload"])) < 4), vector["name"]
        assert "error" in found or decoded(found["Payload"]).hex() == vector["data"]


def test_aiortc_reads_the_vp8_descriptors(aiortc):
    from aiortc.codecs.vpx import VpxPayloadDescriptor

    for vector in vectors_of("rtp-payload/vp8"):
        found, rest = VpxPayloadDescriptor.parse(octets(vector["payload"]))
        fields = vector["fields"]
        assert rest.hex() == vector["data"]
        assert found.picture_id == fields.get("picture_id")
        assert found.keyidx == fields.get("key_index")
        assert "partition_id" not in fields or found.partition_id == fields["partition_id"]
        assert "tl0_picture_index" not in fields or found.tl0picidx == fields["tl0_picture_index"]


def test_pion_reads_the_vp9_descriptors(pion):
    vectors = vectors_of("rtp-payload/vp9")
    flags = {"is_flexible": "F", "is_inter_predicted": "P", "starts_frame": "B", "ends_frame": "E"}
    flags |= {"picture_id": "PictureID", "temporal_id": "TID", "spatial_id": "SID", "tl0_picture_index": "TL0PICIDX"}
    flags |= {"is_switching_up": "U", "is_inter_layer": "D", "is_no_upper_reference": "Z"}
    questions = [("vp9", octets(vector["payload"])) for vector in vectors]
    for vector, found in zip(vectors, pion.read(questions), strict=True):
        fields = dict(vector["fields"])
        assert list(decoded(found["PDiff"])) == fields.pop("reference_diffs", [])
        for name, value in fields.items():
            assert found[flags[name]] == (value or 0), (vector["name"], name)
        assert decoded(found["Payload"]).hex() == vector["data"].replace(" ", "")
        structure = vector.get("scalability")
        if structure is not None:
            assert found["NS"] + 1 == structure["spatial_layers"]
            assert [list(size) for size in zip(found["Width"], found["Height"], strict=True)] == structure["sizes"]
            times = list(decoded(found["PGTID"]))
            group = [
                [t, u, list(decoded(d))]
                for t, u, d in zip(times, found["PGU"] or [], found["PGPDiff"] or [], strict=True)
            ]
            assert group == (structure["group"] or [])


@pytest.mark.parametrize("vector", vectors_of("rtp-payload/h264"), ids=lambda vector: vector["name"])
def test_pion_and_aiortc_put_the_h264_units_together(pion, aiortc, vector):
    from aiortc.codecs.h264 import H264PayloadDescriptor

    payloads = [octets(payload) for payload in vector["payloads"]]
    expected = b"".join(b"\0\0\0\1" + octets(unit) for unit in vector["units"])
    kinds = ["h264-new", *["h264"] * (len(payloads) - 1)]
    if min(map(len, payloads)) > 2:  # pion takes nothing shorter
        found = pion.read(list(zip(kinds, payloads, strict=True)))
        assert b"".join(decoded(part) for part in found) == expected
    assert b"".join(H264PayloadDescriptor.parse(payload)[1] for payload in payloads) == expected


@pytest.mark.parametrize("vector", vectors_of("rtp-payload/h265"), ids=lambda vector: vector["name"])
def test_pion_takes_the_h265_payloads_apart(pion, vector):
    payloads = [octets(payload) for payload in vector["payloads"]]
    found = pion.read([("h265", payload) for payload in payloads])
    units = [octets(unit) for unit in vector["units"]]
    match found[0]["kind"]:
        case "single":
            assert [units[0][:2] + decoded(found[0]["payload"])] == units
        case "aggregation":
            assert [decoded(unit) for unit in found[0]["units"]] == units
        case "fragment":
            assert [part["start"] for part in found] == [True] + [False] * (len(found) - 1)
            assert [part["end"] for part in found] == [False] * (len(found) - 1) + [True]
            assert {part["type"] for part in found} == {units[0][0] >> 1 & 0x3F}
            assert [units[0][:2] + b"".join(decoded(part["payload"]) for part in found)] == units


def test_pion_takes_the_av1_payloads_apart(pion):
    vectors = vectors_of("rtp-payload/av1")
    found = pion.read([("av1", octets(vector["payload"])) for vector in vectors])
    for vector, theirs in zip(vectors, found, strict=True):
        assert [decoded(element).hex() for element in theirs["OBUElements"]] == vector["elements"]
        assert [theirs["Z"], theirs["Y"], theirs["N"]] == vector["flags"]


def test_libopus_takes_the_opus_packets_apart():
    libopus = find_libopus()
    bandwidths = {1101: "NB", 1102: "MB", 1103: "WB", 1104: "SWB", 1105: "FB"}
    for vector in vectors_of("rtp-payload/opus"):
        data, fields = octets(vector["packet"]), vector["fields"]
        frames, sizes, toc = (ctypes.c_void_p * 48)(), (ctypes.c_int16 * 48)(), ctypes.c_ubyte()
        buffer = ctypes.create_string_buffer(data, len(data))
        count = libopus.opus_packet_parse(buffer, len(data), ctypes.byref(toc), frames, sizes, None)
        parts = [ctypes.string_at(frames[index], sizes[index]) for index in range(count)]
        assert [part.hex() for part in parts] == vector["frames"], vector["name"]
        if "frame_ticks" in fields:
            assert libopus.opus_packet_get_samples_per_frame(buffer, 48000) == fields["frame_ticks"]
        if "bandwidth" in fields:
            assert bandwidths[libopus.opus_packet_get_bandwidth(buffer)] == fields["bandwidth"]
        if "is_stereo" in fields:
            assert libopus.opus_packet_get_nb_channels(buffer) == 1 + fields["is_stereo"]


def find_libopus():
    """The libopus that the package av brings along."""
    try:
        import av
    except ImportError:
        give_up("no av")
    paths = sorted((Path(av.__file__).parents[1] / "av.libs").glob("libopus-*.so*"))
    if not paths:
        give_up("no libopus in the package av")
    return ctypes.CDLL(str(paths[0]))


def test_tshark_reads_the_telephone_events(tshark):
    vectors = [vector for vector in vectors_of("rtp-payload/audio") if vector["format"] == "telephone-event"]
    names = ["rtpevent.event_id", "rtpevent.duration", "rtpevent.end_of_event", "rtpevent.volume"]
    packets = [b"\x80\x65" + bytes(10) + octets(vector["payload"]) for vector in vectors]
    rows = tshark("rtp", packets, names, "-d", "rtp.pt==101,rtpevent")
    for vector, row in zip(vectors, rows, strict=True):
        event, duration, is_end, volume = (
            int(values[0].replace("True", "1").replace("False", "0"), 0) for values in row
        )
        assert [[event, duration, bool(is_end), volume]] == vector["reports"]


def test_tshark_reads_the_blocks_of_red(tshark):
    vectors = [vector for vector in vectors_of("rtp-payload/audio") if vector["format"] == "red"]
    names = ["rtp.block-length", "rtp.timestamp-offset", "rtp.payload"]
    packets = [b"\x80\x63" + bytes(10) + octets(vector["payload"]) for vector in vectors]
    for vector, row in zip(vectors, tshark("rtp", packets, names, "-d", "rtp.pt==99,rtp_rfc2198"), strict=True):
        earlier = vector["blocks"][:-1]
        assert [int(size) for size in row[0]] == [len(octets(data)) for _, _, data in earlier]
        assert [int(ago) for ago in row[1]] == [ago for _, ago, _ in earlier]


# --- SDP


@pytest.mark.parametrize("path", SDP, ids=lambda path: path.stem)
def test_aiortc_reads_the_descriptions_as_we_do(aiortc, path):
    from aiortc.sdp import SessionDescription

    text = path.read_bytes().decode()
    ours, theirs = parse_description(text), SessionDescription.parse(text)
    assert [media.kind for media in theirs.media] == [media.kind for media in ours.media]
    assert [media.rtp.muxId for media in theirs.media] == [media.mid or "" for media in ours.media]
    assert [media.port for media in theirs.media] == [media.port for media in ours.media]
