"""Loading a GGUF file into llama.cpp: the model, its templates, and a context as the pack tunes it."""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import llama_cpp as lib

from media_server.engines.cuda import NoGpuError

__all__ = ["Loaded", "Tuning", "begin", "load_model", "templates_of", "vocabulary_only"]

_GGML_LOG_LEVEL_ERROR = 4
"""ggml.h; the bindings do not name it."""
_KV_TYPES = {"f32": 0, "f16": 1, "bf16": 30, "q8_0": 8, "q5_1": 7, "q5_0": 6, "q4_1": 3, "q4_0": 2}
"""ggml.h."""
IS_THERE_ROOM = " on the GPU (`media-server doctor` says whether its memory is enough)"
MORE_KEPT = 2
"""How many times as many conversations are kept as there is room for if all are as long as may be: most are short."""
MOST_KEPT = 64
_FLASH = {"auto": -1, "off": 0, "on": 1}


@dataclass(frozen=True, slots=True)
class Tuning:
    """What costs or saves time and memory, and changes little of what is said."""

    batch: int = 512
    """Tokens of one step at most."""
    micro_batch: int = 0
    """Tokens that are computed at once; 0 for as many as `batch`."""
    batch_threads: int = 0
    """Threads for prefill; 0 for as many as for the tokens of replies."""
    flash_attention: Literal["auto", "on", "off"] = "auto"
    kv_type: str = "f16"
    """The type of the numbers in the KV cache."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model with a context in which several conversations of `limit` tokens have room."""

    model: Any
    context: Any
    kept: int
    """Conversations that are kept; those that have no room beside the others are dropped."""
    limit: int
    info: str


def load_model(path: str | Path, context: int, slots: int, device: str, threads: int, tuning: Tuning) -> Loaded:
    """Load a GGUF file.

    Raises:
        FileNotFoundError: there is none.
        NoGpuError: CUDA is wanted and cannot be had.
        ValueError: llama.cpp cannot load it, or not with these settings.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"there is no file {path}")
    begin()
    gpu = device != "cpu" and bool(lib.llama_supports_gpu_offload())
    if device == "cuda" and not gpu:
        raise NoGpuError("llama-cpp-python was built without CUDA, or there is no GPU")
    model_params = lib.llama_model_default_params()
    model_params.n_gpu_layers = 999 if gpu else 0
    model = lib.llama_model_load_from_file(os.fsencode(path), model_params)
    if not model:
        raise ValueError(f"llama.cpp cannot load {path}{IS_THERE_ROOM if gpu else ''}")
    limit = min(context, lib.llama_model_n_ctx_train(model))
    # a running state has its full size in each conversation
    stateful = lib.llama_model_is_recurrent(model) or lib.llama_model_is_hybrid(model)
    kept = slots if stateful else max(slots, min(MORE_KEPT * slots, MOST_KEPT, tuning.batch // 2))
    params = lib.llama_context_default_params()
    params.n_ctx = limit * slots
    params.n_seq_max = kept
    params.n_batch = tuning.batch
    params.n_ubatch = min(tuning.micro_batch or tuning.batch, tuning.batch)
    params.n_threads = threads
    params.n_threads_batch = tuning.batch_threads or threads
    params.kv_unified = True
    # a window that slides forgets what a conversation may be cut back to
    params.swa_full = True
    params.flash_attn_type = _FLASH[tuning.flash_attention]
    params.type_k = params.type_v = _KV_TYPES[tuning.kv_type]
    ctx = lib.llama_init_from_model(model, params)
    if not ctx:
        settings = f"kv_type {tuning.kv_type}, flash_attention {tuning.flash_attention}"
        room = IS_THERE_ROOM if gpu else ""
        made = f"a context of {limit} tokens for {slots} conversations with {settings}"
        raise ValueError(f"llama.cpp cannot make {made}{room}")
    where = "cuda" if gpu else "cpu"
    return Loaded(model, ctx, kept, limit, f"{Path(path).name}, {where}, {slots} conversations of {limit} tokens")


def vocabulary_only(path: str | Path) -> Any:
    """The model without its weights, for looking at its vocabulary and its metadata.

    Raises:
        ValueError: llama.cpp cannot read it.
    """
    begin()
    params = lib.llama_model_default_params()
    params.vocab_only = True
    model = lib.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        raise ValueError(f"llama.cpp cannot read {path}")
    return model


def templates_of(model: Any) -> tuple[str, str]:
    """A model's chat template, and the one for conversations with tools, which may be empty.

    Raises:
        ValueError: it has none.
    """
    usual, tools = (lib.llama_model_chat_template(model, name) for name in (None, b"tool_use"))
    if not usual:
        raise ValueError("the GGUF file has no chat template")
    return usual.decode("utf-8", "replace"), (tools or b"").decode("utf-8", "replace")


def begin() -> None:
    """Make llama.cpp ready, and silent but for errors."""
    lib.llama_log_set(_quiet, ctypes.c_void_p(0))
    lib.llama_backend_init()


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _quiet(level: int, text: bytes, _user: Any) -> None:
    """llama.cpp is silent, except for errors."""
    if level == _GGML_LOG_LEVEL_ERROR:
        os.write(2, text)
