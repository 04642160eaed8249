"""A Whisper of random weights in the layout of the published ones: writes a CTranslate2 folder.

    python -m bench.random_whisper /tmp/random-whisper
    python -m bench.random_whisper /tmp/random-whisper --shape large-v3-turbo

Timestamps, 1,500 positions, and 51,864 tokens as the English ones have, or the vocabulary of the shape. What it writes
is noise, and it loops as real ones do where they lose the sound. So it shows whether windows, guards and alignment are
sound beyond the small model that ships, and what a model of this shape costs.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.specs.whisper_spec import WhisperSpec
from faster_whisper.tokenizer import _LANGUAGE_CODES
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

__all__ = ["SHAPES", "Shape", "write_random_whisper"]

POSITIONS, TEXT_POSITIONS = 1500, 448
POOL = 1 << 22
"""Random numbers, of which the larger matrices are made."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a Whisper."""

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    feed_forward: int
    mels: int = 80
    words: int = 50_256
    languages: tuple[str, ...] = ("en", *sorted(set(_LANGUAGE_CODES) - {"en", "yue"}))
    quantization: str = "int8"
    silent: bool = False
    """Whether it ends what it writes after a few tokens, as a trained model does where nothing is said."""


SHAPES = {
    "tiny-test": Shape(64, 2, 2, 2, 128),
    "large-v3-turbo": Shape(
        1280, 20, 32, 4, 5120, 128, 50_257, tuple(_LANGUAGE_CODES), quantization="float16", silent=True
    ),
}
SILENT_TOKENS = 3


def write_random_whisper(folder: Path, shape: Shape = SHAPES["tiny-test"]) -> None:
    """Write model, vocabulary and tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = _vocabulary(shape)
    spec = WhisperSpec(shape.encoder_layers, shape.heads, shape.decoder_layers, shape.heads)
    _fill(spec, shape, tokens)
    spec.register_vocabulary(tokens)
    first = tokens.index("<|en|>")
    spec.config.lang_ids = list(range(first, tokens.index("<|translate|>")))
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    layers, heads = min(2, shape.decoder_layers), min(2, shape.heads)
    spec.config.alignment_heads = [(layer, head) for layer in range(layers) for head in range(heads)]
    spec.validate()
    spec.optimize(quantization=shape.quantization)
    spec.save(str(folder))
    _tokenizer(tokens, shape.words).save(str(folder / "tokenizer.json"))
    settings = {"feature_size": shape.mels, "sampling_rate": 16000, "hop_length": 160, "n_fft": 400, "chunk_length": 30}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def _vocabulary(shape: Shape) -> list[str]:
    words = [f"Ġw{i}" for i in range(shape.words)]
    languages = [f"<|{code}|>" for code in shape.languages]
    tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    special = ["<|endoftext|>", "<|startoftranscript|>", *languages, *(f"<|{task}|>" for task in tasks)]
    return [*words, *special, *(f"<|{i * 0.02:.2f}|>" for i in range(1501))]


def _tokenizer(tokens: list[str], words: int) -> Tokenizer:
    vocabulary = {token: i for i, token in enumerate(tokens[:words])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in tokens[words:]])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _fill(spec: WhisperSpec, shape: Shape, tokens: list[str]) -> None:
    r = np.random.default_rng(0)
    width = shape.width
    pool = r.normal(0, 1, POOL).astype(np.float32) if width * shape.feed_forward > POOL else None

    def matrix(*sizes: int, scale: float = 1.0) -> NDArray[np.float32]:
        scale /= float(np.sqrt(sizes[-1]))
        if pool is None:
            return r.normal(0, scale, sizes).astype(np.float32)
        values: NDArray[np.float32] = np.resize(np.roll(pool, int(r.integers(POOL))), sizes) * np.float32(scale)
        return values

    def linear(layer: object, rows: int, columns: int) -> None:
        layer.weight, layer.bias = matrix(rows, columns), np.zeros(rows, np.float32)  # type: ignore[attr-defined]

    def norm(layer: object) -> None:
        layer.gamma, layer.beta = np.ones(width, np.float32), np.zeros(width, np.float32)  # type: ignore[attr-defined]

    def attention(layer: object, own: bool) -> None:
        norm(layer.layer_norm)  # type: ignore[attr-defined]
        sizes = [3 * width, width] if own else [width, 2 * width, width]
        for each, rows in zip(layer.linear, sizes, strict=True):  # type: ignore[attr-defined]
            linear(each, rows, width)

    encoder, decoder = spec.encoder, spec.decoder
    for conv, columns in ((encoder.conv1, shape.mels), (encoder.conv2, width)):
        conv.weight = r.normal(0, (3 * columns) ** -0.5, (width, columns, 3)).astype(np.float32)
        conv.bias = np.zeros(width, np.float32)
    encoder.position_encodings.encodings = matrix(POSITIONS, width)
    decoder.position_encodings.encodings = matrix(TEXT_POSITIONS, width)
    # no two tokens may be alike
    decoder.embeddings.weight = r.normal(0, 4 * width**-0.5, (len(tokens), width)).astype(np.float32)
    decoder.projection.weight = decoder.embeddings.weight
    if shape.silent:
        # behind the prompt and a few tokens the position alone says that the text is over
        end = decoder.embeddings.weight[tokens.index("<|endoftext|>")]
        decoder.position_encodings.encodings[4 + SILENT_TOKENS - 1 :] = 30 * end
    for side, own in ((encoder, False), (decoder, True)):
        norm(side.layer_norm)
        for layer in side.layer:
            attention(layer.self_attention, own=True)
            if own:
                attention(layer.attention, own=False)
            norm(layer.ffn.layer_norm)
            linear(layer.ffn.linear_0, shape.feed_forward, width)
            linear(layer.ffn.linear_1, width, shape.feed_forward)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder", type=Path)
    ap.add_argument("--shape", choices=SHAPES, default="tiny-test")
    args = ap.parse_args()
    write_random_whisper(args.folder, SHAPES[args.shape])
    print(f"{args.folder}: CTranslate2 {ctranslate2.__version__}")


if __name__ == "__main__":
    main()
