"""What the doctor says of a language model, from its file alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_server.engines.inspecting import inspect
from tests.conftest import DATA, STARTER
from tests.small_models import write_small_model

TEMPLATES = DATA / "templates"


@pytest.mark.parametrize(
    ("template", "level", "says"),
    [
        ("google-gemma-2-2b-it", "ok", "no system prompt"),
        ("meta-llama-Llama-3.2-3B-Instruct", "ok", "one call at a time"),
        ("Qwen3.5-4B", "ok", "thinking can be switched off"),
        ("deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "note", "cannot be switched off"),
    ],
)
def test_what_a_template_can_do_is_said(tmp_path: Path, template: str, level: str, says: str) -> None:
    write_small_model(tmp_path / "m.gguf", "attention", (TEMPLATES / f"{template}.jinja").read_text())
    (found,) = inspect(tmp_path / "m.gguf")
    assert found.level == level
    assert says in found.text


def test_a_running_state_and_a_hopeless_template_are_told(tmp_path: Path) -> None:
    write_small_model(tmp_path / "m.gguf", "hybrid", "{{ raise_exception('never') }}")
    template, state = inspect(tmp_path / "m.gguf")
    assert template.level == "bad"
    assert "never" in template.text
    assert state.level == "note"
    assert "running state" in state.text


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"GGUF" + b"\0" * 100)
    (found,) = inspect(tmp_path / "m.gguf")
    assert found.level == "bad"
    assert "cannot be read" in found.text
    assert inspect(STARTER / "chat" / "starter-chat.gguf")[0].level == "ok"
