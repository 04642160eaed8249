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
    refusals=dict.fromkeys(("/v1/flow", "/v1/api_keys", "/api_keys", "/v1/discovery/"), routes.refusal),
    # a page has to be able to read why its conversation or its short key was refused
    open_paths=["/v1/flow/", "/v1/api_keys", "/api_keys"],
    at_root=routes.flow,
)
