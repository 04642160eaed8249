"""Wire protocols of hosted products: each translates between a call's events and its own messages, and no more."""

from media_server.dialects.flow import Flow

__all__ = ["Flow"]
