"""Every machine of the core has the one interface of `sans_rtc.machine.Machine`, by signature.

What the machines *do* is checked by the property tests; here it is that nobody invents a second way to drive one.
"""

import inspect

import pytest

from sans_rtc import dtls, ice, sctp
from sans_rtc.machine import Machine
from sans_rtc.mdns import Querier, Responder
from sans_rtc.media import RtpSession
from sans_rtc.peer import Mux, PeerConnection
from sans_rtc.stun import BehaviorDiscovery, BindingClient
from sans_rtc.turn import Client as TurnClient
from sans_rtc.turn.server import Server as TurnServer

MACHINES = [
    BehaviorDiscovery,
    BindingClient,
    TurnClient,
    TurnServer,
    ice.Agent,
    dtls.Connection,
    sctp.Association,
    Querier,
    Responder,
    PeerConnection,
    Mux,
    RtpSession,
]
INTERFACE = {
    "receive": ["self", "datagram", "now"],
    "handle_timer": ["self", "now"],
    "close": ["self", "now"],
    "take_datagrams": ["self", "now"],
    "take_events": ["self"],
}
READS = ["deadline", "is_terminated"]


def public_methods(machine):
    return [(name, f) for name, f in inspect.getmembers(machine, inspect.isfunction) if not name.startswith("_")]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("method", INTERFACE)
def test_machine_has_the_method_with_these_arguments(machine, method):
    assert list(inspect.signature(getattr(machine, method)).parameters) == INTERFACE[method]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("read", READS)
def test_machine_has_the_read_as_a_property(machine, read):
    assert isinstance(inspect.getattr_static(machine, read), property)


@pytest.mark.parametrize("machine", MACHINES)
def test_now_is_always_the_last_argument(machine):
    """What may be left out, by keyword, stands behind it."""
    for name, function in public_methods(machine):
        kinds = inspect.signature(function).parameters
        parameters = [name for name, parameter in kinds.items() if parameter.kind is not parameter.KEYWORD_ONLY]
        assert "now" not in parameters[:-1], f"{machine.__name__}.{name}{parameters}"


@pytest.mark.parametrize("machine", MACHINES)
def test_constructor_takes_entropy_without_default_and_no_now(machine):
    parameters = inspect.signature(machine).parameters
    assert parameters["entropy"].default is inspect.Parameter.empty
    assert "now" not in parameters


@pytest.mark.parametrize("machine", MACHINES)
def test_every_public_method_says_what_it_does(machine):
    bare = [name for name, function in public_methods(machine) if not inspect.getdoc(function)]
    assert bare == []


def test_every_class_that_looks_like_a_machine_is_listed_here(core_packages):
    found = set()
    for module in core_packages.values():
        for _, member in inspect.getmembers(module, inspect.isclass):
            if member.__module__.startswith("sans_rtc.testing") or member is Machine:
                continue
            if all(hasattr(member, name) for name in [*INTERFACE, *READS]):
                found.add(member)
    assert found - set(MACHINES) == set()
