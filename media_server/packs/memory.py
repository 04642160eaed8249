"""About how much memory the models of a pack take when they are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from media_server.engines.packs import Pack
from media_server.packs.catalogue import Model
from media_server.packs.gguf import parts_of, read_gguf
from media_server.packs.local import PackError

__all__ = ["estimate", "of_pack", "on_gpu"]

USUAL_CACHE_PER_TOKEN = 131_072
"""Bytes that a token of a conversation takes; models of 1 to 30 billion parameters have 100 to 150 thousand."""
HYBRID_CACHE_PER_TOKEN = 32_768
"""The same where only some of the layers are attention's."""
PROCESS = 150_000_000
"""An engine's process, and the server's, without models."""
OF_16_BIT = {"f32": 2.0, "q8_0": 0.53, "q5_1": 0.38, "q5_0": 0.34, "q4_1": 0.31, "q4_0": 0.28}
"""What a KV cache of other numbers takes, to one of 16-bit ones."""
RECOGNISER, VOICE = 0.6, 1.5
"""Memory for each byte of the file: 16-bit weights are loaded as 8-bit ones; ONNX keeps some twice."""

GPU_PROCESS = 900_000_000
"""What an engine takes on a GPU beside weights and cache: CUDA's own, and what is being computed."""


def estimate(members: Sequence[tuple[str, Model]], context: int, slots: int) -> int:
    """Bytes, for a pack of the catalogue that is not here yet; right within a third or so."""
    total = 4 * PROCESS
    for part, model in members:
        if part == "llm":
            hybrid = model.prefix_cache == "hybrid"
            per_token = HYBRID_CACHE_PER_TOKEN if hybrid else USUAL_CACHE_PER_TOKEN
            total += model.size + per_token * context * slots
        else:
            total += int(model.size * (RECOGNISER if part == "stt" else VOICE))
    return total


def of_pack(pack: Pack) -> int:
    """Bytes, for a pack on this machine: its language model's cache is computed from what its file says of it."""
    manifest = pack.manifest
    voices = {manifest.tts.path, *(v.path for v in manifest.voices.values())}
    others = [m.path for m in (manifest.turn, manifest.emotion, manifest.embedding) if m is not None]
    total = 4 * PROCESS + int(_size(pack.recogniser) * RECOGNISER)
    total += sum(int(_size(pack.folder / path) * VOICE) for path in (*voices, *others))
    return total + _language_model(pack)


def on_gpu(pack: Pack) -> int:
    """Bytes on a GPU, where the pack's recogniser, language model and model of embeddings run on one."""
    total = _language_model(pack) + _size(pack.recogniser) + 2 * GPU_PROCESS
    return total + (_size(pack.embedding) + GPU_PROCESS if pack.embedding else 0)


def _language_model(pack: Pack) -> int:
    """Its weights, and the cache of all conversations."""
    llm = pack.manifest.llm
    try:
        per_token = read_gguf(pack.chat).cache_per_token or USUAL_CACHE_PER_TOKEN
        weights = sum(_size(p) for p in parts_of(pack.chat))
    except PackError:
        per_token, weights = USUAL_CACHE_PER_TOKEN, _size(pack.chat)
    return weights + int(per_token * llm.context * llm.slots * OF_16_BIT.get(llm.kv_type, 1.0))


def _size(path: Path) -> int:
    files = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    return sum(p.stat().st_size for p in files if p.exists())
