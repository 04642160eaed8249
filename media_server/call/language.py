"""The language that a caller speaks: detected once, then kept, with a way back. Pure."""

from __future__ import annotations

from media_server.engines.messages import Transcript

__all__ = ["SpokenLanguage"]

SURE = 0.6
"""Probability from which on a detected language is kept …"""
LONG_ENOUGH_S = 1.5
"""… if this much was said: a "hm" is of any language."""
POOR = 0.45
"""Confidence below which an utterance may be of another language."""
POOR_IN_A_ROW = 2
SURE_OF_ANOTHER = 0.8
"""Probability with which another language takes the place of the one that was kept."""


class SpokenLanguage:
    """Ask `hint` before each transcription, and tell `heard` what came of it."""

    def __init__(self) -> None:
        self._kept = ""
        self._poor = 0

    @property
    def hint(self) -> str | None:
        """The language to transcribe in; None where it is to be detected."""
        return self._kept if self._kept and self._poor < POOR_IN_A_ROW else None

    def heard(self, transcript: Transcript, length_s: float, asked: str | None) -> None:
        """What became of an utterance of this length, which was asked for in the language `asked`, or in any."""
        if not transcript.text or length_s < LONG_ENOUGH_S:
            return
        if asked is None:
            wanted = SURE_OF_ANOTHER if self._kept else SURE
            if transcript.language == self._kept or transcript.language_probability >= wanted:
                self._kept, self._poor = transcript.language, 0
        elif transcript.confidence < POOR:
            self._poor += 1
        else:
            self._poor = 0
