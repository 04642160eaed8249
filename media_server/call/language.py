"""The language that a caller speaks: detected, then kept, with a way back. Pure."""

from __future__ import annotations

from media_server.engines.messages import Transcript

__all__ = ["SpokenLanguage"]

SURE = 0.97
"""Probability with which one detection is enough; neighbours such as Spanish and Portuguese are mistaken below it."""
LIKELY = 0.6
"""Probability from which on two detections in a row settle the language."""
LONG_ENOUGH_S = 1.5
"""Sound that a language is detected by; a "hm" is of any."""
POOR = 0.5
"""Confidence below which an utterance may be of another language than the one it was transcribed in."""
POOR_IN_A_ROW = 2
SURE_OF_ANOTHER = 0.8
"""Probability with which another language takes the place of the one that was kept."""


class SpokenLanguage:
    """Ask `hint` before each transcription, and tell `heard` what came of it."""

    def __init__(self) -> None:
        self._kept: str | None = None
        self._likely: str | None = None
        """What the last detection found; one more, and it is kept."""
        self._poor = 0

    def hint(self, length_s: float) -> str | None:
        """The language to transcribe sound of this length in; None where it is to be detected."""
        if length_s < LONG_ENOUGH_S:
            return self._kept or self._likely
        return self._kept if self._poor < POOR_IN_A_ROW else None

    def heard(self, transcript: Transcript, length_s: float, hint: str | None) -> None:
        """What became of an utterance of this length that was transcribed with this hint."""
        if not transcript.text or length_s < LONG_ENOUGH_S:
            return
        if hint is not None:
            self._poor = self._poor + 1 if transcript.confidence < POOR else 0
            return
        found, probability = transcript.language, transcript.language_probability
        if self._kept:
            if found == self._kept or probability >= SURE_OF_ANOTHER:
                self._kept, self._poor = found, 0
        elif probability >= SURE or (found == self._likely and probability >= LIKELY):
            self._kept = found
        elif probability >= LIKELY:
            self._likely = found
