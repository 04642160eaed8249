"""LiveKit's wire, without LiveKit: its clients and SDKs join a call as if it were a room."""

from media_server.doors.livekit import routes
from media_server.http.door import Door

__all__ = ["DOOR"]

DOOR = Door(
    "livekit",
    [routes.routes],
    refusals={"/rtc/validate": routes.refusal, "/rtc/v1/validate": routes.refusal},
    # a page has to be able to read why it may not join
    open_paths=["/rtc"],
    prepare=routes.prepare,
)
