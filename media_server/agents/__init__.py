"""What a developer of agents works with: agents, their tools, and the call that their code is given."""

from media_server.agents.agent import (
    EMOTIONS,
    KNOWLEDGE_TOOL,
    PRESETS,
    Agent,
    Handlers,
    TurnPreset,
    TurnTaking,
)
from media_server.agents.builtin import DEFAULT_AGENT, HOME_AGENT
from media_server.agents.call import Call, contact_of
from media_server.agents.folder import AgentRegistry, Problem
from media_server.agents.names import agent_name
from media_server.agents.skills import Skill, with_skills
from media_server.agents.tools import Tool, ToolAnswer, ToolRefusal, client_tool, remote_tool, tool
from media_server.agents.zones import zone_of

__all__ = [
    "DEFAULT_AGENT",
    "EMOTIONS",
    "HOME_AGENT",
    "KNOWLEDGE_TOOL",
    "PRESETS",
    "Agent",
    "AgentRegistry",
    "Call",
    "Handlers",
    "Problem",
    "Skill",
    "Tool",
    "ToolAnswer",
    "ToolRefusal",
    "TurnPreset",
    "TurnTaking",
    "agent_name",
    "client_tool",
    "contact_of",
    "remote_tool",
    "tool",
    "with_skills",
    "zone_of",
]
