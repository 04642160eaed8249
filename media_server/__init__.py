"""A self-hosted, fully offline WebRTC voice server. What a developer of agents imports, and its version."""

import os
from typing import TYPE_CHECKING, Any

# ONNX Runtime from 1.29 on reports its use to its maker, from C++ where nothing in Python sees it. It reads this
# variable when it is loaded, in this process and in those of the engines, so it is set before anything else.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

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
