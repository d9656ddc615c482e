// Audio and video of the pion peer. It has no codecs: frames are noise behind the few bytes that packetisation looks at,
// and what comes back is compared with what was sent by its hash.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v3"
	"github.com/pion/webrtc/v3/pkg/media"
	"github.com/pion/webrtc/v3/pkg/media/samplebuilder"
)

const (
	audioFrameBytes = 80
	keyframeBytes   = 6000
	deltaBytes      = 1700
	pictureRate     = 15
	audioPeriod     = 20 * time.Millisecond
	lateMax         = 200 // packets that a frame may wait for
	rtcpBytes       = 1500
)

var startCode = []byte{0, 0, 0, 1}

// What a name of a codec means here.
type codec struct {
	kind  webrtc.RTPCodecType
	mime  string
	rate  uint32
	frame func(n int, key bool) []byte
	parse func() rtp.Depacketizer
	isKey func([]byte) bool
}

var codecTable = map[string]codec{
	"opus": {webrtc.RTPCodecTypeAudio, webrtc.MimeTypeOpus, 48000, opusFrame,
		func() rtp.Depacketizer { return &codecs.OpusPacket{} }, func([]byte) bool { return false }},
	"vp8": {webrtc.RTPCodecTypeVideo, webrtc.MimeTypeVP8, 90000, vp8Frame,
		func() rtp.Depacketizer { return &codecs.VP8Packet{} }, func(d []byte) bool { return len(d) > 0 && d[0]&1 == 0 }},
	"h264": {webrtc.RTPCodecTypeVideo, webrtc.MimeTypeH264, 90000, h264Frame,
		func() rtp.Depacketizer { return &codecs.H264Packet{} },
		func(d []byte) bool { return len(d) > 5 && d[4]&31 == 7 }},
}

// registerCodecs leaves out RTX: this pion would agree to it and not take what comes so. It repairs by the same packets.
func registerCodecs(m *webrtc.MediaEngine) error {
	feedback := []webrtc.RTCPFeedback{{Type: "ccm", Parameter: "fir"}}
	baseline := "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
	for _, each := range []struct {
		mime, parameters string
		rate             uint32
		channels         uint16
		number           webrtc.PayloadType
		kind             webrtc.RTPCodecType
	}{
		{webrtc.MimeTypeOpus, "minptime=10;useinbandfec=1", 48000, 2, 111, webrtc.RTPCodecTypeAudio},
		{webrtc.MimeTypeVP8, "", 90000, 0, 96, webrtc.RTPCodecTypeVideo},
		{webrtc.MimeTypeH264, baseline, 90000, 0, 102, webrtc.RTPCodecTypeVideo},
	} {
		capability := webrtc.RTPCodecCapability{MimeType: each.mime, ClockRate: each.rate, Channels: each.channels,
			SDPFmtpLine: each.parameters}
		if each.kind == webrtc.RTPCodecTypeVideo {
			capability.RTCPFeedback = feedback
		}
		parameters := webrtc.RTPCodecParameters{RTPCodecCapability: capability, PayloadType: each.number}
		if err := m.RegisterCodec(parameters, each.kind); err != nil {
			return err
		}
	}
	return nil
}

func noiseOf(n, size int) []byte {
	data := append([]byte{}, noise[n*7919%(noiseSize-keyframeBytes):][:size]...)
	for i := range data {
		data[i] |= 1 // nothing in it looks like a start code
	}
	return append(data, byte(n>>16)|1, byte(n>>8), byte(n)|0x80, byte(n&0x7f)<<1|1)
}

func opusFrame(n int, _ bool) []byte { return append([]byte{0x78}, noiseOf(n, audioFrameBytes)...) }

// RFC 6386 section 9.1: the first bit of the frame tag is 0 in a keyframe, whose start code and size follow the tag.
func vp8Frame(n int, key bool) []byte {
	if key {
		return append([]byte{0x10, 0x20, 0x00, 0x9d, 0x01, 0x2a, 0x40, 0x01, 0xf0, 0x00}, noiseOf(n, keyframeBytes)...)
	}
	return append([]byte{0x11, 0x20, 0x00}, noiseOf(n, deltaBytes)...)
}

// NAL units behind start codes: parameter sets and a slice of an IDR picture, or a slice of another.
func h264Frame(n int, key bool) []byte {
	if !key {
		return bytes.Join([][]byte{nil, append([]byte{0x61}, noiseOf(n, deltaBytes)...)}, startCode)
	}
	sps, pps := []byte{0x67, 0x42, 0xe0, 0x1f, 0x8c, 0x8d, 0x40}, []byte{0x68, 0xce, 0x3c, 0x80}
	return bytes.Join([][]byte{nil, sps, pps, append([]byte{0x65}, noiseOf(n, keyframeBytes)...)}, startCode)
}

// sumOf leaves out what comes before the last NAL unit: parameter sets may travel in other ways than they came.
func sumOf(data []byte) [32]byte {
	if at := bytes.LastIndex(data, startCode); at >= 0 {
		data = data[at+len(startCode):]
	}
	return sha256.Sum256(data)
}

// One track that is sent.
type outgoing struct {
	codec     codec
	sender    *webrtc.RTPSender
	track     *webrtc.TrackLocalStaticSample
	wantsKey  bool
	frames    int
	keyframes int
	plis      int
	bytes     int
	stop      chan struct{}
	once      sync.Once
}

func (o *outgoing) end() { o.once.Do(func() { close(o.stop) }) }

// One track that has come.
type incoming struct {
	kind      string
	ssrc      webrtc.SSRC
	packets   int
	first     int
	last      int
	frames    int
	known     int
	keyframes int
	bytes     int
}

// The media of one connection.
type tracks struct {
	sync.Mutex
	pc   *webrtc.PeerConnection
	out  map[string]*outgoing
	in   []*incoming
	sent map[[32]byte]bool
}

func newTracks(pc *webrtc.PeerConnection) *tracks {
	t := &tracks{pc: pc, out: map[string]*outgoing{}, sent: map[[32]byte]bool{}}
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { t.read(track) })
	return t
}

func (t *tracks) add(r *request) error {
	name := "opus"
	if r.Kind == "video" {
		name = "vp8"
		if len(r.Codecs) > 0 {
			name = strings.ToLower(r.Codecs[0])
		}
	}
	c, known := codecTable[name]
	if !known {
		return fmt.Errorf("no codec %q", name)
	}
	track, err := webrtc.NewTrackLocalStaticSample(webrtc.RTPCodecCapability{MimeType: c.mime, ClockRate: c.rate}, r.Name, "pion")
	if err != nil {
		return err
	}
	sender, err := t.pc.AddTrack(track)
	if err != nil {
		return err
	}
	o := &outgoing{codec: c, sender: sender, track: track, wantsKey: true, stop: make(chan struct{})}
	t.Lock()
	t.out[r.Name] = o
	t.Unlock()
	go t.write(o)
	go t.readFeedback(o)
	return nil
}

func (t *tracks) write(o *outgoing) {
	period := audioPeriod
	if o.codec.kind == webrtc.RTPCodecTypeVideo {
		period = time.Second / pictureRate
	}
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for n := 0; ; {
		select {
		case <-o.stop:
			return
		case <-ticker.C:
		}
		if t.pc.ConnectionState() != webrtc.PeerConnectionStateConnected {
			continue
		}
		n++
		t.Lock()
		isKey := o.wantsKey
		data := o.codec.frame(n, isKey)
		o.wantsKey = false
		o.frames++
		o.bytes += len(data)
		if isKey {
			o.keyframes++
		}
		t.sent[sumOf(data)] = true
		t.Unlock()
		_ = o.track.WriteSample(media.Sample{Data: data, Duration: period})
	}
}

func (t *tracks) readFeedback(o *outgoing) {
	buffer := make([]byte, rtcpBytes)
	for {
		n, _, err := o.sender.Read(buffer)
		if err != nil {
			return
		}
		packets, err := rtcp.Unmarshal(buffer[:n])
		if err != nil {
			continue
		}
		for _, p := range packets {
			switch p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				t.Lock()
				o.plis++
				o.wantsKey = true
				t.Unlock()
			}
		}
	}
}

func (t *tracks) read(track *webrtc.TrackRemote) {
	name := strings.ToLower(strings.SplitN(track.Codec().MimeType, "/", 2)[1])
	c, known := codecTable[name]
	if !known {
		return
	}
	i := &incoming{kind: track.Kind().String(), ssrc: track.SSRC(), first: -1}
	t.Lock()
	t.in = append(t.in, i)
	t.Unlock()
	builder := samplebuilder.New(lateMax, c.parse(), c.rate)
	for {
		packet, _, err := track.ReadRTP()
		if err != nil {
			if err == io.EOF {
				return
			}
			continue
		}
		t.Lock()
		i.count(packet)
		if c.kind == webrtc.RTPCodecTypeAudio {
			t.take(i, c, packet.Payload) // a packet is a frame: none has to wait for another
		} else {
			builder.Push(packet)
			for sample := builder.Pop(); sample != nil; sample = builder.Pop() {
				t.take(i, c, sample.Data)
			}
		}
		t.Unlock()
	}
}

func (t *tracks) take(i *incoming, c codec, frame []byte) {
	i.frames++
	if t.sent[sumOf(frame)] {
		i.known++
	}
	if c.isKey(frame) {
		i.keyframes++
	}
}

func (i *incoming) count(p *rtp.Packet) {
	number := int(p.SequenceNumber)
	if i.first < 0 {
		i.first, i.last = number, number
	}
	number = i.last + int(int16(p.SequenceNumber-uint16(i.last)))
	if number > i.last {
		i.last = number
	}
	i.packets++
	i.bytes += len(p.Payload)
}

func (t *tracks) requestKeyframe() error {
	t.Lock()
	defer t.Unlock()
	for _, i := range t.in {
		if i.kind == "video" {
			pli := &rtcp.PictureLossIndication{MediaSSRC: uint32(i.ssrc)}
			if err := t.pc.WriteRTCP([]rtcp.Packet{pli}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tracks) stats() []object {
	t.Lock()
	defer t.Unlock()
	reports := []object{}
	for _, o := range t.out {
		reports = append(reports, object{"type": "outbound-rtp", "kind": o.codec.kind.String(), "framesSent": o.frames,
			"keyFramesEncoded": o.keyframes, "pliCount": o.plis, "bytesSent": o.bytes})
	}
	for _, i := range t.in {
		lost := 0
		if i.first >= 0 && i.last-i.first+1 > i.packets {
			lost = i.last - i.first + 1 - i.packets
		}
		reports = append(reports, object{"type": "inbound-rtp", "kind": i.kind, "packetsReceived": i.packets,
			"packetsLost": lost, "framesReceived": i.frames, "framesDecoded": i.known, "keyFramesDecoded": i.keyframes,
			"bytesReceived": i.bytes})
	}
	return reports
}

func (t *tracks) do(r *request) (interface{}, error) {
	t.Lock()
	o := t.out[r.Name]
	t.Unlock()
	switch r.Do {
	case "media-add":
		return nil, t.add(r)
	case "media-remove":
		o.end()
		return nil, t.pc.RemoveTrack(o.sender)
	case "media-end":
		for _, each := range t.out {
			each.end()
		}
		return nil, nil
	case "media-prepare":
		return nil, nil
	case "media-request-keyframe":
		return nil, t.requestKeyframe()
	case "media-stats":
		return t.stats(), nil
	}
	return nil, fmt.Errorf("unknown request %q", r.Do)
}
