"""Who answers a call: a version of an agent, and what this call changes about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from media_server.agents import Agent, with_skills
from media_server.call.services import Services
from media_server.terms import Terms

__all__ = ["MAX_CONTEXT", "Persona"]

MAX_CONTEXT = 20_000
"""Maximum characters of all that a client has the model know, with the keys."""
_FIXED = {"name", "tenant", "handlers", "comfort_sound"}

Value = str | int | float | bool


class Persona:
    """The agent of one call, built anew from its newest version whenever something about it changes.

    Args:
        agent: the version that answers first.
        terms: what is agreed on for the call: variables, changed settings, the client's tools.
        services: knows the newest version of each agent, and the voices that there are.

    Raises:
        ValueError: the terms change what an agent cannot have.
    """

    def __init__(self, agent: Agent, terms: Terms, services: Services) -> None:
        self.variables: Mapping[str, Value] = terms.variables
        self.skills: Sequence[str] = ()
        """The names of the skills that are loaded."""
        self._services = services
        self._version = agent
        self._changes: dict[str, Any] = {}
        self._context: dict[str, str] = {}
        self.agent = with_skills(agent.filled_in(self.variables), ())
        """The agent as it is now: with everything that the call changes."""
        if changes := _changes(agent, terms):
            self._build(agent, changes)

    def renew(self) -> None:
        """Take over the newest version of the agent, if there is one."""
        latest = self._services.latest(self._version.name)
        # another tenant's agent of the same name is no version of this one
        if latest and latest is not self._version and latest.tenant == self._version.tenant:
            self._build(latest, self._changes)

    def hand_over(self, name: str) -> bool:
        """Go on as the agent of this name; False where the tenant has none."""
        agent = self._services.latest(name)
        if agent is None or agent.tenant != self.agent.tenant:
            return False  # nobody is told what others have
        self._build(agent, {})
        return True

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change settings of the agent for this call.

        Raises:
            ValueError: a setting that cannot be changed, or a value that an agent cannot have.
        """
        if fixed := changes.keys() & _FIXED:
            raise ValueError(f"{' and '.join(sorted(fixed))} cannot be changed")
        self._build(self._version, {**self._changes, **changes})

    def change_for_client(self, wanted: Mapping[str, Any]) -> Sequence[str]:
        """Change what the client may choose, one setting after the other; why those that were not changed were not."""
        allowed: Collection[str] = self.agent.client_settings
        wrong = [f"{name}: not for clients to change" for name in sorted(wanted.keys() - allowed)]
        for name in sorted(wanted.keys() & allowed):
            try:
                self.change({name: wanted[name]})
            except ValueError as unfit:
                wrong.append(str(unfit))
        return wrong

    def set_variables(self, variables: Mapping[str, Value]) -> None:
        """Fill prompt and greeting with these values too."""
        self.variables = {**self.variables, **variables}
        self._build(self._version, self._changes)

    def set_context(self, key: str, value: str | None) -> None:
        """Have the model know this, until it is set anew; None takes it back.

        Raises:
            ValueError: everything under all keys is longer than `MAX_CONTEXT`.
        """
        context = {k: v for k, v in self._context.items() if k != key} | ({} if value is None else {key: value})
        if value is not None and sum(len(k) + len(v) for k, v in context.items()) > MAX_CONTEXT:
            raise ValueError(f"{key!r} is not known to the model: more than {MAX_CONTEXT} characters in all")
        self._context = context
        self._build(self._version, self._changes)

    def load(self, skill: str) -> bool:
        """Load a skill; False if it was loaded before.

        Raises:
            ValueError: the agent has no such skill.
        """
        self._require(skill)
        if skill in self.skills:
            return False
        self._set_skills([*self.skills, skill])
        return True

    def unload(self, skill: str) -> bool:
        """Unload a skill; False if it was not loaded.

        Raises:
            ValueError: the agent has no such skill.
        """
        self._require(skill)
        if skill not in self.skills:
            return False
        self._set_skills([each for each in self.skills if each != skill])
        return True

    def _require(self, skill: str) -> None:
        if skill not in [s.name for s in self.agent.skills]:
            raise ValueError(f"the agent {self.agent.name} has no skill {skill!r}")

    def _set_skills(self, skills: Sequence[str]) -> None:
        self.skills = tuple(skills)
        self._build(self._version, self._changes)

    def _build(self, version: Agent, changes: dict[str, Any]) -> None:
        if "greeting" in changes:
            changes = {"greetings": {}, **changes}  # else that of the language would be said
        try:
            agent = replace(version, **changes).filled_in(self.variables)
            agent = with_skills(agent, self.skills)
            if known := [f"{key}: {value}" for key, value in self._context.items()]:
                agent = replace(agent, prompt="\n".join([agent.prompt, "", *known]))
        except TypeError as unknown:
            raise ValueError(str(unknown)) from unknown
        if agent.voice and agent.voice not in self._services.engines.voices:
            raise ValueError(f"the model pack has no voice {agent.voice!r}")
        self.agent, self._version, self._changes = agent, version, changes


def _changes(agent: Agent, terms: Terms) -> dict[str, Any]:
    """The settings of the agent that the terms change; tools of the client do not take the place of the agent's own."""
    names = {tool.name for tool in agent.tools}
    tools = [tool for tool in (each.tool() for each in terms.tools) if tool.name not in names]
    return terms.changes | ({"tools": [*agent.tools, *tools]} if tools else {})
