"""What the negotiation tests share: ends, the facts of their transports, and whole exchanges."""

from pathlib import Path

import attrs
import pytest

from sans_rtc.peer.negotiation import Description, LocalTransport, Negotiation, NegotiationConfig
from sans_rtc.sdp.attributes import TLS_ID
from sans_rtc.testing import SeededEntropy

VECTORS = Path(__file__).parents[3] / "rfc-vectors" / "sdp"


def make_transport(name="a", generation=0, **facts):
    """The facts of an end: the name decides the certificate, the generation the ICE credentials."""
    ufrag = f"{name}{generation:03}"
    fingerprint = "sha-256 " + ":".join([f"{ord(name[0]):02X}"] * 32)
    return LocalTransport(ice_ufrag=ufrag, ice_pwd=ufrag * 6, fingerprints=[fingerprint], **facts)


def first_data_description(name, setup, found):
    """The text of the first description of an end that wants data; what is random in it is taken from `found`."""
    ufrag = f"{name}000"
    return (
        "v=0\r\n"
        f"o=- {found.origin.session_id} 1 IN IP4 0.0.0.0\r\n"
        "s=-\r\n"
        "t=0 0\r\n"
        "a=ice-options:trickle ice2\r\n"
        "a=group:BUNDLE 0\r\n"
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
        "c=IN IP4 0.0.0.0\r\n"
        "a=mid:0\r\n"
        f"a=ice-ufrag:{ufrag}\r\n"
        f"a=ice-pwd:{ufrag * 6}\r\n"
        f"a=fingerprint:sha-256 {':'.join([f'{ord(name):02X}'] * 32)}\r\n"
        f"a=setup:{setup}\r\n"
        f"a=tls-id:{found.media[0].lines.first(TLS_ID)}\r\n"
        "a=sctp-port:5000\r\n"
        "a=max-message-size:262144\r\n"
    )


def make_negotiation(seed=1, *, wants_data=False, **config):
    """An end in state stable, of an application for data only where nothing else is said."""
    config.setdefault("accepts_media", False)
    negotiation = Negotiation(NegotiationConfig(**config), entropy=SeededEntropy(seed))
    if wants_data:
        negotiation.request_data()
    return negotiation


@attrs.define
class Ends:
    """Two ends and their transports; `run` makes one exchange between them."""

    a: Negotiation
    b: Negotiation
    a_transport: LocalTransport
    b_transport: LocalTransport

    def run(self, *, is_from_a=True):
        """One offer and its answer; what each of the four steps has changed comes back, and the two descriptions."""
        offerer, offer_transport = (self.a, self.a_transport) if is_from_a else (self.b, self.b_transport)
        answerer, answer_transport = (self.b, self.b_transport) if is_from_a else (self.a, self.a_transport)
        offer = offerer.create_offer(offer_transport)
        changes = [offerer.apply_local(offer), answerer.apply_remote(offer)]
        answer = answerer.create_answer(answer_transport)
        changes += [answerer.apply_local(answer), offerer.apply_remote(answer)]
        return offer, answer, changes


def make_ends(*, wants_data=True, **config):
    """Two ends that have not exchanged anything; `a` wants data where nothing else is said."""
    return Ends(
        make_negotiation(1, wants_data=wants_data, **config),
        make_negotiation(2, **config),
        make_transport("a"),
        make_transport("b"),
    )


@pytest.fixture(scope="session")
def transport():
    return make_transport


@pytest.fixture(scope="session")
def negotiation():
    return make_negotiation


@pytest.fixture
def ends():
    """Two ends that have not exchanged anything."""
    return make_ends()


@pytest.fixture
def connected():
    """Two ends after one exchange, offered by `a`."""
    ends = make_ends()
    ends.run()
    return ends


@pytest.fixture(scope="session")
def new_ends():
    return make_ends


@pytest.fixture(scope="session")
def load():
    """Reads a stored description as an offer, or as another type."""
    return lambda name, kind="offer": Description(kind, (VECTORS / f"{name}.sdp").read_bytes().decode())


@pytest.fixture(scope="session")
def edit():
    """Replaces text in a description; what is replaced must be there."""

    def apply(description, *changes):
        sdp = description.sdp
        for old, new in changes:
            assert old in sdp
            sdp = sdp.replace(old, new)
        return Description(description.type, sdp)

    return apply


@pytest.fixture(scope="session")
def snapshot():
    """Everything of a negotiation that can be seen."""

    def take(negotiation):
        return (
            negotiation.state,
            negotiation.current_local_description,
            negotiation.current_remote_description,
            negotiation.pending_local_description,
            negotiation.pending_remote_description,
            negotiation.transport,
            negotiation.local_credentials,
            negotiation.data_section,
            negotiation.can_trickle,
            negotiation.is_negotiation_needed,
        )

    return take
