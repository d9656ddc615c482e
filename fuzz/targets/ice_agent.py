"""The ICE agent between its peer and strangers; the first byte decides which role it begins with."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.arguments import HOSTS, a_stream, an_address, some_data
from fuzz.life import lives, of_kind, play
from fuzz.sealing import reseal_stun
from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.ice import Parameters, Role, parse_candidate
from sans_rtc.stun import short_term_key
from tests.property.scenes.table import KINDS

TYPES = ("typ host", "typ srflx raddr 0.0.0.0 rport 0", "typ relay", "typ prflx", "typ host tcptype passive")
NAMES = ("stun.example", "host.local", "nobody.example")


def _candidate(script):
    line = f"candidate:{script.below(4)} {script.below(3)} {script.pick(('udp', 'tcp'))} {script.below(1 << 32)}"
    try:
        return parse_candidate(f"{line} {script.pick(HOSTS)} {script.below(65_536)} {script.pick(TYPES)}")
    except WireError as error:
        raise InvalidArgument("no candidate") from error


def _parameters(script):
    return Parameters(script.pick(("abcd", "abc", "efgh" * 8)), "p" * script.pick((22, 21, 30)), bool(script.below(2)))


VERBS = (
    lambda agent, script, now: agent.add_remote_candidate(_candidate(script), now),
    lambda agent, script, now: agent.end_of_remote_candidates(now),
    lambda agent, script, now: agent.set_remote_parameters(_parameters(script), now),
    lambda agent, script, now: agent.set_role(script.pick(tuple(Role)), now),
    lambda agent, script, now: agent.restart(now),
    lambda agent, script, now: agent.cancel_restart(now),
    lambda agent, script, now: agent.add_local_address(an_address(script), script.pick(("", "wlan0", "tun0")), now),
    lambda agent, script, now: agent.remove_local_address(an_address(script), now),
    lambda agent, script, now: agent.end_of_local_addresses(now),
    lambda agent, script, now: agent.name_resolved(script.pick(NAMES), script.pick(((), ("192.0.2.8",), HOSTS)), now),
    lambda agent, script, now: agent.send(some_data(script), now),
    lambda agent, script, now: agent.send_whole(some_data(script), now),
    lambda agent, script, now: agent.network_changed(now),
    lambda agent, script, now: agent.add_tcp_listener(an_address(script), "eth0", now),
    lambda agent, script, now: agent.remove_tcp_listener(an_address(script), now),
    lambda agent, script, now: agent.stream_opened(a_stream(script), now),
    lambda agent, script, now: agent.stream_closed(a_stream(script), "gone", now),
    lambda agent, script, now: agent.explain(),
)


def _reseal(scene, data: bytes) -> bytes:
    """Requests are proven with the password of whom they go to, responses with that of who has asked."""
    is_request = len(data) > 1 and not (data[0] & 1 or data[1] & 0x10)
    agent = scene.machine if is_request else scene.other
    return reseal_stun(data, short_term_key(agent.local_parameters.pwd))


SUBJECTS = tuple(of_kind(KINDS[f"agent {role}"], VERBS, reseal=_reseal) for role in ("controlling", "controlled"))


def run(data: bytes) -> None:
    """The first byte chooses the role, the rest is a script."""
    if data:
        play(SUBJECTS[data[0] & 1], data[1:])


def seeds() -> Iterator[bytes]:
    """Both lives, meddled with at each step."""
    for number, life in enumerate(lives(len(VERBS), steps=16)):
        yield bytes((number & 1,)) + life
