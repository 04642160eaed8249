"""How much a call asks of a recogniser, by how soon it answers. Pure."""

from __future__ import annotations

__all__ = ["Pace"]

FREE_SHARE = 2.0
"""After a partial transcript the recogniser is left alone for this many times as long as that one took."""
QUICK_S = 0.15


class Pace:
    """Tell `note` how long each transcription took; times are of any one clock, in seconds."""

    def __init__(self) -> None:
        self._took_s = 0.0
        self._next_partial_s = 0.0

    def note(self, began_s: float, ended_s: float, *, final: bool) -> None:
        """A transcription is there, also with what it had to wait for."""
        self._took_s = ended_s - began_s
        if not final:
            self._next_partial_s = ended_s + FREE_SHARE * self._took_s

    def has_room_for_partial(self, now_s: float) -> bool:
        """Whether a partial transcript leaves the recogniser enough time for what callers wait for."""
        return now_s >= self._next_partial_s

    @property
    def quick(self) -> bool:
        """Whether answers come so soon that a transcription which may be for nothing delays nobody."""
        return self._took_s < QUICK_S
