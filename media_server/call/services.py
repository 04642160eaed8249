"""What all calls of a server share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from media_server.agents import Agent
from media_server.engines.engines import Engines
from media_server.engines.silero import VoiceActivityModel
from media_server.knowledge import Library

__all__ = ["Services"]


@dataclass(frozen=True, slots=True)
class Services:
    """What every call uses and none owns.

    Args:
        latest: the version of an agent that is good now, by name; None where there is none any more.
        library: where the agents' documents are found.
        activity: the network that hears whether sound is speech.
    """

    latest: Callable[[str], Agent | None]
    engines: Engines
    library: Library
    activity: VoiceActivityModel
