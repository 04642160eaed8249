"""A self-hosted, fully offline WebRTC voice server. What a developer of agents imports, and its version."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from media_server.agents import Agent, Call, Tool, ToolAnswer, client_tool, tool

__all__ = ["Agent", "Call", "Tool", "ToolAnswer", "__version__", "client_tool", "tool"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # only when asked for: the engines' processes have no use for it
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from media_server import agents

    return getattr(agents, name)
