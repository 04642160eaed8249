from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from media_server.packs.gguf import BLOCKS, parts_of, read_gguf
from media_server.packs.local import PackError
from tests.conftest import STARTER


def write(path: Path, tensors: dict[str, Any] | None = None, **metadata: Any) -> Path:
    """A file with these metadata (names with __ for dots) and some weights."""
    writer = gguf.GGUFWriter(path, metadata.pop("architecture", "llama"))
    for name, value in metadata.items():
        key = name.replace("__", ".")
        if isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, list):
            writer.add_array(key, value)
        else:
            writer.add_uint32(key, value)
    for name, tensor in (
        tensors if tensors is not None else {"token_embd.weight": np.ones((4, 32), np.float16)}
    ).items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_blocks_are_those_of_the_format() -> None:
    assert {k: tuple(gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(k)]) for k in BLOCKS} == BLOCKS


def test_a_file_says_what_it_is(tmp_path: Path) -> None:
    made = write(
        tmp_path / "m.gguf", general__name="A model", general__license="apache-2.0", tokenizer__chat_template="{{ x }}",
        llama__context_length=8192, llama__block_count=3, llama__attention__head_count=8, llama__embedding_length=64,
        llama__attention__head_count_kv=2, tokenizer__ggml__tokens=["a", "b", "ü" * 100],
        tokenizer__ggml__scores=[1, 2],
    )  # fmt: skip
    found = read_gguf(made)
    assert (found.name, found.architecture, found.licence) == ("A model", "llama", "apache-2.0")
    assert (found.context, found.template, found.tensors, found.makes_embeddings) == (8192, "{{ x }}", 1, False)
    assert found.cache_per_token == 3 * 2 * (8 + 8) * 2
    assert read_gguf(STARTER / "chat/starter-chat.gguf").architecture == "qwen2"


@pytest.mark.parametrize("odd", ["many", ["a", "b"], "-1"])
def test_metadata_of_another_kind_is_not_known(tmp_path: Path, odd: Any) -> None:
    found = read_gguf(
        write(tmp_path / "m.gguf", llama__context_length=odd, llama__block_count=2, llama__attention__head_count=odd)
    )
    assert (found.context, found.cache_per_token) == (0, None)


def test_a_cache_whose_layers_differ_has_no_size_for_each_token(tmp_path: Path) -> None:
    sizes: dict[str, Any] = {"llama__block_count": 3, "llama__attention__head_count": 8, "llama__embedding_length": 64}
    found = read_gguf(write(tmp_path / "m.gguf", llama__attention__head_count_kv=[1, 1, 2], **sizes))
    assert found.cache_per_token is None


def test_names_are_of_one_line(tmp_path: Path) -> None:
    licences: list[Any] = ["mit\n[files]\x07", ["mit", "bsd"]]
    found = [
        read_gguf(write(tmp_path / "m.gguf", general__name="a\x1b[31m\nb" * 99, general__license=x)) for x in licences
    ]
    assert [f.licence for f in found] == ["mit [files]", ""]
    assert found[0].name.isprintable()
    assert len(found[0].name) == 200


def test_a_file_that_is_cut_anywhere_is_not_complete(tmp_path: Path) -> None:
    data = write(tmp_path / "m.gguf", general__name="x", tokenizer__ggml__tokens=["a", "b"]).read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in range(4, len(data)):
        cut.write_bytes(data[:length])
        with pytest.raises(PackError, match="is not complete"):
            read_gguf(cut)


def test_damage_is_a_sentence_or_goes_unseen_and_nothing_else(tmp_path: Path) -> None:
    data = write(tmp_path / "m.gguf", general__name="x", tokenizer__ggml__tokens=["a", "b"]).read_bytes()
    chance, damaged = random.Random(3), tmp_path / "damaged.gguf"
    told = 0
    for _ in range(2000):
        copy = bytearray(data)
        for _ in range(chance.randrange(1, 4)):
            copy[chance.randrange(len(copy))] = chance.randrange(256)
        damaged.write_bytes(copy)
        try:
            read_gguf(damaged)
        except PackError as e:
            told += 1
            assert "damaged.gguf" in e.message
    assert told > 200


@pytest.mark.parametrize(
    ("begin", "says"),
    [
        (b"GGML" + bytes(60), "is not a GGUF file"),
        (b"GGUF" + b"\x09" + bytes(60), "version 9"),
        (b"GGUF" + b"\x03\0\0\0" + b"\xff" * 16, "more entries than any model has"),
        (b"GGUF" + b"\x03\0\0\0" + bytes(8) + b"\x01" + bytes(7) + b"\xff" * 8, "a longer text than any model has"),
    ],
)
def test_what_is_no_model_is_told(tmp_path: Path, begin: bytes, says: str) -> None:
    (tmp_path / "x.gguf").write_bytes(begin)
    with pytest.raises(PackError, match=says):
        read_gguf(tmp_path / "x.gguf")


def test_the_parts_of_a_model_are_found_and_missing_ones_named(tmp_path: Path) -> None:
    names = [f"big-q4-{n:05d}-of-00003.gguf" for n in (1, 2, 3)]
    for name in names[:2]:
        (tmp_path / name).touch()
    with pytest.raises(PackError, match=r"one of 3 parts, of which big-q4-00003-of-00003\.gguf is not beside it"):
        parts_of(tmp_path / names[1])
    (tmp_path / names[2]).touch()
    assert parts_of(tmp_path / names[1]) == [tmp_path / n for n in names]
    assert parts_of(tmp_path / "one.gguf") == [tmp_path / "one.gguf"]
    with pytest.raises(PackError, match="is not named"):
        parts_of(tmp_path / "big-q4-00004-of-00003.gguf")
