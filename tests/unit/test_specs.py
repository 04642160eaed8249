"""Conversations in YAML, as their files have them."""

from __future__ import annotations

from pathlib import Path

import pytest

from media_server.cli.specs import read_specs
from media_server.errors import ConfigurationError

GREETING = """
agent: florencia
description: "Verify the agent greets correctly"
timeout: 45s
judge:
  provider: anthropic
  model: claude-haiku-4-5
  maxTurns: 10
workflow: |
  1. Say "Hola"
  2. PASS if greeting is correct, FAIL if not
"""


def test_published_files_are_read_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "greeting.spec.yaml").write_text(GREETING)
    (tmp_path / "other.spec.yml").write_text("agent: mara\nworkflow: Say hello.\ntimeout: 5\n")
    (tmp_path / "notes.yaml").write_text("no: spec")
    greeting, other = read_specs([tmp_path])
    assert (greeting.agent, greeting.timeout_s, greeting.most_turns) == ("florencia", 45, 10)
    assert greeting.workflow.startswith('1. Say "Hola"')
    assert (other.agent, other.timeout_s, other.most_turns) == ("mara", 5, 20)
    assert [s.agent for s in read_specs([tmp_path], agent="dev-ada-florencia")] == ["dev-ada-florencia"] * 2
    assert read_specs([tmp_path], having="GREETS") == [greeting]


def test_conversations_over_a_call_are_told_from_those_in_writing(tmp_path: Path) -> None:
    file = tmp_path / "a.spec.yaml"
    more = "mode: voice\nvoice: elevenlabs/sarah\nstt: flux\ndetectTurnEnd: true\nlanguage: es\ngreeting: Hola\n"
    file.write_text(f"agent: pines\nworkflow: Ask.\n{more}")
    (spec,) = read_specs([file])
    assert (spec.spoken, spec.voice, spec.language, spec.greeting) == (True, "elevenlabs/sarah", "es", "Hola")
    file.write_text("agent: pines\nworkflow: Ask.\nmode: shouting\n")
    with pytest.raises(ConfigurationError, match="mode"):
        read_specs([file])


@pytest.mark.parametrize(
    "text", ["", "agent: mara", "workflow: x", "- a", "a: [", "agent: m\nworkflow: x\ntimeout: soon", "!!python/name:x"]
)
def test_files_that_are_none(tmp_path: Path, text: str) -> None:
    file = tmp_path / "a.spec.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"a\.spec\.yaml"):
        read_specs([file])


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no file or folder"):
        read_specs([tmp_path / "nowhere"])
