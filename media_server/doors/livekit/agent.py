"""The agent as a participant: its state, what is said as transcriptions, typed messages, and remote procedure calls."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic_core import from_json, to_json

from media_server import events as e
from media_server.call.joining import joined
from media_server.doors.livekit.line import RoomLine
from media_server.doors.livekit.messages import LeaveReason, ParticipantState
from media_server.doors.livekit.participants import Participant, new_sid
from media_server.doors.livekit.protobuf import Message
from media_server.errors import ClientError
from media_server.events import ClientMessage, parse_client_message

__all__ = ["AgentParticipant", "Conversation"]

STATES = {
    "connecting": "initializing",
    "listening": "listening",
    "user_speaking": "listening",
    "thinking": "thinking",
    "agent_speaking": "speaking",
}
"""Ours, and LiveKit's."""
CHAT, TRANSCRIPTION = "lk.chat", "lk.transcription"
OLD_CHAT, OLD_CHAT_UPDATE = "lk-chat-topic", "lk-chat-update-topic"
COPIES = ("ignore", "ignoreLegacy")
"""What an older form of a chat message says of itself that was sent in a newer one too."""
MAX_IDS, MAX_ID = 64, 100
"""How many ids of typed messages are known, and their characters."""
CHANGED = ("edit_timestamp", "deleted", "generated")
"""What is said of chat messages that were not typed just now."""
KEYS = "0123456789*#ABCD"
"""Keys of a telephone, in the order of their numbers (RFC 4733)."""
MAX_STREAMS = 8
"""Maximum text streams of a client that are open at a time."""
MAX_TEXT = 16 * 1024
"""Maximum bytes of a text stream."""
CHUNK = 15_000
"""Bytes of a stream's largest chunk."""
RPC_VERSION = 1
RPC_TIMEOUT_MS = 60_000
UNSUPPORTED_METHOD, APPLICATION_ERROR = 1400, 1500
MAX_RPC_PAYLOAD = 15 * 1024
"""Bytes that clients take."""

REASONS: Mapping[str, LeaveReason] = {
    "client_hangup": LeaveReason.CLIENT_INITIATED,
    "agent_hangup": LeaveReason.ROOM_DELETED,
    "forwarded": LeaveReason.ROOM_DELETED,
    "max_duration": LeaveReason.PARTICIPANT_REMOVED,
    "credits_exhausted": LeaveReason.PARTICIPANT_REMOVED,
    "silence": LeaveReason.CONNECTION_TIMEOUT,
    "idle_timeout": LeaveReason.CONNECTION_TIMEOUT,
    "connection_lost": LeaveReason.CONNECTION_TIMEOUT,
    "connect_timeout": LeaveReason.JOIN_FAILURE,
    "server_shutdown": LeaveReason.SERVER_SHUTDOWN,
}


class Conversation(Protocol):
    """What the agent needs of a call."""

    def receive(
        self, text: str | bytes, incoming: Callable[[str | bytes], Iterable[ClientMessage]] | None = None
    ) -> None: ...


@dataclass(slots=True)
class _Incoming:
    """A text stream of the client's."""

    topic: str
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0


@dataclass(slots=True)
class _Spoken:
    """What the agent says in a turn, told while it is said."""

    stream_id: str = ""
    """Empty as long as no stream of this line tells it."""
    text: str = ""
    chunks: int = 0


class AgentParticipant:
    """One call's agent in its room: give it the call's events (`note`) and the client's packets (`take`).

    Args:
        call: takes what the client says.
        answers_natively: no other dialect is spoken: client tools are called by RPC, and messages of the native API may
            be.
    """

    def __init__(self, call: Conversation, line: RoomLine, answers_natively: bool) -> None:
        self._call, self._line = call, line
        self._answers_natively = answers_natively
        self._state = "initializing"
        self._streams: dict[str, _Incoming] = {}
        self._typed_ids: deque[str] = deque(maxlen=MAX_IDS)
        """Ids of the newest messages that were typed."""
        self._spoken: dict[str, _Spoken] = {}
        """What is being said, by turn."""
        self._asked: set[str] = set()
        """Tool calls that wait for the client's answer."""
        self.move(line)

    def move(self, line: RoomLine) -> None:
        """Go on over this line."""
        line.room.person = self._line.room.person
        self._line = line
        line.agent = self
        self._streams.clear()
        for spoken in self._spoken.values():  # streams end with a line; what is being said is told in another one
            spoken.stream_id, spoken.chunks = "", 0
        self._set_state(self._state)

    # -- from the call

    def note(self, event: e.Event) -> None:
        """Show the client an event of the call."""
        match event:
            case e.StateChanged(state) if state in STATES:
                self._set_state(STATES[state])
            case e.UserTranscript() if event.text:
                self._tell_heard(event)
            case e.AgentWord():
                self._tell_word(event.turn_id, event.text)
            case e.AgentSpeechStopped():
                self._tell_said(event.turn_id, event.heard)
            case e.ToolCalled(runs_at="client") if self._answers_natively:
                self._ask(event)
            case e.ToolReturned():
                self._asked.discard(event.id)
            case e.CallPaused():
                self._line.tell(self._line.room.admit_person())
            case e.CallResumed() if person := self._line.room.person:
                self._line.room.person, person.state = None, ParticipantState.DISCONNECTED
                person.changed()
                self._line.tell(person)
            case e.CallEnded():
                self._line.leave_reason = _reason_of(event.reason)

    def _set_state(self, state: str) -> None:
        self._state = state
        agent = self._line.room.agent
        if agent.attributes.get("lk.agent.state") != state:
            agent.attributes = {**agent.attributes, "lk.agent.state": state}
            agent.changed()
            self._line.tell(agent)

    def _tell_heard(self, event: e.UserTranscript) -> None:
        """What the caller says: a stream for each state of it, since words of it may change."""
        room = self._line.room
        sender, track = room.caller, room.microphone.sid if room.microphone else ""
        segment, text, final = event.turn_id, event.text, event.final
        stream_id = new_sid("ST")
        self._begin_stream(sender, stream_id, segment, track, final)
        self._write(sender, stream_id, 0, text)
        self._line.send_packet(sender, stream_trailer={"stream_id": stream_id})
        self._tell_old(sender, track, segment, text, final, event.language or "")

    def _tell_word(self, turn: str, word: str) -> None:
        """What the agent says, word for word as it is heard."""
        room = self._line.room
        spoken = self._spoken.setdefault(turn, _Spoken())
        told, spoken.text = spoken.text, joined(spoken.text, word)
        self._write_spoken(turn, spoken, told)
        self._tell_old(room.speaker, room.voice.sid, turn, spoken.text, False, "")

    def _write_spoken(self, turn: str, spoken: _Spoken, told: str) -> None:
        """Write what the client has not been told; in a stream that begins, all of it."""
        room = self._line.room
        if not spoken.stream_id:
            spoken.stream_id, told = new_sid("ST"), ""
            self._begin_stream(room.speaker, spoken.stream_id, turn, room.voice.sid, final=False)
        if more := spoken.text[len(told) :]:
            self._write(room.speaker, spoken.stream_id, spoken.chunks, more)
            spoken.chunks += 1

    def _tell_said(self, turn: str, heard: str) -> None:
        room = self._line.room
        if spoken := self._spoken.pop(turn, None):
            self._write_spoken(turn, spoken, spoken.text)
            trailer = {"stream_id": spoken.stream_id, "attributes": {"lk.transcription_final": "true"}}
            self._line.send_packet(room.speaker, stream_trailer=trailer)
            self._tell_old(room.speaker, room.voice.sid, turn, heard or spoken.text, True, "")

    def _begin_stream(self, sender: Participant, stream_id: str, segment: str, track: str, final: bool) -> None:
        attributes = {
            "lk.segment_id": segment,
            "lk.transcription_final": "true" if final else "false",
            "lk.transcribed_track_id": track,
        }
        header = {
            "stream_id": stream_id,
            "timestamp": int(time.time() * 1000),
            "topic": TRANSCRIPTION,
            "mime_type": "text/plain",
            "attributes": attributes,
            "text_header": {"operation_type": 0},
        }
        self._line.send_packet(sender, stream_header=header)

    def _write(self, sender: Participant, stream_id: str, index: int, text: str) -> None:
        for more, piece in enumerate(_pieces(text.encode())):
            chunk = {"stream_id": stream_id, "chunk_index": index + more, "content": piece}
            self._line.send_packet(sender, stream_chunk=chunk)

    def _tell_old(self, sender: Participant, track: str, segment: str, text: str, final: bool, language: str) -> None:
        """The same in the form of before text streams."""
        told = {"id": segment, "text": text, "final": final, "language": language}
        transcription = {"transcribed_participant_identity": sender.identity, "track_id": track, "segments": [told]}
        self._line.send_packet(sender, transcription=transcription)

    def _ask(self, event: e.ToolCalled) -> None:
        """Call a tool that runs in the client."""
        payload = to_json(event.arguments).decode()
        if len(payload.encode()) > MAX_RPC_PAYLOAD:
            message = f"The arguments have more than {MAX_RPC_PAYLOAD} bytes, which LiveKit's clients do not take."
            self._answer_tool(event.id, error=message)
            return
        self._asked.add(event.id)
        request = {
            "id": event.id,
            "method": event.name,
            "payload": payload,
            "response_timeout_ms": RPC_TIMEOUT_MS,
            "version": RPC_VERSION,
        }
        self._line.send_packet(rpc_request=request, destination_identities=[self._line.room.caller.identity])

    # -- from the client

    def take(self, packet: Message | None) -> None:
        """Take what came over a data channel."""
        if packet is None:
            self._receive(_refusal("The data is no DataPacket of LiveKit's protocol."))
            return
        for name, value in packet.items():
            match name:
                case "user" if value.get("topic") == OLD_CHAT:
                    message = _old_chat(value.get("payload", b""))
                    if not any(message.get(name) for name in COPIES):
                        self._take_typed(str(message.get("message", "")), message.get("id"))
                case "user" if value.get("topic") == OLD_CHAT_UPDATE:
                    pass  # what was typed before is changed, and was answered
                case "chat_message" if not any(value.get(name) for name in CHANGED):
                    self._take_typed(value.get("message", ""), value.get("id"))
                case "sip_dtmf":
                    self._receive(_pressed(value))
                case "user":
                    self._call.receive(value.get("payload", b""))
                case "stream_header" if value.get("topic") == CHAT:
                    self._open_stream(value)
                case "stream_chunk":
                    self._take_chunk(value)
                case "stream_trailer":
                    self._end_stream(value.get("stream_id", ""))
                case "rpc_request":
                    self._answer(value)
                case "rpc_response":
                    self._take_answer(value)
                case _:
                    pass

    def _receive(self, messages: Callable[[], Iterable[ClientMessage]], text: str = "") -> None:
        """A message of the client's, at the pace that all of them are held to."""
        self._call.receive(text or "a message", lambda _: messages())

    def _open_stream(self, header: Message) -> None:
        if len(self._streams) >= MAX_STREAMS:
            self._receive(_refusal(f"More than {MAX_STREAMS} text streams are open at a time."))
            return
        self._streams[header.get("stream_id", "")] = _Incoming(header["topic"])

    def _take_chunk(self, chunk: Message) -> None:
        stream_id = chunk.get("stream_id", "")
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        content = chunk.get("content", b"")
        stream.chunks.append(content)
        stream.size += len(content)
        if stream.size > MAX_TEXT or len(stream.chunks) > MAX_TEXT:
            del self._streams[stream_id]
            self._receive(_refusal(f"A text stream has more than {MAX_TEXT} bytes."))

    def _end_stream(self, stream_id: str) -> None:
        if stream := self._streams.pop(stream_id, None):
            text = b"".join(stream.chunks).decode("utf-8", "replace")
            self._take_typed(text, stream_id)

    def _take_typed(self, text: str, message_id: Any) -> None:
        """What the caller types, once: some clients send each message in two forms, with one id."""
        if isinstance(message_id, str) and message_id:
            if message_id[:MAX_ID] in self._typed_ids:
                return
            self._typed_ids.append(message_id[:MAX_ID])
        message = json.dumps({"type": "text.send", "text": text})
        self._receive(lambda: [parse_client_message(message)], message)

    def _answer(self, request: Message) -> None:
        """A method that the client calls: a message of the native API by its type."""
        request_id, method = request.get("id", ""), request.get("method", "")
        self._send_rpc(rpc_ack={"request_id": request_id})

        def incoming() -> Iterable[ClientMessage]:
            try:
                message = _message(method, request.get("payload", ""))
            except ClientError as refused:
                error = {"code": APPLICATION_ERROR, "message": refused.message}
                self._send_rpc(rpc_response={"request_id": request_id, "error": error})
                raise
            self._send_rpc(rpc_response={"request_id": request_id, "payload": "{}"})
            return [message]

        if self._answers_natively and "." in method:
            self._receive(incoming, request.get("payload", ""))
        else:
            error = {"code": UNSUPPORTED_METHOD, "message": f"The agent has no method {method[:100]!r}."}
            self._send_rpc(rpc_response={"request_id": request_id, "error": error})

    def _take_answer(self, response: Message) -> None:
        tool_call = response.get("request_id", "")
        if tool_call not in self._asked:
            return
        self._asked.discard(tool_call)
        if error := response.get("error"):
            self._answer_tool(tool_call, error=error.get("message") or f"error {error.get('code', 0)}")
            return
        payload = response.get("payload", "")
        try:
            result = from_json(payload)
        except ValueError:
            result = payload
        self._answer_tool(tool_call, result=result)

    def _answer_tool(self, tool_call: str, **answer: Any) -> None:
        text = json.dumps({"type": "tool.result", "id": tool_call, **answer})
        self._receive(lambda: [parse_client_message(text)], text)

    def _send_rpc(self, **packet: Any) -> None:
        self._line.send_packet(destination_identities=[self._line.room.caller.identity], **packet)


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]


def _pressed(key: Message) -> Callable[[], Iterable[ClientMessage]]:
    """A key of a telephone, by what stands on it or else by its number."""
    number = key.get("code", 0)
    digit = key.get("digit", "") or (KEYS[number] if 0 <= number < len(KEYS) else "?")
    return lambda: [parse_client_message(json.dumps({"type": "dtmf.send", "digits": digit}))]


def _message(method: str, payload: str) -> ClientMessage:
    """A message of the native API, whose type is the method's name. Raises `ClientError`."""
    try:
        fields = from_json(payload or "{}")
    except ValueError as wrong:
        raise ClientError("bad_message", "The payload is not valid JSON.") from wrong
    if not isinstance(fields, dict):
        raise ClientError("bad_message", "The payload has to be a JSON object.")
    return parse_client_message(json.dumps({**fields, "type": method}))


def _old_chat(payload: bytes) -> dict[str, Any]:
    """A chat message as it was before text streams; empty where it is none."""
    try:
        message = from_json(payload)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _refusal(message: str) -> Callable[[], Iterable[ClientMessage]]:
    def refuse() -> Iterable[ClientMessage]:
        raise ClientError("bad_message", message)

    return refuse


def _reason_of(ending: str) -> LeaveReason:
    """Why a client is told to leave, by the call's own reason."""
    return REASONS.get(ending, LeaveReason.AGENT_ERROR)
