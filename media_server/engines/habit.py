"""Whether a model thinks without a mark that says so, which is only known at the end of its thought. Pure.

Some models begin to think at once, and write nothing but the mark that ends a thought: their templates have lost the
beginning, or were trained with it in the prompt. Replies that may be like that are held back until the mark has come,
or the reply has ended without it.
"""

from __future__ import annotations

__all__ = ["LEARNING", "LEARNING_S", "Habit"]

SUSPECTED = 3
"""Replies that are held back after one that was like that: the last one may have been the only one."""

LEARNING, LEARNING_S = 64, 5.0
"""Tokens and seconds of a first reply that nobody hears, from which the habit may be known already."""


class Habit:
    """What a model's replies so far say of the next one.

    Args:
        thinks: it is known to think, so that its first reply is held back.
    """

    def __init__(self, thinks: bool) -> None:
        self._held = 1 if thinks else 0
        self._surprised = False
        """It thought although the prompt said that it had done so."""

    def holds(self, in_thought: bool, thought_over: bool) -> bool:
        """Whether a reply is to be held back.

        Args:
            in_thought: the prompt ends within a thought.
            thought_over: the prompt ends behind a thought.
        """
        return self._held > 0 and not in_thought and (self._surprised or not thought_over)

    def ended(self, unopened: bool, thought_over: bool) -> None:
        """Learn from a reply that came to its end.

        Args:
            unopened: it began with a thought that no mark began.
        """
        if unopened:
            self._held = SUSPECTED
            self._surprised = self._surprised or thought_over
        else:
            self._held = max(0, self._held - 1)
