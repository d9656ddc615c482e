"""An echo between two peers on Twisted's reactor: addReader, addWriter and callLater drive the machines."""

from twisted.internet import reactor

from sans_rtc.datachannel import ChannelMessage, ChannelOpened, ChannelOptions
from sans_rtc.peer import GatheringNeeded, PeerConnection
from sans_rtc_net import BindConfig, Gathering, Pump, monotonic, peer_config_from, system_entropy


class Descriptor:  # as the reactor asks for it
    def __init__(self, pump, item):
        self.fileno, self.logPrefix, self.connectionLost = item.fileno, lambda: "sans_rtc", lambda reason: None
        self.doRead, self.doWrite = lambda: pump.readable(item), lambda: pump.writable(item)


class TwistedPeer:
    def __init__(self):
        self.machine = PeerConnection(peer_config_from(None), entropy=system_entropy)
        self.pump = Pump(self.machine, on_events=self.on_events, watch=self.watch, unwatch=self.unwatch, arm=self.arm)
        self.gathering = Gathering(self.machine, self.pump, monotonic, BindConfig(hosts=("127.0.0.1",)))
        self.descriptors, self.timer = {}, None

    def watch(self, item, for_writing):  # for reading always
        reactor.addReader(self.descriptors.setdefault(item, Descriptor(self.pump, item)))
        (reactor.addWriter if for_writing else reactor.removeWriter)(self.descriptors[item])

    def unwatch(self, item):
        reactor.removeReader(self.descriptors[item])
        reactor.removeWriter(self.descriptors.pop(item))

    def arm(self, deadline):
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.timer = reactor.callLater(min(max(0, deadline - monotonic()), 3600), self.pump.wake)

    def on_events(self, events):
        for event in events:
            if isinstance(event, GatheringNeeded):
                self.gathering.start()
            elif isinstance(event, ChannelOpened) and not event.is_incoming:
                self.machine.send(event.channel, str(monotonic()), monotonic())
            elif isinstance(event, ChannelMessage) and self is alice:
                print(f"{event.data!r} came back after {(monotonic() - float(event.data)) * 1000:.1f} ms")
                reactor.stop()
            elif isinstance(event, ChannelMessage):
                self.machine.consume(event.channel, event.byte_count, monotonic())
                self.machine.send(event.channel, event.data, monotonic())


alice, bob = TwistedPeer(), TwistedPeer()
alice.machine.create_channel("echo", ChannelOptions(), monotonic())
for peer, other in ((alice, bob), (bob, alice)):  # signalling, which is normally a network away
    peer.machine.set_local_description(None, monotonic())
    peer.pump.flush()
    other.machine.set_remote_description(peer.machine.local_description, monotonic())
reactor.run()
for peer in (alice, bob):
    peer.machine.abort(monotonic())
    peer.pump.flush()
    peer.pump.close()
