"""Lives that machines lead in the tests of their protocols, and a way to have them reborn in the midst of it."""

import functools
import inspect

from sans_rtc import dtls, ice, sctp
from sans_rtc.mdns import Querier, Responder
from sans_rtc.media import RtpSession
from sans_rtc.peer import Mux, PeerConnection
from sans_rtc.stun import BehaviorDiscovery, BindingClient
from sans_rtc.testing import LinkConditions, SeededEntropy
from sans_rtc.turn import Client as TurnClient
from sans_rtc.turn.server import Server as TurnServer
from tests.mdns.test_link_simulation import Ether, busy
from tests.media.conftest import VIDEO_FRAMES, Pair, audio_section, video_codec, video_section
from tests.mux.conftest import Plaza
from tests.property.scenes.table import KINDS
from tests.snapshot.rebirth import reborn
from tests.stun.test_behavior_discovery import World as Nats
from tests.turn.test_with_our_server import PEER
from tests.turn.test_with_our_server import World as Relays


def of_scene(name):
    """The life of a row of the table of scenes."""

    def life(seed):
        scene = KINDS[name].scene(seed=seed)
        scene.live()
        scene.end_it()

    return life


def discovery(seed):
    """Find out what kind of NAT there is."""
    Nats(None, seed=seed).discover()


def links(seed):
    """Three hosts that publish names and ask for them on a bad link."""
    busy(Ether(3, loss=0.2, duplication=0.1, seed=seed), rounds=2)


def relays(seed):
    """Three clients of a TURN server that allocate, send, refresh and go, by datagrams and streams."""
    world = Relays()
    clients = [world.allocated(protocol, channel_after=3) for protocol in ("udp", "tcp", "udp")]
    dice = SeededEntropy(f"relays {seed}")
    for _ in range(12):
        client = clients[dice.below(3)]
        if not client.is_terminated:
            client.send(b"data" * dice.below(40), PEER, world.now)
            world.pump()
        world.advance(dice.below(300))
    for client in clients:
        client.close(world.now)
        world.pump()
    world.advance(1000)


def crowd(seed):
    """Three peers on one socket."""
    plaza = Plaza(seed=seed, conditions=LinkConditions(delay_s=0.005, loss=0.05))
    plaza.connect(3)
    plaza.assert_all_talk([0, 1, 2])
    plaza.clients[1].close(plaza.now)
    plaza.link.run_for(5.0)
    plaza.assert_all_talk([0, 2])
    plaza.mux.close(plaza.now)
    plaza.link.run_for(30.0)


def media(seed):
    """Two sessions that send video and audio each other, over a link that loses some of it."""
    names = ("VP8", "VP9", "H264", "H265", "AV1")
    sections = [
        video_section(number, ssrc=16 * number, codec=video_codec(name)) for number, name in enumerate(names, 2)
    ]
    conditions = LinkConditions(delay_s=0.02, loss=0.05, reordering=0.05)
    pair = Pair(
        sections=[audio_section(), *sections], other_sections=[audio_section(), *sections], conditions=conditions
    )
    for number, name in enumerate(names, 2):
        pair.play_audio(5, end=seed % 2, first=5 * number)
        pair.play_video(5, handle=number, make=VIDEO_FRAMES[name])
    pair.link.run_for(1.0)


MACHINES_OF_SCENES = (BindingClient, Querier, ice.Agent, dtls.Connection, sctp.Association, PeerConnection)
LIVES = {
    **{name: (of_scene(name), MACHINES_OF_SCENES) for name in KINDS},
    "NAT discovery": (discovery, (BehaviorDiscovery, TurnServer)),
    "mDNS": (links, (Querier, Responder)),
    "relays": (relays, (TurnClient, TurnServer)),
    "media": (media, (RtpSession,)),
    "mux": (crowd, (Mux,)),
}


class Midwife:
    """Stands in the public methods of some classes: logs what they return, has the machine reborn before some.

    share   of the calls, in hundredths
    births  how often a machine was reborn
    log     what the methods have returned, in order
    """

    def __init__(self, monkeypatch, kinds, *, share, seed=0):
        self.share, self.births, self.log = share, 0, []
        self._dice = SeededEntropy(f"midwife {seed}")
        self._is_inside = False
        for kind in kinds:
            for name, function in inspect.getmembers(kind, inspect.isfunction):
                if not name.startswith("_"):
                    monkeypatch.setattr(kind, name, self._watched(kind, name, function))

    def _watched(self, kind, name, function):
        @functools.wraps(function)
        def call(machine, *arguments, **named):
            if self._is_inside or type(machine) is not kind:
                return function(machine, *arguments, **named)
            self._is_inside = True
            try:
                if self._dice.below(100) < self.share:
                    reborn(machine)
                    self.births += 1
                result = function(machine, *arguments, **named)
            finally:
                self._is_inside = False
            if name.startswith("take_"):
                self.log.append((kind.__name__, name, list(result)))  # not as text: sets have no order
            return result

        return call
