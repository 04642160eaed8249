"""What the agent's documents say of a turn, and how the model is shown it."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from media_server.agents import KNOWLEDGE_TOOL, Agent, Tool, client_tool
from media_server.events import KnowledgeSource, KnowledgeUsed
from media_server.knowledge import Found

__all__ = ["offered", "shown", "specs", "used"]

_SEARCH = client_tool(
    KNOWLEDGE_TOOL,
    "",
    {"properties": {"query": {"type": "string", "description": "words to search for"}}, "required": ["query"]},
    speculative=True,
)


def offered(agent: Agent, search: Callable[[str], Awaitable[str]] | None = None) -> list[Tool]:
    """The agent's tools, with the one that searches its documents where it has that; `search` is what this does."""
    if not agent.knowledge or agent.knowledge_use != "tool":
        return list(agent.tools)
    return [*agent.tools, replace(_SEARCH, description=agent.knowledge_description, function=search)]


def specs(agent: Agent) -> str:
    """The agent's tools as the engine takes them; empty without."""
    tools = offered(agent)
    return json.dumps([t.spec for t in tools], ensure_ascii=False) if tools else ""


def shown(found: Sequence[Found]) -> str:
    """Passages as the model reads them: as the result of a search, which every template for tools can express."""
    return "\n\n".join(f"{f.title}: {f.text}" if f.title else f.text for f in found)


def used(turn_id: str, query: str, found: Sequence[Found]) -> KnowledgeUsed:
    sources = tuple(KnowledgeSource(f.file, f.title, f.score) for f in found)
    return KnowledgeUsed(turn_id, query, sources)
