// What pion makes of packets: a line of input is a kind and a packet in hex, a line of output is pion's own structure in
// JSON, or {"error": ...}. Byte strings are in base64, as encoding/json writes them.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
)

type answer map[string]interface{}

func h265Units(parsed codecs.H265Packet, data []byte) answer {
	switch packet := parsed.Packet().(type) {
	case *codecs.H265SingleNALUnitPacket:
		return answer{"kind": "single", "type": packet.PayloadHeader().Type(), "payload": packet.Payload()}
	case *codecs.H265AggregationPacket:
		units := [][]byte{packet.FirstUnit().NalUnit()}
		for _, unit := range packet.OtherUnits() {
			units = append(units, unit.NalUnit())
		}
		return answer{"kind": "aggregation", "units": units}
	case *codecs.H265FragmentationUnitPacket:
		header := packet.FuHeader()
		return answer{
			"kind": "fragment", "start": header.S(), "end": header.E(), "type": header.FuType(), "payload": packet.Payload(),
		}
	}
	return answer{"kind": "unknown"}
}

func read(kind string, data []byte) (interface{}, error) {
	switch kind {
	case "rtp":
		packet := rtp.Packet{}
		if err := packet.Unmarshal(data); err != nil {
			return nil, err
		}
		extensions := map[string][]byte{}
		for _, id := range packet.GetExtensionIDs() {
			extensions[fmt.Sprint(id)] = packet.GetExtension(id)
		}
		return answer{
			"payload_type": packet.PayloadType, "marker": packet.Marker, "sequence_number": packet.SequenceNumber,
			"timestamp": packet.Timestamp, "ssrc": packet.SSRC, "csrcs": packet.CSRC, "payload": packet.Payload,
			"padding_bytes": packet.PaddingSize, "profile": packet.ExtensionProfile, "extensions": extensions,
		}, nil
	case "rtcp":
		packets, err := rtcp.Unmarshal(data)
		names := []string{}
		for _, packet := range packets {
			names = append(names, strings.TrimPrefix(fmt.Sprintf("%T", packet), "*rtcp."))
		}
		return answer{"types": names, "packets": packets}, err
	case "audio-level":
		extension := rtp.AudioLevelExtension{}
		err := extension.Unmarshal(data)
		return extension, err
	case "abs-send-time":
		extension := rtp.AbsSendTimeExtension{}
		err := extension.Unmarshal(data)
		return extension, err
	case "transport-cc":
		extension := rtp.TransportCCExtension{}
		err := extension.Unmarshal(data)
		return extension, err
	case "vp8":
		packet := codecs.VP8Packet{}
		_, err := packet.Unmarshal(data)
		return packet, err
	case "vp9":
		packet := codecs.VP9Packet{}
		_, err := packet.Unmarshal(data)
		return packet, err
	case "av1":
		packet := codecs.AV1Packet{}
		_, err := packet.Unmarshal(data)
		return packet, err
	case "h265":
		packet := codecs.H265Packet{}
		if _, err := packet.Unmarshal(data); err != nil {
			return nil, err
		}
		return h265Units(packet, data), nil
	}
	return nil, fmt.Errorf("no such kind")
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	h264 := codecs.H264Packet{}
	for lines.Scan() {
		kind, text, _ := strings.Cut(lines.Text(), " ")
		data, err := hex.DecodeString(text)
		var found interface{}
		switch {
		case err != nil:
		case kind == "h264-new":
			h264 = codecs.H264Packet{}
			found, err = h264.Unmarshal(data)
		case kind == "h264":
			found, err = h264.Unmarshal(data)
		default:
			found, err = read(kind, data)
		}
		if err != nil {
			found = answer{"error": err.Error()}
		}
		written, _ := json.Marshal(found)
		fmt.Println(string(written))
	}
}
