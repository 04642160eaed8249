"""A call's own end of its line: what is heard and said, whatever line there is, and while there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from media_server.rtc.microphone import Microphone
from media_server.rtc.quality import LineCounts
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
    press: Callable[[str], None] = field(default=lambda digit: None)
    """Takes each key of a telephone that the caller presses."""
    report: Callable[[LineCounts], None] = field(default=lambda counts: None)
    """Takes what the line carried since the report before, every two seconds."""
