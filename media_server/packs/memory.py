"""About how much memory the models of a pack take when they are loaded."""

from __future__ import annotations

from collections.abc import Sequence

from media_server.packs.catalogue import Model

__all__ = ["estimate"]

CACHE_PER_TOKEN = {"hybrid": 32_768}
"""Bytes that one token of a conversation takes; most models of 1 to 30 billion parameters are near the usual value."""
USUAL_CACHE_PER_TOKEN = 131_072
PROCESS = 150_000_000
"""An engine's process, without its model."""


def estimate(members: Sequence[tuple[str, Model]], context: int, slots: int) -> int:
    """Bytes, for a pack of the catalogue that is not here yet; right within a third or so."""
    total = 0
    for part, model in members:
        if part == "stt":  # 16-bit weights are loaded as 8-bit ones on a CPU
            total += int(model.size * 0.6) + PROCESS
        elif part == "llm":
            per_token = CACHE_PER_TOKEN.get(model.prefix_cache or "", USUAL_CACHE_PER_TOKEN)
            total += model.size + per_token * context * slots + PROCESS
        elif part == "tts":
            total += int(model.size * 1.5) + PROCESS
        else:
            total += int(model.size * 1.5)
    return total
