"""Numbers of things in sentences: `1 call`, `2 calls`. Pure."""

from __future__ import annotations

__all__ = ["counted"]


def counted(number: int, one: str, many: str = "") -> str:
    """The number and the words for so many of them: `one`, or `many`, which is `one` with an s where none is given."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"
