"""What a seed stands for: a small world, and what happens in it. All of it is plain data, so that it can be shrunk.

A scenario is named by its seed and by what has been taken out of it: `--seed 7 --only 0,3 --without loss,nat`.
"""

import random

import attrs

from sans_rtc.testing import (
    ADDRESS_RESTRICTED_CONE,
    FULL_CONE,
    PORT_RESTRICTED_CONE,
    SYMMETRIC,
    GilbertElliott,
    LinkConditions,
)

NATS = {
    "full": FULL_CONE,
    "address": ADDRESS_RESTRICTED_CONE,
    "port": PORT_RESTRICTED_CONE,
    "symmetric": SYMMETRIC,
}
CHANNEL_KINDS = {
    "reliable": {},
    "unordered": {"ordered": False},
    "once": {"max_retransmits": 0},
    "unordered-twice": {"ordered": False, "max_retransmits": 1},
    "brief": {"lifetime_s": 0.15},
    "unordered-brief": {"ordered": False, "lifetime_s": 0.08},
    "negotiated": {"negotiated_id": 100},
    "urgent": {"priority": 1024},
}
ENDINGS = ("close", "abort", "both close")
# What may be left out of the world, and how the world is without it.
CALM = {
    "loss": {"loss": 0.0},
    "bursts": {"burst_loss": None},
    "duplication": {"duplication": 0.0},
    "reordering": {"reordering": 0.0},
    "jitter": {"jitter_s": 0.0},
    "rate": {"rate_bytes_s": float("inf"), "queue_bytes": 1 << 30},
    "damage": {"corruption": 0.0, "truncation": 0.0},
    "black-hole": {"bytes_max": float("inf")},
    "delay": {"delay_s": 0.001},
}
FEATURES = (*CALM, "nat", "interfaces", "windows", "signalling")


@attrs.frozen
class Scenario:
    """Everything that is decided before the first datagram.

    conditions     of both ends' cables while there are faults; damage only once both are connected: the first flights
                   of a handshake are not protected
    nats           names of NATS or None, by end
    interfaces     1 or 2, by end: the second is in a network of its own, without a NAT
    window_bytes   of SCTP's receivers, and buffer_bytes of its senders, by end; None: as configured by default
    actions        (number, moment, what, arguments...)
    only, without  what a shrunk one is named by
    """

    seed: int
    conditions: LinkConditions
    nats: tuple
    interfaces: tuple
    windows: tuple
    signalling_s: float
    ending: str
    faults_end_s: float
    actions: tuple
    only: tuple | None = None
    without: tuple = ()

    def reduced(self, *, only=None, without=()):
        """The same with these actions only, and without these features."""
        changes = {"only": only, "without": tuple(without)}
        if only is not None:
            changes["actions"] = tuple(action for action in self.actions if action[0] in only)
        for feature in without:
            if feature in CALM:
                changes["conditions"] = attrs.evolve(changes.get("conditions", self.conditions), **CALM[feature])
        if "nat" in without:
            changes["nats"] = (None, None)
        if "interfaces" in without:
            changes["interfaces"] = (1, 1)
        if "windows" in without:
            changes["windows"] = (None, None)
        if "signalling" in without:
            changes["signalling_s"] = 0.01
        return attrs.evolve(self, **changes)

    @property
    def command(self):
        """One line that runs it again."""
        only = "" if self.only is None else f" --only {','.join(map(str, self.only)) or 'none'}"
        without = f" --without {','.join(self.without)}" if self.without else ""
        return f"python -m tests.sim --seed {self.seed}{only}{without}"

    def __str__(self):
        default = LinkConditions()
        names = [field.name for field in attrs.fields(LinkConditions)]
        weather = {name: getattr(self.conditions, name) for name in names}
        weather = {name: value for name, value in weather.items() if value != getattr(default, name)}
        lines = [f"seed {self.seed}: {weather}", f"  NATs {self.nats}, interfaces {self.interfaces}"]
        lines.append(f"  windows {self.windows}, signalling {self.signalling_s} s, ending {self.ending!r}")
        lines += [f"  {number:3} {moment:6.3f} {' '.join(map(str, rest))}" for number, moment, *rest in self.actions]
        return "\n".join([*lines, f"      {self.faults_end_s:6.3f} faults end"])


def draw(seed):
    """The scenario of a seed; the same at every run."""
    chance = random.Random(f"scenario {seed}")
    interfaces = tuple(2 if chance.random() < 0.2 else 1 for _ in (0, 1))
    tracks = chance.choice((0, 0, 0, 1, 2))
    drawn = _draw_channels(chance) + _draw_tracks(chance, tracks) + _draw_faults(chance, interfaces)
    drawn.sort(key=lambda action: action[0])
    return Scenario(
        seed=seed,
        conditions=draw_conditions(chance),
        nats=_draw_nats(chance),
        interfaces=interfaces,
        windows=tuple(_draw_window(chance) for _ in (0, 1)),
        signalling_s=chance.choice((0.0, 0.02, 0.3)),
        ending=chance.choice(ENDINGS),
        faults_end_s=max(moment for moment, *_ in drawn) + 0.1,
        actions=tuple((number, round(moment, 3), *rest) for number, (moment, *rest) in enumerate(drawn)),
    )


def draw_conditions(chance):
    """A cable, good or bad."""
    is_slow = chance.random() < 0.15
    is_damaging = chance.random() < 0.15
    return LinkConditions(
        delay_s=chance.choice((0.0005, 0.005, 0.03)),
        jitter_s=chance.choice((0.0, 0.0, 0.02)),
        loss=chance.choice((0.0, 0.0, 0.0, 0.02, 0.05, 0.15)),
        duplication=chance.choice((0.0, 0.0, 0.1)),
        reordering=chance.choice((0.0, 0.0, 0.05, 0.2)),
        rate_bytes_s=chance.choice((50_000.0, 300_000.0)) if is_slow else float("inf"),
        queue_bytes=chance.choice((4_000, 30_000)) if is_slow else 1 << 30,
        burst_loss=GilbertElliott(to_bad=0.02, to_good=0.25) if chance.random() < 0.15 else None,
        corruption=0.05 if is_damaging else 0.0,
        truncation=0.03 if is_damaging else 0.0,
        bytes_max=1200 if chance.random() < 0.1 else float("inf"),
    )


def _draw_nats(chance):
    if chance.random() < 0.6:
        return (None, None)
    return tuple(chance.choice((None, "full", "address", "port", "port", "symmetric")) for _ in (0, 1))


def _draw_window(chance):
    return chance.choice((None, None, (20_000, 30_000)))


def _draw_channels(chance):
    """One is there from the first; others come, are written to from both ends, and may be closed."""
    drawn = []
    for number in range(chance.choice((1, 1, 2, 3))):
        kind = chance.choice(list(CHANNEL_KINDS))
        label, end = f"{kind}-{number}", chance.randrange(2)
        born = 0.0 if number == 0 else chance.uniform(0.0, 1.2)
        drawn.append((born, "create", end, label, kind))
        for _ in range(chance.choice((1, 2, 3))):
            count, top = chance.choice(((1, 9_000), (2, 3_000), (6, 1_300), (12, 200)))
            sizes = tuple(chance.choice((0, 1, 1131, 1200)) if chance.random() < 0.1 else chance.randint(1, top)
                          for _ in range(count))  # fmt: skip
            drawn.append((born + chance.uniform(0.2, 1.5), "send", chance.randrange(2), label, sizes))
        if chance.random() < 0.3:
            closed = born + chance.uniform(0.4, 1.6)
            drawn += [(closed, "close", end, label) for end in chance.choice(((0,), (1,), (0, 1)))]
    return drawn


def _draw_tracks(chance, count):
    drawn = []
    for number in range(count):
        end, kind = chance.randrange(2), chance.choice(("audio", "video"))
        born = chance.choice((0.0, 0.0, 0.4))
        drawn.append((born, "track", end, kind, number))
        for _ in range(chance.choice((1, 2))):
            drawn.append((born + chance.uniform(0.3, 1.4), "play", number, chance.randint(2, 8)))
    return drawn


def _draw_faults(chance, interfaces):
    """At most three of them; each that lasts has an end, which is an action of its own."""
    drawn = []
    for what in chance.sample(FAULTS, chance.choice((0, 1, 1, 2, 3))):
        end, moment = chance.randrange(2), chance.uniform(0.02, 1.6)
        if what in ("unplug", "part"):
            drawn.append((moment, what, end))
            drawn.append((moment + chance.choice((0.1, 0.5, 1.5, 6.0)), {"unplug": "plug", "part": "join"}[what], end))
        elif what == "crash":
            drawn.append((moment, what, end, chance.choice((0.0, 0.3, 2.0))))
        elif what == "jump":
            drawn.append((moment, what, end, chance.choice((0.5, 5.0, 20.0, 100.0))))
        elif what == "stop reading":
            drawn += [(moment, what, end), (moment + chance.uniform(0.2, 1.0), "read", end)]
        elif what == "weather":
            drawn.append((moment, what, chance.randrange(1 << 30)))
        elif what != "lose network" or interfaces[end] == 2:
            drawn.append((moment, what, end))
    return drawn


FAULTS = (
    "restart", "restart", "unplug", "part", "rebind", "crash", "crash", "jump", "stop reading", "weather",
    "lose network", "look again",
)  # fmt: skip
