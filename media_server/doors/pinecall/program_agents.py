"""Agents as programs describe them: made into agents of this server, whose code runs in the program."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any, Protocol

from pydantic import ValidationError

from media_server.agents import Agent, Call, Handlers, Tool, ToolAnswer, remote_tool
from media_server.doors.pinecall import program_messages as p
from media_server.errors import ClientError, problems

__all__ = ["OFFLINE", "FindLeader", "Leader", "Refused", "made"]

TOOL_TIMEOUT_S = 30.0
OFFLINE = "agent offline"


class Refused(ClientError):
    """A refusal with fields of its own, beside code and message."""

    def __init__(self, code: str, message: str, **fields: Any) -> None:
        super().__init__(code, message)
        self.fields = fields


class Leader(Protocol):
    """A program, as the agents that it leads use it."""

    async def run_tool(self, call: Call, name: str, arguments: dict[str, Any]) -> ToolAnswer:
        """Have the program run one of its tools."""
        ...

    def answer(self, call: Call) -> AsyncGenerator[str, None]:
        """The pieces of the program's answer to a turn."""
        ...

    async def ring(self, call: Call) -> None:
        """Ask the program whether it takes a call."""
        ...

    async def prepare(self, call: Call) -> None:
        """Let the program put things right before the model is asked."""
        ...


FindLeader = Callable[[], Leader | None]


def made(
    wanted: p.AgentCreate | p.AgentConfigure, before: Agent, find: FindLeader, has_voice: Callable[[str], bool]
) -> tuple[Agent, list[str]]:
    """The agent as a program wants it, and what of it there is no use for here.

    Args:
        before: the agent as it was.
        find: finds the program that leads the agent at the time: one that was away may be back.
        has_voice: whether the model pack has a voice of this name.

    Raises:
        Refused: it cannot be so.
    """
    limits = wanted.session_limits or p.SessionLimits()
    given: dict[str, Any] = {
        "prompt": wanted.prompt,
        "greeting": wanted.greeting,
        "variables": wanted.vars,
        "language": wanted.language.lower().split("-")[0] if wanted.language else None,
        "allowed_origins": None if wanted.allowed_origins is None else tuple(wanted.allowed_origins),
        "max_duration_s": limits.max_duration_seconds,
        "idle_s": limits.idle_timeout_seconds,
        "idle_hang_up_s": limits.idle_grace_seconds,
    }
    changes = {k: v for k, v in given.items() if v is not None}
    unused = [
        f"{name}: {value!r}: the model pack's own is used"
        for name in ("stt", "llm")
        if isinstance(value := getattr(wanted, name), str) and not value.startswith("local")
    ]
    if wanted.voice is not None:
        named = str(wanted.voice)
        if has_voice(named):
            changes["voice"] = named
        else:
            unused.append(f"voice: {named!r}: the usual voice is used")
    unused += [f"{n}: there is none here" for n in ("knowledge_base", "interruption", "media") if getattr(wanted, n)]
    if wanted.tools is not None:
        changes["tools"] = [_tool(each, find) for each in wanted.tools]
    if isinstance(wanted, p.AgentCreate):
        changes["handlers"] = _handlers(wanted, find)
    try:
        return replace(before, **changes), unused
    except ValidationError as wrong:
        raise Refused("REGISTRATION_ERROR", f"{problems(wrong)}.") from wrong
    except ValueError as wrong:
        raise Refused("REGISTRATION_ERROR", f"{wrong}.") from wrong


def _tool(shape: p.ToolShape, find: FindLeader) -> Tool:
    name = shape.function.name

    async def run(_call: Call, **arguments: Any) -> ToolAnswer:
        leader = find()
        return await leader.run_tool(_call, name, arguments) if leader else ToolAnswer(error=OFFLINE)

    function = shape.function
    try:
        return remote_tool(name, function.description, function.parameters, run, TOOL_TIMEOUT_S)
    except (ValueError, TypeError, AttributeError) as wrong:
        raise Refused("REGISTRATION_ERROR", f"tools: the parameters of {name}: {wrong}.") from wrong


def _handlers(wanted: p.AgentCreate, find: FindLeader) -> Handlers:
    """What runs at events of its calls."""
    by_event: dict[str, list[Callable[..., Any]]] = {}

    async def ringing(call: Call) -> None:
        if leader := find():
            await leader.ring(call)

    async def preparing(call: Call) -> None:
        if leader := find():
            await leader.prepare(call)

    async def answer(_: str, call: Call) -> AsyncGenerator[str, None]:
        if leader := find():
            async with contextlib.aclosing(leader.answer(call)) as pieces:
                async for piece in pieces:
                    yield piece

    if wanted.ringing:
        by_event["call.ringing"] = [ringing]
    if wanted.preparing:
        by_event["call.preparing"] = [preparing]
    return Handlers(by_event, answer if wanted.llm is None else None)
