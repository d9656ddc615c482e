"""What a router reads of an agent, and credentials that both ends know from elsewhere."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.ice import Agent, IceConfig, Role
from sans_rtc.testing import SeededEntropy

UFRAG, PWD = "libp2p+webrtc+v1/abcdef", "libp2p+webrtc+v1/abcdef"


def make_agent(**config):
    return Agent(IceConfig(**config), role=Role.CONTROLLED, entropy=SeededEntropy(1))


def test_given_credentials_are_those_of_the_first_generation():
    parameters = make_agent(local_ufrag=UFRAG, local_pwd=PWD).local_parameters
    assert (parameters.ufrag, parameters.pwd) == (UFRAG, PWD)


def test_restart_draws_new_credentials_where_the_first_were_given():
    """RFC 8445 section 9: an agent that restarts changes both its password and its user name fragment."""
    agent = make_agent(local_ufrag=UFRAG, local_pwd=PWD)
    agent.restart(0.0)
    assert agent.local_parameters.ufrag != UFRAG
    assert agent.local_parameters.pwd != PWD


@pytest.mark.parametrize(
    "fields",
    [
        {"local_ufrag": UFRAG},
        {"local_pwd": PWD},
        {"local_ufrag": "abc", "local_pwd": PWD},
        {"local_ufrag": "ab:cd", "local_pwd": PWD},
        {"local_ufrag": UFRAG, "local_pwd": "short"},
        {"local_ufrag": "with-a-hyphen", "local_pwd": PWD},
        {"local_ufrag": "a" * 251, "local_pwd": PWD},
    ],
)
def test_credentials_that_cannot_be(fields):
    with pytest.raises(InvalidArgument):
        IceConfig(**fields)


def test_given_password_is_not_in_the_repr():
    assert "secret" not in repr(IceConfig(local_ufrag=UFRAG, local_pwd="secret" * 4))


def test_both_generations_are_addressed_by_their_fragments_during_a_restart():
    agent = make_agent()
    first = agent.local_parameters.ufrag
    revision = agent.revision
    agent.restart(0.0)
    assert set(agent.local_ufrags) == {first, agent.local_parameters.ufrag}
    assert agent.revision > revision
