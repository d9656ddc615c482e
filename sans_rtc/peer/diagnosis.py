"""From the state of the layers to one sentence: what is waited for, and what the likely cause is.

A list of questions, asked from the bottom of the stack upwards; the first that applies gives the answer. Each is a
small function of the same facts, so that a test can ask it alone.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from sans_rtc import ice
from sans_rtc.ice import ConnectionState as IceState
from sans_rtc.machine import Terminated
from sans_rtc.peer.negotiation import Negotiation, SignalingState
from sans_rtc.peer.relay_diagnosis import advise_relay, lacks_relay, stream_trouble
from sans_rtc.peer.states import ConnectionState, DtlsState, SctpState
from sans_rtc.peer.transport import PeerTransport


@attrs.frozen(slots=True)
class Facts:
    """What the questions look at."""

    state: ConnectionState
    signaling_state: SignalingState
    has_local_description: bool
    has_remote_description: bool
    ice: ice.IceExplanation
    dtls_state: DtlsState
    sctp_state: SctpState
    held_datagrams: int
    terminated: Terminated | None
    has_media: bool = False
    has_no_srtp_profile: bool = False


def diagnose(
    state: ConnectionState,
    negotiation: Negotiation,
    picture: ice.IceExplanation,
    transport: PeerTransport,
    terminated: Terminated | None,
) -> tuple[str, str]:
    """Return what is waited for (empty: nothing) and the likely cause."""
    facts = Facts(
        state=state,
        signaling_state=negotiation.state,
        has_local_description=negotiation.local_description is not None,
        has_remote_description=negotiation.remote_description is not None,
        ice=picture,
        dtls_state=transport.dtls_state,
        sctp_state=transport.data.state,
        held_datagrams=transport.held_datagrams,
        terminated=terminated,
        has_media=transport.media.session is not None,
        has_no_srtp_profile=transport.media.has_no_profile,
    )
    return diagnose_facts(facts)


def diagnose_facts(facts: Facts) -> tuple[str, str]:
    """Ask the questions in order."""
    for question in QUESTIONS:
        answer = question(facts)
        if answer is not None:
            return answer
    raise AssertionError("the last question always has an answer")


def _is_over(facts: Facts) -> tuple[str, str] | None:
    if facts.terminated is None:
        return None
    detail = facts.terminated.detail or "nothing was wrong"
    return "", f"the connection has ended ({facts.terminated.reason}): {detail}"


def _is_connected(facts: Facts) -> tuple[str, str] | None:
    selected = facts.ice.selected
    if facts.state is not ConnectionState.CONNECTED or selected is None:
        return None
    how = _way_of(facts.ice, selected)
    if facts.has_no_srtp_profile and facts.has_media:
        return "", f"connected {how}, but no media can flow: the two ends have no SRTP profile in common"
    if facts.sctp_state is SctpState.CONNECTING:
        return "SCTP: the peer's answer to INIT", f"the path is encrypted {how}; the peer has not answered SCTP yet"
    rtt = f", round trip {selected.rtt_s * 1000:.1f} ms" if selected.rtt_s is not None else ""
    return "", f"connected {how}{rtt}"


def _way_of(picture: ice.IceExplanation, pair: ice.PairExplanation) -> str:
    path = pair.path
    # The port of an active TCP candidate means nothing.
    here = path.local.host if pair.local.tcp_type == "active" else str(path.local)
    way = f"over {path.protocol.upper()} from {here} to {path.remote}"
    relay = next((relay for relay in picture.relays if path.local in relay.relayed), None)
    return way if relay is None else f"{way}, relayed by {relay.server}"


def _has_no_relay(facts: Facts) -> tuple[str, str] | None:
    return lacks_relay(facts.ice)


def _has_no_description(facts: Facts) -> tuple[str, str] | None:
    if facts.has_local_description or facts.has_remote_description:
        return None
    return "an offer", "nothing has been negotiated yet: make an offer, or set the peer's"


def _lacks_one_description(facts: Facts) -> tuple[str, str] | None:
    if facts.has_remote_description and facts.has_local_description:
        return None
    if facts.has_local_description:
        heard = sum(pair.statistics.checks_received for pair in facts.ice.pairs)
        heard += facts.held_datagrams + facts.ice.statistics.requests_received
        if heard:
            return "the peer's answer", "the peer's packets arrive already, but set_remote_description was not called"
        return "the peer's answer", "our offer has not been answered: has the signalling carried it to the peer?"
    return "our answer", "the peer's offer has not been answered: call set_local_description with an answer"


def _has_no_local_address(facts: Facts) -> tuple[str, str] | None:
    if facts.ice.local_candidates:
        return None
    if facts.ice.filtered:
        dropped = ", ".join(f"{address} ({reason})" for address, reason in facts.ice.filtered)
        return "a local address", f"every local address is filtered out: {dropped}"
    if facts.ice.gathering_state is ice.GatheringState.COMPLETE:
        return "a local address", "this host has no address that can be used"
    return "a local address", "no socket has been bound yet"


def _has_no_remote_candidate(facts: Facts) -> tuple[str, str] | None:
    if facts.ice.remote_candidates:
        return None
    if facts.ice.unresolved_names:
        names = ", ".join(facts.ice.unresolved_names)
        return f"the address of {names}", f"the peer hides its addresses behind names that do not resolve here: {names}"
    if facts.ice.has_remote_ended:
        return "a way to the peer", f"the peer has no candidate that can be used: {advise_relay(facts.ice)}"
    return "the peer's candidates", "no candidate of the peer has arrived: does the signalling carry them?"


def _has_no_pair(facts: Facts) -> tuple[str, str] | None:
    if facts.ice.pairs:
        return None
    ours = {candidate.address.family for candidate in facts.ice.local_candidates}
    theirs = {candidate.address.family for candidate in facts.ice.remote_candidates}
    if ours.isdisjoint(theirs):
        families = {4: "IPv4", 6: "IPv6"}
        here, there = ("+".join(families[f] for f in sorted(each)) for each in (ours, theirs))
        return "a matching candidate", f"the two ends have no version of IP in common: {here} here, {there} there"
    return "a matching candidate", "no candidate of the peer fits one of ours"


def _fell_silent(facts: Facts) -> tuple[str, str] | None:
    if facts.ice.state is IceState.DISCONNECTED:
        return "the peer's response", "the peer has stopped answering: it is gone, or the network is down; checks go on"
    if facts.ice.is_consent_lost:
        return "an ICE restart", "the peer fell silent and consent to send has expired: restart ICE or give up"
    return None


def _has_no_path(facts: Facts) -> tuple[str, str] | None:
    if facts.ice.state in (IceState.CONNECTED, IceState.COMPLETED):
        return None
    pairs = facts.ice.pairs
    if any(pair.state is ice.PairState.SUCCEEDED for pair in pairs):
        return "the nomination", "a way to the peer works, and the controlling end has not settled on one yet"
    refused = next(
        (pair for pair in pairs if pair.statistics.refused_code or pair.statistics.unproven_refusal_code), None
    )
    if refused is not None:
        code = refused.statistics.refused_code or refused.statistics.unproven_refusal_code
        why = "its credentials are other than signalled: two sessions are mixed up" if code == 401 else f"error {code}"
        return "a check that succeeds", f"{refused.path.remote} refuses our checks: {why}"
    sent = sum(pair.statistics.requests_sent for pair in pairs)
    received = sum(pair.statistics.checks_received for pair in pairs)
    tally = f"{sent} checks sent over {len(pairs)} pairs"
    if received:
        return (
            "the peer's responses",
            f"{tally}, {received} of the peer's arrive, no answer comes: packets are lost one way",
        )
    if facts.ice.state is IceState.FAILED:
        return (
            "an ICE restart",
            f"{tally}, nothing came back: a firewall or NAT drops them; {_advice(facts)}",
        )
    return "the peer's responses", f"{tally}, nothing has come back yet: a firewall or NAT may drop them"


def _advice(facts: Facts) -> str:
    return "; ".join(part for part in (stream_trouble(facts.ice), advise_relay(facts.ice)) if part)


def _has_no_encryption(facts: Facts) -> tuple[str, str] | None:
    match facts.dtls_state:
        case DtlsState.NEW | DtlsState.CONNECTING:
            return (
                "DTLS: the peer's next flight",
                "there is a path, and the peer has not completed the DTLS handshake yet",
            )
        case DtlsState.FAILED:
            return "", "the peer could not prove that it is the one that was signalled, or refused us"
        case DtlsState.CLOSED:
            return "", "the data section has been removed from the session"
        case DtlsState.CONNECTED:
            return None


def _is_on_its_way(facts: Facts) -> tuple[str, str] | None:
    return "", f"the connection is {facts.state}"


QUESTIONS: tuple[Callable[[Facts], tuple[str, str] | None], ...] = (
    _is_over,
    _is_connected,
    _has_no_description,
    _lacks_one_description,
    _has_no_relay,
    _has_no_local_address,
    _fell_silent,
    _has_no_remote_candidate,
    _has_no_pair,
    _has_no_path,
    _has_no_encryption,
    _is_on_its_way,
)
"""In the order asked; the last always answers."""
