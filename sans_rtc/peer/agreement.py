"""What an offer and its answer settle together, and what that means for the layers that run already.

ICE   restarts where the credentials of both ends change (RFC 8839 section 4.4)
DTLS  is one association for as long as fingerprints and tls-id stay (RFC 8842 section 4)
SCTP  is one association for as long as DTLS and the peer's port stay (RFC 9429 section 5.11)

All sections in use share one transport; data need not be among them.
"""

from __future__ import annotations

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.peer.negotiation_types import (
    DtlsRole,
    LocalTransport,
    TransportAction,
    TransportParameters,
)
from sans_rtc.peer.terms import TransportTerms
from sans_rtc.sdp.values import Setup


@attrs.frozen(slots=True, kw_only=True)
class Agreement:
    """An offer and answer that accept a section: what both ends have said of the transport.

    transport  the peer's side of it, and the role of the local end
    local      what the local description says
    remote     what the remote description says
    """

    transport: TransportParameters
    local: TransportTerms
    remote: TransportTerms


@attrs.frozen(slots=True, kw_only=True)
class Outcome:
    """What an answer leads to; `agreement` is None where no section is used."""

    agreement: Agreement | None = None
    is_ice_restart: bool = False
    dtls: TransportAction = TransportAction.UNCHANGED
    sctp: TransportAction = TransportAction.UNCHANGED


# -- before an answer ------------------------------------------------------------------------------------------------


def is_restart(agreement: Agreement | None, terms: TransportTerms | None) -> bool:
    """True where a remote description asks for, or answers, an ICE restart."""
    if agreement is None or terms is None:
        return False
    return not terms.is_same_generation(agreement.remote)


def is_new_certificate(before: TransportTerms, terms: TransportTerms) -> bool:
    """True where one side's description asks for another DTLS association than before (RFC 8842 section 4)."""
    is_other_id = None not in (before.tls_id, terms.tls_id) and before.tls_id != terms.tls_id
    return is_other_id or set(before.fingerprints) != set(terms.fingerprints)


def check_offer_continuity(agreement: Agreement | None, terms: TransportTerms) -> None:
    """Check a remote offer against the DTLS association that runs (RFC 9429 section 5.8.3)."""
    if terms.setup is Setup.HOLDCONN:
        raise InvalidArgument("an offer with a=setup:holdconn is not supported")
    if agreement is None:
        return
    if is_new_certificate(agreement.remote, terms):
        if not is_restart(agreement, terms):
            raise InvalidArgument("the offer changes the certificate fingerprint or tls-id without an ICE restart")
        return
    is_client = agreement.transport.dtls_role is DtlsRole.CLIENT
    if terms.setup is (Setup.ACTIVE if is_client else Setup.PASSIVE):
        raise InvalidArgument(f"the offer says a=setup:{terms.setup}, against the roles of the DTLS association")


def choose_setup(agreement: Agreement | None, terms: TransportTerms, is_client_preferred: bool) -> Setup:
    """The role of an answer: that of the association that goes on, else what the offer leaves (RFC 8842 5.3, 5.5)."""
    if agreement is not None and not is_new_certificate(agreement.remote, terms):
        return Setup.ACTIVE if agreement.transport.dtls_role is DtlsRole.CLIENT else Setup.PASSIVE
    if terms.setup is Setup.ACTPASS:
        return Setup.ACTIVE if is_client_preferred else Setup.PASSIVE
    # RFC 4145 section 4.1: an offer that does not say is active.
    return Setup.ACTIVE if terms.setup is Setup.PASSIVE else Setup.PASSIVE


def check_local_offer(agreement: Agreement | None, transport: LocalTransport, ufrag_to_replace: str | None) -> None:
    """Check the facts of the local end for an offer (RFC 8839 section 4.4.1.1.1)."""
    if transport.ice_ufrag == ufrag_to_replace:
        raise InvalidArgument("an ICE restart was asked for, and needs new ICE credentials")
    if agreement is not None:
        _check_local_certificate(agreement, transport)


def check_local_answer(agreement: Agreement | None, transport: LocalTransport, *, is_restart_offered: bool) -> None:
    """Check the facts of the local end for an answer (RFC 9429 section 5.3.2)."""
    if agreement is None:
        return
    _check_local_certificate(agreement, transport)
    is_other = not agreement.local.is_same_generation(transport)
    if is_restart_offered and not is_other:
        raise InvalidArgument("the offer restarts ICE, so the answer needs new ICE credentials")
    if is_other and not is_restart_offered:
        raise InvalidArgument("an answer cannot change the ICE credentials: the offer does not restart ICE")


def _check_local_certificate(agreement: Agreement, transport: LocalTransport) -> None:
    before = agreement.local
    if (transport.ice_ufrag == before.ice_ufrag) != (transport.ice_pwd == before.ice_pwd):
        raise InvalidArgument("an ICE restart changes both ufrag and pwd")
    if set(transport.fingerprints) != set(before.fingerprints):
        raise InvalidArgument("the local certificate cannot change during a session")


# -- the answer ------------------------------------------------------------------------------------------------------


def agree(
    previous: Agreement | None, local: TransportTerms, remote: TransportTerms, *, is_local_offer: bool
) -> Outcome:
    """Settle what both ends have said; of the two setups, the answer's decides (RFC 8842 section 5)."""
    is_same_dtls = previous is not None and not is_new_certificate(previous.remote, remote)
    if previous is not None and is_same_dtls:
        # deviation: RFC 8842 section 4 makes another association of an answer with the other role. pion 3.1 answers
        # "active" to every re-offer, whichever end it is, and goes on with the association it has; so do we.
        role = previous.transport.dtls_role
    else:
        is_active = (remote if is_local_offer else local).setup is Setup.ACTIVE
        role = DtlsRole.CLIENT if is_active != is_local_offer else DtlsRole.SERVER
    transport = _transport(previous, local, remote, role, is_local_offer=is_local_offer)
    return Outcome(
        agreement=Agreement(transport=transport, local=local, remote=remote),
        is_ice_restart=is_restart(previous, remote),
        dtls=_action(previous, is_same_dtls),
        sctp=_sctp_action(previous, remote, is_same_dtls),
    )


def _action(previous: Agreement | None, is_same: bool) -> TransportAction:
    if previous is None:
        return TransportAction.START
    return TransportAction.UNCHANGED if is_same else TransportAction.RESTART


def _sctp_action(previous: Agreement | None, remote: TransportTerms, is_same_dtls: bool) -> TransportAction:
    """RFC 9429 section 5.11: another association where the peer's port has changed, or DTLS begins anew."""
    before = None if previous is None else previous.transport.sctp_port
    after = None if remote.data is None else remote.data.sctp_port
    if before is None:
        return TransportAction.UNCHANGED if after is None else TransportAction.START
    if after is None:
        return TransportAction.STOP
    return TransportAction.UNCHANGED if is_same_dtls and before == after else TransportAction.RESTART


def refuse(previous: Agreement | None) -> Outcome:
    """Settle that no section is used, or not any more."""
    if previous is None:
        return Outcome()
    has_data = previous.transport.sctp_port is not None
    return Outcome(dtls=TransportAction.STOP, sctp=TransportAction.STOP if has_data else TransportAction.UNCHANGED)


def check_remote_answer(stable: Agreement | None, outcome: Outcome) -> None:
    """Check a remote answer against what was agreed before the offer (RFC 9429 sections 5.10 and 5.11)."""
    agreement = outcome.agreement
    if agreement is None:
        return
    if stable is not None:
        is_local_restart = not agreement.local.is_same_generation(stable.local)
        is_remote_restart = is_restart(stable, agreement.remote)
        if is_local_restart and not is_remote_restart:
            raise InvalidArgument("the offer restarts ICE, and the answer has the ICE credentials of before")
        if is_remote_restart and not is_local_restart:
            raise InvalidArgument("the answer changes the ICE credentials, and the offer does not restart ICE")
    if outcome.dtls is TransportAction.RESTART and not outcome.is_ice_restart:
        raise InvalidArgument("the answer changes the certificate fingerprint or tls-id without an ICE restart")


_UNDONE = {
    TransportAction.UNCHANGED: TransportAction.UNCHANGED,
    TransportAction.START: TransportAction.STOP,
    TransportAction.RESTART: TransportAction.RESTART,
    TransportAction.STOP: TransportAction.START,
}


def undo(provisional: Outcome, stable: Agreement | None) -> Outcome:
    """What it takes to go back from a provisional answer to what was agreed before."""
    if stable is None:
        return refuse(provisional.agreement)
    if provisional.agreement is None:
        return Outcome(
            agreement=stable, dtls=TransportAction.START, sctp=_sctp_action(None, stable.remote, is_same_dtls=False)
        )
    back = TransportAction.UNCHANGED if provisional.dtls is TransportAction.UNCHANGED else TransportAction.RESTART
    sctp = _UNDONE[provisional.sctp]
    is_other = is_restart(provisional.agreement, stable.remote)
    return Outcome(agreement=stable, dtls=back, sctp=sctp, is_ice_restart=is_other)


def _transport(
    previous: Agreement | None, local: TransportTerms, remote: TransportTerms, role: DtlsRole, *, is_local_offer: bool
) -> TransportParameters:
    return TransportParameters(
        ice_ufrag=remote.ice_ufrag,
        ice_pwd=remote.ice_pwd,
        ice_lite=remote.ice_lite,
        ice_options=remote.ice_options,
        ice_pacing_ms=remote.ice_pacing_ms,
        is_controlling=_is_controlling(previous, local, remote, is_local_offer=is_local_offer),
        candidates=remote.candidates,
        end_of_candidates=remote.end_of_candidates,
        fingerprints=remote.fingerprints,
        dtls_role=role,
        sctp_port=None if remote.data is None else remote.data.sctp_port,
        max_message_size=None if remote.data is None else remote.data.max_message_size,
        mid=remote.mid,
        mline_index=remote.mline_index,
    )


def _is_controlling(
    previous: Agreement | None, local: TransportTerms, remote: TransportTerms, *, is_local_offer: bool
) -> bool:
    """RFC 8445 section 6.1.1: a full agent controls a lite one, else who offered first; and so it stays."""
    if local.ice_lite != remote.ice_lite:
        return remote.ice_lite
    return is_local_offer if previous is None else previous.transport.is_controlling
