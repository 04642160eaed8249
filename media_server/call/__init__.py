"""One call: listen, take turns, think, speak."""

from media_server.call.call import Call
from media_server.call.session import Session

__all__ = ["Call", "Session"]
