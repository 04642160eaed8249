"""What one of Pinecall's programs is asked about its calls, and where its answers arrive."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Literal

from media_server.agents import Agent, Call, ToolAnswer, contact_of
from media_server.doors.pinecall import program_messages as p
from media_server.doors.pinecall.program_agents import OFFLINE
from media_server.errors import ClientError

__all__ = ["Channel", "Questions", "channel_of"]

Channel = Literal["webrtc", "chat"]
MAX_UNREADY = 3
"""Turns in a row that a program did not prepare, after which it is not waited for."""


def channel_of(call_id: str) -> Channel:
    """The way by which a call reaches its agent."""
    return "chat" if call_id.startswith("chat-") else "webrtc"


class Questions:
    """Tools to be run, calls to be taken, turns to be prepared and to be answered in the model's place.

    Args:
        send: sends the program a message.
        rings: whether calls that reach this agent in this way are asked about.
    """

    def __init__(self, send: Callable[[Mapping[str, Any]], None], rings: Callable[[str, str], bool]) -> None:
        self._send = send
        self._rings = rings
        self._languages: dict[str, str | None] = {}
        """What each call is held in, as far as the program knows."""
        self._tools: dict[str, asyncio.Future[ToolAnswer]] = {}
        self._verdicts: dict[tuple[str, str], asyncio.Future[str]] = {}
        self._turns: dict[str, asyncio.Queue[str | None]] = {}
        self._unready: dict[str, int] = {}
        """How many turns in a row were not prepared, by call."""

    async def run_tool(self, call: Call, name: str, arguments: dict[str, Any]) -> ToolAnswer:
        """Have the program run a tool."""
        tool_id = f"tool-{secrets.token_hex(6)}"
        called = {"id": tool_id, "name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}
        about = {"agent_id": call.agent.name, "call_id": call.id, "msg_id": tool_id}
        answer: asyncio.Future[ToolAnswer] = asyncio.get_running_loop().create_future()
        self._tools[tool_id] = answer
        self._send({"event": "llm.tool_call", **about, "tool_calls": [called]})
        try:
            return await answer
        finally:
            del self._tools[tool_id]

    async def answer(self, call: Call) -> AsyncGenerator[str, None]:
        """What the program answers in place of the model, in pieces."""
        pieces = self._turns[call.id] = asyncio.Queue()
        try:
            while (piece := await pieces.get()) is not None:
                yield piece
        finally:
            if self._turns.get(call.id) is pieces:
                del self._turns[call.id]

    async def ring(self, call: Call, always: bool) -> None:
        """Ask the program whether to take a call, where it wants to be asked: `always`, or for calls of its way."""
        if not always and not self._rings(call.agent.name, channel_of(call.id)):
            return
        about = {"from": contact_of(call.metadata), "to": call.agent.name}
        verdict = await self._ask(call, "ringing", {"event": "call.ringing", **about})
        if verdict in ("busy", "rejected"):
            self._send({"event": "call.rejected", "agent_id": call.agent.name, "call_id": call.id, "reason": verdict})
            call.reject("busy" if verdict == "busy" else "rejected")

    async def prepare(self, call: Call, wait_s: float, promised: bool) -> None:
        """Let the program set the call right before the model is asked.

        Args:
            promised: it said that it would: it is waited for at each turn, and told where it is late.
        """
        self.tell_language(call.id, call.agent)
        if not promised and self._unready.get(call.id, 0) >= MAX_UNREADY:
            return
        turn = len(call.transcript)
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(wait_s):
                await self._ask(call, "preparing", {"event": "llm.before", "turn": turn})
            self._unready.pop(call.id, None)
        except TimeoutError:
            self._unready[call.id] = self._unready.get(call.id, 0) + 1
            if promised:
                waited_ms = round(1000 * (time.monotonic() - began_s))
                late = {"turn": turn, "waited_ms": waited_ms, "budget_ms": round(1000 * wait_s)}
                of = {"agent_id": call.agent.name, "call_id": call.id}
                self._send({"event": "llm.preparing_timeout", **of, **late})

    def follow(self, call_id: str, language: str | None) -> None:
        """The program knows of a call, and of its language."""
        self._languages[call_id] = language

    def tell_language(self, call_id: str, agent: Agent) -> None:
        """Tell the language that a page has chosen since: a program words its prompts by it."""
        language = agent.language
        if language and language != self._languages.get(call_id):
            of = {"agent_id": agent.name, "call_id": call_id}
            self._send({"event": "call.updated", **of, "language": language})
        self._languages[call_id] = language

    def turn(self, call_id: str) -> asyncio.Queue[str | None] | None:
        """Where the pieces of the answer under way are put, None at its end; None where no answer is waited for."""
        return self._turns.get(call_id)

    def take_results(self, results: Sequence[p.ToolResult]) -> None:
        """Tools were run.

        Raises:
            ClientError: `UNKNOWN_TOOL_CALL`: nobody waits for one of them.
        """
        unknown = []
        for result in results:
            if (waiting := self._tools.get(result.tool_call_id)) is None or waiting.done():
                unknown.append(repr(result.tool_call_id))
            else:
                waiting.set_result(ToolAnswer(result.result, "", result.ephemeral, result.no_followup))
        if unknown:
            raise ClientError("UNKNOWN_TOOL_CALL", f"No tool call {' or '.join(unknown)} waits for a result.")

    def take_verdict(self, call_id: str, what: Literal["ringing", "preparing"], verdict: str) -> None:
        """The program answered; an answer that comes too late is nobody's mistake."""
        if (waiting := self._verdicts.get((call_id, what))) and not waiting.done():
            waiting.set_result(verdict)

    def forget(self, call_id: str) -> None:
        """The call is over."""
        self._unready.pop(call_id, None)
        self._languages.pop(call_id, None)

    def give_up(self) -> None:
        """The program is gone: nobody waits for it any more."""
        for tool in self._tools.values():
            if not tool.done():
                tool.set_result(ToolAnswer(error=OFFLINE))
        for verdict in self._verdicts.values():
            if not verdict.done():
                verdict.set_result("")
        for turn in self._turns.values():
            turn.put_nowait(None)

    async def _ask(self, call: Call, what: Literal["ringing", "preparing"], message: Mapping[str, Any]) -> str:
        """What it says to that; the call's own patience ends the waiting."""
        verdict: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._verdicts[call.id, what] = verdict
        self._send({"agent_id": call.agent.name, "call_id": call.id, **message})
        try:
            return await verdict
        finally:
            if self._verdicts.get((call.id, what)) is verdict:
                del self._verdicts[call.id, what]
