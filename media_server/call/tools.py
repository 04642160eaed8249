"""Running the tools that the model calls: here or in the client, side by side, each within its time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from media_server import events as e
from media_server.agents import Call, Tool, ToolAnswer, ToolRefusal
from media_server.agents.running import said_of
from media_server.engines.messages import ToolCall
from media_server.tasks import Awaited

__all__ = ["Returned", "ToolRunner", "told_of"]

log = logging.getLogger(__name__)

DELAYED_S = 3.0
"""Seconds after which a tool counts as slow."""
MAX_RESULT = 4000
"""Characters that the model is shown of a result."""
WORKED = frozenset({"", "ok", "okay", "done", "success"})
"""Results that say nothing but that it worked."""
INTERRUPTED = "The caller interrupted; whether it was done is not known."


@dataclass(frozen=True, slots=True)
class Returned:
    """What a tool returned, as the model is shown it (JSON)."""

    content: str
    ephemeral: bool
    silent: bool = False
    """The model need not say anything to it."""
    refused: bool = False
    """There is no such tool, or the arguments do not fit: nothing was run, and the model has to call again."""


class _Refused(ToolAnswer):
    """The answer to a call that was not run."""

    __slots__ = ()


def told_of(answer: ToolAnswer) -> str:
    """An answer as the model is shown it, in JSON."""
    result = {"error": answer.error} if answer.error else answer.result
    if result is None or result is True or (isinstance(result, str) and result.strip(" .!").casefold() in WORKED):
        # small models read a bare word out as their whole answer, and make a sentence of what they did out of this
        result = {"ok": True}
    content = json.dumps(result, ensure_ascii=False)
    return content if len(content) <= MAX_RESULT else json.dumps({"cut_off": content[:MAX_RESULT]}, ensure_ascii=False)


class ToolRunner:
    """A call's tools. `run` never raises for what a tool does wrong: the model is told, and may do better.

    Args:
        call: as tools are given it.
    """

    def __init__(self, call: Call) -> None:
        self.working = False
        """Whether tools are being run."""
        self._call = call
        self._answers: Awaited[str, e.ToolResult] = Awaited()
        """The client's answers, by the id of the tool call that waits for each."""

    async def run(
        self,
        calls: Sequence[ToolCall],
        tools: Sequence[Tool],
        emit: Callable[[e.Event], object],
        returned: dict[str, Returned],
    ) -> None:
        """Run the calls side by side. When cancelled, those still under way are, and the client is told.

        Args:
            emit: takes the events.
            returned: filled with each call's result, by its id, as soon as the call ends: a call that has ended keeps
                its result when others are cancelled.
        """
        by_name = {t.name: t for t in tools}

        async def one(call: ToolCall) -> None:
            returned[call.id] = await self._one(call, by_name.get(call.name), emit)

        self.working = True
        try:
            async with asyncio.TaskGroup() as group:
                for call in calls:
                    group.create_task(one(call), name=f"tool-{call.name}")
        finally:
            self.working = False

    def answered(self, message: e.ToolResult) -> bool:
        """Take the client's answer; whether anybody waits for it."""
        return self._answers.answer(message.id, message)

    async def _one(self, call: ToolCall, tool: Tool | None, emit: Callable[[e.Event], object]) -> Returned:
        runs_at: Literal["server", "client"] = "client" if tool and tool.function is None else "server"
        ephemeral = tool is not None and tool.ephemeral
        if tool:
            call = ToolCall(call.id, call.name, tool.fitted(call.arguments))
        # of what is ephemeral only a client that has to run it is told more than the name
        shown = None if ephemeral and runs_at == "server" else json.loads(call.arguments)
        emit(e.ToolCalled(call.id, call.name, shown, runs_at, ephemeral or None))
        answer = ToolAnswer(error=INTERRUPTED)
        slow = asyncio.get_running_loop().call_later(
            DELAYED_S, lambda: emit(e.ToolDelayed(call.id, call.name, DELAYED_S))
        )
        try:
            answer = await self._answer(call, tool)
            ephemeral = ephemeral or answer.ephemeral
        finally:
            slow.cancel()
            seen = None if ephemeral else answer.result
            emit(e.ToolReturned(call.id, seen, answer.error or None, ephemeral or None))
        return Returned(told_of(answer), ephemeral, answer.silent, isinstance(answer, _Refused))

    async def _answer(self, call: ToolCall, tool: Tool | None) -> ToolAnswer:
        """What the tool says, or what went wrong with it."""
        if tool is None:
            return _Refused(error=f"There is no tool called {call.name}.")
        try:
            arguments = tool.check(call.arguments)
            async with asyncio.timeout(tool.timeout_s) as deadline:
                if tool.function is None:
                    return await self._ask_client(call.id)
                return await _on_its_own(tool.run(arguments, self._call))
        except ToolRefusal as refusal:
            return _Refused(error=said_of(refusal))
        except Exception as failed:  # whatever a developer's code raises is for the model to know and the log
            if isinstance(failed, TimeoutError) and deadline.expired():
                return ToolAnswer(error=f"{tool.name} did not answer within {tool.timeout_s:g} seconds.")
            log.exception("the tool %s failed in call %s", tool.name, self._call.id)
            return ToolAnswer(error=said_of(failed))

    async def _ask_client(self, call_id: str) -> ToolAnswer:
        answer = await self._answers.wait(call_id)
        return ToolAnswer(answer.result, answer.error or "", silent=answer.silent)


async def _on_its_own(work: Coroutine[Any, Any, ToolAnswer]) -> ToolAnswer:
    """The answer of a developer's code, in a task of its own: only so can a `CancelledError` that the code raises (of a
    connection that was closed, a task that was cancelled elsewhere) be told from the caller's interruption.

    Raises:
        RuntimeError: the code ended in a `CancelledError` although nothing here cancelled it, or in a `GeneratorExit`.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is None:
            return task.result()  # it came to its end all the same: what it did is known
        raise
    if task.cancelled():
        raise RuntimeError("it was cancelled before it was done")
    if isinstance(task.exception(), GeneratorExit):
        raise RuntimeError("it raised GeneratorExit")
    return task.result()
