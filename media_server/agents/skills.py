"""Skills: instructions and tools that an agent has only while it needs them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, InstanceOf
from pydantic.dataclasses import dataclass as validated_dataclass

from media_server.agents.tools import NAME, Tool, as_tool, remote_tool
from media_server.jsonable import sound

if TYPE_CHECKING:
    from media_server.agents.agent import Agent

__all__ = ["Folders", "Skill", "with_skills"]

LOAD, UNLOAD = "loadSkill", "unloadSkill"
LOAD_TIMEOUT_S = 5.0


def _several(given: Any) -> Any:
    """One folder, or none, as a list of them."""
    if given is None:
        return ()
    return (given,) if isinstance(given, str | Path) else given


Folders = Annotated[tuple[Path, ...], BeforeValidator(_several), Field(max_length=20)]
"""Folders of documents."""


@validated_dataclass(frozen=True, slots=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class Skill:
    """Something that an agent can do, and need not know of until it is asked for.

    Args:
        name: letters, digits, `-` and `_`.
        description: tells the model when to load it.
        instructions: added to the prompt while it is loaded.
        tools: offered to the model while it is loaded.
        activation: who loads it: the model, an agent's code (`manual`), or nobody, since it is there `always`.
        knowledge: a folder of documents, or several, that answers may draw on while it is loaded.
    """

    name: Annotated[str, Field(pattern=NAME)]
    description: str
    instructions: str = ""
    tools: Sequence[Annotated[InstanceOf[Tool], BeforeValidator(as_tool)]] = ()
    activation: Literal["model", "manual", "always"] = "model"
    knowledge: Folders = ()


def with_skills(agent: Agent, loaded: Collection[str]) -> Agent:
    """The agent as the model is shown it: with the instructions and tools of what is loaded, and with the tools by
    which the model loads and unloads skills itself.
    """
    if not agent.skills:
        return agent
    active = [s for s in agent.skills if s.activation == "always" or s.name in loaded]
    menu = [s for s in agent.skills if s.activation == "model"]
    tools = {t.name: t for t in (*agent.tools, *(t for s in active for t in s.tools), *_menu_tools(menu))}
    told = [f"# {s.name}\n{sound(s.instructions)}" for s in active if s.instructions]
    if menu:
        told.append(f"Before you help with something that a skill is for, call {LOAD}; call {UNLOAD} when it is done.")
    folders = tuple(dict.fromkeys((*agent.knowledge, *(folder for s in active for folder in s.knowledge))))
    prompt = "\n\n".join([agent.prompt, *told])
    return replace(agent, tools=list(tools.values()), prompt=prompt, knowledge=folders)


def _menu_tools(menu: Sequence[Skill]) -> list[Tool]:
    if not menu:
        return []
    names = {"type": "string", "enum": [s.name for s in menu]}
    parameters = {"type": "object", "properties": {"name": names}, "required": ["name"]}
    skills = "; ".join(f"{s.name}: {s.description}" for s in menu)

    async def load(_call: Any, name: str) -> dict[str, Any]:
        _call.load_skill(name, by="model")
        return {"loaded": name}

    async def unload(_call: Any, name: str) -> dict[str, Any]:
        _call.unload_skill(name, by="model")
        return {"unloaded": name}

    return [
        remote_tool(LOAD, f"Load a skill, from the next turn on. {skills}", parameters, load, LOAD_TIMEOUT_S),
        remote_tool(UNLOAD, "Unload a skill that is not needed any more", parameters, unload, LOAD_TIMEOUT_S),
    ]
