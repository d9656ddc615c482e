"""Two peer connections with their applications, their signalling and a network that misbehaves, in virtual time."""

import functools

import attrs

from sans_rtc import dtls
from sans_rtc.datachannel import ChannelBufferLow, ChannelClosed, ChannelMessage, ChannelOpened
from sans_rtc.errors import LocalError
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.peer import (
    ConnectionState,
    ConnectionStateChanged,
    DescriptionType,
    GatheringNeeded,
    LocalCandidate,
    NegotiationNeeded,
    PeerConnection,
    SignalingState,
)
from sans_rtc.testing import Link, LinkConditions, SeededEntropy
from tests.sim.ledger import Ledger
from tests.sim.timeline import Scheduled, Timeline

NOT_BEFORE = 0
# What comes from an address that nobody has signalled waits until it has answered a check, which may be lost.
HELD_S = 3.0
NAT_HOST = "203.0.113.1"
POLITE = 1  # the end that gives way where both offer at once (W3C WebRTC section 10.7, perfect negotiation)


@functools.cache
def certificate(number):
    """One of a few certificates: making one is a third of a handshake."""
    return dtls.Certificate.generate(SeededEntropy(f"certificate {number}"), NOT_BEFORE)


class World:
    """A session and everything around it.

    addresses  two lists: the sockets that each end has
    dead_ways  (local, remote) addresses between which nothing gets through
    is_cut     per sending end: nothing gets through at all
    """

    def __init__(self, plan):
        self.plan = plan
        self.timeline = Timeline()
        self.peers = tuple(
            PeerConnection(
                plan.configs[end],
                certificate=certificate(2 * (plan.seed % 4) + end),
                entropy=SeededEntropy(f"{plan.seed}/{end}"),
            )
            for end in (0, 1)
        )
        fronts = [Scheduled(peer, self.timeline if end == 0 else Timeline()) for end, peer in enumerate(self.peers)]
        self.link = Link(*fronts, seed=plan.seed, conditions=plan.conditions)
        self.link.filter, self.link.on_event = self._route, self._on_event
        self.fronts = fronts
        self.ledger = Ledger(
            self.peers, latency_s=lambda: self._slowest_s, is_ending=lambda: self.is_over(0) or self.is_over(1)
        )
        self.addresses = [list(plan.addresses[end]) for end in (0, 1)]
        self.dead_ways = set()
        self.is_cut = [False, False]
        self._nat_port = 20_000
        behind = () if plan.end_behind_nat is None else self.addresses[plan.end_behind_nat]
        self._outer = {inner: Address(NAT_HOST, self._nat_port + index) for index, inner in enumerate(behind)}
        self._signalled_at = [0.0, 0.0]
        self._is_offer_ignored = [False, False]
        self._is_reading = [True, True]
        self._unread = ([], [])
        self._slowest_s = 0.0
        self.note_conditions(plan.conditions)

    @property
    def now(self):
        return self.link.now

    def at(self, moment_s, call):
        """Have call() done so many seconds after the beginning."""
        self.timeline.add(1000.0 + moment_s, call)

    def after(self, pause_s, call):
        """Have call() done in so many seconds."""
        self.timeline.add(self.now + pause_s, call)

    # -- the network -------------------------------------------------------------------------------------------------

    def note_conditions(self, conditions):
        """Let the link be so from now on."""
        self.link.conditions = conditions
        queue_s = min(conditions.queue_bytes, 1 << 20) / conditions.rate_bytes_s
        travel_s = conditions.delay_s + conditions.jitter_s + conditions.reordering_s * bool(conditions.reordering)
        self._slowest_s = max(self._slowest_s, travel_s + queue_s + 0.1)

    def heal(self):
        """No more faults."""
        self.note_conditions(LinkConditions(delay_s=self.plan.conditions.delay_s))
        self.dead_ways.clear()
        self.is_cut = [False, False]
        for end in (0, 1):
            self.read(end)

    def corrupt(self, corruption):
        """Bits flip on the way from now on, where a session is connected: the handshake is not protected."""
        if self.is_connected():
            self.link.conditions = attrs.evolve(self.link.conditions, corruption=corruption)

    def kill_selected_way(self):
        """The way that data travel is blocked for good, where there is another."""
        selected = self.peers[0].explain().ice.selected
        if selected is not None and len(self.addresses[0]) + len(self.addresses[1]) > 2:
            way = (selected.path.local, self._inner(1, selected.path.remote))
            self.dead_ways |= {way, way[::-1]}

    def lose_address(self, end):
        """A socket of one end is gone, the first; another stays."""
        if len(self.addresses[end]) > 1 and not self.peers[end].is_terminated:
            address = self.addresses[end].pop(0)
            self._call(end, "remove_local_address", address)

    def rebind(self):
        """The NAT, where there is one, has forgotten its mappings and makes others."""
        self._slowest_s += HELD_S
        self._nat_port += 1000
        self._outer = {inner: Address(NAT_HOST, self._nat_port + index) for index, inner in enumerate(self._outer)}

    def _route(self, end, datagram):
        local, remote = datagram.path.local, datagram.path.remote
        destination = self._inner(1 - end, remote)
        if self.is_cut[end] or local not in self.addresses[end] or destination is None:
            return None
        if (local, destination) in self.dead_ways:
            return None
        return Datagram(datagram.data, Path(self._outer.get(local, local), destination), datagram.ecn)

    def _inner(self, end, address):
        """Which socket of an end is reached under an address; None where there is none."""
        if end == self.plan.end_behind_nat:
            address = next((inner for inner, outer in self._outer.items() if outer == address), None)
        return address if address in self.addresses[end] else None

    # -- signalling: in order, late, and with perfect negotiation ------------------------------------------------------

    def _signal(self, end, call):
        """Bring something to the other end, after everything that was signalled before."""
        at = self.now + self.plan.signalling_s * self.plan.chance.random()
        self._signalled_at[end] = max(self._signalled_at[end], at)
        self.timeline.add(self._signalled_at[end], call)

    def _offer(self, end):
        if self.peers[end].signaling_state is SignalingState.STABLE:
            self._call(end, "set_local_description", None)
            self._tell_description(end)

    def _tell_description(self, end):
        description = self.peers[end].local_description
        self._signal(end, lambda: self._on_description(1 - end, description))

    def _on_description(self, end, description):
        peer = self.peers[end]
        if self.is_over(end):
            return
        is_offer = description.type is DescriptionType.OFFER
        is_collision = is_offer and peer.signaling_state is not SignalingState.STABLE
        self._is_offer_ignored[end] = is_collision and end != POLITE
        is_stale = not is_offer and peer.signaling_state is not SignalingState.HAVE_LOCAL_OFFER
        if self._is_offer_ignored[end] or is_stale:
            return
        self._call(end, "set_remote_description", description)
        if is_offer and not self.is_over(end):
            self._call(end, "set_local_description", None)
            self._tell_description(end)

    def _on_candidate(self, end, event):
        if self.is_over(end):
            return
        try:
            self.peers[end].add_remote_candidate(event.candidate, event.mid, self.now)
        except LocalError:
            assert self._is_offer_ignored[end], "a candidate whose description was taken is refused"

    # -- the applications --------------------------------------------------------------------------------------------

    def read(self, end):
        """The application takes its messages again, those first that have piled up."""
        self._is_reading[end] = True
        unread = self._unread[end]
        while unread:
            event = unread.pop(0)
            self.peers[end].consume(event.channel, event.byte_count, self.now)

    def stop_reading(self, end):
        """The application leaves its messages lying."""
        self._is_reading[end] = False

    def _on_event(self, end, event):
        match event:
            case GatheringNeeded():
                self.after(self.plan.binding_s, lambda: self._bind(end))
            case LocalCandidate():
                self._signal(end, lambda: self._on_candidate(1 - end, event))
            case NegotiationNeeded():
                self._offer(end)
            case ConnectionStateChanged(state=ConnectionState.FAILED) if not self.peers[end].is_terminated:
                self._call(end, "restart_ice")
            case ChannelOpened():
                self.ledger.on_opened(end, event)
            case ChannelMessage():
                self.ledger.on_message(end, event, self.now)
                self._unread[end].append(event)
                if self._is_reading[end]:
                    self.after(self.plan.reading_s, lambda: self.read(end) if self._is_reading[end] else None)
            case ChannelBufferLow():
                self.ledger.on_buffer_low(end, self.now)
            case ChannelClosed():
                self.ledger.on_closed(end, event, is_session_over=self.peers[end].is_terminated)

    def _bind(self, end):
        for address in self.addresses[end]:
            self._call(end, "add_local_address", address, "eth0")
        self._call(end, "end_of_local_addresses")

    def _call(self, end, verb, *arguments):
        if not self.is_over(end):
            getattr(self.peers[end], verb)(*arguments, self.now)

    # -- reads -------------------------------------------------------------------------------------------------------

    def is_over(self, end):
        """True once the peer takes no more verbs."""
        return self.peers[end].is_terminated or self.plan.ended[end]

    def terminations(self, end):
        return [event for event in self.link.events[end] if isinstance(event, Terminated)]

    def is_connected(self):
        return all(peer.connection_state is ConnectionState.CONNECTED for peer in self.peers)


def addresses_of(end, count):
    """Sockets of an end, one an interface."""
    return [Address(f"10.{interface}.{end}.1", 5000 + end) for interface in range(count)]
