"""Whisper on disk: checking one in CTranslate2's form, and making one of a Transformers folder, without torch."""

from __future__ import annotations

import itertools
import json
import os
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from media_server.packs.local import PackError
from media_server.packs.safetensors import Tensors

__all__ = ["Whisper", "convert", "read_ctranslate2", "read_json"]

NEWEST_FORMAT = 6
PREPROCESSOR = "preprocessor_config.json"
ENGLISH_ONLY = 51_864
"""Tokens of Whisper's English-only vocabulary; multilingual ones are larger."""
MEL = {"sampling_rate": 16_000, "n_fft": 400, "hop_length": 160, "chunk_length": 30, "nb_max_frames": 3000}


@dataclass(frozen=True, slots=True)
class Whisper:
    """What is known of a model."""

    vocabulary: int
    """Tokens."""

    @property
    def english_only(self) -> bool:
        return self.vocabulary <= ENGLISH_ONLY


def read_json(path: Path) -> dict[str, Any]:
    """An object in a JSON file.

    Raises:
        PackError: it cannot be read, or is none.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except OSError as e:
        raise PackError(f"{path} cannot be read: {e.strerror or e}.") from e
    except (ValueError, RecursionError) as e:
        raise PackError(f"{path.name} is damaged: it is not JSON.") from e
    if not isinstance(value, dict):
        raise PackError(f"{path.name} is damaged: it is not a JSON object.")
    return value


def read_ctranslate2(folder: Path) -> Whisper:
    """Check a folder with a Whisper in CTranslate2's form, as far as its sizes tell.

    Raises:
        PackError: a file is missing, damaged, not complete, or of another kind of model.
    """
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise PackError(f"{folder} lacks {name}, which a Whisper in CTranslate2's form needs beside model.bin.")
        read_json(folder / name)
    if (folder / PREPROCESSOR).is_file():
        read_json(folder / PREPROCESSOR)
    if not any((folder / f"vocabulary.{end}").is_file() for end in ("json", "txt")):
        raise PackError(f"{folder} lacks vocabulary.json or vocabulary.txt.")
    if (folder / "vocabulary.json").is_file():
        _check_words(folder / "vocabulary.json")
    path = folder / "model.bin"
    try:
        with path.open("rb") as f:
            shapes = _shapes(f, os.fstat(f.fileno()).st_size)
    except (struct.error, UnicodeDecodeError) as e:
        raise PackError(f"{path.name} is not complete, or not in CTranslate2's form.") from e
    except OSError as e:
        raise PackError(f"{path} cannot be read: {e.strerror or e}.") from e
    embeddings = shapes.get("decoder/embeddings/weight", ())
    if len(embeddings) != 2:
        raise PackError(f"{path.name} has no embeddings of a decoder; it is not a Whisper.")
    return Whisper(embeddings[0])


def _shapes(f: BinaryIO, size: int) -> dict[str, tuple[int, ...]]:
    """The variables in a model.bin, after checking that all of their bytes are there."""

    def number(form: str) -> int:
        (value,) = struct.unpack("<" + form, f.read(struct.calcsize("<" + form)))
        return int(value)

    def text() -> str:
        length = number("H")
        if len(read := f.read(length)) < length:
            raise struct.error("it ends within a name")
        return read.rstrip(b"\0").decode()

    version = number("I")
    if version > NEWEST_FORMAT or version < 3:
        raise PackError(f"{f.name} is not in CTranslate2's form, or in a version of it that cannot be read.")
    spec = text()
    if spec != "WhisperSpec":
        raise PackError(f"{Path(f.name).name} is not a Whisper but a {spec[:40]!r}.")
    number("I")
    shapes = {}
    for _ in range(number("I")):
        name = text()
        shapes[name] = tuple(number("I") for _ in range(number("B")))
        number("B")
        length = number("I")
        if f.tell() + length > size:
            raise PackError(f"{Path(f.name).name} is not complete: it ends within {name}. Get it again.")
        f.seek(length, os.SEEK_CUR)
    for _ in range(number("I")):
        text(), text()  # a further name of a variable
    return shapes


def _check_words(path: Path) -> None:
    """Raise `PackError` if a vocabulary is not a list of words."""
    try:
        words = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise PackError(f"{path.name} is damaged: it is not JSON.") from e
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise PackError(f"{path.name} is damaged: it is not a list of words.")


def convert(source: Path, to: Path) -> Whisper:
    """Make a Whisper in CTranslate2's form, with 16-bit weights, of one that Transformers saved as safetensors.

    Args:
        source: with config.json, model.safetensors (or several with an index), and a tokenizer.
        to: an empty folder.

    Raises:
        PackError: something is missing, damaged, or not Whisper's.
    """
    from ctranslate2.specs import WhisperSpec

    config = read_json(source / "config.json")
    tensors = Tensors(_weights(source))
    prefix = "model." if "model.encoder.conv1.weight" in tensors else ""
    try:
        spec = WhisperSpec(
            *(
                int(config[f"{side}_{what}"])
                for side in ("encoder", "decoder")
                for what in ("layers", "attention_heads")
            )
        )
        vocabulary_size = int(config["vocab_size"])
    except (KeyError, TypeError, ValueError) as e:
        raise PackError(f"{source / 'config.json'} is not that of a Whisper: {e} is missing or no number.") from e
    if config.get("activation_function", "gelu") != "gelu":
        raise PackError(f"{source} is a Whisper with {config['activation_function']}, which CTranslate2 has not.")
    _fill(spec, tensors, prefix)
    tokenizer = _tokenizer(source, to)
    spec.register_vocabulary(_vocabulary(tokenizer, vocabulary_size))
    for name, value in _settings(source, config, tokenizer).items():
        setattr(spec.config, name, value)
    spec.validate()
    spec.optimize(quantization="float16")
    spec.save(str(to))
    mel = {**MEL, "feature_size": int(config.get("num_mel_bins", 80))}
    (to / PREPROCESSOR).write_text(json.dumps(mel, indent=2) + "\n", "utf-8")
    return read_ctranslate2(to)


def _vocabulary(tokenizer: Mapping[str, int], size: int) -> list[str]:
    by_id = {n: token for token, n in tokenizer.items()}
    # timestamps, which come last, are not in the tokenizers of older models
    known = min(size, max(by_id, default=-1) + 1)
    times = [f"<|{i * 0.02:.2f}|>" for i in range(size - known)]
    return [by_id.get(n, f"<|unused {n}|>") for n in range(known)] + times


def _weights(source: Path) -> list[Path]:
    index = source / "model.safetensors.index.json"
    if index.is_file():
        names = read_json(index).get("weight_map")
        if not isinstance(names, Mapping) or any(not isinstance(n, str) or "/" in n for n in names.values()):
            raise PackError(f"{index} is damaged: it does not say in which files the weights are.")
        files = [source / n for n in sorted(set(names.values()))]
    else:
        files = [source / "model.safetensors"]
    missing = [f.name for f in files if not f.is_file()]
    if missing:
        raise PackError(f"{source} lacks {', '.join(missing)}.")
    return files


def _fill(spec: Any, tensors: Tensors, prefix: str) -> None:
    def get(name: str) -> Any:
        value = tensors[prefix + name]
        return value.astype(np.float32) if value.dtype == np.float64 else value

    def linear(to: Any, *names: str) -> None:
        weights = [get(f"{n}.weight") for n in names]
        to.weight = np.concatenate(weights)
        # Whisper's keys have no bias
        biases = [
            get(f"{n}.bias") if f"{prefix}{n}.bias" in tensors else np.zeros(w.shape[0], w.dtype)
            for n, w in zip(names, weights, strict=True)
        ]
        to.bias = np.concatenate(biases)

    def norm(to: Any, name: str) -> None:
        to.gamma, to.beta = get(f"{name}.weight"), get(f"{name}.bias")

    def attention(to: Any, name: str, *groups: str) -> None:
        for place, letters in zip(to.linear, groups, strict=False):
            linear(place, *(f"{name}.{letter}_proj" for letter in letters))
        linear(to.linear[-1], f"{name}.out_proj")
        norm(to.layer_norm, f"{name}_layer_norm")

    for convolution in ("conv1", "conv2"):
        to = getattr(spec.encoder, convolution)
        to.weight, to.bias = get(f"encoder.{convolution}.weight"), get(f"encoder.{convolution}.bias")
    for side, half in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        half.position_encodings.encodings = get(f"{side}.embed_positions.weight")
        norm(half.layer_norm, f"{side}.layer_norm")
        for i, layer in enumerate(half.layer):
            name = f"{side}.layers.{i}"
            attention(layer.self_attention, f"{name}.self_attn", "qkv")
            if side == "decoder":
                attention(layer.attention, f"{name}.encoder_attn", "q", "kv")
            linear(layer.ffn.linear_0, f"{name}.fc1")
            linear(layer.ffn.linear_1, f"{name}.fc2")
            norm(layer.ffn.layer_norm, f"{name}.final_layer_norm")
    spec.decoder.embeddings.weight = get("decoder.embed_tokens.weight")
    spec.decoder.projection.weight = spec.decoder.embeddings.weight  # Whisper's are tied


def _settings(source: Path, config: Mapping[str, Any], tokenizer: Mapping[str, int]) -> dict[str, Any]:
    """What CTranslate2 keeps beside the weights."""
    generation = source / "generation_config.json"
    given = read_json(generation) if generation.is_file() else config
    languages = given.get("lang_to_id")
    ids = (
        languages.values()
        if isinstance(languages, Mapping)
        else [n for token, n in tokenizer.items() if re.fullmatch(r"<\|[a-z]{2,3}\|>", token)]
    )
    heads = given.get("alignment_heads")
    if not heads:  # then the upper half of the layers
        layers = range(int(config["decoder_layers"]) // 2, int(config["decoder_layers"]))
        heads = list(itertools.product(layers, range(int(config["decoder_attention_heads"]))))
    return {
        "suppress_ids": given.get("suppress_tokens"),
        "suppress_ids_begin": given.get("begin_suppress_tokens"),
        "lang_ids": sorted(int(i) for i in ids),
        "alignment_heads": [list(h) for h in heads],
    }


def _tokenizer(source: Path, to: Path) -> dict[str, int]:
    """Put tokenizer.json in place; made of vocab.json and merges.txt where there is none. Returns each token's id."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    try:
        if (source / "tokenizer.json").is_file():
            tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
        elif (source / "vocab.json").is_file() and (source / "merges.txt").is_file():
            tokenizer = Tokenizer(models.BPE.from_file(str(source / "vocab.json"), str(source / "merges.txt")))
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
            tokenizer.decoder = decoders.ByteLevel()
            added = source / "added_tokens.json"
            special = sorted((read_json(added) if added.is_file() else {}).items(), key=lambda entry: int(entry[1]))
            end = tokenizer.token_to_id("<|endoftext|>")
            known = [("<|endoftext|>", end)] if end is not None else []
            for token, number in [*known, *special]:
                timestamp = re.fullmatch(r"<\|\d+\.\d+\|>", token)
                entry = AddedToken(token, special=not timestamp, normalized=False)
                (tokenizer.add_tokens if timestamp else tokenizer.add_special_tokens)([entry])
                if tokenizer.token_to_id(token) != number:
                    raise PackError(f"{added} does not fit vocab.json: {token} would not be number {number}.")
        else:
            raise PackError(f"{source} has no tokenizer: tokenizer.json, or vocab.json with merges.txt.")
        tokenizer.save(str(to / "tokenizer.json"))
        return dict(tokenizer.get_vocab(with_added_tokens=True))
    except PackError:
        raise
    except Exception as e:  # what the library raises is a bare Exception
        raise PackError(f"The tokenizer in {source} cannot be read: {e}.") from e
