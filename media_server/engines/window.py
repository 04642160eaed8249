"""How much sound a Whisper model is given at once, and in which form it answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["FRAMES_PER_S", "FULL_S", "Window", "window_for"]

FRAMES_PER_S = 100
FULL_S = 30.0
"""What the published models were trained on: every window of theirs was this long, most of it silence."""
PUBLISHED_TOKENS = 50_000
"""The vocabularies of all published models have more entries than this."""
SPARE_S = 5.0
"""How much shorter a piece of long sound is than the longest window, so that silence follows its last word."""


@dataclass(frozen=True, slots=True)
class Window:
    """The encoder's window: the sound and `margin_s`, but at least `floor_s`. All in seconds.

    Args:
        longest_s: the longest window that the model can take.
        piece_s: sound that is longer is heard in pieces of at most this length.
        timestamps: whether the decoder writes when each phrase begins and ends.
        published: whether this is one of the published models, or one with their vocabulary.
    """

    floor_s: float
    margin_s: float
    longest_s: float
    piece_s: float
    timestamps: bool
    published: bool

    def frames(self, sound_s: float) -> int:
        """An even number of feature frames for sound of this length."""
        seconds = min(self.longest_s, max(self.floor_s, sound_s + self.margin_s))
        return min(int(FULL_S * FRAMES_PER_S), int(seconds * FRAMES_PER_S + 1) // 2 * 2)

    def full(self) -> Window:
        """The same with all the silence that the model was trained with."""
        return replace(self, floor_s=self.longest_s)


def window_for(
    vocabulary: int,
    window_s: float = FULL_S,
    floor_s: float | None = None,
    margin_s: float | None = None,
    timestamps: bool | None = None,
) -> Window:
    """The window of a model with so many tokens; what is not given is derived from it.

    Published models repeat themselves where little silence follows the speech: measured with `base` and `tiny.en`, ten
    seconds with timestamps are as good as thirty but for utterances in which the model is unsure, which are worth a
    second look. A model with a vocabulary of its own was trained on short windows.
    """
    published = vocabulary >= PUBLISHED_TOKENS
    longest_s = min(window_s, FULL_S)
    floor = (10.0 if published else 0.0) if floor_s is None else floor_s
    margin = (1.0 if published else 0.2) if margin_s is None else margin_s
    return Window(
        min(floor, longest_s),
        margin,
        longest_s,
        max(longest_s - SPARE_S, longest_s / 2) if published else longest_s,
        published if timestamps is None else timestamps,
        published,
    )
