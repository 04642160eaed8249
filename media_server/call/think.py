"""One reply of the model: tokens to text events and clauses, and the tools that it calls in between."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import secrets
import string
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from media_server.agents import KNOWLEDGE_TOOL, Call
from media_server.agents.running import said_of, staying
from media_server.call.history import History
from media_server.call.hurry import HurriedCutter, with_pauses
from media_server.call.joining import joined
from media_server.call.lookup import offered, shown, specs, used
from media_server.call.rounds import THINKING_AGAIN_S, Filling, Round
from media_server.call.say_queue import SayQueue
from media_server.call.services import Services
from media_server.call.speak import Clause
from media_server.call.tools import INTERRUPTED, Returned, ToolRunner
from media_server.engines.messages import (
    CalledTool,
    ChatMessage,
    Finished,
    TextChunk,
    Thinking,
    ToolCall,
    Withdrawn,
)
from media_server.errors import RequestFailed
from media_server.events import AgentPrompted, AgentText, AgentTextDelta, Event
from media_server.jsonable import sound
from media_server.spoken import ends_between, whole_sentences

__all__ = ["Question", "Reply", "Stage"]

log = logging.getLogger(__name__)
T = TypeVar("T")

TO_FINISH = 60
"""Tokens beyond `max_reply_tokens` in which the sentence under way may come to its end."""
MAX_ROUNDS = 5
"""Maximum rounds of tools in one reply; then the model has to answer with what it has."""
_PLACE = re.compile(r"\{\{\s*RAG_CONTEXT\s*\}\}")
"""The place in a prompt for what the agent's documents say of the turn."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be answered.

    Args:
        messages: what the model is shown.
        words: what the caller said in this turn.
    """

    turn_id: str
    messages: tuple[ChatMessage, ...]
    words: str


class Stage(Protocol):
    """Where a reply is given, and who is told how it comes along."""

    written: bool
    """It is a chat, where text that was sent counts as heard."""
    over: asyncio.Event
    """Set when the caller is surely done: tools with effects wait for it."""

    def emit(self, event: Event) -> None:
        """Takes the events of the text, or keeps them while the turn may still go on."""
        ...

    def on_token(self) -> None:
        """The model wrote something."""
        ...

    def on_tools(self, working: bool) -> None:
        """Tools begin to work, or are done."""
        ...

    def dry(self) -> bool:
        """Whether the caller will soon hear nothing."""
        ...


class Reply:
    """`clauses` is iterated by whoever speaks them, again from the start if an engine dies before any was heard: tools
    that have run do not run again. Then `remember` puts into the history what was done and heard.

    Args:
        said: what tools say while they work.
        stage: where the reply is given.
    """

    def __init__(
        self, question: Question, call: Call, services: Services, tools: ToolRunner, said: SayQueue, stage: Stage
    ) -> None:
        self._turn_id = question.turn_id
        self._call = call
        self._agent = call.agent
        self._engines = services.engines
        self._library = services.library
        self._messages = question.messages
        self._words = question.words
        self._tools = tools
        self._said = said
        self._written = stage.written
        self._over = stage.over
        self._emit = stage.emit
        self._stage = stage
        self._rounds: list[Round] = []
        self._must_answer = False
        """No more tools are offered in this reply."""
        self._told = False
        """The whole text was emitted."""

    async def clauses(self) -> AsyncGenerator[Clause, None]:
        """Each as soon as it is complete.

        Raises:
            EngineError: the model failed, or the agent's code that answers in its place.
        """
        self._rounds = [r for r in self._rounds if r.tools_begun]
        if not self._rounds:
            await self._look_up()
        self._told = False
        for done in self._rounds:
            done.results = dict(zip((c.id for c in done.calls), self._results(done), strict=True))
            for clause in done.clauses:
                yield clause
        while True:
            current = Round()
            self._rounds.append(current)
            async with contextlib.aclosing(self._text(current)) as text:
                async for clause in text:
                    current.clauses.append(clause)
                    yield clause
            if not current.calls:
                if not self._goes_round(current):
                    break
                # a small model may ask the same for ever; without tools it says what it knows
                self._must_answer = True
                self._rounds.remove(current)
                continue
            async with contextlib.aclosing(self._run_tools(current)) as said:
                async for clause in said:
                    current.clauses.append(clause)
                    yield clause
            if all(result.silent for result in current.results.values()):
                self._tell_text()
                break

    def remember(self, history: History) -> None:
        """Put into the history what was heard and what tools did; nothing of it if the turn was never over."""
        if not self._over.is_set():
            return
        if self._written and self._sent and not self._told:
            self._tell_text(interrupted=True)
        for r in self._rounds:
            heard = r.sent if self._written else r.heard
            kept = [(c, x.content) for c, x in zip(r.calls, self._results(r), strict=True) if not x.ephemeral]
            history.add_tools(heard, [c for c, _ in kept], [content for _, content in kept])

    def drop(self) -> None:
        """Whoever waits for something to be heard waits no longer."""
        for r in self._rounds:
            for clause in r.clauses:
                clause.settle(heard=False)

    async def _look_up(self) -> None:
        """Show the model what fits; each turn has its own, history none.

        It stands where the prompt has a place for it, else as the result of a search that the model need not ask for.
        """
        agent = self._agent
        if agent.handlers.turn:
            return
        query = self._messages[-1].content
        looks_up = agent.knowledge and agent.knowledge_use == "turn"
        found = await self._search(query) if looks_up else ""
        if _PLACE.search(agent.prompt):
            prompt = _PLACE.sub(lambda _: found, agent.prompt)
            self._messages = (ChatMessage("system", prompt), *self._messages[1:])
        elif found:
            call = ToolCall(_tool_id(), KNOWLEDGE_TOOL, json.dumps({"query": query}, ensure_ascii=False))
            result = Returned(json.dumps(found, ensure_ascii=False), ephemeral=True)
            self._rounds.append(Round(calls=[call], results={call.id: result}, tools_begun=True, given=True))

    async def _search(self, query: str) -> str:
        """What the agent's documents say; empty if nothing."""
        found = await self._library.search(self._agent.knowledge, query, self._agent.knowledge_passages)
        if found:
            self._emit(used(self._turn_id, query, found))
        return shown(found)

    def _results(self, r: Round) -> list[Returned]:
        """What came of a round's calls. One that was never begun is kept nowhere; one that was cut off says so."""
        ephemeral = {t.name for t in self._agent.tools if t.ephemeral}
        interrupted = json.dumps({"error": INTERRUPTED})
        return [r.results.get(c.id) or Returned(interrupted, not r.tools_begun or c.name in ephemeral) for c in r.calls]

    async def _text(self, r: Round) -> AsyncGenerator[Clause, None]:
        language = self._engines.language(self._agent.voice)
        cutter = HurriedCutter(self._stage.dry, language)
        cut_off = False
        answer = self._of_agent() if self._agent.handlers.turn else self._of_model()
        async with (
            contextlib.aclosing(answer),
            contextlib.aclosing(with_pauses(answer, lambda: cutter.wait_s)) as pieces,
        ):
            async for piece in pieces:
                match piece:
                    case None:
                        for clause in cutter.overdue():
                            yield Clause(clause)
                    case CalledTool():
                        if self._has_result(piece):
                            r.repeats = True
                        else:
                            r.calls.append(ToolCall(_tool_id(), piece.name, piece.arguments))
                    case Clause():
                        for clause in cutter.flush():
                            yield Clause(clause)
                        self._announce(r, piece)
                        yield piece
                    case Finished():
                        cut_off = True
                    case Withdrawn():
                        r.withdraw()
                        cutter = HurriedCutter(self._stage.dry, language)
                    case _:
                        self._stage.on_token()
                        r.text += piece
                        self._show(r, piece, apart=r.announced or not r.shown)
                        r.announced = False
                        for clause in cutter.push(piece):
                            yield Clause(clause)
        rest = cutter.flush()
        if cut_off and (whole := whole_sentences(r.text, language)) and not whole_sentences(" ".join(rest), language):
            # a sentence that a limit cut is not begun, or not gone on with, where one before it is whole
            r.text, r.shown, rest = whole, r.shown.replace(r.text, whole), []
        if not r.calls and not self._goes_round(r):
            # what is still to be spoken must not hold up what is there to be read
            self._tell_text()
        for clause in rest:
            yield Clause(clause)

    def _has_result(self, called: CalledTool) -> bool:
        """Whether the same was called in this reply, and did not fail: it is not done twice."""
        return any(
            (c.name, json.loads(c.arguments)) == (called.name, json.loads(called.arguments)) and not _failed(x)
            for r in self._rounds[:-1]
            for c, x in zip(r.calls, self._results(r), strict=True)
        )

    def _goes_round(self, r: Round) -> bool:
        """Whether the model did nothing but call what it has the result of, and can be asked without tools."""
        return r.repeats and not r.calls and not r.text.strip() and not self._must_answer

    @property
    def _sent(self) -> str:
        """The text of the reply, as far as it was emitted."""
        return joined(*(r.shown for r in self._rounds))

    def _tell_text(self, interrupted: bool = False) -> None:
        self._told = True
        self._emit(AgentText(self._turn_id, self._sent, interrupted or None))

    def _announce(self, r: Round, clause: Clause) -> None:
        """What the agent was told to say within a reply belongs to the text of it."""
        if clause.done:
            self._show(r, clause.text, apart=True)
            r.announced = True

    def _show(self, r: Round, text: str, apart: bool) -> None:
        between = " " if apart and self._sent and not r.shown[-1:].isspace() else ""
        r.shown += between + text
        self._emit(AgentTextDelta(self._turn_id, between + text))

    async def _of_model(self) -> AsyncGenerator[str | CalledTool | Clause | Finished | Withdrawn, None]:
        agent = self._agent
        messages = self._messages
        done = self._rounds[:-1]
        for r in done:
            messages += (ChatMessage("assistant", r.text.strip(), tuple(r.calls)),)
            messages += tuple(
                ChatMessage("tool", x.content, tool_call_id=c.id)
                for c, x in zip(r.calls, self._results(r), strict=True)
            )
        tools = specs(agent) if len(done) < MAX_ROUNDS and not self._must_answer else ""
        informed = bool(done) and not done[-1].given and not any(x.refused for x in done[-1].results.values())
        options: dict[str, Any] = {"tools": tools, "temperature": agent.temperature, "top_p": agent.top_p}
        options["informed"] = informed
        answer, tokens = "", 0
        language = self._engines.language(agent.voice)
        most = agent.max_reply_tokens + TO_FINISH
        async with (
            self._engines.generate(self._call.id, messages, most, **options) as pieces,
            contextlib.aclosing(self._with_filler(pieces)) as filled,
        ):
            async for piece in filled:
                match piece:
                    case TextChunk():
                        if tokens >= agent.max_reply_tokens and ends_between(answer, piece.text, language):
                            break
                        tokens += 1
                        answer += piece.text
                        yield piece.text
                    case CalledTool() if not tools:
                        pass  # a call that nothing was offered for would be made for ever
                    case CalledTool():
                        answer += f" {piece.name}({piece.arguments})"
                        yield piece
                    case Withdrawn():
                        answer, tokens = "", 0
                        yield piece
                    case Clause() | Finished():
                        yield piece
        if agent.tell_prompts:
            shown_to_model = [{"role": m.role, "content": m.content} for m in messages]
            self._emit(AgentPrompted(self._turn_id, shown_to_model, answer.strip()))

    async def _with_filler(self, pieces: AsyncIterator[T]) -> AsyncGenerator[T | Clause, None]:
        """The pieces of a reply, and while the model thinks the agent's filler, from when the caller is surely done."""
        agent = self._agent
        waiting = Filling(self._over, agent.thinking_filler, self._comfort, agent.comfort_s)
        async with contextlib.aclosing(with_pauses(pieces, waiting.wait_s)) as with_waits:
            async for piece in with_waits:
                if isinstance(piece, Thinking):
                    waiting.thinking = True
                elif piece is not None:
                    waiting.thinking, waiting.begun = False, True
                    yield piece
                elif waiting.due():
                    yield Clause(waiting.words, remembered=False)

    @property
    def _comfort(self) -> str:
        """What is said where nothing is heard for long; in writing the client shows that the agent works."""
        return "" if self._written else self._agent.comfort

    async def _of_agent(self) -> AsyncGenerator[str | CalledTool | Clause, None]:
        """The agent's own code answers in place of the model."""
        responder = self._agent.handlers.turn
        assert responder is not None
        await self._over.wait()  # nobody knows what it does
        begun = False
        try:
            async with contextlib.aclosing(responder(self._words, self._call)) as answer:
                while True:
                    piece = asyncio.ensure_future(_next(answer))
                    comfort = "" if begun else self._comfort
                    async with contextlib.aclosing(self._meanwhile(piece, comfort)) as said:
                        async for clause in said:
                            yield clause
                    if piece.cancelled():  # not by us: that ends `_meanwhile`
                        raise RuntimeError("it was cancelled before it was done")
                    if (text := piece.result()) is None:
                        return
                    if text:
                        begun = True
                        yield sound(str(text))
        except Exception as failed:  # it is a developer's code, and the caller should hear more than nothing
            log.exception("turn handler of agent %s failed in call %s", self._agent.name, self._call.id)
            raise RequestFailed("agent_failed", f"The agent's code failed: {said_of(failed)}.") from failed

    async def _run_tools(self, r: Round) -> AsyncGenerator[Clause, None]:
        """Run what was called; meanwhile what tools say."""
        tools = offered(self._agent, self._search)
        by_name = {t.name: t for t in tools}
        if not all(c.name in by_name and by_name[c.name].speculative for c in r.calls):
            await self._over.wait()
        r.tools_begun = True
        running = asyncio.ensure_future(self._tools.run(r.calls, tools, self._emit, r.results))
        self._stage.on_tools(True)
        try:
            async with contextlib.aclosing(self._meanwhile(running, self._comfort)) as said:
                async for clause in said:
                    self._announce(r, clause)
                    yield clause
            running.result()
        finally:
            self._stage.on_tools(False)

    async def _meanwhile(self, work: asyncio.Future[Any], comfort: str) -> AsyncGenerator[Clause, None]:
        """What is said while `work` is under way, which is cancelled if nobody waits for it any more.

        Args:
            comfort: said where nothing else is for long.
        """
        wait_s = self._agent.comfort_s if comfort else None
        try:
            while not work.done():
                coming = asyncio.ensure_future(self._said.come())
                try:
                    either = [work, coming]
                    done, _ = await asyncio.wait(either, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    coming.cancel()
                if not done:
                    wait_s = THINKING_AGAIN_S
                    yield Clause(comfort, remembered=False)
                while clause := self._said.take():
                    yield clause
        finally:
            if not work.done():
                work.cancel()
                await asyncio.wait([work])


async def _next(answer: AsyncGenerator[Any, None]) -> Any:
    """The next piece of what an agent's code answers; None at its end."""
    with staying():
        return await anext(answer, None)


def _failed(returned: Returned) -> bool:
    return returned.content.startswith('{"error"')


def _tool_id() -> str:
    """An id in the form that all chat templates accept: nine letters and digits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(9))
