"""A language model of random weights, of a size where the schedule matters: writes a GGUF file.

    python -m bench.random_model /tmp/random.gguf

What it says is noise; what it costs is what a trained model of this shape costs. Tokenizer and template are the
starter model's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gguf
import numpy as np

from media_server.paths import BUNDLED_MODELS

STARTER = BUNDLED_MODELS / "starter" / "chat" / "starter-chat.gguf"
WIDTH, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 768, 14, 12, 2048, 2048
KINDS = gguf.GGMLQuantizationType.Q8_0


def write_random_model(path: Path) -> int:
    """Write the model; returns its number of parameters."""
    source = gguf.GGUFReader(str(STARTER))
    vocabulary = len(source.fields["tokenizer.ggml.tokens"].contents())
    w = gguf.GGUFWriter(str(path), "qwen2")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(FEED_FORWARD)
    w.add_head_count(HEADS)
    w.add_head_count_kv(HEADS)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(10000.0)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    for name, field in source.fields.items():
        if name.startswith("tokenizer."):
            kind = field.types[0]
            w.add_key_value(name, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    r = np.random.default_rng(0)
    count = 0

    def matrix(name: str, rows: int, columns: int) -> None:
        nonlocal count
        count += rows * columns
        values = r.normal(0, columns**-0.5, (rows, columns)).astype(np.float32)
        w.add_tensor(name, gguf.quantize(values, KINDS), raw_dtype=KINDS)

    def vector(name: str, size: int, value: float) -> None:
        w.add_tensor(name, np.full(size, value, np.float32))

    matrix("token_embd.weight", vocabulary, WIDTH)
    vector("output_norm.weight", WIDTH, 1)
    for i in range(LAYERS):
        vector(f"blk.{i}.attn_norm.weight", WIDTH, 1)
        vector(f"blk.{i}.ffn_norm.weight", WIDTH, 1)
        for part in "qkv":
            matrix(f"blk.{i}.attn_{part}.weight", WIDTH, WIDTH)
            vector(f"blk.{i}.attn_{part}.bias", WIDTH, 0)
        matrix(f"blk.{i}.attn_output.weight", WIDTH, WIDTH)
        matrix(f"blk.{i}.ffn_gate.weight", FEED_FORWARD, WIDTH)
        matrix(f"blk.{i}.ffn_up.weight", FEED_FORWARD, WIDTH)
        matrix(f"blk.{i}.ffn_down.weight", WIDTH, FEED_FORWARD)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
    return count


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
    args = ap.parse_args()
    count = write_random_model(args.path)
    print(f"{args.path}: {count / 1e6:.0f} M parameters, {args.path.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
