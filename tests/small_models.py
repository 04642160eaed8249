"""Writes language models (GGUF) of random weights and a few layers, one for each way in which a model remembers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import gguf
import numpy as np

from tests.conftest import STARTER

__all__ = ["write_small_model"]

Kind = Literal["attention", "sliding", "recurrent", "hybrid"]
ARCHITECTURES = {"attention": "qwen2", "sliding": "gemma3", "recurrent": "mamba", "hybrid": "lfm2"}
WIDTH, HEADS, FEED_FORWARD, LAYERS, CONTEXT = 64, 4, 128, 6, 2048
WINDOW = 32
"""Tokens that layers with a sliding window see."""
STATE, CONVOLUTION = 16, 4
"""Of Mamba."""


def write_small_model(path: Path, kind: Kind, template: str = "") -> None:
    """Write a model with the starter model's vocabulary and, unless another is given, its chat template."""
    source = gguf.GGUFReader(str(STARTER / "chat" / "starter-chat.gguf"))
    vocabulary = len(source.fields["tokenizer.ggml.tokens"].contents())
    w = gguf.GGUFWriter(str(path), ARCHITECTURES[kind])
    w.add_context_length(CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_block_count(LAYERS)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_vocab_size(vocabulary)
    for name, field in source.fields.items():
        if name.startswith("tokenizer.") and not (template and name == "tokenizer.chat_template"):
            element = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
            w.add_key_value(name, field.contents(), field.types[0], element)
    if template:
        w.add_chat_template(template)
    r = np.random.default_rng(0)

    def matrix(name: str, *shape: int, scale: float = 1.0) -> None:
        w.add_tensor(name, r.normal(0, scale * shape[-1] ** -0.5, shape).astype(np.float32))

    def vector(name: str, size: int, value: float = 1.0) -> None:
        w.add_tensor(name, np.full(size, value, np.float32))

    matrix("token_embd.weight", vocabulary, WIDTH, scale=4)
    vector("token_embd_norm.weight" if kind == "hybrid" else "output_norm.weight", WIDTH)
    if kind == "recurrent":
        inner = 2 * WIDTH
        w.add_ssm_conv_kernel(CONVOLUTION)
        w.add_ssm_inner_size(inner)
        w.add_ssm_state_size(STATE)
        w.add_ssm_time_step_rank(WIDTH // 16)
        w.add_feed_forward_length(0)
        w.add_head_count(0)
        for i in range(LAYERS):
            _mamba(i, inner, matrix, vector, w)
    else:
        kv = [0 if kind == "hybrid" and i % 2 == 0 else HEADS for i in range(LAYERS)]
        w.add_feed_forward_length(FEED_FORWARD)
        w.add_head_count(HEADS)
        w.add_head_count_kv(kv if kind == "hybrid" else HEADS)
        w.add_rope_freq_base(10000.0)
        if kind == "hybrid":
            w.add_shortconv_l_cache(3)
        if kind == "sliding":
            w.add_sliding_window(WINDOW)
            w.add_key_length(WIDTH // HEADS)
            w.add_value_length(WIDTH // HEADS)
        for i in range(LAYERS):
            _block(i, kind, kv[i], matrix, vector)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def _block(i: int, kind: Kind, kv: int, matrix: Callable[..., None], vector: Callable[..., None]) -> None:
    b = f"blk.{i}"
    vector(f"{b}.attn_norm.weight", WIDTH)
    vector(f"{b}.ffn_norm.weight", WIDTH)
    if kind == "sliding":
        vector(f"{b}.post_attention_norm.weight", WIDTH)
        vector(f"{b}.post_ffw_norm.weight", WIDTH)
    if kv:
        for part in "qkv":
            matrix(f"{b}.attn_{part}.weight", WIDTH, WIDTH)
            if kind == "attention":
                vector(f"{b}.attn_{part}.bias", WIDTH, 0)
        if kind in ("sliding", "hybrid"):
            vector(f"{b}.attn_q_norm.weight", WIDTH // HEADS)
            vector(f"{b}.attn_k_norm.weight", WIDTH // HEADS)
        matrix(f"{b}.attn_output.weight", WIDTH, WIDTH)
    else:
        matrix(f"{b}.shortconv.conv.weight", WIDTH, 3)
        matrix(f"{b}.shortconv.in_proj.weight", 3 * WIDTH, WIDTH)
        matrix(f"{b}.shortconv.out_proj.weight", WIDTH, WIDTH)
    matrix(f"{b}.ffn_gate.weight", FEED_FORWARD, WIDTH)
    matrix(f"{b}.ffn_up.weight", FEED_FORWARD, WIDTH)
    matrix(f"{b}.ffn_down.weight", WIDTH, FEED_FORWARD)


def _mamba(i: int, inner: int, matrix: Callable[..., None], vector: Callable[..., None], w: gguf.GGUFWriter) -> None:
    b, rank = f"blk.{i}", WIDTH // 16
    vector(f"{b}.attn_norm.weight", WIDTH)
    matrix(f"{b}.ssm_in.weight", 2 * inner, WIDTH)
    matrix(f"{b}.ssm_conv1d.weight", inner, CONVOLUTION)
    vector(f"{b}.ssm_conv1d.bias", inner, 0)
    matrix(f"{b}.ssm_x.weight", rank + 2 * STATE, inner)
    matrix(f"{b}.ssm_dt.weight", inner, rank)
    vector(f"{b}.ssm_dt.bias", inner, -2)
    w.add_tensor(f"{b}.ssm_a", -np.tile(np.arange(1, STATE + 1, dtype=np.float32), (inner, 1)))
    vector(f"{b}.ssm_d", inner)
    matrix(f"{b}.ssm_out.weight", WIDTH, inner)
