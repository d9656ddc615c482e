"""An echo between two peers on a Qt event loop: QSocketNotifier and QTimer drive the machines, and nothing else."""

import math

from PySide6.QtCore import QCoreApplication, QSocketNotifier, Qt, QTimer

from sans_rtc.datachannel import ChannelMessage, ChannelOpened, ChannelOptions
from sans_rtc.peer import GatheringNeeded, PeerConnection
from sans_rtc_net import BindConfig, Gathering, Pump, monotonic, peer_config_from, system_entropy


class QtPeer:
    def __init__(self):
        self.machine = PeerConnection(peer_config_from(None), entropy=system_entropy)
        self.pump = Pump(self.machine, on_events=self.on_events, watch=self.watch, unwatch=self.unwatch, arm=self.arm)
        self.gathering = Gathering(self.machine, self.pump, monotonic, BindConfig(hosts=("127.0.0.1",)))
        self.notifiers = {}
        self.timer = QTimer(singleShot=True, timerType=Qt.TimerType.PreciseTimer)
        self.timer.timeout.connect(self.pump.wake)

    def watch(self, item, for_writing):  # for reading always
        if item not in self.notifiers:
            kinds = (QSocketNotifier.Type.Read, QSocketNotifier.Type.Write)
            read, write = self.notifiers[item] = [QSocketNotifier(item.fileno(), kind) for kind in kinds]
            read.activated.connect(lambda: self.pump.readable(item))
            write.activated.connect(lambda: self.pump.writable(item))
        self.notifiers[item][1].setEnabled(for_writing)

    def unwatch(self, item):
        for notifier in self.notifiers.pop(item):
            notifier.setEnabled(False)

    def arm(self, deadline):
        self.timer.start(math.ceil(max(0, deadline - monotonic()) * 1000)) if deadline < math.inf else self.timer.stop()

    def on_events(self, events):
        for event in events:
            if isinstance(event, GatheringNeeded):
                self.gathering.start()
            elif isinstance(event, ChannelOpened) and not event.is_incoming:
                self.machine.send(event.channel, str(monotonic()), monotonic())
            elif isinstance(event, ChannelMessage) and self is alice:
                print(f"{event.data!r} came back after {(monotonic() - float(event.data)) * 1000:.1f} ms")
                QCoreApplication.quit()
            elif isinstance(event, ChannelMessage):
                self.machine.consume(event.channel, event.byte_count, monotonic())
                self.machine.send(event.channel, event.data, monotonic())


app, alice, bob = QCoreApplication([]), QtPeer(), QtPeer()
alice.machine.create_channel("echo", ChannelOptions(), monotonic())
for peer, other in ((alice, bob), (bob, alice)):  # signalling, which is normally a network away
    peer.machine.set_local_description(None, monotonic())
    peer.pump.flush()
    other.machine.set_remote_description(peer.machine.local_description, monotonic())
app.exec()
for peer in (alice, bob):
    peer.machine.abort(monotonic())
    peer.pump.flush()
    peer.pump.close()
