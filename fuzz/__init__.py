"""Fuzzing of what strangers, callers and operators' files say: `python -m fuzz --minutes 30`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis.strategies import SearchStrategy

__all__ = ["Target"]

Target = tuple[SearchStrategy[Any], Callable[[Any], Awaitable[None]]]
"""Inputs, and what tries one: whatever it raises is a failure."""
