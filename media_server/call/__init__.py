"""One call: listen, take turns, think, speak."""

from media_server.call.call import Call
from media_server.call.chat import Chat
from media_server.call.running import RunningCall
from media_server.call.session import Session

__all__ = ["Call", "Chat", "RunningCall", "Session"]
