"""What a client may ask of a call: messages, validated as they come in."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from media_server.agents import TurnPreset
from media_server.errors import understood

__all__ = [
    "AgentInterrupt",
    "AgentSay",
    "CallEnd",
    "ClientMessage",
    "ContextSet",
    "DtmfSend",
    "Ping",
    "PlaybackAck",
    "SessionUpdate",
    "TextSend",
    "ToolResult",
    "TurnEnd",
    "UserMute",
    "parse_client_message",
]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextSend(_Message):
    """The caller types instead of speaking; or, with the role `system`, the client tells the model something.

    Not `immediate`: the model knows it from the next turn on. Not `interrupt`: the agent finishes what it is saying.
    """

    type: Literal["text.send"]
    text: str = Field(min_length=1, max_length=4000)
    role: Literal["user", "system"] = "user"
    immediate: bool = True
    interrupt: bool = True


class AgentSay(_Message):
    """The agent says this, word for word, after what it is saying now, or after the caller's turn."""

    type: Literal["agent.say"]
    text: str = Field(min_length=1, max_length=4000)
    interruptible: bool = True
    """Whether a caller who speaks over it stops it."""


class AgentInterrupt(_Message):
    type: Literal["agent.interrupt"]


class SessionUpdate(_Message):
    """Settings of this call, from the next turn on; language and voice where the agent lets clients choose."""

    type: Literal["session.update"]
    turns: TurnPreset | None = None
    min_pause_ms: int | None = Field(None, ge=100, le=5000)
    max_pause_ms: int | None = Field(None, ge=100, le=10000)
    completeness: bool | None = None
    language: str | None = Field(None, pattern=r"^[a-z]{2,3}$")
    voice: str | None = Field(None, max_length=64)


class TurnEnd(_Message):
    """The caller is done: what was said is answered now, whatever the silence."""

    type: Literal["turn.end"]


class ToolResult(_Message):
    """The answer of a tool that runs in the client."""

    type: Literal["tool.result"]
    id: str
    result: Any = None
    error: str | None = None
    silent: bool = False
    """The model need not say anything to it."""


class DtmfSend(_Message):
    """The caller presses keys, one after the other, as a telephone sends them with its sound."""

    type: Literal["dtmf.send"]
    digits: str = Field(pattern=r"^[0-9A-D*#]{1,64}$")


class UserMute(_Message):
    type: Literal["user.mute"]
    muted: bool


class CallEnd(_Message):
    """End the call; with `finish`, what was said so far is still understood first, and told."""

    type: Literal["call.end"]
    finish: bool = False


class ContextSet(_Message):
    """Something for the model to know from the next turn on, by a key; without a value it is forgotten."""

    type: Literal["context.set"]
    key: str = Field(min_length=1, max_length=100)
    value: str | None = Field(None, max_length=4000)


class PlaybackAck(_Message):
    """How much of the agent's voice the client has still to play, over a WebSocket."""

    type: Literal["playback.ack"]
    buffered_s: float = Field(ge=0, le=60)


class Ping(_Message):
    """Says that the client is alive; not answered."""

    type: Literal["ping"]


ClientMessage = (
    TextSend
    | AgentSay
    | AgentInterrupt
    | SessionUpdate
    | TurnEnd
    | ToolResult
    | DtmfSend
    | UserMute
    | PlaybackAck
    | ContextSet
    | CallEnd
    | Ping
)

_CLIENT_MESSAGES: TypeAdapter[ClientMessage] = TypeAdapter(Annotated[ClientMessage, Field(discriminator="type")])


def parse_client_message(text: str | bytes) -> ClientMessage:
    """A message of the events channel.

    Raises:
        ClientError: `bad_message`, with a sentence for each field that does not fit.
    """
    return understood(_CLIENT_MESSAGES.validate_json, text)
