"""Pinecall's memory at work: after replies the language model notes what a caller has said of themselves."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from sqlalchemy.exc import SQLAlchemyError

from media_server import events as e
from media_server.agents import Call
from media_server.doors.pinecall.dialect import MEMORY_OPS, turn_number
from media_server.doors.pinecall.memory_facts import (
    TOOLS,
    Learned,
    MemoryShape,
    Source,
    as_fact,
    as_markdown,
    contact_in,
    learned,
    question,
)
from media_server.engines.engines import Engines
from media_server.engines.messages import CalledTool, ChatMessage
from media_server.errors import EngineError
from media_server.store import Fact, Known, Records, Whose
from media_server.tasks import cancel

__all__ = ["MEMORIES", "MEMORY", "Memories"]

log = logging.getLogger(__name__)

MEMORY = "MEMORY"
"""The variable with what is known of a contact."""
MAX_TOKENS = 300
"""Maximum tokens of the model's notes on one exchange."""
MAX_SAID = 40
"""Maximum things said that the model has not been asked about; the oldest make room."""
MAX_WORDS = 1000
"""Maximum characters of each."""
LOOK_S = 0.1
PASS_S = 60.0
"""Seconds for the model to take its notes."""
FORBIDDEN = "Does this note tell any of the following?\n{forget}\nAnswer with yes or no."
Tell = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class _Followed:
    """A call whose caller is remembered."""

    call: Call
    wanted: MemoryShape
    whose: Whose
    tell: Tell
    """Tells the program what was learned when the call is over."""
    transport: str
    said: list[tuple[str, str]] = field(default_factory=list)
    """What the model has not been asked about: who said it, and the words."""
    turn: int = 0
    heard: str = ""
    """What the caller said last."""
    asking: asyncio.Task[None] | None = None
    """The pass under way, as long as it can be begun anew."""


class Memories:
    """What agents remember. `observe` is told all events of all calls.

    Args:
        records: where facts are kept, beside the calls; None where nothing is.
        model: the name of the language model.
    """

    def __init__(self, records: Records | None, engines: Engines, model: str) -> None:
        self.records = records
        self._engines = engines
        self._model = model
        self._followed: dict[str, _Followed] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last: dict[str, asyncio.Task[None]] = {}
        """The last passes under way of calls that are over."""
        self._turnstile = asyncio.Lock()
        """Held by the one pass that asks the model: callers' answers need it more."""
        self._closed = False

    async def seed(self, call: Call, wanted: MemoryShape) -> None:
        """Have the agent know the contact who calls, before the call begins."""
        whose = _whose(call, wanted)
        if self.records is None or not whose.contact:
            return
        try:
            known = await self.records.facts.of(whose, calling=True)
        except SQLAlchemyError:
            log.exception("call %s: what is known of its caller cannot be read", call.id)
            return
        call.set_variables(**{MEMORY: as_markdown(whose.contact, known)})

    def follow(self, call: Call, wanted: MemoryShape, transport: str, tell: Tell) -> None:
        """Remember what the caller says in a call that begins, or that the agent is handed."""
        if self.records is None or not wanted.enabled:
            return
        whose = _whose(call, wanted)
        if whose.contact:
            self._followed[call.id] = _Followed(call, wanted, whose, tell, transport)
            if not call.variables.get(MEMORY):
                self._start(self.seed(call, wanted))  # it was handed over, or its program was away when it began
        else:
            log.info("call %s: no token says who calls; agent %s remembers nothing of it", call.id, whose.agent)

    def follows(self, call_id: str) -> bool:
        """Whether what the caller says in a call is remembered already: its program may have been away."""
        return call_id in self._followed

    def observe(self, envelope: e.Envelope) -> None:
        """Something happened in some call."""
        if (followed := self._followed.get(envelope.call_id)) is None:
            return
        match envelope.event:
            case e.UserSpeechStarted():
                self._put_off(followed)
            case e.UserTranscript(final=True, turn_id=turn, text=words) if words:
                self._put_off(followed)
                followed.turn, followed.heard = turn_number(turn), words[:MAX_WORDS]
                self._note(followed, "Caller", words)
            case e.AgentSpeechStopped(heard=words):
                self._answered(followed, words)
            case e.AgentText(text=words) if followed.transport == "chat":
                self._answered(followed, words)
            case e.CallForwarded(agent=True) | e.CallEnded():
                self._put_off(followed)
                if isinstance(envelope.event, e.CallForwarded):
                    followed.call.set_variables(**{MEMORY: ""})  # what one agent knows is for no other
                del self._followed[envelope.call_id]
                if last := self._start(self._learn(followed, final=True)):
                    self._last[envelope.call_id] = last
                    last.add_done_callback(lambda _: self._last.pop(envelope.call_id, None))

    async def settled(self, call_id: str) -> None:
        """Wait until what was said in a call that is over is noted."""
        if last := self._last.get(call_id):
            await asyncio.wait([last])

    async def close(self) -> None:
        """The server stops: what is not noted yet is lost."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _note(self, followed: _Followed, who: str, words: str) -> None:
        followed.said.append((who, words[:MAX_WORDS]))
        del followed.said[:-MAX_SAID]

    def _answered(self, followed: _Followed, words: str) -> None:
        """The agent has answered: the caller listens, and the model has time."""
        if words:
            self._note(followed, "Agent", words)
        if followed.wanted.consolidate == "turn" and _by_caller(followed) and followed.asking is None:
            followed.asking = self._start(self._learn(followed, final=False))

    def _put_off(self, followed: _Followed) -> None:
        """The caller goes on: the model is needed for the answer, and what was said is noted with what follows."""
        cancel(followed.asking)
        followed.asking = None

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        if self._closed:
            work.close()
            return None
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _learn(self, followed: _Followed, final: bool) -> None:
        """One pass: what was said since the last one, to facts."""
        try:
            async with self._turnstile, asyncio.timeout(PASS_S):
                await self._pass(followed, final)
        except (EngineError, TimeoutError) as failed:
            log.warning("call %s: nothing was noted: %s", followed.call.id, failed or "the model took too long")
        except SQLAlchemyError:
            log.exception("call %s: what was learned cannot be kept", followed.call.id)
        finally:
            if followed.asking is asyncio.current_task():
                followed.asking = None

    async def _pass(self, followed: _Followed, final: bool) -> None:
        assert self.records
        said, began_s = list(followed.said), time.monotonic()
        if not _by_caller(followed):
            return
        while not self._engines.can_speculate:  # noqa: ASYNC110 - of an engine
            await asyncio.sleep(LOOK_S)
        call, facts = followed.call, self.records.facts
        known = await facts.of(followed.whose)
        calls = await self._asked(f"{call.id} memory", question(followed.wanted, known, said))
        source = Source(call.id, followed.turn, followed.transport, followed.heard, time.time())
        found = await self._without_forbidden(followed, learned(calls, known, source))
        # from here on it is done to its end
        followed.asking = None
        del followed.said[: len(said)]
        if (not found.added and not found.ended) or await self.records.get(call.id) is None:
            return
        known = await facts.change(followed.whose, found.added, found.ended)
        told = self._told(followed, found, known, final, round(1000 * (time.monotonic() - began_s)))
        if final or call.id not in self._followed:
            followed.tell(told)
            self.records.note(e.Envelope.afterwards(call.id, e.AgentEvent(MEMORY_OPS, told)))
        else:
            call.send(MEMORY_OPS, told)
            call.set_variables(**{MEMORY: as_markdown(followed.whose.contact, known)})

    async def _asked(self, call_id: str, messages: tuple[ChatMessage, ...]) -> list[CalledTool]:
        async with self._engines.generate(call_id, messages, MAX_TOKENS, tools=TOOLS, temperature=0.0) as pieces:
            return [piece async for piece in pieces if isinstance(piece, CalledTool)]

    async def _without_forbidden(self, followed: _Followed, found: Learned) -> Learned:
        """What is left when the model has looked for what must never be kept."""
        if not (forget := followed.wanted.forget):
            return found
        system = ChatMessage("system", FORBIDDEN.format(forget="\n".join(f"- {each}" for each in forget)))
        kept: list[Fact] = []
        ended = list(found.ended)
        for fact in found.added:
            messages = (system, ChatMessage("user", fact.text))
            yes, no = await self._engines.choose(f"{followed.call.id} memory", messages, ("yes", "no"))
            if yes < no:
                kept.append(fact)
            elif fact.supersedes:
                ended.remove(fact.supersedes)
        return Learned(tuple(kept), ended, found.removed)

    def _told(self, followed: _Followed, found: Learned, known: Known, final: bool, latency_ms: int) -> dict[str, Any]:
        """The event of a pass."""
        whose = followed.whose
        ops = [{"op": "update" if fact.supersedes else "add", **as_fact(fact)} for fact in found.added]
        ops += [
            {"op": "delete", "id": fact.id, "kind": fact.kind, "text": fact.text, "reason": why}
            for fact, why in found.removed
        ]
        path = f"mem_{'_'.join(filter(None, (whose.tenant, whose.agent)))}/{whose.contact}.md"
        return {
            "contact": whose.contact,
            "call_id": followed.call.id,
            "turn": followed.turn,
            "final": final,
            "ops": ops,
            "memory": {"revision": known.revision, "path": path},
            "model": self._model,
            "latency_ms": latency_ms,
        }


MEMORIES = web.AppKey("memories", Memories)


def _whose(call: Call, wanted: MemoryShape) -> Whose:
    """The facts that a call is about; the contact is empty where nothing that can be trusted says who calls."""
    sealed: Mapping[str, Any] = call.sealed_metadata
    return Whose(call.agent.tenant, call.agent.name, contact_in(sealed, wanted.contact_key))


def _by_caller(followed: _Followed) -> bool:
    return any(who == "Caller" for who, _ in followed.said)
