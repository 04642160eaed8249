"""The door for pages of Pinecall, and for programs that are agents."""

from media_server.doors.pinecall import attach, event_stream, knowledge, memory_routes, programs, routes
from media_server.http.door import AudioForm, Door

__all__ = ["DOOR"]

AUDIO = AudioForm(
    frozenset({"audio/*", "text/event-stream", "text/plain"}), 16_000, "x-pinecall-request-id", routes.audio_refusal
)
DOOR = Door(
    "pinecall",
    [routes.routes, programs.routes, event_stream.routes, attach.routes, knowledge.routes, memory_routes.routes],
    key_prefixes=["pk_"],
    refusals={
        **dict.fromkeys(("/webrtc/", "/chat/", "/stream/", "/api/sdk/", "/api/knowledge"), routes.refusal),
        "/api/memory/": memory_routes.refusal,
    },
    audio=AUDIO,
    prepare=programs.prepare,
)
