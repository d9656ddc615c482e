// A pion peer that takes requests as JSON lines on stdin and answers on stdout; its reader is ../interop_peers/lines.py.
//
//	{"id": 7, "do": "offer", "trickle": true}    ->  {"id": 7, "value": {...}} or {"id": 7, "error": "..."}
//	                                                 {"event": "candidate", ...} at any time
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/logging"
	"github.com/pion/webrtc/v3"
)

const (
	noiseSize        = 1 << 19 // interop_peers/messages.py makes the same noise
	alphabet         = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	prefix           = "é€😀"
	bufferedBytesMax = 1 << 20
	requestBytesMax  = 1 << 22
)

var (
	noise = make([]byte, noiseSize)
	text  = make([]byte, noiseSize)
	out   = struct {
		sync.Mutex
		*json.Encoder
	}{Encoder: json.NewEncoder(os.Stdout)}
)

type object map[string]interface{}

type request struct {
	ID             int                      `json:"id"`
	Do             string                   `json:"do"`
	Restart        bool                     `json:"restart"`
	Trickle        bool                     `json:"trickle"`
	SDP            string                   `json:"sdp"`
	Candidate      *webrtc.ICECandidateInit `json:"candidate"`
	Label          string                   `json:"label"`
	Ordered        *bool                    `json:"ordered"`
	MaxRetransmits *uint16                  `json:"maxRetransmits"`
	LifetimeMs     *uint16                  `json:"maxPacketLifeTime"`
	Protocol       *string                  `json:"protocol"`
	Negotiated     *uint16                  `json:"negotiated"`
	Messages       [][3]interface{}         `json:"messages"`
	Name           string                   `json:"name"`
	Kind           string                   `json:"kind"`
	Codecs         []string                 `json:"codecs"`
}

// One connection and its channels by label.
type session struct {
	sync.Mutex
	pc       *webrtc.PeerConnection
	channels map[string]*webrtc.DataChannel
	echoed   map[string]bool
	tracks   *tracks
	gone     bool
}

func say(o object) {
	out.Lock()
	defer out.Unlock()
	_ = out.Encode(o)
}

func fillNoise() {
	x := uint32(1)
	for i := range noise {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
		text[i] = alphabet[noise[i]&63]
	}
}

func newSession() (*session, error) {
	media := &webrtc.MediaEngine{}
	if err := registerCodecs(media); err != nil {
		return nil, err
	}
	interceptors := &interceptor.Registry{}
	if err := webrtc.RegisterDefaultInterceptors(media, interceptors); err != nil {
		return nil, err
	}
	loggers := logging.NewDefaultLoggerFactory()
	loggers.Writer = os.Stderr // stdout is ours
	engine := webrtc.SettingEngine{LoggerFactory: loggers}
	engine.SetIncludeLoopbackCandidate(true)
	engine.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	api := webrtc.NewAPI(webrtc.WithSettingEngine(engine), webrtc.WithMediaEngine(media),
		webrtc.WithInterceptorRegistry(interceptors))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	s := &session{pc: pc, channels: map[string]*webrtc.DataChannel{}, echoed: map[string]bool{}, tracks: newTracks(pc)}
	pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		if c == nil {
			s.report(object{"event": "candidate", "candidate": nil})
			return
		}
		s.report(object{"event": "candidate", "candidate": c.ToJSON()})
	})
	pc.OnConnectionStateChange(func(webrtc.PeerConnectionState) { s.reportState() })
	pc.OnICEConnectionStateChange(func(webrtc.ICEConnectionState) { s.reportState() })
	pc.OnDataChannel(s.watch)
	return s, nil
}

// report says nothing of a connection that has been replaced.
func (s *session) report(o object) {
	s.Lock()
	gone := s.gone
	s.Unlock()
	if !gone {
		say(o)
	}
}

func (s *session) reportState() {
	s.report(object{"event": "state", "connection": s.pc.ConnectionState().String(),
		"ice": s.pc.ICEConnectionState().String()})
}

func (s *session) watch(d *webrtc.DataChannel) {
	label := d.Label()
	s.Lock()
	s.channels[label] = d
	s.Unlock()
	d.OnOpen(func() {
		s.report(object{"event": "open", "label": label, "id": d.ID(), "ordered": d.Ordered(), "protocol": d.Protocol(),
			"maxRetransmits": d.MaxRetransmits(), "maxPacketLifeTime": d.MaxPacketLifeTime()})
	})
	d.OnClose(func() { s.report(object{"event": "closed", "label": label}) })
	d.OnMessage(func(m webrtc.DataChannelMessage) {
		kind := "b"
		if m.IsString {
			kind = "t"
		}
		sum := sha256.Sum256(m.Data)
		s.report(object{"event": "received", "label": label,
			"messages": [][3]interface{}{{kind, len(m.Data), hex.EncodeToString(sum[:8])}}})
		s.Lock()
		echo := s.echoed[label]
		s.Unlock()
		if echo {
			_ = send(d, kind, m.Data)
		}
	})
}

func send(d *webrtc.DataChannel, kind string, data []byte) error {
	for d.BufferedAmount() > bufferedBytesMax {
		time.Sleep(time.Millisecond)
	}
	if kind == "t" {
		return d.SendText(string(data))
	}
	return d.Send(data)
}

func content(kind string, size, offset int) []byte {
	if kind == "b" {
		return noise[offset : offset+size]
	}
	if size >= len(prefix) && offset%3 == 0 {
		return append([]byte(prefix), text[offset:offset+size-len(prefix)]...)
	}
	return text[offset : offset+size]
}

func (s *session) sendAll(d *webrtc.DataChannel, messages [][3]interface{}) error {
	for _, m := range messages {
		kind := m[0].(string)
		if err := send(d, kind, content(kind, int(m[1].(float64)), int(m[2].(float64)))); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) describe(d webrtc.SessionDescription, trickle bool) (interface{}, error) {
	gathered := webrtc.GatheringCompletePromise(s.pc)
	if err := s.pc.SetLocalDescription(d); err != nil {
		return nil, err
	}
	if !trickle {
		<-gathered
		return object{"sdp": s.pc.LocalDescription().SDP}, nil
	}
	return object{"sdp": d.SDP}, nil
}

func (s *session) createChannel(r *request) (interface{}, error) {
	negotiated := r.Negotiated != nil
	d, err := s.pc.CreateDataChannel(r.Label, &webrtc.DataChannelInit{Ordered: r.Ordered, Protocol: r.Protocol,
		MaxRetransmits: r.MaxRetransmits, MaxPacketLifeTime: r.LifetimeMs, Negotiated: &negotiated, ID: r.Negotiated})
	if err != nil {
		return nil, err
	}
	s.watch(d)
	return nil, nil
}

func (s *session) withChannel(r *request) (interface{}, error) {
	s.Lock()
	d := s.channels[r.Label]
	s.Unlock()
	if d == nil {
		return nil, fmt.Errorf("no channel %q", r.Label)
	}
	switch r.Do {
	case "send-all":
		return nil, s.sendAll(d, r.Messages)
	case "echo":
		s.Lock()
		s.echoed[r.Label] = true
		s.Unlock()
		return nil, nil
	default:
		return nil, d.Close()
	}
}

func (s *session) do(r *request) (interface{}, error) {
	switch r.Do {
	case "offer":
		d, err := s.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: r.Restart})
		if err != nil {
			return nil, err
		}
		return s.describe(d, r.Trickle)
	case "answer":
		remote := webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: r.SDP}
		if err := s.pc.SetRemoteDescription(remote); err != nil {
			return nil, err
		}
		d, err := s.pc.CreateAnswer(nil)
		if err != nil {
			return nil, err
		}
		return s.describe(d, r.Trickle)
	case "accept":
		return nil, s.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: r.SDP})
	case "candidate":
		if r.Candidate == nil || strings.TrimSpace(r.Candidate.Candidate) == "" {
			return nil, nil
		}
		return nil, s.pc.AddICECandidate(*r.Candidate)
	case "create-channel":
		return s.createChannel(r)
	case "add-media":
		for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
			// To receive only: with a track to send, pion takes no answer that rejects it.
			init := webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}
			if _, err := s.pc.AddTransceiverFromKind(kind, init); err != nil {
				return nil, err
			}
		}
		return nil, nil
	case "send-all", "echo", "close-channel":
		return s.withChannel(r)
	case "describe":
		return object{"connection": s.pc.ConnectionState().String(), "ice": s.pc.ICEConnectionState().String(),
			"signaling": s.pc.SignalingState().String(), "sctp": s.pc.SCTP().State().String()}, nil
	case "close":
		return nil, s.pc.Close()
	}
	return s.tracks.do(r)
}

func answer(s *session, r *request) {
	value, err := s.do(r)
	if err != nil {
		say(object{"id": r.ID, "error": err.Error()})
		return
	}
	say(object{"id": r.ID, "value": value})
}

func main() {
	fillNoise()
	var s *session
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, requestBytesMax)
	for lines.Scan() {
		r := &request{}
		if err := json.Unmarshal(lines.Bytes(), r); err != nil {
			say(object{"id": 0, "error": err.Error()})
			continue
		}
		switch {
		case r.Do == "open":
			if s != nil {
				s.Lock()
				s.gone = true
				s.Unlock()
				_ = s.pc.Close()
			}
			fresh, err := newSession()
			if err != nil {
				say(object{"id": r.ID, "error": err.Error()})
				continue
			}
			s = fresh
			say(object{"id": r.ID, "value": nil})
		case s == nil:
			say(object{"id": r.ID, "error": "nothing is open"})
		case r.Do == "send-all":
			go answer(s, r) // as long as the window allows
		default:
			answer(s, r)
		}
	}
}
