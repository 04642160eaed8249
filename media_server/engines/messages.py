"""What is said between the server and an engine's host: plain data, as MessagePack.

A request has an id; its results carry it; the last one is `Finished` or `Failed`. `Cancel` withdraws a request:
nothing more comes for it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import msgspec

__all__ = [
    "HEADER",
    "AudioChunk",
    "CalledTool",
    "Cancel",
    "ChatMessage",
    "ClassifyEmotion",
    "EndOfTurnProbability",
    "Failed",
    "Fatal",
    "Finished",
    "FromHost",
    "Generate",
    "HeardWord",
    "PredictEndOfTurn",
    "Ready",
    "Request",
    "Result",
    "Synthesize",
    "TextChunk",
    "Thinking",
    "ToHost",
    "ToolCall",
    "Transcribe",
    "Transcript",
    "Withdrawn",
    "Word",
    "decode_from_host",
    "decode_to_host",
    "encode",
]


HEADER = struct.Struct("<I")
"""The length of the message that follows on the socket."""


class Word(msgspec.Struct, frozen=True):
    """A word and its place in the sound it belongs to, in seconds."""

    text: str
    start_s: float
    end_s: float


class HeardWord(msgspec.Struct, frozen=True):
    """A word that was heard, its place in the samples in seconds, and the mean probability of its tokens."""

    text: str
    start_s: float
    end_s: float
    confidence: float


class Transcribe(msgspec.Struct, frozen=True, tag="transcribe"):
    """int16 mono samples at 16 kHz. Final ones go before partials, and both before recordings."""

    id: int
    samples: bytes
    final: bool = True
    words: bool = False
    """Whether the words' times are wanted."""
    language: str | None = None
    """The speech's language, for a model that knows several; the pack's, or detected, where none is given."""
    hotwords: str = ""
    """What is likely to be said: names, products."""
    turn: bytes = b""
    """The turn's last seconds, samples as above, where it is asked whether it sounds complete."""
    live: bool = True
    """Whether it is part of a call; a recording waits until no call has anything to be transcribed."""


class ToolCall(msgspec.Struct, frozen=True):
    """A call that the model made; `arguments` is JSON."""

    id: str
    name: str
    arguments: str


class ChatMessage(msgspec.Struct, frozen=True):
    """`role`: system, user, assistant, or tool, whose content is what the call `tool_call_id` returned, as JSON."""

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


class Generate(msgspec.Struct, frozen=True, tag="generate"):
    """Answer `messages`. `call_id` finds the slot that holds the earlier turns of the same call."""

    id: int
    call_id: str
    messages: tuple[ChatMessage, ...]
    max_tokens: int
    temperature: float | None = None
    """The pack's where none is given; 0 for the likeliest token always."""
    top_p: float | None = None
    grammar: str = ""
    """GBNF whose `root` the reply must follow …"""
    grammar_from: str = ""
    """… from this text on, once it is written; from the start without."""
    tools: str = ""
    """What the model may call: a JSON list of functions in OpenAI's form. Its calls come as `CalledTool`, and fit."""
    informed: bool = False
    """The model has the results of what it called for this turn: a small one answers then, and calls nothing more."""


class PredictEndOfTurn(msgspec.Struct, frozen=True, tag="judge"):
    """Tell how likely it is that the last of `messages`, a caller's turn, is complete as it stands."""

    id: int
    call_id: str
    messages: tuple[ChatMessage, ...]
    tools: str = ""
    """Tools as in `Generate`, so that the reply can go on from what was read here."""


class ScoreWords(msgspec.Struct, frozen=True, tag="choose"):
    """Tell how likely each of these words is as the answer to `messages`, compared with the others."""

    id: int
    call_id: str
    messages: tuple[ChatMessage, ...]
    words: tuple[str, ...]


class ClassifyEmotion(msgspec.Struct, frozen=True, tag="feel"):
    """Tell how likely each label of the classifier is for this sound: int16 mono samples at 16 kHz."""

    id: int
    samples: bytes


class Synthesize(msgspec.Struct, frozen=True, tag="synthesize"):
    """Speak one clause. It comes in pieces, those first whose listeners will be without sound first."""

    id: int
    words: tuple[tuple[str, str], ...]
    """Each word as written, and what is said for it; words are reported as written."""
    ahead_s: float = 0.0
    """Seconds of sound that the listener has still to hear before this."""
    live: bool = True
    """Whether somebody listens; files are made when no listener waits."""
    voice: str = ""
    """One of the voices that the pack names; empty for its usual one."""
    speed: float = 1.0
    """1 for the voice's own; larger is faster."""


class Embed(msgspec.Struct, frozen=True, tag="embed"):
    """Find the vectors of texts: of a question, or of passages that may answer one."""

    id: int
    texts: tuple[str, ...]
    query: bool


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    id: int


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The model is loaded; `info` says what runs where, and `on_cpu` whether it shares the cores with other engines."""

    info: str
    on_cpu: bool = False
    id: int = -1


class Fatal(msgspec.Struct, frozen=True, tag="fatal"):
    """The model cannot be loaded; trying again would not help."""

    message: str
    id: int = -1


class Transcript(msgspec.Struct, frozen=True, tag="transcript"):
    """`confidence` is the mean probability of the tokens, 0 to 1; `words` are given if they were asked for."""

    id: int
    text: str
    confidence: float
    language: str
    words: tuple[HeardWord, ...] = ()
    complete: float | None = None
    """The probability that the turn is complete, by its sound; None where nobody asked or there is no classifier."""
    language_probability: float = 1.0
    """How sure the detection of the language is; 1 where the language was given."""


class TextChunk(msgspec.Struct, frozen=True, tag="text"):
    id: int
    text: str


class Thinking(msgspec.Struct, frozen=True, tag="thinking"):
    """The model has begun to think; nothing of its thoughts is told."""

    id: int


class Withdrawn(msgspec.Struct, frozen=True, tag="withdrawn"):
    """What was told of the reply so far is no part of it: the model thought, and did not say so."""

    id: int


class CalledTool(msgspec.Struct, frozen=True, tag="called_tool"):
    """The model calls a tool; `arguments` is JSON."""

    id: int
    name: str
    arguments: str


class EndOfTurnProbability(msgspec.Struct, frozen=True, tag="end_of_turn"):
    """The model's probability that the caller's turn ends here, 0 to 1."""

    id: int
    probability: float


class Scores(msgspec.Struct, frozen=True, tag="chosen"):
    """A share for each word, or for each label of a classifier; together they are 1."""

    id: int
    shares: tuple[float, ...]


class AudioChunk(msgspec.Struct, frozen=True, tag="audio"):
    """int16 mono samples at 48 kHz, and the words in them."""

    id: int
    samples: bytes
    words: tuple[Word, ...]


class Vectors(msgspec.Struct, frozen=True, tag="vectors"):
    """float32, one row of length 1 for each text."""

    id: int
    vectors: bytes


class Finished(msgspec.Struct, frozen=True, tag="finished"):
    """`reason`: stop, or length where a limit cut it."""

    id: int
    reason: str = "stop"


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    id: int
    code: str
    message: str


Request = Transcribe | Generate | PredictEndOfTurn | ScoreWords | ClassifyEmotion | Synthesize | Embed
ToHost = Transcribe | Generate | PredictEndOfTurn | ScoreWords | ClassifyEmotion | Synthesize | Embed | Cancel
Result = (
    Transcript
    | TextChunk
    | Thinking
    | Withdrawn
    | CalledTool
    | EndOfTurnProbability
    | Scores
    | AudioChunk
    | Vectors
    | Finished
    | Failed
)
FromHost = Ready | Fatal | Result

encode = msgspec.msgpack.Encoder().encode
decode_to_host: Callable[[bytes], ToHost] = msgspec.msgpack.Decoder(ToHost).decode
decode_from_host: Callable[[bytes], FromHost] = msgspec.msgpack.Decoder(FromHost).decode
