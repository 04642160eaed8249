"""NextEVI: audio and JSON over one WebSocket, in the manner of its published examples (`seed`) or of its SDK (`sdk`).

Which one a client speaks is seen from its first `session_settings`: fields under `data`, or at the top level.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import secrets
import time
import wave
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, assert_never

import numpy as np
from pydantic import Field, TypeAdapter, model_validator

from media_server import events as e
from media_server.audio import CALL_RATE_HZ, Samples
from media_server.errors import ClientError, understood
from media_server.foreign import ForeignModel

__all__ = ["AudioInput", "EndTurn", "NextEvi", "SessionSettings"]

RATE_HZ = 24_000


class _Switch(ForeignModel):
    enabled: bool


class _Audio(ForeignModel):
    sample_rate: Annotated[int, Field(ge=8000, le=48000)] = RATE_HZ
    channels: Annotated[int, Field(ge=1, le=2)] = 1
    encoding: Literal["linear16", "pcm"] = "linear16"
    """Two names of one thing."""


class _Idle(ForeignModel):
    """Seconds of silence; what is not given is the agent's own, and where it is off none of it matters."""

    @model_validator(mode="before")
    @classmethod
    def _nothing_where_off(cls, given: Any) -> Any:
        return {"enabled": False} if isinstance(given, dict) and given.get("enabled") is False else given

    enabled: bool = True
    warning_timeout: Annotated[float, Field(gt=0, le=3600)] | None = None
    hangup_timeout: Annotated[float, Field(gt=0, le=3600)] | None = None

    def bounds(self, usual_s: float, usual_after_s: float) -> tuple[float, float]:
        """Seconds of silence after which the caller is warned, and more seconds after which the call ends."""
        if self.hangup_timeout is None:
            return self.warning_timeout or usual_s, usual_after_s
        usual_s = min(usual_s or self.hangup_timeout, self.hangup_timeout / 2)
        warning_s = min(self.warning_timeout or usual_s, self.hangup_timeout)  # silence ends the call when it is to
        return warning_s, max(0.1, self.hangup_timeout - warning_s)


class SessionSettings(_Audio):
    """A client's settings in both manners; what is under `data` was lifted out of it."""

    type: Literal["session_settings"]
    audio: _Audio | None = None
    emotion_detection: _Switch | None = None
    turn_detection: _Switch | None = None
    idle_timeout: _Idle | None = None

    @property
    def sound(self) -> _Audio:
        return self.audio or self


class AudioInput(ForeignModel):
    type: Literal["audio_input"]
    audio: str
    chunk_id: str | int | None = None

    def decoded(self) -> bytes:
        """Raises `ClientError` where it is no base64."""
        try:
            return base64.b64decode(self.audio, validate=True)
        except ValueError as wrong:
            raise ClientError("bad_message", "audio_input: audio is not valid base64.") from wrong


class EndTurn(ForeignModel):
    type: Literal["end_turn"]


class _TextInput(ForeignModel):
    type: Literal["text_input"]
    text: Annotated[str, Field(min_length=1, max_length=4000)]


class _Ping(ForeignModel):
    type: Literal["ping"]


_Incoming = SessionSettings | AudioInput | EndTurn | _TextInput | _Ping
_MESSAGES: TypeAdapter[_Incoming] = TypeAdapter(Annotated[_Incoming, Field(discriminator="type")])


class NextEvi:
    """One connection's translation."""

    def __init__(self, connection_id: str, config_id: str, project_id: str) -> None:
        self.manner: Literal["seed", "sdk"] = "seed"
        self.rate_hz = RATE_HZ
        self.manual = False
        """The client says when a turn ends."""
        self._settled = False
        self._about = {"connection_id": connection_id, "config_id": config_id, "project_id": project_id}
        self._generation = ""
        self._so_far = ""
        self._chunks = itertools.count()
        self._texts = itertools.count()
        self._said = ""
        self._stopped_s = 0.0
        """When the caller last stopped speaking."""
        self.feels: Callable[[], bool] = lambda: False
        """Whether the client is told what turns feel like."""
        self._held: list[e.Envelope] = []
        """A turn's transcript and what followed it, until its emotions are known or the agent is heard."""
        self._turn_held = ""
        self._feeling: e.EmotionUpdated | None = None
        """The emotions of the turn that is told."""

    def parse(self, text: str | bytes) -> _Incoming:
        """A message of the client; the first settings tell its manner.

        Raises:
            ClientError: `bad_message`, with a sentence for each field that does not fit.
        """
        try:
            raw = json.loads(text)
            nested = isinstance(raw, dict) and isinstance(raw.get("data"), dict)
            kind = {k: v for k, v in raw.items() if k == "type"} if nested else {}
            message = understood(_MESSAGES.validate_python, {**raw, **raw["data"], **kind} if nested else raw)
        except (ValueError, RecursionError) as wrong:
            raise ClientError("bad_message", "The message is not valid JSON.") from wrong
        if isinstance(message, SessionSettings):
            if not self._settled and (nested or message.model_fields_set != {"type"}):
                self._settled = True
                self.manner = "seed" if nested else "sdk"
                self.rate_hz = message.sample_rate if self.manner == "sdk" else RATE_HZ
            elif self.manner == "sdk" and "sample_rate" in message.model_fields_set:
                self.rate_hz = message.sample_rate
        return message

    def incoming(self, text: str | bytes) -> list[e.ClientMessage]:
        """What a message asks of the call; settings and sound are for the door."""
        match self.parse(text):
            case _TextInput(text=said):
                return [e.TextSend(type="text.send", text=said)]
            case EndTurn():
                return [e.TurnEnd(type="turn.end")]
            case _:
                return []

    def outgoing(self, envelope: e.Envelope) -> Iterator[dict[str, Any]]:
        for each in self._in_order(envelope):
            yield from self._messages(each)

    def _in_order(self, envelope: e.Envelope) -> Iterator[e.Envelope]:
        """Events in the order of NextEVI's clients: what a turn feels like comes right after its words."""
        event = envelope.event
        if isinstance(event, e.EmotionUpdated) and self._held and event.turn_id == self._turn_held:
            self._feeling = event
            said, *rest = self._held
            self._held = []
            yield from (said, envelope, *rest)
        elif self._held and _waits(event):
            self._held.append(envelope)
        else:
            held, self._held = self._held, []
            yield from held
            if isinstance(event, e.UserTranscript) and event.final and event.text and self.feels():
                self._held = [envelope]
                self._turn_held = event.turn_id
            else:
                yield envelope

    def _messages(self, envelope: e.Envelope) -> Iterator[dict[str, Any]]:
        event = envelope.event
        match event:
            case e.UserSpeechStarted():
                self._stopped_s = 0.0
                yield self._transcription("speech_started", envelope.call_id)
            case e.UserSpeechStopped():
                self._stopped_s = envelope.time
            case e.UserTranscript() as said:
                if said.text:
                    self._said = said.text
                    took_s = self._since_speech(envelope.time)
                    kind = "utterance_end" if said.final else "normal"
                    yield self._transcription(kind, envelope.call_id, said, took_s)
            case e.EmotionUpdated(source=source) as feeling:
                yield self.message("emotion_update", top_emotions=_shown(feeling), source=source)
            case e.TurnEnded(probability=sure, cause=cause):
                result: dict[str, Any] = {"is_complete": True, "confidence": sure, "reasons": [cause]}
                result["processing_time"] = self._since_speech(envelope.time)
                yield self.message("turn_complete", turn_result=result, transcript=self._said)
            case e.AgentTextDelta(turn_id=turn, text=text):
                if turn != self._generation:
                    self._begin(turn)
                self._so_far += text
                yield self._text(self._so_far if self.manner == "sdk" else text, text, final=False)
            case e.AgentText(turn_id=turn, text=text):
                if turn != self._generation:
                    self._begin(turn)
                yield self._text(text, "", final=True)
            case e.AgentSpeechStopped(reason="interrupted"):
                yield self.message("tts_interruption", content="")
            case e.AgentSpeechStopped() if self.manner == "sdk":
                # the published clients would play, or save, a file without sound
                yield self._speech(np.zeros(0, np.int16), "", last=True)
            case e.IdleWarning(remaining_s=left_s, final=final):
                kind = "final_warning" if final else "warning"
                yield self.message("idle_warning", time_remaining=left_s, warning_type=kind)
                yield self.message("system_message", content="Are you still there?", message_type="warning")
            case e.CallEnded(reason=reason):
                if reason == "silence":
                    yield self.message("system_message", content="Nobody said anything.", message_type="hangup")
                    yield self.error("IDLE_TIMEOUT_HANGUP", "Nobody said anything for too long.")
            case e.StateChanged(state=state):
                yield self.message("status", status=state)
            case e.CallWarning(message=message):
                yield self.message("system_message", content=message, message_type="warning")
            case e.Error(engine="stt", message=message):
                yield self.error("TURN_DETECTION_FAILED", message)
            case e.Error(code=code, message=message):
                yield self.error("INVALID_CONFIG" if code == "bad_message" else "WEBSOCKET_ERROR", message)
            case (
                e.CallEnding() | e.CallPaused() | e.CallResumed() | e.CallReconnecting() | e.CallReconnected()
                | e.CallForwarded() | e.AudioLevel() | e.CallQuality() | e.ConnectionChanged() | e.UserDtmf()
                | e.CallStarted() | e.AgentSpeechStopped() | e.SkillLoaded() | e.SkillUnloaded()
                | e.TurnPaused() | e.TurnEager() | e.TurnResumed() | e.TurnContinued()
                | e.AgentSegmentStarted() | e.AgentSegmentStopped() | e.AgentSpeechStarted() | e.AgentWord()
                | e.ToolCalled() | e.ToolDelayed() | e.ToolReturned()
                | e.AgentPrompted() | e.KnowledgeUsed() | e.TurnMetrics() | e.AgentEvent()
            ):  # fmt: skip
                return  # NextEVI has no message for it
            case other:
                assert_never(other)

    def connected(self, call_id: str) -> dict[str, Any]:
        """The first message, before the client's settings are known."""
        about = {**self._about, "session_id": call_id, "sample_rate": self.rate_hz}
        return self.message("connection_metadata", status="connected", config={}, **about)

    def clip(self, samples: Samples, text: str) -> str:
        """A piece of speech (48 kHz mono) as a message."""
        return json.dumps(self._speech(samples, text, last=False))

    def packed(self, pcm: bytes) -> str:
        """Sound (at `rate_hz`) as a message."""
        return json.dumps(self._speech(np.frombuffer(pcm, np.int16), "", last=False)) if pcm else ""

    @staticmethod
    def message(kind: str, **fields: Any) -> dict[str, Any]:
        """Every field twice: the published clients look under `data`, the SDK at the top."""
        envelope = {"type": kind, "timestamp": time.time(), "message_id": secrets.token_hex(8)}
        return {**fields, **envelope, "data": fields}

    @classmethod
    def error(cls, code: str, text: str) -> dict[str, Any]:
        return cls.message("error", code=code, message=text, error_code=code, error_message=text)

    def _begin(self, turn_id: str) -> None:
        self._generation, self._so_far, self._texts = turn_id, "", itertools.count()

    def _text(self, content: str, delta: str, final: bool) -> dict[str, Any]:
        fields = {"content": content, "delta": delta, "is_final": final, "generation_id": self._generation}
        return self.message("llm_response_chunk", chunk_index=next(self._texts), **fields)

    def _since_speech(self, now_s: float) -> float:
        """Seconds since the caller stopped speaking; 0 while he speaks, and for what was typed."""
        return round(now_s - self._stopped_s, 3) if self._stopped_s else 0.0

    def _transcription(
        self,
        kind: str,
        call_id: str,
        said: e.UserTranscript | None = None,
        took_s: float = 0.0,
    ) -> dict[str, Any]:
        final = kind == "utterance_end"
        feeling = self._feeling if final and said and self._feeling and self._feeling.turn_id == said.turn_id else None
        words = [
            {"word": w.text, "start": w.start_s, "end": w.end_s, "confidence": w.confidence}
            for w in (said and said.words) or ()
        ]
        return self.message(
            "transcription",
            transcript=said.text if said else "",
            is_final=final,
            is_speech_final=final,
            confidence=(said and said.confidence) or 0.0,
            words=words,
            session_id=call_id,
            processing_time=took_s,
            metadata={"event_type": kind},
            **({"emotions": _shown(feeling)} if feeling else {}),
        )

    def _speech(self, samples: Samples, text: str, last: bool) -> dict[str, Any]:
        """`content` is at the top level alone: it is large, and all clients read it there."""
        wav = self.manner == "seed"
        rate_hz = CALL_RATE_HZ if wav else self.rate_hz
        about = {"chunk_id": f"{self._generation}-{next(self._chunks)}", "is_last": last, "text": text}
        about |= {"sample_rate": rate_hz, "format": "wav" if wav else "linear16"}
        sound = _wav(samples) if wav else samples.tobytes()
        return {"content": base64.b64encode(sound).decode(), **self.message("tts_chunk", **about)}


def _waits(event: e.Event) -> bool:
    """Whether an event may wait for what the turn before it feels like: all but what is heard, and what needs it."""
    match event:
        case e.StateChanged(state=state):
            return state == "thinking"
        case (
            e.TurnEnded() | e.AgentTextDelta() | e.AgentText() | e.EmotionUpdated() | e.AgentPrompted()
            | e.KnowledgeUsed() | e.TurnMetrics() | e.AudioLevel() | e.CallQuality()
        ):  # fmt: skip
            return True
        case _:
            return False


def _shown(feeling: e.EmotionUpdated) -> list[dict[str, Any]]:
    """Emotions as the published clients read them, and as the SDK does."""
    return [
        {"name": x.name, "emotion": x.name, "score": x.score, "confidence": x.score}
        | {"percentage": round(100 * x.score, 1)}
        for x in feeling.emotions
    ]


def _wav(samples: Samples) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(CALL_RATE_HZ)
        w.writeframes(samples.tobytes())
    return file.getvalue()
