"""What every event has, and the values that several of them share."""

from __future__ import annotations

from typing import ClassVar, Literal

__all__ = ["FOREIGN", "BaseEvent", "Encoding", "State", "Transport"]

Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]
"""How raw sound is encoded."""
Transport = Literal["webrtc", "websocket", "chat"]
State = Literal["connecting", "listening", "user_speaking", "thinking", "agent_speaking", "ended"]
FOREIGN = {"foreign": True}
"""Marks a field whose value comes from tools or from agents' code: it is handed on as it is, its numbers unrounded."""


class BaseEvent:
    __slots__ = ()

    type: ClassVar[str]
    """The name on the native wire."""
    passing: ClassVar[bool] = False
    """The event says nothing that a later one does not say too: it is not recorded."""
    urgent: ClassVar[bool] = False
    """The event is recorded at once, rather than with the next ones."""
