"""What went wrong with relays and TCP connections, in words: the part of `diagnosis` that knows TURN's error codes."""

from __future__ import annotations

from collections.abc import Iterable

from sans_rtc import ice
from sans_rtc.ice import RelayExplanation, RelayState

# RFC 8656 section 19, RFC 8489 section 14.8; 0 and 701: no answer came.
_PHRASES = {
    300: "sends us to another server, and that could not be followed",
    401: "refused the credentials",
    403: "does not allow it",
    437: "already has another allocation from our address",
    438: "takes no nonce of ours",
    440: "has no address of that IP version",
    441: "knows this allocation under another user",
    442: "does not relay UDP",
    486: "gives this user no more relays: the quota is reached",
    508: "has no room for more",
}
_OPEN = (RelayState.WAITING, RelayState.IN_PROGRESS, RelayState.SUCCEEDED)


def describe_failure(relay: RelayExplanation) -> str:
    """One clause: which server, what it did, its code, name and reason."""
    if relay.code:
        said = ", ".join(dict.fromkeys(part for part in (relay.name, relay.reason) if part))
        phrase = _PHRASES.get(relay.code, "refused")
        return f"the TURN server {relay.server} {phrase}: {relay.code} {said}"
    reason = relay.reason or relay.name or "no answer"
    return f"the TURN server {relay.server} is not reached: {reason}"


def relay_trouble(picture: ice.IceExplanation) -> str:
    """Why there is no relay, where TURN servers were asked and none has given one; empty otherwise."""
    if any(relay.state in _OPEN for relay in picture.relays):
        return ""
    failed = [relay for relay in picture.relays if relay.state in (RelayState.FAILED, RelayState.LOST)]
    return "; ".join(dict.fromkeys(map(describe_failure, failed)))


def stream_trouble(picture: ice.IceExplanation) -> str:
    """Which TCP connections to the peer have failed, and why; empty where none has."""
    return "; ".join(f"TCP to {path.remote}: {reason}" for path, reason in picture.broken_streams)


def lacks_relay(picture: ice.IceExplanation) -> tuple[str, str] | None:
    """Where only relays may be used, and there is none: what is waited for, and why."""
    if not picture.is_relay_only or picture.local_candidates:
        return None
    rule = "only relays may be used"
    if any(relay.state in _OPEN for relay in picture.relays):
        return "a TURN server's answer", f"{rule}, and no TURN server has given one yet"
    trouble = relay_trouble(picture)
    if trouble:
        return "a relay", f"{rule}, and there is none: {trouble}"
    if picture.unresolved_servers:
        names = ", ".join(picture.unresolved_servers)
        return "the address of a TURN server", f"{rule}, and the TURN server's name has no address: {names}"
    if picture.gathering_state is ice.GatheringState.COMPLETE:
        return "a relay", f"{rule}, and no TURN server could be asked: none is configured, or none fits our addresses"
    return None


def advise_relay(picture: ice.IceExplanation) -> str:
    """What is to be said of relays where direct ways lead nowhere."""
    trouble = relay_trouble(picture)
    if trouble:
        return f"a relay (TURN) would be needed, and {trouble}"
    if any(relay.state is RelayState.SUCCEEDED for relay in picture.relays):
        return "nor does the relay (TURN) reach the peer"
    return "a relay (TURN) would be needed"


def describe_relays(relays: Iterable[RelayExplanation]) -> list[str]:
    """A line for each allocation."""
    lines = []
    for relay in relays:
        line = f"  TURN server {relay.server} asked from {relay.base}: {relay.state}"
        if relay.relayed:
            line += f", relays from {', '.join(map(str, relay.relayed))}"
        if relay.mapped is not None:
            line += f", we are {relay.mapped}"
        if relay.state in (RelayState.FAILED, RelayState.LOST):
            said = ", ".join(dict.fromkeys(part for part in (relay.name, relay.reason) if part))
            line += f", {relay.code} {said}" if relay.code else f", {said}"
        for refusal in relay.refusals:
            line += f"; refuses {refusal.host}: {refusal.code} {refusal.reason or refusal.name}"
        lines.append(line)
    return lines


def describe_streams(picture: ice.IceExplanation) -> list[str]:
    """A line for each TCP connection under pairs, and for those that have failed."""
    lines = []
    for stream in picture.streams:
        state = "open" if stream.is_open else "being opened"
        opener = "accepted from" if stream.is_accepted else "to"
        lines.append(f"  TCP connection {opener} {stream.path.remote}: {state if stream.is_proven else 'not proven'}")
    lines += [f"  TCP connection to {path.remote}: failed, {reason}" for path, reason in picture.broken_streams]
    return lines
