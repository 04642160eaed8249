from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from media_server.engines.packs import Pack, load_pack, problems_of
from media_server.packs.examining import Part, examine
from media_server.packs.importing import Target, import_model, import_pack
from media_server.packs.local import PackError
from tests.conftest import DATA, STARTER
from tests.unit.packs.test_gguf import write
from tests.unit.packs.weights import transformers_folder

CHAT: dict[str, Any] = {
    "tokenizer__chat_template": "{{ messages }}",
    "llama__context_length": 8192,
    "general__license": "mit",
}


def imported(path: Path, models: Path, part: Part | None = None, **target: Any) -> Pack:
    said: list[str] = []
    base = target.pop("base", load_pack("starter", models))
    import_model(examine(path, part), Target(target.pop("name", "mine"), base, **target), models, said.append)
    pack = load_pack("mine", models)
    assert problems_of(pack) == []
    assert sorted(f.path for f in pack.manifest.files) == sorted(
        p.relative_to(pack.folder).as_posix() for p in pack.folder.rglob("*") if p.is_file() and p.name != "pack.toml"
    )
    return pack


def test_a_language_model_takes_the_place_of_the_starters(tmp_path: Path) -> None:
    pack = imported(write(tmp_path / "My Model (q4).gguf", general__name="My Model", **CHAT), tmp_path)
    assert pack.manifest.llm.path == "chat/My Model _q4_.gguf"
    assert (pack.manifest.llm.context, pack.manifest.llm.temperature) == (4096, 0.7)
    assert pack.manifest.stt == load_pack("starter", tmp_path).manifest.stt
    assert not (pack.folder / "chat/starter-chat.gguf").exists()
    (origin,) = pack.manifest.models
    assert (origin.part, origin.id, origin.licence, origin.commercial_use) == ("llm", "My-Model-q4", "mit", "unclear")


def test_a_model_in_parts_is_taken_whole_and_replaced_whole(tmp_path: Path) -> None:
    for n in (1, 2, 3):
        metadata = CHAT if n == 1 else {}
        write(tmp_path / f"big-{n:05d}-of-00003.gguf", split__count=3, split__no=n - 1, **metadata)
    pack = imported(tmp_path / "big-00002-of-00003.gguf", tmp_path)
    assert pack.manifest.llm.path == "chat/big-00001-of-00003.gguf"
    assert sum(f.path.startswith("chat/big-") for f in pack.manifest.files) == 3
    assert imported(write(tmp_path / "other.gguf", **CHAT), tmp_path, base=pack).manifest.llm.path == "chat/other.gguf"


def test_a_recogniser_is_taken_as_it_is_or_converted(tmp_path: Path) -> None:
    folder = tmp_path / "my-whisper"
    shutil.copytree(STARTER / "stt", folder)
    pack = imported(folder, tmp_path)
    assert (pack.manifest.stt.language, pack.manifest.stt.window_s) == ("en", 30)
    converted = imported(transformers_folder(tmp_path / "fine-tuned"), tmp_path, language="de", base=pack)
    assert converted.manifest.stt.language == "de"
    assert {p.name for p in (converted.folder / "stt").iterdir()} == {
        "config.json", "model.bin", "preprocessor_config.json", "tokenizer.json", "vocabulary.json"
    }  # fmt: skip


def test_a_voice_replaces_the_usual_one_or_comes_to_it(tmp_path: Path) -> None:
    for end in ("onnx", "onnx.json"):
        shutil.copy(STARTER / f"voice/starter-voice.{end}", tmp_path / f"anna.{end}")
    pack = imported(tmp_path / "anna.onnx", tmp_path, voice="anna")
    assert set(pack.manifest.voices) == {"calm", "anna"}
    assert pack.manifest.tts.path == "voice/starter-voice.onnx"
    pack = imported(tmp_path / "anna.onnx", tmp_path)
    assert pack.manifest.tts.path == "voice/anna.onnx"
    assert pack.manifest.voices == {}


def test_a_turn_model_comes_to_the_others(tmp_path: Path) -> None:
    pack = imported(DATA / "turn.onnx", tmp_path)
    assert pack.manifest.turn is not None
    assert pack.turn == pack.folder / "turn/turn.onnx"


def test_an_embedding_model_is_taken_when_it_is_meant(tmp_path: Path) -> None:
    made = write(tmp_path / "bge.gguf", architecture="bert", bert__context_length=512, bert__pooling_type=2)
    with pytest.raises(PackError, match=r"is an embedding model.*--as embedding"):
        examine(made)
    assert imported(made, tmp_path, "embedding").embedding == tmp_path / "mine/embedding/bge.gguf"


def test_importing_leaves_what_one_has_alone(tmp_path: Path) -> None:
    mine = write(tmp_path / "m.gguf", **CHAT)
    before = mine.read_bytes()
    linked = imported(mine, tmp_path)
    assert linked.chat.stat().st_ino == mine.stat().st_ino
    copied = imported(mine, tmp_path, copy=True)
    assert copied.chat.stat().st_ino != mine.stat().st_ino
    # what an earlier try left is a link to it, and must not be written through
    incoming = tmp_path / ".mine.incoming/chat"
    incoming.mkdir(parents=True)
    (incoming / "m.gguf").hardlink_to(mine)
    (tmp_path / "other").mkdir()
    other = write(tmp_path / "other/m.gguf", general__name="o", **CHAT)
    imported(other, tmp_path, copy=True)
    assert mine.read_bytes() == before


def test_a_model_of_the_catalogue_is_known_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from media_server.packs import importing
    from media_server.packs.catalogue import builtin_catalogue
    from media_server.packs.local import sha256_of

    mine = write(tmp_path / "renamed.gguf", **CHAT)
    known = builtin_catalogue().find("llm", "granite-4.1-3b")
    pinned = known.files[0].model_copy(update={"sha256": sha256_of(mine)})
    catalogue = builtin_catalogue().model_copy(update={"llm": (known.model_copy(update={"files": (pinned,)}),)})
    monkeypatch.setattr(importing, "builtin_catalogue", lambda: catalogue)
    (origin,) = imported(mine, tmp_path).manifest.models
    assert (origin.id, origin.licence, origin.commercial_use) == ("granite-4.1-3b-q4_k_m", "Apache-2.0", "yes")


def test_a_whole_pack_is_taken_over_if_all_of_it_is_right(tmp_path: Path) -> None:
    shutil.copytree(STARTER, tmp_path / "stick")
    pack = load_pack("stick", tmp_path)
    import_pack(pack, "mine", tmp_path / "models", True)
    assert problems_of(load_pack("mine", tmp_path / "models")) == []
    (tmp_path / "stick/voice/starter-voice.onnx").write_bytes(b"x")
    with pytest.raises(PackError, match=r"is damaged: voice/starter-voice\.onnx has 1 bytes"):
        import_pack(pack, "mine", tmp_path / "models", True)
    assert problems_of(load_pack("mine", tmp_path / "models")) == []


def voice(folder: Path, **changes: Any) -> Path:
    for end in ("onnx", "onnx.json"):
        shutil.copy(STARTER / f"voice/starter-voice.{end}", folder / f"v.{end}")
    config = json.loads((folder / "v.onnx.json").read_text())
    (folder / "v.onnx.json").write_text(json.dumps({k: v for k, v in (config | changes).items() if v is not None}))
    return folder / "v.onnx"


def onnx(folder: Path, change: bytes | None) -> Path:
    data = (STARTER / "voice/starter-voice.onnx").read_bytes()
    (folder / "v.onnx").write_bytes(data[: len(data) // 2] if change is None else change)
    (folder / "v.onnx.json").write_text("{}")
    return folder / "v.onnx"


def file(name: str, content: bytes) -> Any:
    def make(folder: Path) -> Path:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return folder / name

    return make


def alone(name: str) -> Any:
    def make(folder: Path) -> Path:
        shutil.copy(STARTER / "voice/starter-voice.onnx", folder / name)
        return folder / name

    return make


def several(folder: Path) -> Path:
    for name in ("a.gguf", "b.gguf"):
        write(folder / name, **CHAT)
    return folder


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "m.gguf")
    return folder / "m.gguf"


def llm(**metadata: Any) -> Any:
    return lambda folder: write(folder / "m.gguf", **metadata)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "none", "There is no "),
        (lambda folder: folder, "There is no model in"),
        (several, "has several models; name one of them: a.gguf, b.gguf"),
        (file("m.gguf", b""), "is empty"),
        (file("m.gguf", b"hello"), "is not a GGUF file"),
        (file("m.gguf", b"version https://git-lfs.github.com/spec/v1\noid sha256:ab"), "Get it with: git lfs pull"),
        (file("v.onnx", b"\n<!DOCTYPE html><html>"), "is a web page, not a model"),
        (file("m.gguf", b"GGUF" + bytes([0, 0, 0, 3]) + bytes(16)), "made for big-endian machines"),
        (lambda folder: folder / ("x" * 300), "cannot be read: File name too long"),
        (pipe, "is no file"),
        (llm(architecture="", **CHAT), "does not say what kind of model it is"),
        (file("readme.txt", b"hello"), "is no model that is known"),
        (file("ggml-base.bin", b"lmgg" + bytes(60)), "a model of whisper.cpp"),
        (file("base.pt", b"PK\x03\x04" + bytes(60)), "weights as torch saves them"),
        (file("lm.safetensors", bytes(60)), "needed as GGUF"),
        (file("box.tar.zst", bytes(60)), "bundle install"),
        (file("model.bin", bytes(60)), "lacks config.json"),
        (file("x/config.json", b'{"model_type": "llama"}'), "model of the type 'llama'"),
        (file("x/config.json", b'{"model_type": "whisper"}'), "has no weights"),
        (file("x/config.json", b"[]"), "not a JSON object"),
        (llm(general__name="x"), "has no chat template"),
        (llm(tokenizer__chat_template=" "), "has no chat template"),
        (llm(architecture="clip"), "sees pictures"),
        (llm(general__type="mmproj", **CHAT), "mmproj"),
        (llm(general__type="adapter", **CHAT), "adapter"),
        (llm(tensors={}, **CHAT), "vocabulary only"),
        (llm(split__count=2, **CHAT), "one of 2 parts, but is not named so"),
        (llm(tokenizer__chat_template="x", llama__context_length=64), "context of 64 tokens"),
        (lambda folder: onnx(folder, None), "cannot be loaded as ONNX"),
        (lambda folder: onnx(folder, b"hello"), "cannot be loaded as ONNX"),
        (alone("v.onnx"), "is a voice, but v.onnx.json"),
        (lambda folder: voice(folder, audio=None), "does not describe a Piper voice"),
        (lambda folder: voice(folder, audio={"sample_rate": 1}), "says 1 Hz"),
        (lambda folder: voice(folder, phoneme_id_map={"a": [1]}), "no marks for the beginning"),
        (lambda folder: voice(folder, phoneme_type="pinyin"), "phonemes of the type 'pinyin'"),
        (lambda folder: voice(folder, num_speakers=9), "takes no speaker"),
        (lambda folder: voice(folder, num_speakers="many"), "its `num_speakers` is no number"),
        (lambda folder: voice(folder, inference=[]), "its `inference` is no table"),
        (lambda _: DATA / "emotion.onnx", "neither a Piper voice nor Smart Turn"),
    ],
)
def test_what_is_no_model_is_a_sentence_and_changes_nothing(tmp_path: Path, make: Any, says: str) -> None:
    with pytest.raises(PackError, match=says):
        examine(make(tmp_path))


def test_a_model_is_not_taken_for_another_part(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="is no voice but a language model"):
        examine(write(tmp_path / "m.gguf", **CHAT), "tts")
    with pytest.raises(PackError, match="is not an embedding model"):
        examine(write(tmp_path / "m.gguf", **CHAT), "embedding")
    with pytest.raises(PackError, match=r"lacks turn\.onnx\.json"):
        examine(DATA / "turn.onnx", "tts")
    found = examine(write(tmp_path / "m.gguf", {"x": np.ones(3, np.float32)}, **CHAT))
    with pytest.raises(PackError, match="is no voice, so that it cannot be"):
        import_model(found, Target("mine", load_pack("starter", tmp_path), "anna"), tmp_path, print)
