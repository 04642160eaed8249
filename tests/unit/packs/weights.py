"""A small Whisper with random weights, in the files that Transformers saves."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.conftest import STARTER

CONFIG = {
    "model_type": "whisper", "activation_function": "gelu", "num_mel_bins": 80, "d_model": 32, "encoder_layers": 2,
    "decoder_layers": 3, "encoder_attention_heads": 2, "decoder_attention_heads": 4, "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 40, "max_source_positions": 1500, "max_target_positions": 448, "vocab_size": 51_865,
}  # fmt: skip


def tensors(config: dict[str, Any] = CONFIG) -> dict[str, NDArray[np.float32]]:
    """All weights by their names; always the same ones."""
    chance, width = np.random.RandomState(5), config["d_model"]
    shapes: dict[str, tuple[int, ...]] = {
        "model.encoder.conv1.weight": (width, config["num_mel_bins"], 3), "model.encoder.conv1.bias": (width,),
        "model.encoder.conv2.weight": (width, width, 3), "model.encoder.conv2.bias": (width,),
        "model.encoder.embed_positions.weight": (config["max_source_positions"], width),
        "model.decoder.embed_positions.weight": (config["max_target_positions"], width),
        "model.decoder.embed_tokens.weight": (config["vocab_size"], width),
    }  # fmt: skip
    for side in ("encoder", "decoder"):
        norms = [f"model.{side}.layer_norm"]
        for i in range(config[f"{side}_layers"]):
            layer, inner = f"model.{side}.layers.{i}", config[f"{side}_ffn_dim"]
            attentions = ["self_attn"] + (["encoder_attn"] if side == "decoder" else [])
            for attention in attentions:
                for letter in ("q", "k", "v", "out"):
                    shapes[f"{layer}.{attention}.{letter}_proj.weight"] = (width, width)
                    if letter != "k":
                        shapes[f"{layer}.{attention}.{letter}_proj.bias"] = (width,)
            shapes[f"{layer}.fc1.weight"], shapes[f"{layer}.fc1.bias"] = (inner, width), (inner,)
            shapes[f"{layer}.fc2.weight"], shapes[f"{layer}.fc2.bias"] = (width, inner), (width,)
            norms += [f"{layer}.{a}_layer_norm" for a in attentions] + [f"{layer}.final_layer_norm"]
        for norm in norms:
            shapes[f"{norm}.weight"], shapes[f"{norm}.bias"] = (width,), (width,)
    return {n: (chance.randint(-512, 512, shape) / 4096).astype(np.float32) for n, shape in sorted(shapes.items())}


def write_safetensors(path: Path, values: dict[str, NDArray[Any]], bfloat16: bool = False) -> None:
    head, data, at = {}, [], 0
    for name, value in values.items():
        kind = {"float32": "F32", "float16": "F16"}[value.dtype.name]
        raw = value.tobytes()
        if bfloat16:
            kind, raw = "BF16", (value.view(np.uint32) >> 16).astype(np.uint16).tobytes()
        head[name] = {"dtype": kind, "shape": list(value.shape), "data_offsets": [at, at + len(raw)]}
        at += len(raw)
        data.append(raw)
    text = json.dumps({"__metadata__": {"format": "pt"}, **head}).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def transformers_folder(to: Path, config: dict[str, Any] = CONFIG) -> Path:
    to.mkdir()
    (to / "config.json").write_text(json.dumps(config))
    write_safetensors(to / "model.safetensors", tensors(config))
    shutil.copy(STARTER / "stt/tokenizer.json", to)
    return to
