"""A self-hosted, fully offline WebRTC voice server."""

from media_server.agents import Agent

__all__ = ["Agent", "__version__"]
__version__ = "0.1.0"
