"""A language model of random weights: writes a GGUF file in the shape of a small model, or of a published one.

    python -m bench.random_model /tmp/random.gguf
    python -m bench.random_model /tmp/random.gguf --shape qwen3-30b-a3b

What it says is noise; what it costs, in time and memory, is what a trained model of this shape costs. Tokenizer and
template are the starter model's; a larger vocabulary is filled up with tokens that are in no text.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

from media_server.paths import BUNDLED_MODELS

__all__ = ["SHAPES", "Shape", "pack_with_random_model", "write_random_model"]

STARTER = BUNDLED_MODELS / "starter" / "chat" / "starter-chat.gguf"
POOL = 1 << 16
"""Random blocks of weights, of which every matrix is made."""
Kind = gguf.GGMLQuantizationType


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a transformer, by the names of llama.cpp."""

    architecture: str
    width: int
    layers: int
    heads: int
    kv_heads: int
    feed_forward: int
    head_size: int
    context: int
    rope_base: float = 1e6
    vocabulary: int = 0
    """Tokens; 0 for the tokenizer's own."""
    own_output: bool = False
    """Whether the output's matrix is another one than the embeddings'."""
    experts: int = 0
    experts_used: int = 0
    quantized: bool = True
    """As Q4_K_M is; otherwise Q8_0."""


SHAPES = {
    "small": Shape("qwen2", 768, 14, 12, 12, 2048, 64, 2048, rope_base=1e4, quantized=False),
    "qwen3-4b": Shape("qwen3", 2560, 36, 32, 8, 9728, 128, 32_768, vocabulary=151_936),
    "llama-3-8b": Shape("llama", 4096, 32, 32, 8, 14_336, 128, 32_768, 5e5, 128_256, own_output=True),
    "qwen3-30b-a3b": Shape("qwen3moe", 2048, 48, 32, 4, 768, 128, 32_768, 1e6, 151_936, True, 128, 8),
}


def write_random_model(path: Path, shape: Shape = SHAPES["small"]) -> int:
    """Write the model; returns its number of parameters."""
    w = gguf.GGUFWriter(str(path), shape.architecture)
    _describe(w, shape)
    count = 0

    def matrix(name: str, *sizes: int, fine: bool = False) -> None:
        nonlocal count
        count += int(np.prod(sizes))
        kind = (Kind.Q6_K if fine else Kind.Q4_K) if shape.quantized else Kind.Q8_0
        w.add_tensor(f"{name}.weight", _weights(kind, sizes), raw_dtype=kind)

    def vector(name: str, size: int, value: float) -> None:
        w.add_tensor(name, np.full(size, value, np.float32))

    vocabulary = _tokenizer(w, shape.vocabulary)
    width, own, shared = shape.width, shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    matrix("token_embd", vocabulary, width, fine=not shape.own_output)
    if shape.own_output:
        matrix("output", vocabulary, width, fine=True)
    vector("output_norm.weight", width, 1)
    for i in range(shape.layers):
        layer, fine = f"blk.{i}", i % 2 == 0
        vector(f"{layer}.attn_norm.weight", width, 1)
        vector(f"{layer}.ffn_norm.weight", width, 1)
        for part, size in (("q", own), ("k", shared), ("v", shared)):
            matrix(f"{layer}.attn_{part}", size, width, fine=fine and part == "v")
            if shape.architecture == "qwen2":
                vector(f"{layer}.attn_{part}.bias", size, 0)
            elif shape.architecture.startswith("qwen3") and part != "v":
                vector(f"{layer}.attn_{part}_norm.weight", shape.head_size, 1)
        matrix(f"{layer}.attn_output", width, own)
        experts, more = ((shape.experts,), "_exps") if shape.experts else ((), "")
        if experts:
            gate = np.random.default_rng(i).normal(0, width**-0.5, (shape.experts, width))
            w.add_tensor(f"{layer}.ffn_gate_inp.weight", gate.astype(np.float32))
        matrix(f"{layer}.ffn_gate{more}", *experts, shape.feed_forward, width)
        matrix(f"{layer}.ffn_up{more}", *experts, shape.feed_forward, width)
        matrix(f"{layer}.ffn_down{more}", *experts, width, shape.feed_forward, fine=fine)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return count


def _describe(w: gguf.GGUFWriter, shape: Shape) -> None:
    w.add_context_length(shape.context)
    w.add_embedding_length(shape.width)
    w.add_block_count(shape.layers)
    w.add_feed_forward_length(shape.feed_forward)
    w.add_head_count(shape.heads)
    w.add_head_count_kv(shape.kv_heads)
    w.add_key_length(shape.head_size)
    w.add_value_length(shape.head_size)
    w.add_rope_dimension_count(shape.head_size)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(shape.rope_base)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M if shape.quantized else gguf.LlamaFileType.MOSTLY_Q8_0)
    if shape.experts:
        w.add_expert_count(shape.experts)
        w.add_expert_used_count(shape.experts_used)
        w.add_expert_feed_forward_length(shape.feed_forward)


def _tokenizer(w: gguf.GGUFWriter, size: int) -> int:
    """Copy the starter model's tokenizer, filled up to `size` tokens; returns how many there are."""
    fields = gguf.GGUFReader(str(STARTER)).fields
    known = len(fields["tokenizer.ggml.tokens"].contents())
    more = max(0, size - known)
    fill = {
        "tokenizer.ggml.tokens": [f"[unused {i}]" for i in range(more)],
        "tokenizer.ggml.token_type": [int(gguf.TokenType.UNUSED)] * more,
    }
    for name, field in fields.items():
        if name.startswith("tokenizer."):
            kind = field.types[0]
            contents = field.contents() + fill[name] if name in fill else field.contents()
            w.add_key_value(name, contents, kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    return known + more


@lru_cache(maxsize=32)
def _weights(kind: Kind, sizes: tuple[int, ...]) -> NDArray[np.uint8]:
    """The bytes of a random matrix; equal sizes give the same one, which costs no less to compute with."""
    length, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = np.resize(_blocks(kind, sizes[-1]), (int(np.prod(sizes)) // length, size))
    return blocks.reshape(*sizes[:-1], sizes[-1] // length * size)


def _blocks(kind: Kind, columns: int) -> NDArray[np.uint8]:
    """Random blocks of a quantized matrix whose products keep the size of what goes in, shape [POOL, bytes]."""
    _, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = np.random.default_rng(0).integers(0, 256, (POOL, size), np.uint8)

    def scale(at: int, value: float) -> None:
        blocks[:, at : at + 2] = np.frombuffer(np.float16(value).tobytes(), np.uint8)

    # the standard deviation of what each kind's random bits stand for, in scales
    if kind == Kind.Q8_0:
        scale(0, columns**-0.5 / 74)
    elif kind == Kind.Q4_K:
        scale(0, columns**-0.5 / 258)
        scale(2, 7.5 * columns**-0.5 / 258)  # the smallest weight, so that the mean is 0
    else:
        scale(size - 2, columns**-0.5 / 1367)
    return blocks


def pack_with_random_model(folder: Path) -> None:
    """Make the pack `random` in a folder of packs: the starter pack with such a language model."""
    pack = folder / "random"
    pack.mkdir(parents=True)
    for name in ("stt", "voice"):
        (pack / name).symlink_to(STARTER.parents[1] / name)
    write_random_model(pack / "chat.gguf")
    manifest = (STARTER.parents[1] / "pack.toml").read_text().partition("\n[[files]]")[0]
    manifest = manifest.replace("chat/starter-chat.gguf", "chat.gguf").replace("slots = 16", "slots = 8")
    (pack / "pack.toml").write_text(f"files = []\n{manifest}")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("path", type=Path)
    ap.add_argument("--shape", choices=SHAPES, default="small")
    args = ap.parse_args()
    count = write_random_model(args.path, SHAPES[args.shape])
    print(f"{args.path}: {count / 1e6:.0f} M parameters, {args.path.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
