"""The mean of chat models' weights: of runs that went on from each other it is often better than each.

python average_chat.py A.gguf B.gguf --out ../starter/chat
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from train_chat import CONTEXT, FEED_FORWARD, HEADS, LAYERS, WIDTH, read_gguf, write_gguf
from transformers import Qwen2Config, Qwen2ForCausalLM


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("models", type=Path, nargs="+")
    ap.add_argument("--out", type=Path, required=True)
    args = ap.parse_args()
    read = [read_gguf(path) for path in args.models]
    tok = read[0][0]
    config = Qwen2Config(
        vocab_size=tok.get_vocab_size(), hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=HEADS, intermediate_size=FEED_FORWARD, max_position_embeddings=CONTEXT, rope_theta=10000.0,
        tie_word_embeddings=True, rms_norm_eps=1e-6,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    model.load_state_dict({key: torch.stack([w[key] for _, w in read]).mean(0) for key in read[0][1]})
    args.out.mkdir(parents=True, exist_ok=True)
    write_gguf(model, tok, args.out / "starter-chat.gguf")


if __name__ == "__main__":
    main()
