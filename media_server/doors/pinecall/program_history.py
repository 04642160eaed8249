"""What Pinecall's programs do to the history of a call."""

from __future__ import annotations

import secrets
from typing import Any

from media_server import events as e
from media_server.call.call import Call
from media_server.doors.pinecall import program_messages as p
from media_server.engines.messages import ChatMessage
from media_server.errors import ClientError

__all__ = ["change_history"]


def change_history(message: p.History, call: Call) -> dict[str, Any]:
    """Do what the message wants; what the program is answered.

    Raises:
        ClientError: `BAD_MESSAGE`: it says nothing of what is to be set.
    """
    history, asked = call.history, {"request_id": message.request_id}
    match message.event.removeprefix("history."):
        case "get":
            return {"event": "history.data", **asked, "messages": [_shown(m) for m in history.entries]}
        case "set_vars":
            call.set_variables(**message.vars)
        case "set_instructions" if message.instructions is not None:
            call.update(prompt=message.instructions)
        case "add_context" if message.context is not None:
            key = message.key or secrets.token_hex(4)
            call.receive(e.ContextSet(type="context.set", key=key, value=message.context or None))
        case "add" | "set" | "clear" as what:
            if what != "add":
                history.entries.clear()
            add = {"user": history.add_user, "assistant": history.add_agent, "system": history.add_instruction}
            add["developer"] = add["system"]
            for said in message.messages:
                if said.role in add and said.content:  # what tools answered is known by what was said of it
                    add[said.role](said.content)
        case what:
            raise ClientError("BAD_MESSAGE", f"history.{what}: says nothing of what is to be set.")
    return {"event": "history.updated", **asked, "count": len(history.entries)}


def _shown(message: ChatMessage) -> dict[str, Any]:
    """A message in OpenAI's form."""
    shown: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        functions = [(t.id, {"name": t.name, "arguments": t.arguments}) for t in message.tool_calls]
        shown["tool_calls"] = [{"id": i, "type": "function", "function": function} for i, function in functions]
        shown["content"] = message.content or None
    if message.tool_call_id:
        shown["tool_call_id"] = message.tool_call_id
    return shown
