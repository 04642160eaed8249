"""Speechmatics Flow: its messages, over a WebSocket or a data channel."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, assert_never

from pydantic import Field, TypeAdapter
from pydantic_core import from_json

from media_server import events as e
from media_server import rfc3339
from media_server.agents import Tool, client_tool
from media_server.doors.flow.languages import pack_of
from media_server.errors import ClientError, understood
from media_server.foreign import ForeignModel

__all__ = ["ALIASES", "AudioEnded", "AudioFormat", "Flow", "StartConversation", "parse"]

ALIASES = frozenset(
    {"default", "flow-service-assistant-amelia", "flow-service-assistant-humphrey", "flow-service-assistant-one"}
)
"""Templates of the original, which stand for the default agent unless an agent has the name."""
VOICE_RATE_HZ = 16_000
"""Sample rate of the agent's voice. Clients play it at this rate, whatever their own format is."""
NO_RESPONSE = "<NO_RESPONSE_REQUIRED/>"
TOOL_TIMEOUT_S = 30.0
MAX_TOOLS = 65_536
"""Characters of the parameters' schemas: a grammar is made of them."""
MIN_S = 0.001
"""Times have to be more than 0: clients take it for a missing one."""
SLOW_MS = 2000.0
"""A stage of an answer that takes longer is warned of."""


class AudioFormat(ForeignModel):
    type: Literal["raw"] = "raw"
    encoding: e.Encoding = "pcm_s16le"
    sample_rate: Annotated[int, Field(ge=8000, le=48000)] = 16_000


class _Function(ForeignModel):
    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]
    description: str = ""
    parameters: dict[str, Any] | None = None


class _Tool(ForeignModel):
    type: Literal["function"] = "function"
    function: _Function


class _ConversationConfig(ForeignModel):
    template_id: str
    template_variables: dict[str, str] = Field(default_factory=dict)


class _Debug(ForeignModel):
    llm: bool = False


class StartConversation(ForeignModel):
    """The first message, and the body of the request that starts a call over WebRTC."""

    message: Literal["StartConversation"]
    conversation_config: _ConversationConfig
    audio_format: AudioFormat | None = None
    tools: Annotated[list[_Tool], Field(max_length=100, default_factory=list)]
    debug: _Debug = _Debug()
    sdp: str | None = None
    """Ours: an offer, answered at once, in a request that starts a call over WebRTC."""

    def client_tools(self) -> list[Tool]:
        """The tools, which run in the client.

        Raises:
            ClientError: `config_error`: parameters that are no schema, two of one name, or too much of them.
        """
        made: dict[str, Tool] = {}
        for each in self.tools:
            f = each.function
            if f.name in made:
                raise ClientError("config_error", f"tools: there are two called {f.name}.")
            try:
                made[f.name] = client_tool(f.name, f.description, f.parameters, timeout_s=TOOL_TIMEOUT_S)
            except (ValueError, TypeError, AttributeError) as wrong:
                raise ClientError("config_error", f"tools: the parameters of {f.name}: {wrong}.") from wrong
        if sum(len(json.dumps(tool.parameters)) for tool in made.values()) > MAX_TOOLS:
            raise ClientError("config_error", f"tools: their parameters have more than {MAX_TOOLS} characters in all.")
        return list(made.values())


class AudioEnded(ForeignModel):
    message: Literal["AudioEnded"]
    last_seq_no: int | None = None


class _AudioReceived(ForeignModel):
    message: Literal["AudioReceived"]
    seq_no: int
    buffering: Annotated[float, Field(ge=0)] | None = None


class _AddInput(ForeignModel):
    message: Literal["AddInput"]
    input: Annotated[str, Field(min_length=1, max_length=4000)]
    immediate: bool = False
    interrupt_response: bool = False


class _ToolResult(ForeignModel):
    message: Literal["ToolResult"]
    id: str
    status: Literal["ok", "failed", "rejected"]
    content: str | None = None


_Incoming = StartConversation | AudioEnded | _AudioReceived | _AddInput | _ToolResult
_MESSAGES: TypeAdapter[_Incoming] = TypeAdapter(Annotated[_Incoming, Field(discriminator="message")])


def parse(text: str | bytes) -> _Incoming:
    """A message of a client.

    Raises:
        ClientError: `protocol_error`, with a sentence for each field that does not fit.
    """
    return understood(_MESSAGES.validate_json, text, "protocol_error")


class Flow:
    """One conversation's translation. Times are seconds since the call began.

    Args:
        language: that the agent is spoken to in; empty where it is detected.
        prompts: the client is told what the model is shown, as far as the agent allows it.
        notes: what the client is warned of at the start.
    """

    close_grace_s = 1.5
    """Seconds after the end for the client to close the connection."""

    def __init__(self, language: str = "", *, prompts: bool = False, notes: Sequence[str] = ()) -> None:
        self.started = asyncio.Event()
        """The client was told that the conversation has started."""
        self._language = language
        self._prompts = prompts
        self._notes = notes
        self._speech_began_s = 0.0
        self._state = "connecting"
        self._ending = False

    def incoming(self, text: str | bytes) -> list[e.ClientMessage]:
        match parse(text):
            case StartConversation():
                raise ClientError("protocol_error", "The conversation has started already.")
            case AudioEnded():
                return [e.CallEnd(type="call.end", finish=True)]
            case _AudioReceived(buffering=buffered_s):
                return (
                    [] if buffered_s is None else [e.PlaybackAck(type="playback.ack", buffered_s=min(buffered_s, 60))]
                )
            case _AddInput() as added:
                return [
                    e.TextSend(
                        type="text.send",
                        text=added.input,
                        role="system",
                        immediate=added.immediate,
                        interrupt=added.interrupt_response,
                    )
                ]
            case _ToolResult() as result:
                return [_tool_result(result)]

    def outgoing(self, envelope: e.Envelope) -> Iterator[dict[str, Any]]:
        match envelope.event:
            case e.CallStarted(limits=limits):
                yield from self._started(envelope.call_id, limits)
            case e.StateChanged(state=state):
                before, self._state = self._state, state
                status = {"prev_status": before, "status": state}
                if before != "connecting":  # of the start there is a message of its own
                    yield _info("status_update", f"The conversation is {state}.", event=status)
            case e.UserSpeechStarted():
                self._speech_began_s = envelope.time
            case e.UserTranscript() as said:
                if said.text:
                    yield self._transcript(said, envelope.time)
            case e.AgentSegmentStarted(text=text, start_s=start_s):
                if text:
                    yield {"message": "ResponseStarted", "content": text, "start_time": _s(start_s)}
            case e.AgentSegmentStopped() as stopped:
                done = stopped.reason == "completed"
                times = {"start_time": _s(stopped.start_s), "end_time": _s(stopped.end_s)}
                # nothing of it was heard; a client drops what is empty
                content = stopped.heard or "…"
                yield {"message": f"Response{'Completed' if done else 'Interrupted'}", "content": content, **times}
            case e.ToolCalled() as called:
                if called.runs_at == "client":
                    function = {"name": called.name, "arguments": called.arguments}
                    yield {"message": "ToolInvoke", "id": called.id, "type": "function", "function": function}
            case e.AgentPrompted(prompt=prompt, response=response):
                if self._prompts:
                    yield {"message": "prompt", "prompt": {"prompt": prompt, "response": response}}
            case e.TurnMetrics(stages=stages):
                if self._prompts:
                    yield {"message": "Debug", "llm": {f"{name}_ms": ms for name, ms in stages.items()}}
                for stage, (kind, what) in SLOW.items():
                    if stages[stage] > SLOW_MS:
                        yield _warning(kind, f"{what} took {stages[stage] / 1000:.1f} seconds.")
            case e.CallEnding():
                self._ending = True
                yield {"message": "ConversationEnding"}
            case e.CallEnded(reason=reason):
                if failed := FAILURES.get(reason):
                    yield {"message": "Error", "type": failed[0], "reason": failed[1]}
                elif reason != "client_hangup" and not self._ending:
                    yield {"message": "ConversationEnding"}
                yield {"message": "ConversationEnded"}
            case e.CallWarning(code="call_ending") as warned:
                left = {"conversation_termination": round(warned.remaining_s or 0)}
                yield _warning("conversation_termination", warned.message, **left)
            case e.IdleWarning():
                yield _warning("idle_timeout", "Nobody says anything.")
            case e.CallWarning(code=code, message=message, engine=engine):
                yield _warning(ENGINES.get(engine or "") or WARNINGS.get(code, "protocol_error"), message)
            case e.Error(code=code, message=message, engine=engine):
                yield _warning(ENGINES.get(engine or "") or WARNINGS.get(code, "llm_error"), message)
            case (
                e.CallPaused() | e.CallResumed() | e.CallReconnecting() | e.CallReconnected() | e.CallForwarded()
                | e.CallQuality() | e.ConnectionChanged() | e.UserDtmf()
                | e.SkillLoaded() | e.SkillUnloaded()
                | e.UserSpeechStopped() | e.TurnPaused() | e.TurnEager() | e.TurnResumed() | e.TurnContinued()
                | e.TurnEnded() | e.EmotionUpdated() | e.AudioLevel()
                | e.AgentTextDelta() | e.AgentText() | e.AgentSpeechStarted() | e.AgentWord() | e.AgentSpeechStopped()
                | e.ToolDelayed() | e.ToolReturned() | e.KnowledgeUsed() | e.AgentEvent()
            ):  # fmt: skip
                return  # Flow has no message for it
            case other:
                assert_never(other)

    def _started(self, call_id: str, limits: e.Limits | None) -> Iterator[dict[str, Any]]:
        started = {"id": call_id, "asr_session_id": call_id, "language_pack_info": pack_of(self._language)}
        yield {"message": "ConversationStarted", **started}
        self.started.set()
        if limits is not None:
            yield from self._limits(limits)
        for note in self._notes:
            yield _warning("protocol_error", note)

    def _limits(self, limits: e.Limits) -> Iterator[dict[str, Any]]:
        if seconds := limits.max_duration_s:
            reason = f"The conversation may last {seconds:g} seconds."
            yield _info("conversation_duration_limit", reason, conversation_duration_limit=round(seconds))
        usage = {"usage": limits.calls, "quota": limits.max_calls, "last_updated": rfc3339.now()}
        yield _info("concurrent_session_usage", "Conversations under way.", **usage)

    def _transcript(self, said: e.UserTranscript, now_s: float) -> dict[str, Any]:
        language = {"language": said.language} if said.language else {}
        words = said.words or self._guessed(said, now_s)
        results = []
        for word in words:
            bare = word.text.rstrip(PUNCTUATION)
            results.append(_result("word", bare or word.text, word, language))
            if bare:
                marks = word.text[len(bare) :]
                results += [_result("punctuation", mark, word, language) for mark in marks]
        if said.final:
            if results[-1]["type"] == "word":
                results.append(_result("punctuation", ".", words[-1], language))
            # clients cut sentences here
            results[-1]["is_eos"] = True
        times = {"start_time": _s(words[0].start_s), "end_time": _s(words[-1].end_s)}
        metadata = {**times, "transcript": said.text + " "}
        kind = "AddTranscript" if said.final else "AddPartialTranscript"
        return {"message": kind, "format": "2.9", "metadata": metadata, "results": results}

    def _guessed(self, said: e.UserTranscript, now_s: float) -> tuple[e.TranscriptWord, ...]:
        """Words that have no times of their own yet: side by side since the speech began."""
        texts = said.text.split()
        began_s = min(self._speech_began_s, now_s)
        each_s = (now_s - began_s) / len(texts)
        confidence = said.confidence or 0.5
        return tuple(
            e.TranscriptWord(text, began_s + i * each_s, began_s + (i + 1) * each_s, confidence)
            for i, text in enumerate(texts)
        )


PUNCTUATION = ".,;:!?…。，、；：！？؟،؛।॥"
"""What stands behind words: each mark is a result of its own."""
FAILURES = {
    "internal_error": ("internal_error", "The server made a mistake; the conversation is over."),
    "server_shutdown": ("job_error", "The server is stopped; start the conversation anew later."),
    "silence": ("idle_timeout", "Nobody said anything for too long."),
    "idle_timeout": ("idle_timeout", "The client sent nothing any more."),
    "max_duration": ("session_timeout", "The conversation was as long as it may be."),
    "credits_exhausted": ("timelimit_exceeded", "The credit of the API key is used up."),
}
"""Ends of a call that are no good ones: its clients take `ConversationEnding` for the agent's goodbye."""
WARNINGS = {
    "bad_message": "protocol_error", "protocol_error": "protocol_error", "unknown_tool_call": "protocol_error",
    "nothing_said": "protocol_error", "too_many_messages": "protocol_error", "too_much_context": "protocol_error",
    "bad_setting": "protocol_error", "no_audio": "protocol_error", "engine_lost": "llm_error",
    "engine_slow": "high_llm_latency",
}  # fmt: skip
ENGINES = {"stt": "high_asr_latency", "llm": "llm_error", "tts": "tts_error"}
"""Warnings of engines that fail; of the recogniser there is but one, and what it missed is not understood later."""
SLOW = {
    "stt": ("high_asr_latency", "Understanding what was said"),
    "llm_first_token": ("high_llm_latency", "The first word of the answer"),
    "tts_first_audio": ("high_tts_latency", "The first sound of the answer"),
}
"""Warnings of slow stages, and what each is."""


def _info(kind: str, reason: str, /, **fields: Any) -> dict[str, Any]:
    return {"message": "Info", "type": kind, "reason": reason, **fields}


def _warning(kind: str, reason: str, /, **fields: Any) -> dict[str, Any]:
    return {"message": "Warning", "type": kind, "reason": reason, **fields}


def _s(seconds: float) -> float:
    return max(MIN_S, round(seconds, 3))


def _result(kind: str, content: str, word: e.TranscriptWord, language: Mapping[str, str]) -> dict[str, Any]:
    said = {"content": content, "confidence": word.confidence, **language, "speaker": "S1"}
    at_end = kind == "punctuation"
    times = {"start_time": _s(word.end_s if at_end else word.start_s), "end_time": _s(word.end_s)}
    attached = {"attaches_to": "previous"} if at_end else {}
    return {"type": kind, **times, "alternatives": [said], **attached}


def _tool_result(result: _ToolResult) -> e.ToolResult:
    content = result.content or ""
    if result.status != "ok":
        refused = "The tool was refused." if result.status == "rejected" else "The tool failed."
        return e.ToolResult(type="tool.result", id=result.id, error=content or refused)
    if content == NO_RESPONSE:
        return e.ToolResult(type="tool.result", id=result.id, result="done", silent=True)
    try:
        value = from_json(content, allow_inf_nan=False)
    except ValueError:
        value = content
    if isinstance(value, float) and not math.isfinite(value):
        value = content  # a number that is too large
    return e.ToolResult(type="tool.result", id=result.id, result=value)
