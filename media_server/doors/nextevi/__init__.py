"""The door for clients of NextEVI."""

from media_server.doors.nextevi import routes
from media_server.http.door import Door

__all__ = ["DOOR"]

DOOR = Door("nextevi", [routes.routes], key_prefixes=["oak_"], credential_names=["api_key"])
