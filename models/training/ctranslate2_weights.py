"""Read a Whisper in CTranslate2's format back into Hugging Face's names, so that training can go on from it.

The format (version 6) is what `ctranslate2.specs.model_spec` writes: little-endian, length-prefixed names.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

DTYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def read(path: Path) -> dict[str, np.ndarray]:
    """All variables of a model.bin; int8 weights become floats by their scales."""
    raw, offset = path.read_bytes(), 0

    def number(kind: str) -> int:
        nonlocal offset
        (value,) = struct.unpack_from("<" + kind, raw, offset)
        offset += struct.calcsize("<" + kind)
        return value

    def name() -> str:
        nonlocal offset
        n = number("H")
        offset += n
        return raw[offset - n : offset].rstrip(b"\0").decode()

    version = number("I")
    if version != 6:
        raise ValueError(f"{path}: CTranslate2 format {version}, expected 6")
    name()
    number("I")
    variables = {}
    for _ in range(number("I")):
        key = name()
        shape = [number("I") for _ in range(number("B"))]
        dtype = np.dtype(DTYPES[number("B")])
        size = number("I")
        variables[key] = np.frombuffer(raw, dtype, size // dtype.itemsize, offset).reshape(shape)
        offset += size
    for key in [k for k in variables if k.endswith("_scale")]:
        weight = variables[key[: -len("_scale")]]
        scale = variables[key].reshape(-1, *[1] * (weight.ndim - 1))
        variables[key[: -len("_scale")]] = weight.astype(np.float32) / scale
    return variables


def whisper_state(path: Path) -> dict[str, torch.Tensor]:
    """The state of `WhisperForConditionalGeneration` with the weights of a CTranslate2 model.bin."""
    v = read(path)
    out: dict[str, np.ndarray] = {
        "model.decoder.embed_tokens.weight": v["decoder/embeddings/weight"],
        "proj_out.weight": v["decoder/embeddings/weight"],
        "model.decoder.embed_positions.weight": v["decoder/position_encodings/encodings"],
        "model.encoder.embed_positions.weight": v["encoder/position_encodings/encodings"],
    }
    for i in (1, 2):
        out |= {f"model.encoder.conv{i}.{p}": v[f"encoder/conv{i}/{p}"] for p in ("weight", "bias")}

    def norm(to: str, source: str) -> None:
        out[to + ".weight"], out[to + ".bias"] = v[source + "/gamma"], v[source + "/beta"]

    def linear(to: list[str], source: str) -> None:
        weights, biases = np.split(v[source + "/weight"], len(to)), np.split(v[source + "/bias"], len(to))
        for t, w, b in zip(to, weights, biases, strict=True):
            out[t + ".weight"] = w
            if not t.endswith("k_proj"):  # Whisper's keys have no bias
                out[t + ".bias"] = b

    for side in ("encoder", "decoder"):
        norm(f"model.{side}.layer_norm", f"{side}/layer_norm")
        layers = {
            k.split("/")[1] for k in v if k.startswith(f"{side}/layer_") and not k.startswith(f"{side}/layer_norm")
        }
        for layer in layers:
            to, source = f"model.{side}.layers.{layer.removeprefix('layer_')}", f"{side}/{layer}"
            linear([f"{to}.self_attn.{p}_proj" for p in "qkv"], f"{source}/self_attention/linear_0")
            linear([f"{to}.self_attn.out_proj"], f"{source}/self_attention/linear_1")
            norm(f"{to}.self_attn_layer_norm", f"{source}/self_attention/layer_norm")
            linear([f"{to}.fc1"], f"{source}/ffn/linear_0")
            linear([f"{to}.fc2"], f"{source}/ffn/linear_1")
            norm(f"{to}.final_layer_norm", f"{source}/ffn/layer_norm")
            if side == "decoder":
                linear([f"{to}.encoder_attn.q_proj"], f"{source}/attention/linear_0")
                linear([f"{to}.encoder_attn.{p}_proj" for p in "kv"], f"{source}/attention/linear_1")
                linear([f"{to}.encoder_attn.out_proj"], f"{source}/attention/linear_2")
                norm(f"{to}.encoder_attn_layer_norm", f"{source}/attention/layer_norm")
    return {k: torch.tensor(np.asarray(a, np.float32)) for k, a in out.items()}
