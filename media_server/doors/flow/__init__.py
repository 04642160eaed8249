"""The door for clients of Speechmatics Flow."""

from media_server.doors.flow import routes
from media_server.doors.flow.dialect import Flow
from media_server.http.door import Door

__all__ = ["DOOR"]

DOOR = Door(
    "flow",
    [routes.routes],
    dialect=Flow,
    credential_names=["jwt"],
    refusals={"/v1/flow": routes.refusal},
    at_root=routes.flow,
)
