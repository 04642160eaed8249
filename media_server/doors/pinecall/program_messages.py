"""The messages of Pinecall's agents that are programs of their own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    TypeAdapter,
    model_validator,
)

from media_server.agents import agent_name
from media_server.doors.pinecall.memory_facts import MemoryShape
from media_server.errors import ClientError, understood
from media_server.foreign import ForeignModel
from media_server.jsonable import jsonable

__all__ = [
    "ANY_LANGUAGE",
    "AgentConfigure",
    "AgentCreate",
    "BotCancel",
    "BotReply",
    "BotReplyStream",
    "CallAccept",
    "CallBridge",
    "CallCommand",
    "CallDial",
    "CallForward",
    "CallReject",
    "CallSettings",
    "ChannelCommand",
    "Connect",
    "DevConfig",
    "History",
    "Interruption",
    "LineCommand",
    "LlmChat",
    "LlmReady",
    "MediaShape",
    "ModelShape",
    "Ping",
    "SessionCommand",
    "SessionConfigure",
    "SessionLimits",
    "SkillCommand",
    "SkillShape",
    "ToolResult",
    "ToolResults",
    "ToolShape",
    "about",
    "language_of",
    "parse",
    "refusal",
]

MAX_TEXT = 4000
MAX_REMEMBERED = 8000
MAX_PREPARING_MS = 5000
MAX_TOKENS = 4096
NAMING = ("agent_id", "call_id", "session_id", "request_id", "message_id", "msg_id")
"""Fields by which a program finds what an answer is about."""
ANY_LANGUAGE = frozenset({"", "multi", "auto"})
NOT_SETTINGS = frozenset({"agent_id", "config", "event", "number", "request_id"})
"""What comes beside an agent's settings."""
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


def _known(given: Any) -> Any:
    """Variables with nothing for those that a program does not know."""
    return {k: "" if v is None else v for k, v in given.items()} if isinstance(given, dict) else given


Variables = Annotated[dict[str, str | int | FiniteFloat | bool], BeforeValidator(_known)]


def _several(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


Bases = Annotated[list[str], Field(max_length=20)] | None
"""Ids of knowledge bases: one, or several."""


def _agent_name(given: Any) -> Any:
    return agent_name(given) if isinstance(given, str) else given


def language_of(tag: str) -> str:
    """The language alone of a tag such as `en-US`."""
    return tag.strip().lower().replace("_", "-").split("-")[0]


def _language(given: Any) -> Any:
    """The language of a tag; None for whatever is spoken."""
    if not isinstance(given, str):
        return given
    language = language_of(given)
    return None if language in ANY_LANGUAGE else language


AgentId = Annotated[str, BeforeValidator(_agent_name), Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Language = Annotated[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None, BeforeValidator(_language)]


class Connect(ForeignModel):
    event: Literal["connect"]
    api_key: str = ""


class Ping(ForeignModel):
    event: Literal["ping", "pong"]


class _Function(ForeignModel):
    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
    description: str = ""
    parameters: dict[str, Any] | None = None


class ToolShape(ForeignModel):
    """A tool in OpenAI's form."""

    type: Literal["function"] = "function"
    function: _Function


class SessionLimits(ForeignModel):
    """How long a call and its silences may be; 0 for any length."""

    max_duration_seconds: Annotated[float, Field(ge=0, le=86400)] | None = None
    idle_timeout_seconds: Annotated[float, Field(ge=0, le=3600)] | None = None
    idle_warning_seconds: Annotated[float, Field(ge=0, le=3600)] = 15
    """How long before the idle timeout it is warned of."""
    idle_grace_seconds: Annotated[float, Field(ge=0, le=3600)] = 10
    """How long after the idle timeout the call ends."""


class _Preparing(ForeignModel):
    enabled: bool = True
    timeout_ms: Annotated[float, Field(ge=0), AfterValidator(lambda ms: min(ms, MAX_PREPARING_MS))] = Field(
        1500, validation_alias=AliasChoices("timeout_ms", "timeoutMs")
    )


class SkillShape(ForeignModel):
    """A skill, whose tools and instructions the agent has while it is loaded."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
    description: str = ""
    instructions: str = ""
    tools: Annotated[list[ToolShape], Field(max_length=100, default_factory=list)]
    activation: Literal["model", "manual", "always"] = "model"
    knowledge_base: Annotated[Bases, BeforeValidator(_several)] = None


class _SpokenGreeting(ForeignModel):
    text: str


class ModelShape(ForeignModel):
    """A language model with what is set of it; its name and whose it is are of other products."""

    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1), AfterValidator(lambda n: n and min(n, MAX_TOKENS))] = None


class _Open(BaseModel):
    """Settings with `unknown` ones that this server has nothing for; null takes one away."""

    model_config = ConfigDict(extra="allow")

    @property
    def unknown(self) -> list[str]:
        """The names of those that were given and are none here."""
        found = [name for name in self.model_extra or () if name not in NOT_SETTINGS]
        for name in type(self).model_fields:
            match getattr(self, name):
                case _Open() as part:
                    found += [f"{name}: {each}" for each in part.unknown]
        return sorted(found)


class _Analysis(_Open):
    send_audio_metrics: bool | None = None
    recording: bool | None = None


class MediaShape(ForeignModel):
    recording: bool | None = None


class Interruption(_Open):
    """Whether callers can stop replies by speaking."""

    enabled: bool | None = None


class CallSettings(_Open):
    """What of an agent can be changed for one call as well."""

    @model_validator(mode="before")
    @classmethod
    def _lifted(cls, given: Any) -> Any:
        """The settings of a nested `config` as well: older programs have them there."""
        nested = given.get("config") if isinstance(given, dict) else None
        if nested is not None and not isinstance(nested, dict):
            raise ValueError("config has to be an object")
        return {**nested, **given} if nested else given

    prompt: str | None = None
    language: Language = None
    voice: Any = None
    tts: dict[str, Any] | None = None
    """The voice, as settings of sessions have it."""
    stt: Any = None
    llm: str | ModelShape | None = None
    """Without any the program answers turns itself."""
    analysis: _Analysis | None = None
    vars: Variables | None = Field(None, validation_alias=AliasChoices("vars", "promptVars"))
    timezone: str | None = None
    """The zone of `{{date}}` and `{{time}}`, such as `Europe/Madrid`."""
    tools: Annotated[list[ToolShape], Field(max_length=100)] | None = None
    skills: Annotated[list[SkillShape], Field(max_length=50)] | None = None
    interruption: bool | Interruption | None = None
    raw_prompt: bool | None = None
    """Nothing is added to prompts here, whatever it says."""
    media: MediaShape | bool | None = None
    knowledge_base: Annotated[Bases, BeforeValidator(_several)] = None


class _Agent(CallSettings):
    agent_id: AgentId
    greeting: Annotated[str | _SpokenGreeting | dict[str, str] | None, Field(union_mode="left_to_right")] = None
    """One for all languages, or one for each."""
    greeting_in_chat: bool | None = Field(None, validation_alias=AliasChoices("greetingInChat", "greeting_in_chat"))
    session_limits: SessionLimits | None = None
    allowed_origins: list[str] | None = None
    memory: MemoryShape | None = None
    preparing: bool | _Preparing | None = None
    ringing: bool | None = None
    """Ours: whether the program is asked before a call is taken."""

    @property
    def preparing_s(self) -> float:
        """How long an answer waits for the program to prepare it; 0 where the program is not asked."""
        match self.preparing:
            case None:
                return 0.15
            case _Preparing(enabled=True, timeout_ms=wait_ms):
                return wait_ms / 1000
            case True:
                return 1.5
            case _:
                return 0.0


class AgentCreate(_Agent):
    event: Literal["agent.create"]


class AgentConfigure(_Agent):
    event: Literal["agent.configure"]


class ChannelCommand(CallSettings):
    """A way to the agent, and what of it is otherwise for calls that come this way."""

    event: Literal["channel.add", "channel.configure", "channel.remove"]
    agent_id: AgentId
    type: str | None = None
    ref: str | None = None
    ringing: bool | None = None


class _OfCall(ForeignModel):
    call_id: str


class BotReply(_OfCall):
    event: Literal["bot.reply"]
    message_id: str = ""
    text: Text
    in_reply_to: str | None = None
    add_to_history: bool = True


class BotReplyStream(_OfCall):
    event: Literal["bot.reply.stream"]
    action: Literal["start", "chunk", "end"]
    message_id: str = ""
    token: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    in_reply_to: str | None = None


class BotCancel(_OfCall):
    event: Literal["bot.cancel", "bot.clear"]
    message_id: str = ""
    """Which reply is stopped; whatever is being said or waits to be where none is named."""


class ToolResult(ForeignModel):
    tool_call_id: str
    result: Any = None
    ephemeral: bool = False
    no_followup: bool = False


class ToolResults(_OfCall):
    event: Literal["llm.tool_result"]
    results: Annotated[list[ToolResult], Field(max_length=100)]


class LlmReady(_OfCall):
    event: Literal["llm.ready"]
    turn: Any = None


class _Said(ForeignModel):
    """A message in OpenAI's form; what tools were asked and answered has no text to be remembered by itself."""

    role: Literal["user", "assistant", "system", "developer", "tool"]
    content: Annotated[str, Field(max_length=MAX_REMEMBERED)] | None = None


class History(_OfCall):
    event: Literal[
        "history.get", "history.add", "history.set", "history.clear",
        "history.set_vars", "history.add_context", "history.set_instructions",
    ]  # fmt: skip
    request_id: str | int | None = None
    messages: Annotated[list[_Said], Field(max_length=1000, default_factory=list)]
    vars: Variables = Field(default_factory=dict)
    key: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    context: Annotated[str, Field(max_length=MAX_TEXT)] | None = Field(
        None, validation_alias=AliasChoices("context", "text")
    )
    instructions: str | None = Field(None, validation_alias=AliasChoices("instructions", "prompt"))


class CallCommand(_OfCall):
    event: Literal["call.hangup", "call.hold", "call.unhold", "call.mute", "call.unmute", "call.dtmf"]


class CallForward(_OfCall):
    event: Literal["call.forward"]
    to: Annotated[str, Field(min_length=1, max_length=200)]
    """An agent of this server, or what only a telephone system understands."""
    message: Annotated[str, Field(max_length=MAX_TEXT)] | None = None

    @property
    def agent(self) -> str:
        """The name that an agent has here which the program calls so."""
        return agent_name(self.to)


class CallAccept(_OfCall):
    event: Literal["call.accept"]


class CallReject(_OfCall):
    event: Literal["call.reject"]
    reason: Literal["busy", "rejected"] = "busy"


class SessionCommand(ForeignModel):
    """Settings of one call, of all with a contact, or of all of an agent, those to come too."""

    event: Literal["session.pause", "session.resume", "session.send"]
    agent_id: Annotated[str, BeforeValidator(_agent_name)] | None = None
    session_id: str | None = None
    contact: str | None = None
    text: Text | None = None


class SessionConfigure(CallSettings):
    event: Literal["session.configure"]
    session_id: str


class _Placed(ForeignModel):
    agent_id: AgentId
    greeting: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    metadata: dict[str, Any] = Field(default_factory=dict)
    config: CallSettings = Field(default_factory=CallSettings)
    """Settings of the agent that calls, for this call."""
    media: MediaShape | bool | None = None
    detect_turn_end: bool = False
    """The greeting waits until the other side has said something."""

    @property
    def settings(self) -> CallSettings:
        return self.config if self.media is None else self.config.model_copy(update={"media": self.media})


class CallDial(_Placed):
    event: Literal["call.dial"]
    to: Annotated[str, BeforeValidator(_agent_name), Field(min_length=1, max_length=200)]


class CallBridge(_Placed):
    event: Literal["call.bridge"]
    to: Annotated[str, BeforeValidator(_agent_name), Field(min_length=1, max_length=200, validation_alias="target")]


class DevConfig(ForeignModel):
    """Contacts whose calls go to a developer's version of an agent."""

    event: Literal["dev.config"]
    callers: Annotated[list[str], Field(max_length=100)]


class SkillCommand(_OfCall):
    event: Literal["skill.load", "skill.unload"]
    skill: str


class LineCommand(ForeignModel):
    """A telephone line, of which there are none here."""

    event: Literal["line.create", "line.destroy"]
    number: str


class LlmChat(ForeignModel):
    event: Literal["llm.chat"]
    session_id: Annotated[str, Field(min_length=1, max_length=128)]
    agent_id: AgentId
    text: Text


_Incoming = (
    Connect | Ping | AgentCreate | AgentConfigure | ChannelCommand | BotReply | BotReplyStream | BotCancel | ToolResults
    | LlmReady | History | CallCommand | CallForward | CallAccept | CallReject | SessionCommand | SessionConfigure
    | LlmChat | SkillCommand | CallDial | CallBridge | DevConfig | LineCommand
)  # fmt: skip
_MESSAGES: TypeAdapter[_Incoming] = TypeAdapter(Annotated[_Incoming, Field(discriminator="event")])


def parse(text: str | bytes) -> _Incoming:
    """A message of a program.

    Raises:
        ClientError: `BAD_MESSAGE`, with a sentence for each field that does not fit.
    """
    return understood(_MESSAGES.validate_json, text, "BAD_MESSAGE")


def about(text: str | bytes) -> dict[str, Any]:
    """The event of a message, whatever is wrong with the rest of it, and what an answer is found by."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(message, dict):
        return {}
    given = {k: message[k] for k in ("event", *NAMING) if isinstance(message.get(k), str | int)}
    return {k: jsonable(v) for k, v in given.items() if (len(v) <= 128 if isinstance(v, str) else abs(v) < 2**63)}


def refusal(message: Mapping[str, Any], refused: ClientError, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a program is told of a message that was refused.

    Args:
        message: what `about` makes of it.
        fields: further ones of the refusal.
    """
    event = str(message.get("event", ""))
    naming = {k: v for k, v in message.items() if k != "event"}
    # a program that waits for its agent reads nothing but this code as the end of its waiting
    unusable = event == "agent.create" and refused.code == "BAD_MESSAGE"
    code = "REGISTRATION_ERROR" if unusable else refused.code
    why = {"code": code, "message": refused.message, "error": refused.message}
    answers = [{"event": "error", **why, **naming, **fields}]
    if event == "bot.reply" and "message_id" in message and "call_id" in message:
        # whoever awaits the end of what is said waits for one of these
        named = {k: v for k, v in naming.items() if k != "request_id"}
        answers.append({"event": "reply.rejected", **named, "reason": refused.message})
        answers.append({"event": "bot.interrupted", **named, "played_ms": 0, "words_spoken": 0, "reason": "cancelled"})
    if event in ("call.dial", "call.bridge"):
        answers.append({"event": "call.error", **naming, "error": refused.message, "code": code})
    if event.startswith("history.") and "request_id" in message:
        # it waits for this event alone, and takes its `error` for the refusal
        kind = "history.data" if event == "history.get" else "history.updated"
        answers.append({"event": kind, "error": refused.message, **naming})
    return answers
