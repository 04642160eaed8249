"""A self-hosted, fully offline WebRTC voice server. What a developer of agents imports, and its version.

    from media_server import Agent, Call, tool

    @tool
    def get_order_status(order_id: str) -> str:
        "Get the status of an order."
        return "shipped"

    desk = Agent("desk", prompt="You are Mara. Be concise.", greeting="Hello!", tools=[get_order_status])

    @desk.on("call.started")
    async def welcome(call: Call) -> None:
        await call.say("This call is not recorded.")

`Agent` answers calls, `Call` is a call under way, `tool` makes a function callable by the model, `client_tool` is run
by the page, and a tool that returns a `ToolAnswer` says more than its result. `media_server.testing` tests agents in
real calls, and `media_server.client` makes tokens for pages. Agents are served with `media-server serve FOLDER`.
"""

import os
from typing import TYPE_CHECKING, Any

# ONNX Runtime from 1.29 on reports its use to its maker, from C++ where nothing in Python sees it. It reads this
# variable when it is loaded, in this process and in those of the engines, so it is set before anything else.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from media_server.agents import Agent, Call, Skill, Tool, ToolAnswer, client_tool, tool

__all__ = ["Agent", "Call", "Skill", "Tool", "ToolAnswer", "__version__", "client_tool", "tool"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # only when asked for: the engines' processes have no use for it
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from media_server import agents

    return getattr(agents, name)
