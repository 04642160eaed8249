"""Who answers: versions of an agent, and what a call, its code and its client change about it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from media_server.agents import Agent, Skill, tool
from media_server.call.persona import MAX_CONTEXT, Persona
from media_server.call.services import Services
from media_server.terms import Terms, ToolTerms

MARA = Agent("mara", prompt="You are {{name}}.", greeting="Hello {{name}}.", client_settings=frozenset({"voice"}))


class Registry:
    """The newest versions of agents, and a pack with one voice."""

    def __init__(self, *agents: Agent) -> None:
        self.agents = {agent.name: agent for agent in agents}

    def persona(self, agent: Agent, **terms: Any) -> Persona:
        engines: Any = SimpleNamespace(voices={"calm": None})
        absent: Any = None
        return Persona(agent, Terms(**terms), Services(self.agents.get, engines, absent, absent))


def test_variables_fill_the_agent_and_stay_when_it_is_renewed() -> None:
    registry = Registry(MARA)
    persona = registry.persona(MARA, variables={"name": "Mara"})
    assert (persona.agent.prompt, persona.agent.greeting) == ("You are Mara.", "Hello Mara.")
    persona.set_variables({"name": "Maria"})
    registry.agents["mara"] = replace(MARA, prompt="I am {{name}}.")
    assert persona.agent.prompt == "You are Maria."
    persona.renew()
    assert persona.agent.prompt == "I am Maria."


def test_changes_outlast_a_new_version_but_not_a_hand_over() -> None:
    registry = Registry(MARA, Agent("billing", prompt="You bill."))
    persona = registry.persona(MARA, changes={"prompt": "Be brief."})
    persona.change({"temperature": 0.1})
    registry.agents["mara"] = replace(MARA, max_reply_tokens=7)
    persona.renew()
    assert (persona.agent.prompt, persona.agent.temperature, persona.agent.max_reply_tokens) == ("Be brief.", 0.1, 7)
    assert persona.hand_over("billing")
    assert persona.agent.prompt == "You bill."


def test_an_agent_of_another_tenant_is_nobodys_version_and_nobodys_successor() -> None:
    registry = Registry(replace(MARA, tenant="acme", prompt="Not yours."), Agent("billing", tenant="acme"))
    persona = registry.persona(MARA)
    persona.renew()
    assert persona.agent.prompt != "Not yours."
    assert not persona.hand_over("billing")
    assert not persona.hand_over("nobody")
    assert persona.agent.name == "mara"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": "other"}, "name cannot be changed"),
        ({"tenant": "acme", "handlers": None}, "handlers and tenant cannot be changed"),
        ({"promt": "x"}, "promt"),
        ({"voice": "loud"}, "no voice 'loud'"),
        ({"max_reply_tokens": -1}, "max_reply_tokens"),
    ],
)
def test_what_an_agent_cannot_have_changes_nothing(change: dict[str, Any], why: str) -> None:
    persona = Registry(MARA).persona(MARA)
    before = persona.agent
    with pytest.raises(ValueError, match=why):
        persona.change(change)
    assert persona.agent == before


def test_a_changed_greeting_is_said_in_every_language() -> None:
    agent = replace(MARA, greetings={"de": "Guten Tag."})
    persona = Registry(agent).persona(agent, changes={"greeting": "Ahoy."})
    assert (persona.agent.greeting, persona.agent.greetings) == ("Ahoy.", {})


def test_a_client_changes_what_it_may_and_is_told_the_rest() -> None:
    persona = Registry(MARA).persona(MARA)
    assert persona.change_for_client({"voice": "calm"}) == []
    assert persona.agent.voice == "calm"
    wrong = persona.change_for_client({"language": "de", "voice": "loud"})
    assert wrong == ["language: not for clients to change", "the model pack has no voice 'loud'"]
    assert persona.agent.voice == "calm"


def test_the_model_knows_what_the_client_has_it_know() -> None:
    persona = Registry(MARA).persona(MARA, variables={"name": "Mara"})
    persona.set_context("cart", "two shoes")
    persona.set_context("page", "checkout")
    assert persona.agent.prompt == "You are Mara.\n\ncart: two shoes\npage: checkout"
    persona.set_context("cart", None)
    assert persona.agent.prompt == "You are Mara.\n\npage: checkout"
    with pytest.raises(ValueError, match="'all' is not known to the model"):
        persona.set_context("all", "x" * MAX_CONTEXT)
    assert persona.agent.prompt == "You are Mara.\n\npage: checkout"
    persona.set_context("page", None)
    assert persona.agent.prompt == "You are Mara."


def test_skills_are_loaded_once_and_kept_by_a_new_version() -> None:
    agent = replace(MARA, skills=(Skill("refunds", "Refunds.", "Ask for the receipt.", activation="manual"),))
    registry = Registry(agent)
    persona = registry.persona(agent)
    assert [persona.load("refunds"), persona.load("refunds")] == [True, False]
    registry.agents["mara"] = replace(agent, max_reply_tokens=9)
    persona.renew()
    assert "Ask for the receipt." in persona.agent.prompt
    assert [persona.unload("refunds"), persona.unload("refunds")] == [True, False]
    assert "Ask for the receipt." not in persona.agent.prompt
    with pytest.raises(ValueError, match="no skill 'parking'"):
        persona.load("parking")


def test_a_clients_tool_does_not_take_the_place_of_the_agents_own() -> None:
    async def lookup(city: str) -> str:
        """Tell the weather."""
        return city

    agent = replace(MARA, tools=(tool(lookup),))
    other = ToolTerms(name="paint", description="Paints.", parameters={"type": "object", "properties": {}}, timeout_s=5)
    imitation = ToolTerms(
        name="lookup", description="Mine.", parameters={"type": "object", "properties": {}}, timeout_s=5
    )
    persona = Registry(agent).persona(agent, tools=(imitation, other))
    assert [(tool.name, tool.description) for tool in persona.agent.tools] == [
        ("lookup", "Tell the weather."),
        ("paint", "Paints."),
    ]
