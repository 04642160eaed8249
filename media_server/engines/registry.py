"""Engines by their names: this server's own, and those that installed packages bring."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

__all__ = ["GROUP", "OWN", "USUAL", "engine_class"]

GROUP = "media_server.engines"
"""The entry points of packages that bring an engine; each names a class with `load`, see `host.Engine`."""
OWN = {
    "whisper": "media_server.engines.whisper:WhisperEngine",
    "llama": "media_server.engines.llama:LlamaEngine",
    "piper": "media_server.engines.piper:PiperEngine",
    "llama-embedding": "media_server.engines.embedding:EmbeddingEngine",
    "onnx-emotion": "media_server.engines.emotion:EmotionEngine",
}
USUAL = {"stt": "whisper", "llm": "llama", "tts": "piper", "embedding": "llama-embedding", "emotion": "onnx-emotion"}
"""The engine of each part of a pack that names none."""


def engine_class(name: str) -> Any:
    """The class of an engine. Only its own host imports it, so that each process pays for its own library alone.

    Raises:
        ValueError: there is no engine of this name.
    """
    known = {each.name: each for each in entry_points(group=GROUP)}
    known |= {own: EntryPoint(own, value, GROUP) for own, value in OWN.items()}
    if name not in known:
        raise ValueError(f"there is no engine {name!r} (available: {', '.join(sorted(known))})")
    return known[name].load()
