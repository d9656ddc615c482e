"""A session of the tester with the peer: a socket, signalling, ICE by hand, our DTLS and SCTP, and all that was heard.

The tester offers and controls ICE. Each layer is begun by the first rule that needs it, and stays for those after it.
`notes` is for the rules.

`dtls_out`, `dtls_in`, `sctp_out` and `sctp_in` are filters: they see a datagram or packet and return whether it passes.
"""

import os
import re
import select
import socket
import time

import attrs

from sans_rtc import dtls, sctp
from sans_rtc.errors import WireError
from sans_rtc.machine import Address, Terminated
from sans_rtc.sctp.wire import parse_packet
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    Message,
    MessageClass,
    Method,
    parse_message,
    serialize_message,
    short_term_key,
    success_response,
)
from tests.conformance.black_box.foreign import Foreign
from tests.conformance.black_box.rules import NotRun

START_S, ANSWER_S, CONNECT_S = 20.0, 3.0, 8.0
SILENCE_S = 0.15
UFRAG, PWD = "tester01", "tester0123456789abcdefgh"
MESSAGE_BYTES_MAX = 16_384
HOST = "127.0.0.1"
NOT_BEFORE = int(time.time()) - 86_400


@attrs.define
class Heard:
    """Something that came: when, and what."""

    at: float
    data: bytes
    parsed: object = None
    source: object = None


class Session:
    """See the module. `setup` is what the tester offers: passive makes the peer the DTLS client, active the server."""

    def __init__(self, command, *, setup, is_fingerprint_wrong=False, use_cookies=False):
        self.foreign = Foreign(command)
        self.setup = setup
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.address = Address(*self.socket.getsockname())
        self.certificate = dtls.Certificate.generate(os.urandom, NOT_BEFORE)
        self.connection = self.association = self.peer = None
        self.stun, self.dtls, self.sctp, self.events, self.sent_packets = [], [], [], [], []
        self.notes = {}
        self.answers_checks = True
        self.dtls_in = self.dtls_out = self.sctp_in = self.sctp_out = lambda data: True
        self._use_cookies = use_cookies
        self._given, self._why_not = 0, {}
        self._fingerprint = str(self.certificate.fingerprint())
        if is_fingerprint_wrong:
            self._fingerprint = str(dtls.Certificate.generate(os.urandom, NOT_BEFORE).fingerprint())

    def end(self):
        """Close everything."""
        self.foreign.end()
        self.socket.close()

    @property
    def now(self):
        """Seconds, of the machine's clock."""
        return time.monotonic()

    # -- time ----------------------------------------------------------------------------------------------------------

    def wait(self, condition, within_s=ANSWER_S):
        """Let the session go on until the condition holds; whether it does."""
        end = self.now + within_s
        while not condition():
            left = end - self.now
            if left <= 0:
                return False
            self._step(min(left, 0.01))
        return True

    def rest(self, duration_s=SILENCE_S):
        """Let the session go on for so long."""
        self.wait(lambda: False, duration_s)

    def _step(self, timeout_s):
        if select.select([self.socket], [], [], timeout_s)[0]:
            for _ in range(64):
                try:
                    data, source = self.socket.recvfrom(65_536, socket.MSG_DONTWAIT)
                except (BlockingIOError, ConnectionError):
                    break
                self._take(data, Address(*source))
        for machine in (self.connection, self.association):
            if machine is not None and machine.deadline <= self.now:
                machine.handle_timer(self.now)
        self.flush()

    # -- layers, each begun once ---------------------------------------------------------------------------------------

    def need_ice(self):
        """Descriptions are exchanged and a check has succeeded; returns the peer's address."""
        if self.peer is None:
            self._begin("ICE", self._begin_ice)
        return self.peer

    def need_dtls(self):
        """DTLS is up; returns our connection."""
        self.need_ice()
        if self.connection is None or self.connection.state is not dtls.ConnectionState.CONNECTED:
            self._begin("DTLS", self._begin_dtls)
        return self.connection

    def need_sctp(self):
        """The association is up; returns ours."""
        self.need_dtls()
        if self.association is None:
            self._begin("SCTP", self._begin_sctp)
        if self.association is None or self.association.is_terminated:
            raise NotRun("the association has ended")
        return self.association

    def _begin(self, name, begin):
        """Begin a layer; where it failed before, it is not tried again."""
        if name not in self._why_not:
            self._why_not[name] = begin()
        if self._why_not[name]:
            raise NotRun(self._why_not[name])

    def _begin_ice(self):
        self.foreign.say("offer", sdp=self._offer())
        self._tell_candidate()
        if not self.wait(lambda: self.foreign.said("answer") or self.foreign.has_ended, START_S):
            return "the peer does not answer the offer"
        if not self.foreign.said("answer"):
            return "the peer has ended"
        self.wait(lambda: bool(self._addresses()), ANSWER_S)
        for _ in range(40):
            for address in self._addresses():
                if self.ask(self.check(), address, within_s=0.1) is not None:
                    self.peer = address
                    return ""
        return "no check succeeds"

    def make_connection(self):
        """Our end of DTLS, not started."""
        role = dtls.Role.SERVER if self.setup == "passive" else dtls.Role.CLIENT
        config = dtls.DtlsConfig(use_cookies=self._use_cookies, handshake_timeout_s=CONNECT_S, alert_grace_s=SILENCE_S)
        fingerprints = [
            dtls.Fingerprint.parse(text) for text in re.findall(r"(?m)^a=fingerprint:(.*?)\s*$", self.answer)
        ]
        return dtls.Connection(
            config,
            role=role,
            certificate=self.certificate,
            peer_fingerprints=[each for each in fingerprints if each.algorithm == "sha-256"] or fingerprints,
            entropy=os.urandom,
        )

    def start_dtls(self):
        """Start our end; a server takes the last ClientHello that came before it, for the next may be seconds away."""
        self.connection = self.make_connection()
        self.connection.start(self.now)
        if self.setup == "passive":
            for heard in self.dtls[-1:]:
                self.connection.receive(heard.data, self.now)
        self.flush()

    def _begin_dtls(self):
        if self.connection is None:
            self.start_dtls()
        connection = self.connection
        done = (dtls.ConnectionState.CONNECTED, dtls.ConnectionState.FAILED, dtls.ConnectionState.CLOSED)
        self.wait(lambda: connection.state in done, CONNECT_S)
        return "" if connection.state is dtls.ConnectionState.CONNECTED else f"DTLS is {connection.state}"

    def _begin_sctp(self):
        port = int(self._said("sctp-port") or 5000)
        config = sctp.SctpConfig(remote_port=port, sack_delay_s=0.0)
        self.association = sctp.Association(config, entropy=os.urandom)
        self.association.connect(self.now)
        is_up = self.wait(lambda: any(isinstance(event, sctp.Connected) for event in self.events), CONNECT_S)
        return "" if is_up else f"the association is {self.association.state}"

    # -- signalling ----------------------------------------------------------------------------------------------------

    @property
    def answer(self):
        """The peer's description."""
        return self.foreign.said("answer")[0]["sdp"]

    def _said(self, attribute):
        found = re.search(rf"(?m)^a={attribute}:(.*?)\s*$", self.answer)
        return found[1] if found else ""

    def _offer(self):
        lines = ("v=0", "o=- 4711 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0", "a=msid-semantic: WMS *")
        lines += ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=mid:0")
        lines += (f"a=ice-ufrag:{UFRAG}", f"a=ice-pwd:{PWD}", "a=ice-options:trickle")
        lines += (f"a=fingerprint:{self._fingerprint}", f"a=setup:{self.setup}")
        return "\r\n".join((*lines, "a=sctp-port:5000", f"a=max-message-size:{MESSAGE_BYTES_MAX}", ""))

    def _tell_candidate(self):
        line = f"candidate:1 1 udp 2130706431 {self.address.host} {self.address.port} typ host"
        self.foreign.say("candidate", candidate=line, sdpMid="0", sdpMLineIndex=0)
        self.foreign.say("candidate", candidate=None, sdpMid="0", sdpMLineIndex=0)

    def _addresses(self):
        told = [each["candidate"] or "" for each in self.foreign.said("candidate")]
        told += re.findall(r"(?m)^a=(candidate:.*?)\s*$", self.answer)
        found = []
        for words in (line.split() for line in told):
            if len(words) > 7 and words[2].lower() == "udp" and re.fullmatch(r"[0-9.]+", words[4]):
                found.append(Address(words[4], int(words[5])))
        return found

    # -- STUN ----------------------------------------------------------------------------------------------------------

    def check(self, *, controlled=None, more=(), username=None):
        """A connectivity check as ours is: controlling unless a tie-breaker says `controlled`."""
        role = Attribute(AttributeType.ICE_CONTROLLING, 1 << 63)
        if controlled is not None:
            role = Attribute(AttributeType.ICE_CONTROLLED, controlled)
        attributes = [Attribute(AttributeType.USERNAME, username or f"{self._said('ice-ufrag')}:{UFRAG}")]
        attributes += [Attribute(AttributeType.PRIORITY, 1_862_270_975), role]
        if controlled is None:
            attributes.append(Attribute(AttributeType.USE_CANDIDATE, True))
        return Message(MessageClass.REQUEST, Method.BINDING, os.urandom(12), [*attributes, *more])

    @property
    def peer_key(self):
        """What requests to the peer, and its responses, are proved with."""
        return short_term_key(self._said("ice-pwd"))

    def signed(self, message, **changes):
        """The bytes of a message to the peer."""
        return serialize_message(message, **{"key": self.peer_key, "fingerprint": True, **changes})

    def ask(self, message, address=None, *, within_s=ANSWER_S, data=None):
        """Send a request, three times at most, and return the response as heard; None without one."""
        for _ in range(3):
            count = len(self.stun)
            self.socket.sendto(data or self.signed(message), address or self.peer)
            found = []

            def is_answered(count=count, found=found):
                found[:] = [h for h in self.stun[count:] if h.parsed.transaction_id == message.transaction_id]
                return bool(found)

            if self.wait(is_answered, within_s / 3):
                return found[0]
        return None

    def requests(self):
        """The peer's own checks."""
        return [heard for heard in self.stun if heard.parsed.message_class is MessageClass.REQUEST]

    def send_raw(self, data):
        """Any bytes to the peer's port."""
        self.socket.sendto(data, self.need_ice())

    # -- SCTP ----------------------------------------------------------------------------------------------------------

    def chunks(self, since=0):
        """(type, flags, value, when) of all chunks of the packets heard, from an index of `sctp` on."""
        return [(*chunk, heard.at) for heard in self.sctp[since:] for chunk in heard.parsed.chunks]

    def send_packet(self, packet):
        """An SCTP packet of ours, whatever it is, over DTLS."""
        self.need_dtls().send(packet, self.now)
        self.flush()

    def messages(self, since=0):
        """What the association has told."""
        return [event for event in self.events[since:] if isinstance(event, sctp.Message)]

    # -- what comes and goes -------------------------------------------------------------------------------------------

    def flush(self):
        """Let the layers tell and send what they have."""
        connection, association = self.connection, self.association
        if connection is None:
            return
        is_up = connection.state is dtls.ConnectionState.CONNECTED
        if association is not None and is_up:
            for packet in association.take_datagrams(self.now):
                self.sent_packets.append(packet)
                if self.sctp_out(packet):
                    connection.send(packet, self.now)
        for datagram in connection.take_datagrams(self.now):
            if self.peer is not None and self.dtls_out(datagram):
                self.socket.sendto(datagram, self.peer)
        for event in connection.take_events():
            if isinstance(event, dtls.ApplicationData):
                self._take_packet(event.data)
            elif isinstance(event, Terminated):
                self.events.append(event)
        if association is not None:
            for event in association.take_events():
                self.events.append(event)
                if isinstance(event, sctp.Message):
                    association.consume(len(event.data), self.now)

    def _take(self, data, source):
        if data and data[0] <= 3:
            self._take_stun(data, source)
        elif data and 20 <= data[0] <= 63:
            self.dtls.append(Heard(self.now, data))
            if self.connection is not None and self.dtls_in(data):
                self.connection.receive(data, self.now)

    def _take_stun(self, data, source):
        try:
            message = parse_message(data)
        except WireError:
            return
        self.stun.append(Heard(self.now, data, message, source))
        if message.message_class is MessageClass.REQUEST and self.answers_checks:
            mapped = [Attribute(AttributeType.XOR_MAPPED_ADDRESS, source)]
            response = success_response(message, mapped)
            self.socket.sendto(serialize_message(response, key=short_term_key(PWD), fingerprint=True), source)

    def _take_packet(self, packet):
        try:
            parsed = parse_packet(packet)
        except WireError:
            return
        self.sctp.append(Heard(self.now, packet, parsed))
        if self.association is not None and self.sctp_in(parsed):
            self.association.receive(packet, self.now)
