from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from media_server.engines.packs import load_pack, problems_of, read_manifest
from media_server.errors import ConfigurationError
from tests.conftest import STARTER


def test_the_starter_pack_is_whole(tmp_path: Path) -> None:
    pack = load_pack("starter", tmp_path)
    assert problems_of(pack) == []
    assert pack.recogniser.is_dir()
    assert pack.chat.is_file()
    assert pack.voice.is_file()
    assert max(f.size for f in pack.manifest.files) < 8_000_000
    assert sum(f.size for f in pack.manifest.files if f.path.startswith("stt/")) < 8_000_000


def test_a_damaged_pack_is_told_file_by_file(tmp_path: Path) -> None:
    shutil.copytree(STARTER, tmp_path / "starter")
    voice = tmp_path / "starter/voice/starter-voice.onnx"
    data = bytearray(voice.read_bytes())
    data[1000] ^= 1
    voice.write_bytes(data)
    (tmp_path / "starter/stt/config.json").write_text("{}")
    first, second = sorted(problems_of(load_pack("starter", tmp_path)))
    assert first.startswith("stt/config.json has 2 bytes")
    assert second.startswith("voice/starter-voice.onnx is not the file")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    shutil.copytree(STARTER, tmp_path / "starter")
    (tmp_path / "starter/chat/starter-chat.gguf").unlink()
    with pytest.raises(ConfigurationError, match=r"lacks chat/starter-chat\.gguf"):
        load_pack("starter", tmp_path)


def test_an_unknown_pack_is_a_sentence_with_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="fetch none"):
        load_pack("none", tmp_path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../b", "a//b", ".hidden", ""])
def test_paths_in_a_manifest_stay_inside_it(path: str) -> None:
    text = (STARTER / "pack.toml").read_text().replace("stt/model.bin", path)
    with pytest.raises(ConfigurationError, match="not a valid pack manifest"):
        read_manifest(text, "here")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"n\xe4me = 1", "not text in UTF-8"),
        (b"a = " + b"[" * 5000, "nested too deeply"),
        (b"[[", "not a valid pack manifest"),
        (b"", "name: this is missing|name: "),
    ],
    ids=["latin", "deep", "broken", "empty"],
)
def test_a_manifest_that_cannot_be_read_is_a_sentence(tmp_path: Path, text: bytes, says: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/pack.toml").write_bytes(text)
    with pytest.raises(ConfigurationError, match=says) as failed:
        load_pack("mine", tmp_path)
    assert "\n" not in failed.value.message
    assert "pydantic" not in failed.value.message


@pytest.mark.parametrize("path", ["voice/starter-voice.onnx", "pack.toml"])
def test_a_file_is_named_once_and_is_not_the_manifest(path: str) -> None:
    text = (STARTER / "pack.toml").read_text().replace('path = "stt/model.bin"', f'path = "{path}"')
    with pytest.raises(ConfigurationError, match="named twice"):
        read_manifest(text, "here")


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("stt", "window_s = 60"), ("stt", "threads = -1"), ("llm", "complete_at = 1.5"), ("llm", "slots = 0"),
        ("llm", "context = 8"), ("tts", "length_scale = 0"), ("tts", "speed = 1"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_is_named(table: str, line: str) -> None:
    key = line.split(" ")[0]
    text = (STARTER / "pack.toml").read_text()
    kept = [old for old in text.splitlines() if not old.startswith(f"{key} =")]
    text = "\n".join(kept).replace(f"[{table}]", f"[{table}]\n{line}")
    with pytest.raises(ConfigurationError, match=rf"{table}\.{key}"):
        read_manifest(text, "pack.toml")


def test_a_pack_may_have_a_classifier_of_turns(tmp_path: Path) -> None:
    shutil.copytree(STARTER, tmp_path / "starter")
    manifest = tmp_path / "starter" / "pack.toml"
    manifest.write_text(manifest.read_text().replace("[llm]", '[turn]\npath = "turn/model.onnx"\n\n[llm]'))
    assert load_pack("starter", tmp_path).turn == tmp_path / "starter" / "turn" / "model.onnx"
    assert load_pack("starter", tmp_path / "elsewhere").turn is None


@pytest.mark.parametrize("labels", ["", 'labels = ["joy"]', 'labels = ["joy", "Very Sad"]', 'labels = ["joy", 3]'])
def test_a_classifier_of_emotions_names_what_it_tells_apart(labels: str) -> None:
    text = (STARTER / "pack.toml").read_text().replace("[tts]", f'[emotion]\npath = "e.onnx"\n{labels}\n\n[tts]')
    with pytest.raises(ConfigurationError, match=r"emotion\.labels"):
        read_manifest(text, "pack.toml")
