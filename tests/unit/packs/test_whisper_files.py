from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from media_server.engines.whisper import WhisperEngine
from media_server.packs.local import PackError
from media_server.packs.whisper_files import convert, read_ctranslate2
from tests.conftest import STARTER
from tests.unit.packs.weights import CONFIG, tensors, transformers_folder, write_safetensors

BY_CTRANSLATE2 = "956d4c1b9f2aa79ed63c952a44ef68ce4d9b9088e5087c8f47daccace677c16a"
"""SHA-256 of the model.bin that CTranslate2's own converter (4.8.5, with Transformers 5.24) makes of these weights."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return transformers_folder(tmp_path / "fine-tuned")


@pytest.fixture
def to(tmp_path: Path) -> Path:
    (tmp_path / "stt").mkdir()
    return tmp_path / "stt"


def test_a_converted_whisper_is_what_ctranslate2_makes_of_it(folder: Path, to: Path) -> None:
    assert convert(folder, to).vocabulary == CONFIG["vocab_size"]
    assert hashlib.sha256((to / "model.bin").read_bytes()).hexdigest() == BY_CTRANSLATE2
    settings = json.loads((to / "config.json").read_text())
    assert settings["lang_ids"]
    assert settings["alignment_heads"] == [[layer, head] for layer in (1, 2) for head in range(4)]
    assert json.loads((to / "preprocessor_config.json").read_text())["feature_size"] == 80
    engine = WhisperEngine.load(to)
    assert engine.transcribe([np.zeros(16_000, np.int16)])


def test_weights_in_several_files_and_without_a_prefix_are_the_same(folder: Path, to: Path) -> None:
    weights = {k.removeprefix("model."): v for k, v in tensors().items()}
    (folder / "model.safetensors").unlink()
    places: dict[str, str] = {}
    for n, names in enumerate((sorted(weights)[::2], sorted(weights)[1::2])):
        write_safetensors(folder / f"model-{n}.safetensors", {k: weights[k] for k in names})
        places |= dict.fromkeys(names, f"model-{n}.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    convert(folder, to)
    assert hashlib.sha256((to / "model.bin").read_bytes()).hexdigest() == BY_CTRANSLATE2


def test_weights_with_16_bits_keep_their_values(folder: Path, to: Path) -> None:
    # these weights are multiples of 2**-12 below 1/8, which both forms hold
    write_safetensors(folder / "model.safetensors", {k: v.astype(np.float16) for k, v in tensors().items()})
    convert(folder, to)
    assert hashlib.sha256((to / "model.bin").read_bytes()).hexdigest() == BY_CTRANSLATE2
    shutil.rmtree(to)
    to.mkdir()
    rounded = {k: (v.view(np.uint32) & 0xFFFF0000).view(np.float32) for k, v in tensors().items()}
    write_safetensors(folder / "model.safetensors", rounded, bfloat16=True)
    convert(folder, to)
    by_bfloat16 = (to / "model.bin").read_bytes()
    shutil.rmtree(to)
    to.mkdir()
    write_safetensors(folder / "model.safetensors", rounded)
    convert(folder, to)
    assert (to / "model.bin").read_bytes() == by_bfloat16


def test_a_tokenizer_is_made_of_vocabulary_and_merges(folder: Path, to: Path) -> None:
    fast = json.loads((folder / "tokenizer.json").read_text())
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(fast["model"]["vocab"]))
    merges = [m if isinstance(m, str) else " ".join(m) for m in fast["model"]["merges"]]
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    added = {t["content"]: t["id"] for t in fast["added_tokens"] if t["content"] not in fast["model"]["vocab"]}
    (folder / "added_tokens.json").write_text(json.dumps(added))
    convert(folder, to)
    made, real = (Tokenizer.from_file(str(f / "tokenizer.json")) for f in (to, STARTER / "stt"))
    for text in (
        "What is seven plus five?",
        " naïve café  x",
        "<|startoftranscript|><|notimestamps|> hello<|endoftext|>",
    ):
        ids = made.encode(text, add_special_tokens=False).ids
        assert ids == real.encode(text, add_special_tokens=False).ids
        assert made.decode(ids) == real.decode(ids)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("config.json", b"{}", "is not that of a Whisper"),
        ("config.json", b"[", "is not JSON"),
        ("config.json", json.dumps(CONFIG | {"encoder_layers": 3}).encode(), "lacks the tensor model.encoder.layers.2"),
        ("config.json", json.dumps(CONFIG | {"activation_function": "relu"}).encode(), "relu"),
        ("model.safetensors", b"", "is empty"),
        ("model.safetensors", b"\xff" * 100, "is not a safetensors file"),
        ("model.safetensors", b"\x02" + bytes(7) + b"[]", "is damaged"),
        ("model.safetensors", None, "lacks model.safetensors"),
        ("tokenizer.json", b"{}", "tokenizer in .* cannot be read"),
        ("tokenizer.json", None, "has no tokenizer"),
    ],
)
def test_what_cannot_be_converted_is_a_sentence(
    folder: Path, to: Path, name: str, content: bytes | None, says: str
) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(PackError, match=says):
        convert(folder, to)


def test_weights_that_are_cut_are_told(folder: Path, to: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    for length in (5, 100, 5000, len(data) - 1):
        (folder / "model.safetensors").write_bytes(data[:length])
        with pytest.raises(PackError, match="not complete"):
            convert(folder, to)


def test_a_model_in_ctranslate2s_form_is_checked_to_its_last_byte(tmp_path: Path) -> None:
    folder = tmp_path / "stt"
    shutil.copytree(STARTER / "stt", folder)
    assert read_ctranslate2(folder).english_only
    data = (folder / "model.bin").read_bytes()
    for length in (0, 3, 30, 3000, len(data) - 100, len(data) - 5, len(data) - 1):
        (folder / "model.bin").write_bytes(data[:length])
        with pytest.raises(PackError, match="not complete"):
            read_ctranslate2(folder)
    (folder / "model.bin").write_bytes(b"PK\x03\x04" + data[4:])
    with pytest.raises(PackError, match="not in CTranslate2's form"):
        read_ctranslate2(folder)
    (folder / "model.bin").write_bytes(data.replace(b"WhisperSpec", b"SpeakerSpec"))
    with pytest.raises(PackError, match="not a Whisper but a 'SpeakerSpec'"):
        read_ctranslate2(folder)
    (folder / "model.bin").write_bytes(data)
    for name, text in (
        ("vocabulary.json", "[1, 2"),
        ("vocabulary.json", '{"a": 1}'),
        ("preprocessor_config.json", "[]"),
    ):
        (folder / name).write_text(text)
        with pytest.raises(PackError, match=f"{name} is damaged"):
            read_ctranslate2(folder)
        (folder / name).unlink()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(PackError, match=r"lacks tokenizer\.json"):
        read_ctranslate2(folder)
