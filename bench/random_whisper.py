"""A Whisper of random weights in the layout of the published English ones: writes a CTranslate2 folder.

    python -m bench.random_whisper /tmp/random-whisper

51,864 tokens, timestamps, 80 mels, 1,500 positions; what it writes is noise, and it loops as real ones do where
they lose the sound. So it shows whether windows, guards and alignment are sound beyond the small model that ships.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import ctranslate2
import numpy as np
from ctranslate2.specs.whisper_spec import WhisperSpec
from faster_whisper.tokenizer import _LANGUAGE_CODES
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

__all__ = ["write_random_whisper"]

WIDTH, HEADS, LAYERS, FEED_FORWARD = 64, 2, 2, 128
WORDS = 50_256
POSITIONS, TEXT_POSITIONS, MELS = 1500, 448, 80


def write_random_whisper(folder: Path) -> None:
    """Write model, vocabulary and tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = _vocabulary()
    spec = WhisperSpec(LAYERS, HEADS, LAYERS, HEADS)
    _fill(spec, len(tokens))
    spec.register_vocabulary(tokens)
    first = tokens.index("<|en|>")
    spec.config.lang_ids = list(range(first, tokens.index("<|translate|>")))
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.alignment_heads = [(layer, head) for layer in range(LAYERS) for head in range(HEADS)]
    spec.validate()
    spec.optimize(quantization="int8")
    spec.save(str(folder))
    _tokenizer(tokens).save(str(folder / "tokenizer.json"))
    settings = {"feature_size": MELS, "sampling_rate": 16000, "hop_length": 160, "n_fft": 400, "chunk_length": 30}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def _vocabulary() -> list[str]:
    words = [f"Ġw{i}" for i in range(WORDS)]
    languages = [f"<|{code}|>" for code in ["en", *sorted(set(_LANGUAGE_CODES) - {"en", "yue"})]]
    tasks = ["translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps"]
    special = ["<|endoftext|>", "<|startoftranscript|>", *languages, *(f"<|{task}|>" for task in tasks)]
    return [*words, *special, *(f"<|{i * 0.02:.2f}|>" for i in range(1501))]


def _tokenizer(tokens: list[str]) -> Tokenizer:
    vocabulary = {token: i for i, token in enumerate(tokens[:WORDS])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in tokens[WORDS:]])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _fill(spec: WhisperSpec, vocabulary: int) -> None:
    r = np.random.default_rng(0)

    def matrix(*shape: int, scale: float = 1.0) -> NDArray[np.float32]:
        return r.normal(0, scale / np.sqrt(shape[-1]), shape).astype(np.float32)

    def linear(layer: object, rows: int, columns: int) -> None:
        layer.weight, layer.bias = matrix(rows, columns), np.zeros(rows, np.float32)  # type: ignore[attr-defined]

    def norm(layer: object) -> None:
        layer.gamma, layer.beta = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)  # type: ignore[attr-defined]

    def attention(layer: object, own: bool) -> None:
        norm(layer.layer_norm)  # type: ignore[attr-defined]
        sizes = [3 * WIDTH, WIDTH] if own else [WIDTH, 2 * WIDTH, WIDTH]
        for each, rows in zip(layer.linear, sizes, strict=True):  # type: ignore[attr-defined]
            linear(each, rows, WIDTH)

    encoder, decoder = spec.encoder, spec.decoder
    for conv, columns in ((encoder.conv1, MELS), (encoder.conv2, WIDTH)):
        conv.weight = r.normal(0, (3 * columns) ** -0.5, (WIDTH, columns, 3)).astype(np.float32)
        conv.bias = np.zeros(WIDTH, np.float32)
    encoder.position_encodings.encodings = matrix(POSITIONS, WIDTH)
    decoder.position_encodings.encodings = matrix(TEXT_POSITIONS, WIDTH)
    decoder.embeddings.weight = matrix(vocabulary, WIDTH, scale=4)
    decoder.projection.weight = decoder.embeddings.weight
    for side, own in ((encoder, False), (decoder, True)):
        norm(side.layer_norm)
        for layer in side.layer:
            attention(layer.self_attention, own=True)
            if own:
                attention(layer.attention, own=False)
            norm(layer.ffn.layer_norm)
            linear(layer.ffn.linear_0, FEED_FORWARD, WIDTH)
            linear(layer.ffn.linear_1, WIDTH, FEED_FORWARD)


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("folder", type=Path)
    args = ap.parse_args()
    write_random_whisper(args.folder)
    print(f"{args.folder}: CTranslate2 {ctranslate2.__version__}")


if __name__ == "__main__":
    main()
