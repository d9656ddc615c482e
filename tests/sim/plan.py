"""What a seed stands for: a network, two configurations, channels, and what happens to them when."""

import random

import attrs

from sans_rtc.datachannel import ChannelOptions
from sans_rtc.peer import PeerConfig
from sans_rtc.sctp import SctpConfig
from sans_rtc.testing import LinkConditions
from tests.sim.world import addresses_of

OPTIONS = {
    "reliable": {},
    "unordered": {"ordered": False},
    "retransmits": {"max_retransmits": 1},
    "unordered retransmits": {"ordered": False, "max_retransmits": 0},
    "lifetime": {"lifetime_s": 0.15},
    "unordered lifetime": {"ordered": False, "lifetime_s": 0.08},
}
ENDINGS = ("close", "abort", "both close", "late close", "faulty close")
# An outage within this is bridged; a longer one fails ICE, and the applications restart it.
CONSENT_S = 30.0


@attrs.define
class Plan:
    """Everything that is decided before the first datagram.

    conditions    of the link, while there are faults
    configs       of both ends
    addresses     of both ends
    end_behind_nat  whose host candidates nobody can reach; None: neither
    signalling_s  the longest that a signalled thing takes
    binding_s     how long the driver takes to bind sockets
    reading_s     how long a message lies before the application takes it
    script        (moment, what, arguments...): what happens, in the words of `session`
    ending        how the session ends
    faults_end_s  when the faults stop
    """

    seed: int
    chance: random.Random
    conditions: LinkConditions
    configs: tuple
    addresses: tuple
    end_behind_nat: int | None
    signalling_s: float
    binding_s: float
    reading_s: float
    ending: str
    faults_end_s: float = 0.0
    script: list = attrs.Factory(list)
    ended: list = attrs.Factory(lambda: [False, False])

    def __str__(self):
        lines = [f"seed {self.seed}: {self.conditions}", f"  addresses {self.addresses}, ending {self.ending!r}"]
        lines.append(f"  end behind a NAT: {self.end_behind_nat}")
        lines.append(f"  signalling {self.signalling_s:.3f} s, reading {self.reading_s:.3f} s")
        lines += [f"  {moment:8.3f} {' '.join(map(str, rest))}" for moment, *rest in sorted(self.script)]
        return "\n".join([*lines, f"  {self.faults_end_s:8.3f} faults end"])


def draw_plan(seed):
    """The plan of a seed; the same at every run."""
    chance = random.Random(seed)
    conditions = _draw_conditions(chance)
    interfaces = [chance.choice((1, 1, 2)) for _ in (0, 1)]
    plan = Plan(
        seed=seed,
        chance=chance,
        conditions=conditions,
        configs=(_draw_config(chance), _draw_config(chance)),
        addresses=tuple(addresses_of(end, interfaces[end]) for end in (0, 1)),
        end_behind_nat=chance.choice((None, None, 0, 1)),
        signalling_s=chance.choice((0.0, 0.02, 0.3)),
        binding_s=chance.choice((0.0, 0.01)),
        reading_s=chance.choice((0.0, 0.0, 0.05)),
        ending=chance.choice(ENDINGS),
    )
    _draw_channels(plan)
    _draw_faults(plan)
    plan.faults_end_s = max(moment for moment, *_ in plan.script) + 0.2
    return plan


def _draw_conditions(chance):
    is_slow = chance.random() < 0.25
    rate = chance.choice((30_000.0, 100_000.0, 1_000_000.0)) if is_slow else float("inf")
    return LinkConditions(
        delay_s=chance.choice((0.0005, 0.01, 0.05)),
        jitter_s=chance.choice((0.0, 0.0, 0.02)),
        loss=chance.choice((0.0, 0.0, 0.02, 0.05, 0.1, 0.2)),
        duplication=chance.choice((0.0, 0.0, 0.1)),
        reordering=chance.choice((0.0, 0.0, 0.05, 0.2)),
        rate_bytes_s=rate,
        queue_bytes=chance.choice((4_000, 20_000, 100_000)) if is_slow else 1 << 30,
    )


def _draw_config(chance):
    window = chance.choice((4 << 20, 1 << 20, 65_536, 20_000))
    return PeerConfig(
        sctp=SctpConfig(
            receive_window_bytes=window,
            message_bytes_max=min(window // 2, 256 << 10),
            send_buffer_bytes_max=chance.choice((4 << 20, 100_000, 30_000)),
        )
    )


def _draw_channels(plan):
    chance = plan.chance
    size_max = min(config.sctp.message_bytes_max for config in plan.configs)
    size_max = min(size_max, *(config.sctp.send_buffer_bytes_max for config in plan.configs))
    for number in range(chance.randint(1, 4)):
        kind = chance.choice(list(OPTIONS))
        options = dict(OPTIONS[kind])
        if chance.random() < 0.2:
            options["negotiated_id"] = 100 + number
        if chance.random() < 0.2:
            options["priority"] = chance.choice((1, 1024, 65_535))
        label = f"{kind} {number}"
        end = chance.randrange(2)
        born = 0.0 if number == 0 or chance.random() < 0.6 else chance.uniform(0.1, 3.0)
        plan.script.append((born, "create", end, label, ChannelOptions(**options)))
        _draw_traffic(plan, label, born, size_max)
        _draw_life(plan, label, end, born, options)


def _draw_traffic(plan, label, born, size_max):
    """Both ends send, in bursts; small messages mostly."""
    chance = plan.chance
    for end in (0, 1):
        for _ in range(chance.choice((0, 1, 1, 2))):
            moment = born + chance.uniform(0.3, 3.0)
            count, top = chance.choice(((1, size_max), (3, 20_000), (10, 3_000), (30, 400)))
            sizes = [chance.choice((0, 1, 1131, 1132, 1200)) if chance.random() < 0.1 else chance.randint(1, top)
                     for _ in range(count)]  # fmt: skip
            sizes = [min(size, size_max, 80_000) for size in sizes]
            plan.script.append((moment, "send", end, label, tuple(sizes), chance.random() < 0.3))


def _draw_life(plan, label, end, born, options):
    """It may be closed, by either side or both at once, and opened again under another label."""
    chance = plan.chance
    if chance.random() > 0.35:
        return
    moment = born + chance.uniform(0.5, 3.5)
    for closer in chance.choice(((0,), (1,), (0, 1))):
        plan.script.append((moment, "close channel", closer, label))
    if chance.random() < 0.6:
        again = f"{label} again"
        if "negotiated_id" in options:
            options["negotiated_id"] += 50
        born = moment + chance.choice((0.0, 0.05, 0.5))
        plan.script.append((born, "create", end, again, ChannelOptions(**options)))
        _draw_traffic(plan, again, born, 2_000)


def _draw_faults(plan):
    chance = plan.chance
    if chance.random() < 0.35:
        duration_s = chance.choice((0.3, 1.0, 4.0, 8.0))
        start = chance.choice((0.0, 0.02, 0.1, 1.0, 2.0))
        cut = "cut"
        if chance.random() < 0.1:  # of a session that is connected: no handshake waits so long
            cut, start, duration_s = "cut connected", 6.0, CONSENT_S + chance.uniform(3.0, 20.0)
        which = chance.choice(((0, 1), (0,), (1,)))
        plan.script += [(start, cut, which), (start + duration_s, "mend", which)]
    if chance.random() < 0.3:
        for end in chance.choice(((0,), (1,), (0, 1))):
            plan.script.append((chance.choice((0.01, 0.5, 1.5, 1.5)), "restart", end))
    if chance.random() < 0.3:
        plan.script.append((chance.uniform(0.2, 3.0), "kill way"))
    if chance.random() < 0.15:
        plan.script.append((chance.uniform(0.2, 3.0), "lose address", chance.randrange(2)))
    if chance.random() < 0.2:
        end, start = chance.randrange(2), chance.uniform(0.2, 2.0)
        plan.script += [(start, "stop reading", end), (start + chance.uniform(0.5, 3.0), "read", end)]
    if plan.end_behind_nat is not None and chance.random() < 0.5:
        plan.script.append((chance.uniform(0.1, 3.0), "rebind"))
    if chance.random() < 0.15:
        plan.script.append((chance.uniform(0.5, 3.0), "corrupt", chance.choice((0.02, 0.2))))
    if chance.random() < 0.2:
        plan.script.append((chance.uniform(0.5, 2.5), "weather", _draw_conditions(chance)))
