"""The mDNS responder, asked by somebody for its names whenever it says anything."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.arguments import HOSTS, an_address
from fuzz.life import Subject, lives, play
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.mdns import Responder, ResponderConfig
from sans_rtc.mdns.wire import DnsMessage, Question, address_record, parse_message, serialize_message
from sans_rtc.testing import ContractMonitor, LinkConditions, SeededEntropy
from tests.property.scenes.forgeries import forge_dns
from tests.property.scenes.scene import Counterpart, Scene

HERE, ASKER = Address("10.0.0.1", 5353), Address("10.0.0.2", 5353)
NAMES = ("one.local", "two.local", "example.org", "..local", "x" * 64 + ".local")
HEARD_MAX = 12
NETWORKS = ("10.0.0.0/8", "192.0.2.0/24", "fe80::/10", "nonsense")
VERBS = (
    lambda responder, script, now: responder.publish(script.pick(NAMES), [script.pick(HOSTS)], now),
    lambda responder, script, now: responder.publish(script.text(70) + ".local", HOSTS[: script.below(10)], now),
    lambda responder, script, now: responder.withdraw(script.pick(NAMES), now),
    lambda responder, script, now: responder.add_local_address(an_address(script), now),
    lambda responder, script, now: responder.remove_local_address(an_address(script), now),
    lambda responder, script, now: responder.set_networks(HERE, [script.pick(NETWORKS)], now),
)


def _asked(datagram: Datagram, now: float) -> list[Datagram]:
    """A question for what was just told of, and another that knows the answer already."""
    names = sorted({record.name for record in parse_message(datagram.data).answers})
    known = [address_record(name, "10.0.0.1", 120, flushes_cache=False) for name in names]
    questions = [Question(name, 255, bool(int(now) & 1)) for name in names]
    messages = (DnsMessage(questions=questions), DnsMessage(questions=questions, answers=known))
    return [Datagram(serialize_message(message), Path(ASKER, HERE)) for message in messages[: int(now) % 3]]


def _asker():
    """One who asks whenever anything is said, a few times: each answer would bring the next question."""
    heard = []

    def answer(datagram: Datagram, now: float) -> list[Datagram]:
        heard.append(datagram)
        return _asked(datagram, now) if len(heard) <= HEARD_MAX else []

    return answer


def build(conditions: LinkConditions) -> Scene:
    """A responder that publishes, adds an address, replaces, withdraws and closes."""
    responder = Responder(ResponderConfig(name_count_max=8), entropy=SeededEntropy("responder"))
    scene = Scene(responder, Counterpart(_asker()), end=0, wrap=ContractMonitor, seed=0, conditions=conditions)
    scene.usual_path = Path(HERE, ASKER)
    scene.then(0.0, responder.add_local_address, HERE)
    scene.then(0.0, responder.publish, "one.local", ("10.0.0.1", "fe80::1"))
    scene.then(2.0, responder.publish, "two.local", ("10.0.0.1",))
    scene.then(0.5, responder.add_local_address, Address("fe80::1", 5353))
    scene.then(3.0, responder.publish, "one.local", ("10.0.0.3",))
    scene.then(3.0, responder.withdraw, "two.local")
    scene.then(1.0, responder.remove_local_address, HERE)
    scene.then(1.0, responder.close)
    return scene


SUBJECT = Subject(build, VERBS, forge_dns)


def run(data: bytes) -> None:
    """The bytes are a script."""
    play(SUBJECT, data)


def seeds() -> Iterator[bytes]:
    """Its life, meddled with at each step."""
    yield from lives(len(VERBS), steps=8)
