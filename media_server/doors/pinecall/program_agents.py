"""Agents of this server, made of what Pinecall's programs say of theirs."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from pydantic import ValidationError

from media_server.agents import Agent, Call, Handlers, Skill, Tool, ToolAnswer, remote_tool, zone_of
from media_server.doors.pinecall import program_messages as p
from media_server.doors.pinecall.memory import MEMORY, Memories
from media_server.errors import ClientError, problems

__all__ = [
    "OFFLINE",
    "Here",
    "Leader",
    "MakeTool",
    "Refused",
    "changes",
    "make_agent",
    "make_handlers",
    "make_tool",
]

IDLE_TIMEOUT_S = 60.0
AT_ONCE_S = 0.1
SLOWEST, FASTEST = 0.5, 2.0
"""The slowest and the fastest that voices speak here."""
MAX_HOTWORDS = 100
_BOOST = re.compile(r":-?\d+(\.\d+)?$")
"""How much a recogniser is to prefer a word, behind it."""
_LANGUAGE = re.compile(r"[a-z]{2,3}")
OFFLINE = "agent offline"
TOOL_TIMEOUT_S = 30.0
MakeTool = Callable[[p.ToolShape], Tool]


@dataclass(frozen=True, slots=True)
class Here:
    """What there is for the settings of agents.

    Args:
        make_tool: makes a tool that runs in the program.
        folder_of: the folder of a knowledge base, by its id; None where the tenant has none of this id.
        memories: what agents remember of their contacts.
    """

    has_voice: Callable[[str], bool]
    make_tool: MakeTool
    folder_of: Callable[[str], Path | None]
    memories: Memories


class Leader(Protocol):
    """The program that leads an agent."""

    async def run_tool(self, call: Call, name: str, arguments: dict[str, Any]) -> ToolAnswer: ...

    async def ring(self, call: Call, always: bool) -> None: ...

    async def prepare(self, call: Call, wait_s: float, promised: bool) -> None: ...

    def answer(self, call: Call) -> AsyncGenerator[str, None]: ...


class Refused(ClientError):
    """An agent that cannot be registered; `fields` say more of it."""

    def __init__(self, code: str, message: str, **fields: Any) -> None:
        super().__init__(code, message)
        self.fields = fields


def make_agent(wanted: p.AgentCreate, tenant: str, here: Here, handlers: Handlers) -> tuple[Agent, list[str]]:
    """The agent, and which of its settings are not used here, a sentence for each.

    Raises:
        Refused: it cannot be.
    """
    given, unused = changes(wanted, here)
    match wanted.greeting:
        case dict() as by_language:
            given["greetings"] = {p.language_of(tag): text for tag, text in by_language.items()}
            given["greeting"] = next(iter(by_language.values()), "")
        case str() | None:
            given["greeting"] = wanted.greeting or ""
        case spoken:
            given["greeting"] = spoken.text
    if wanted.allowed_origins is not None:
        given["allowed_origins"] = tuple(wanted.allowed_origins)
    given |= _limits(wanted.session_limits)
    if wanted.memory is not None:
        # prompts are not to show the variable's name where nothing is known
        given["variables"] = {MEMORY: "", **given.get("variables", {})}
        if wanted.memory.enabled and here.memories.records is None:
            unused.append("memory: this server keeps no call records (records = false)")
        elif wanted.memory.enabled and wanted.memory.model and not wanted.memory.model.startswith("local"):
            unused.append(f"memory: {wanted.memory.model!r}: the model pack's own is used")
    try:
        agent = Agent(
            wanted.agent_id, tenant=tenant, handlers=handlers, greeting_in_chat=bool(wanted.greeting_in_chat), **given
        )
    except ValidationError as wrong:
        raise Refused("REGISTRATION_ERROR", f"{problems(wrong)}.") from wrong
    except ValueError as wrong:
        raise Refused("REGISTRATION_ERROR", f"{wrong}.") from wrong
    return agent, unused


def changes(wanted: p.CallSettings, here: Here) -> tuple[dict[str, Any], list[str]]:
    """Fields of an agent that are set, and which settings are not used here.

    Names of other products' models and voices are replaced by what the model pack has.
    """
    given: dict[str, Any] = {}
    unused = [
        f"{name}: {value!r}: the model pack's own is used"
        for name in ("stt", "llm")
        if isinstance(value := getattr(wanted, name), str) and not value.startswith("local")
    ]
    match wanted.llm:
        case p.ModelShape(temperature=temperature, top_p=top_p, max_tokens=max_tokens):
            set_here = {"temperature": temperature, "top_p": top_p, "max_reply_tokens": max_tokens}
            given |= {name: value for name, value in set_here.items() if value is not None}
            unused.append("llm: the model pack's own is used, with temperature, top_p and max_tokens")
    unused += [f"{name}: there is none here" for name in wanted.unknown]
    if wanted.prompt is not None:
        given["prompt"] = wanted.prompt
    if wanted.vars is not None:
        given["variables"] = wanted.vars
    if wanted.timezone is not None:
        if not wanted.timezone or zone_of(wanted.timezone):
            given["timezone"] = wanted.timezone
        else:
            unused.append(f"timezone: {wanted.timezone!r}: there is no such zone; the server's own is used")
    if (analysis := wanted.analysis) is not None:
        set_here = {"audio_levels": analysis.send_audio_metrics, "recording": analysis.recording}
        given |= {name: value for name, value in set_here.items() if value is not None}
    match wanted.media:
        case p.MediaShape(recording=bool(recording)):
            given["recording"] = recording
    match wanted.interruption:
        case bool(interruptible) | p.Interruption(enabled=bool(interruptible)):
            given["interruptible"] = interruptible
    given |= _recogniser(wanted.stt)
    if "language" in wanted.model_fields_set:
        given["language"] = wanted.language
    if (voice := wanted.tts if wanted.voice is None else wanted.voice) is not None:
        given |= _pace(voice)
        if here.has_voice(named := _voice_name(voice)):
            given["voice"] = named
        else:
            unused.append(f"voice: {named!r}: the usual voice is used")
    if wanted.tools is not None:
        given["tools"] = [here.make_tool(each) for each in wanted.tools]
    if wanted.knowledge_base is not None:
        given["knowledge"], missing = _folders(wanted.knowledge_base, here)
        unused += missing
    if wanted.skills is not None:
        skills = []
        for s in wanted.skills:
            folders, missing = _folders(s.knowledge_base or (), here)
            tools = [here.make_tool(t) for t in s.tools]
            skills.append(Skill(s.name, s.description, s.instructions, tools, s.activation, folders))
            unused += [f"skills: {s.name}: {each}" for each in missing]
        given["skills"] = tuple(skills)
    return given, unused


def _folders(ids: Sequence[str], here: Here) -> tuple[tuple[Path, ...], list[str]]:
    """The folders of knowledge bases, and a sentence for each base that there is not."""
    found = {each: here.folder_of(each) for each in ids}
    missing = [f"knowledge_base: {each!r}: there is none of this id" for each, folder in found.items() if not folder]
    return tuple(folder for folder in found.values() if folder), missing


def _voice_name(voice: Any) -> str:
    """The name of a voice that is given by it, or by whose it is and its id."""
    if isinstance(voice, dict):
        return "/".join(str(voice[key]) for key in ("provider", "voice_id") if voice.get(key))
    return str(voice)


def _pace(voice: Any) -> dict[str, Any]:
    """How fast a voice speaks, where it is given with that: as fast as voices can here."""
    speed = voice.get("speed") if isinstance(voice, dict) else None
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not math.isfinite(speed):
        return {}
    return {"voice_speed": min(max(speed, SLOWEST), FASTEST)}


def _recogniser(stt: Any) -> dict[str, Any]:
    """What a recogniser's settings say of the callers: their language, and what they are likely to say."""
    if not isinstance(stt, dict):
        return {}
    given: dict[str, Any] = {}
    lists = [named for name in ("keyterms", "keywords") if isinstance(named := stt.get(name), list)]
    terms = [term for named in lists for term in named]
    if words := tuple(_BOOST.sub("", term) for term in terms if isinstance(term, str) and term.strip()):
        given["hotwords"] = words[:MAX_HOTWORDS]
    tag = stt.get("language") or stt.get("language_hint")
    if isinstance(tag, str):
        language = p.language_of(tag)
        if language in p.ANY_LANGUAGE or _LANGUAGE.fullmatch(language):
            given["language"] = None if language in p.ANY_LANGUAGE else language
    return given


def make_tool(leader: Callable[[], Leader | None], shape: p.ToolShape) -> Tool:
    """A tool that runs in the program which leads the agent when it is called.

    Raises:
        Refused: its parameters cannot be understood.
    """
    name, function = shape.function.name, shape.function

    async def run(_call: Call, **arguments: Any) -> ToolAnswer:
        program = leader()
        return await program.run_tool(_call, name, arguments) if program else ToolAnswer(error=OFFLINE)

    try:
        return remote_tool(name, function.description, function.parameters, run, TOOL_TIMEOUT_S)
    except (ValueError, TypeError, AttributeError) as wrong:
        message = f"tools: the parameters of {name}: {wrong}."
        raise Refused("REGISTRATION_ERROR", message) from wrong


def make_handlers(wanted: p.AgentCreate, leader: Callable[[], Leader | None], memories: Memories) -> Handlers:
    """What runs at events of an agent's calls, in the program that leads it then."""
    wait_s = wanted.preparing_s
    by_event: dict[str, list[Callable[..., Any]]] = {}

    async def ringing(call: Call) -> None:
        if program := leader():
            await program.ring(call, wanted.ringing or False)

    async def preparing(call: Call) -> None:
        if program := leader():
            await program.prepare(call, wait_s, wanted.preparing is not None)

    async def answer(_: str, call: Call) -> AsyncGenerator[str, None]:
        if program := leader():
            async with contextlib.aclosing(program.answer(call)) as pieces:
                async for piece in pieces:
                    yield piece

    async def recall(call: Call) -> None:
        if wanted.memory:
            await memories.seed(call, wanted.memory)

    if wanted.ringing is not False:
        by_event["call.ringing"] = [ringing]
    if wanted.memory and wanted.memory.enabled:
        by_event.setdefault("call.ringing", []).append(recall)
    if wait_s and wanted.llm is not None:
        # a program that answers itself asks no model
        by_event["call.preparing"] = [preparing]
    return Handlers(by_event, answer if wanted.llm is None else None, 2 * wait_s)


def _limits(wanted: p.SessionLimits | None) -> dict[str, float]:
    """The idle timeout is warned of before it, and ends the call after its grace."""
    if wanted is None:
        return {}
    limits = {} if wanted.max_duration_seconds is None else {"max_duration_s": wanted.max_duration_seconds}
    timeout_s = IDLE_TIMEOUT_S if wanted.idle_timeout_seconds is None else wanted.idle_timeout_seconds
    warning_s = min(wanted.idle_warning_seconds, timeout_s / 2)
    idle_s = timeout_s - warning_s
    # without warning and grace the call ends at once, for which 0 does not stand
    after_s = max(warning_s + wanted.idle_grace_seconds, AT_ONCE_S) if idle_s else 0.0
    return limits | {"idle_s": idle_s, "idle_hang_up_s": after_s}
