"""Wire protocols of hosted products: each translates between a call's events and its own messages, and no more."""

from __future__ import annotations

from collections.abc import Callable

from media_server.call.session import Dialect
from media_server.dialects.flow import Flow
from media_server.dialects.pinecall import Pinecall
from media_server.dialects.wespoke import Wespoke

__all__ = ["DIALECTS"]

DIALECTS: dict[str, Callable[..., Dialect]] = {"flow": Flow, "pinecall": Pinecall, "wespoke": Wespoke}
"""Those that a token can settle."""
