"""The door for pages of Pinecall, and for programs that are agents."""

from media_server.doors.pinecall import programs, routes
from media_server.http.door import Door

__all__ = ["DOOR"]

DOOR = Door("pinecall", [routes.routes, programs.routes], key_prefixes=["pk_"], prepare=programs.prepare)
