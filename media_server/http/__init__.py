"""The HTTP API: signalling, agents, health, the page."""

from media_server.http.app import make_app

__all__ = ["make_app"]
