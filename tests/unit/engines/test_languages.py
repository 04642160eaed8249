from __future__ import annotations

import json
from pathlib import Path

import pytest

from media_server.engines.languages import spoken_in


@pytest.mark.parametrize(
    ("described", "language"),
    [
        ({"espeak": {"voice": "en-gb-x-rp"}, "language": {"code": "en_GB"}}, "en-gb-x-rp"),
        ({"espeak": {"voice": ""}, "language": {"code": "pt_BR"}}, "pt_BR"),
        ({"audio": {}}, ""),
        ([], ""),
    ],
)
def test_a_voice_says_which_language_it_speaks(tmp_path: Path, described: object, language: str) -> None:
    (tmp_path / "voice.onnx.json").write_text(json.dumps(described))
    assert spoken_in(tmp_path / "voice.onnx") == language


def test_a_voice_without_a_description_has_no_language(tmp_path: Path) -> None:
    assert spoken_in(tmp_path / "voice.onnx") == ""
