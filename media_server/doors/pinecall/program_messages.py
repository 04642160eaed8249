"""Pinecall's agents that are programs of their own: what they say, and what they are told of their calls."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from media_server import events as e
from media_server import rfc3339
from media_server.doors.pinecall.dialect import Pinecall, PinecallChat
from media_server.errors import ClientError, understood

__all__ = [
    "AgentConfigure",
    "AgentCreate",
    "BotCancel",
    "BotReply",
    "BotReplyStream",
    "CallAccept",
    "CallCommand",
    "CallForward",
    "CallReject",
    "ChannelCommand",
    "Connect",
    "FollowedCall",
    "History",
    "LlmChat",
    "LlmReady",
    "Ping",
    "SessionCommand",
    "SessionConfigure",
    "ToolResults",
    "chat_messages",
    "parse",
]

MOST_TEXT = 4000
MOST_UNFINISHED = 100
"""Replies in pieces whose end has not come."""
Text = Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]
Variables = dict[str, str | int | float | bool]
OWN = frozenset({"llm.tool_call", "llm.toolCall", "session.idleWarning"})
"""Messages for pages alone: programs are asked for tools otherwise, and know one name of each event."""


class _Message(BaseModel):
    # programs of several versions add what nobody asks for
    model_config = ConfigDict(extra="ignore")


class Connect(_Message):
    event: Literal["connect"]
    api_key: str = ""


class Ping(_Message):
    event: Literal["ping"]


class _Function(_Message):
    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
    description: str = ""
    parameters: dict[str, Any] | None = None


class ToolShape(_Message):
    """In OpenAI's form."""

    type: Literal["function"] = "function"
    function: _Function


class SessionLimits(_Message):
    max_duration_seconds: Annotated[float, Field(ge=0, le=86400)] | None = None
    idle_timeout_seconds: Annotated[float, Field(ge=0, le=3600)] | None = None
    """Until the warning, and …"""
    idle_grace_seconds: Annotated[float, Field(ge=0, le=3600)] | None = None
    """… after it."""


class _Agent(_Message):
    agent_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    prompt: str | None = None
    greeting: str | None = None
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]+)*$")] | None = None
    voice: Any = None
    stt: Any = None
    llm: Any = None
    """Without any the program answers turns itself."""
    vars: Variables | None = None
    tools: Annotated[list[ToolShape], Field(max_length=100)] | None = None
    session_limits: SessionLimits | None = None
    allowed_origins: list[str] | None = None
    knowledge_base: Any = None
    interruption: Any = None
    media: Any = None
    preparing: bool | None = None
    ringing: bool | None = None
    """Ours: whether it wants to be asked before a call is taken."""


class AgentCreate(_Agent):
    event: Literal["agent.create"]


class AgentConfigure(_Agent):
    event: Literal["agent.configure"]


class ChannelCommand(_Message):
    event: Literal["channel.add", "channel.configure", "channel.remove"]
    agent_id: str
    channel: Any = None


class _OfCall(_Message):
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
    token: Annotated[str, Field(max_length=4000)] = ""
    in_reply_to: str | None = None


class BotCancel(_OfCall):
    event: Literal["bot.cancel", "bot.clear"]


class _ToolResult(_Message):
    tool_call_id: str
    result: Any = None
    ephemeral: bool = False
    no_followup: bool = False


class ToolResults(_OfCall):
    event: Literal["llm.tool_result"]
    results: Annotated[list[_ToolResult], Field(max_length=100)]


class LlmReady(_OfCall):
    event: Literal["llm.ready"]
    turn: Any = None


class _Said(_Message):
    role: Literal["user", "assistant", "system"]
    content: Text


class History(_OfCall):
    event: Literal[
        "history.get", "history.add", "history.set", "history.clear",
        "history.set_vars", "history.add_context", "history.set_instructions",
    ]  # fmt: skip
    request_id: str | int | None = None
    messages: Annotated[list[_Said], Field(max_length=1000)] = []
    vars: Variables = {}
    key: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    context: Annotated[str, Field(max_length=4000)] | None = None
    instructions: str | None = None


class CallCommand(_OfCall):
    event: Literal["call.hangup", "call.hold", "call.unhold", "call.mute", "call.unmute", "call.dtmf"]


class CallForward(_OfCall):
    event: Literal["call.forward"]
    to: Annotated[str, Field(min_length=1, max_length=200)]
    message: Text | None = None


class CallAccept(_OfCall):
    event: Literal["call.accept"]


class CallReject(_OfCall):
    event: Literal["call.reject"]
    reason: Literal["busy", "rejected"] = "rejected"


class SessionCommand(_Message):
    event: Literal["session.pause", "session.resume", "session.send"]
    session_id: str | None = None
    contact: str | None = None
    """All calls under way of who is called so in their metadata."""
    text: Text | None = None


class SessionConfigure(_Message):
    event: Literal["session.configure"]
    session_id: str
    prompt: str | None = None
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}$")] | None = None
    voice: str | None = None


class LlmChat(_Message):
    event: Literal["llm.chat"]
    session_id: Annotated[str, Field(min_length=1, max_length=128)]
    agent_id: str
    text: Text


_Incoming = (
    Connect | Ping | AgentCreate | AgentConfigure | ChannelCommand | BotReply | BotReplyStream | BotCancel | ToolResults
    | LlmReady | History | CallCommand | CallForward | CallAccept | CallReject | SessionCommand | SessionConfigure
    | LlmChat
)  # fmt: skip
_MESSAGES: TypeAdapter[_Incoming] = TypeAdapter(Annotated[_Incoming, Field(discriminator="event")])


def parse(text: str | bytes) -> _Incoming:
    """A message of a program.

    Raises:
        ClientError: `BAD_MESSAGE`, with a sentence for each field that does not fit.
    """
    return understood(_MESSAGES.validate_json, text, "BAD_MESSAGE")


class FollowedCall:
    """One call's translation for the program whose agent conducts it.

    Args:
        started_at: seconds since the epoch.
    """

    def __init__(self, agent_id: str, call_id: str, started_at: float) -> None:
        self.agent_id = agent_id
        self.turn_id = ""
        """The caller's last turn: what the program answers now."""
        self._of = {"agent_id": agent_id, "call_id": call_id}
        self._started_at = started_at
        self._pinecall = Pinecall()
        self._written = False
        self._messages: list[dict[str, str]] = []
        self._names: dict[str, str] = {}
        """What the program calls its replies, by the turns that they were said in."""
        self._to_be_said: deque[tuple[str, str]] = deque(maxlen=MOST_UNFINISHED)
        self.unfinished: dict[str, str] = {}
        """What there is of replies of its own accord that come in pieces, by what the program calls them."""

    def begin(self, message_id: str) -> None:
        """A reply in pieces begins. Raises `ClientError` where too many have no end yet."""
        if len(self.unfinished) >= MOST_UNFINISHED:
            raise ClientError("BAD_MESSAGE", f"bot.reply.stream: {MOST_UNFINISHED} replies of this call have no end.")
        self.unfinished[message_id] = ""

    def go_on(self, message_id: str, token: str) -> None:
        """Raises `ClientError` where it is too long; then it is dropped."""
        text = self.unfinished.pop(message_id) + token
        if len(text) > MOST_TEXT:
            raise ClientError("BAD_MESSAGE", f"bot.reply.stream: more than {MOST_TEXT} characters in one reply.")
        self.unfinished[message_id] = text

    def expect(self, text: str, message_id: str) -> None:
        """The program has something said, and calls it so."""
        if message_id:
            self._to_be_said.append((text, message_id))

    def answered(self, message_id: str) -> None:
        """The program answers the turn, and calls the answer so."""
        if message_id:
            self._names[self.turn_id] = message_id

    def outgoing(self, envelope: e.Envelope, who: str) -> Iterator[dict[str, Any]]:
        """An event as the program is told it.

        Args:
            who: calls, where that is known.
        """
        match envelope.event:
            case e.CallStarted(transport=transport, metadata=metadata):
                self._written = transport == "chat"
                kind = "chat.started" if self._written else "call.started"
                about = {"from": who, "to": self.agent_id, "direction": "inbound", "transport": transport}
                yield {"event": kind, **self._of, **about, "metadata": metadata}
                return
            case e.CallEnded(reason=reason, duration_s=duration_s):
                ended_at = self._started_at + duration_s
                times = {"started_at": rfc3339.stamp(self._started_at), "ended_at": rfc3339.stamp(ended_at)}
                ended = {"event": "call.ended", **self._of, "reason": reason, "duration_seconds": duration_s}
                yield {**ended, **times, "messages": self._messages}
                return
            case e.CallForwarded(to=to):
                yield {"event": "call.forwarded", **self._of, "to": to}
                return
            case e.TurnEnded(turn_id=turn):
                self.turn_id = turn
            case e.UserTranscript(final=True, text=text) if text:
                self._messages.append({"role": "user", "content": text})
            case e.AgentSpeechStopped(heard=heard) if heard:
                self._messages.append({"role": "assistant", "content": heard})
            case e.AgentText(turn_id=turn, text=text):
                if self._written:
                    self._messages.append({"role": "assistant", "content": text})
                if self._to_be_said and self._to_be_said[0][0] == text:
                    self._names[turn] = self._to_be_said.popleft()[1]
        for message in self._pinecall.outgoing(envelope):
            match message:
                case {"event": kind} if kind in OWN:
                    continue
                case {"message_id": turn} if turn in self._names:
                    yield message | self._of | {"message_id": self._names[turn]}
                case _:
                    yield message | self._of


def chat_messages(dialect: PinecallChat, envelope: e.Envelope, session_id: str) -> Iterator[dict[str, Any]]:
    """What a program is told of a conversation in writing that it leads itself."""
    for message in dialect.outgoing(envelope):
        name = str(message.pop("event")).removeprefix("chat.")
        yield {"event": f"llm.chat.{name}", **message, "session_id": session_id}
