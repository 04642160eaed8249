"""Agents that a server has without a file: one to talk to, and one that shows tools at work in a simulated home."""

from __future__ import annotations

from typing import Any

from media_server.agents.agent import Agent
from media_server.agents.tools import client_tool

__all__ = ["DEFAULT_AGENT", "HOME_AGENT"]

DEFAULT_AGENT = Agent(
    "assistant",
    title="Assistant",
    description="A general assistant that answers by voice. Everything runs on this server.",
    examples=("What is seven plus five?", "My name is Olivia.", "What can you do?"),
    color="#0d9488",
)


def _schema(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_ROOM = {"type": "string", "description": "which room"}
_TIMEOUT_S = 5

HOME_AGENT = Agent(
    "home",
    prompt="You are Max. Be brief.",
    title="Simulated home",
    description="Switches lights, heating and blinds in a home that this page simulates, to show tools at work.",
    examples=(
        "Turn on the light in the kitchen.",
        "Set the bedroom to twenty degrees.",
        "Turn off the light in the living room.",
    ),
    color="#d97706",
    tools=(
        client_tool(
            "set_light",
            "Turn a light on or off",
            _schema(room=_ROOM, state={"type": "string", "enum": ["on", "off"]}),
            timeout_s=_TIMEOUT_S,
        ),
        client_tool(
            "set_temperature",
            "Set the temperature of a room",
            _schema(room=_ROOM, degrees={"type": "integer", "description": "temperature in degrees"}),
            timeout_s=_TIMEOUT_S,
        ),
        client_tool(
            "set_blinds",
            "Open or close the blinds",
            _schema(room=_ROOM, state={"type": "string", "enum": ["open", "closed"]}),
            timeout_s=_TIMEOUT_S,
        ),
    ),
)
