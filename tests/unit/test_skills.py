"""An agent has a skill's instructions and tools while it is loaded."""

from __future__ import annotations

from typing import Any

import pytest

from media_server.agents import Agent, Skill, client_tool, with_skills

BOOK = client_tool("book", "Book a slot")
BOOKING = Skill("booking", "Reserve appointments", "Confirm the time.", [BOOK])
VIP = Skill("vip", "For important people", "Be very polite.", activation="manual")
HOUSE = Skill("house", "How we speak", "Speak plainly.", activation="always")
AGENT = Agent("mara", "You are Mara.", tools=[client_tool("bye", "End the call")], skills=(BOOKING, VIP, HOUSE))


def names(agent: Agent) -> list[str]:
    return [t.name for t in agent.tools]


def test_an_agent_without_skills_is_as_it_is() -> None:
    agent = Agent("mara", "You are Mara.")
    assert with_skills(agent, ["booking"]) is agent


def test_what_is_not_loaded_is_only_offered() -> None:
    shown = with_skills(AGENT, ())
    assert names(shown) == ["bye", "loadSkill", "unloadSkill"]
    assert "Confirm the time." not in shown.prompt
    assert "Speak plainly." in shown.prompt
    load = shown.tools[1]
    assert "booking: Reserve appointments" in load.description
    assert load.parameters["properties"]["name"]["enum"] == ["booking"], "the other is not the model's to load"


def test_what_is_loaded_is_there() -> None:
    shown = with_skills(AGENT, ("booking", "vip", "of another version"))
    assert names(shown) == ["bye", "book", "loadSkill", "unloadSkill"]
    assert "Confirm the time." in shown.prompt
    assert "Be very polite." in shown.prompt


@pytest.mark.parametrize(
    "wrong",
    [
        {"skills": (BOOKING, BOOKING)},
        {"skills": ({"name": "a b", "description": "x"},)},
        {"skills": ({"name": "a", "description": "x", "activation": "never"},)},
    ],
)
def test_skills_that_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="skills"):
        Agent("mara", **wrong)


def test_a_skill_of_a_file_has_tools_of_the_client() -> None:
    table = {"name": "a", "description": "x", "tools": [{"name": "look", "description": "Look it up"}]}
    (skill,) = Agent("mara", skills=(table,)).skills  # type: ignore[arg-type]
    assert (skill.tools[0].name, skill.tools[0].function) == ("look", None)
