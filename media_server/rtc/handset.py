"""A call's own end of its line: what is heard and said, whatever line there is, and while there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from media_server.rtc.microphone import Microphone
from media_server.rtc.speaker import Speaker

__all__ = ["Handset"]


@dataclass(frozen=True, slots=True)
class Handset:
    """Lines come and go: each brings the caller's sound to `microphone` and takes the agent's from `speaker`."""

    clock: Callable[[], float]
    """Seconds since the call began."""
    microphone: Microphone
    speaker: Speaker
    receive: Callable[[str | bytes], None]
    """Takes the client's messages."""
